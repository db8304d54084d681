package gateway

import (
	"log/slog"
	"net"
	"testing"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// BenchmarkFind asks through fasthttp and Fiber, as one connection does, with
// nothing between but memory.
func BenchmarkFind(b *testing.B) {
	s, _ := newServer(b, func(_ *Options, d *Deps) { d.Logger = slog.New(slog.DiscardHandler) })
	ln := fasthttputil.NewInmemoryListener()
	done := make(chan error, 1)
	go func() { done <- s.Listen(ln) }()
	client := &fasthttp.Client{Dial: func(string) (net.Conn, error) { return ln.Dial() }}
	for _, bc := range []struct{ name, query string }{
		{"20 offers", ""},
		{"20 offers of a specialty", "specialty=" + dermatology},
		{"2 offers", "_count=2"},
		{"total", "_count=0"},
		{"20 offers, XML", "_format=xml"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(res)
			req.SetRequestURI("http://gateway/fhir/r4/Appointment/$find?" + bc.query)
			b.ReportAllocs()
			for b.Loop() {
				if err := client.Do(req, res); err != nil || res.StatusCode() != fasthttp.StatusOK {
					b.Fatalf("status %d, error %v", res.StatusCode(), err)
				}
			}
			b.SetBytes(int64(len(res.Body())))
		})
	}
	client.CloseIdleConnections()
	if err := s.Shutdown(b.Context()); err != nil {
		b.Error(err)
	}
	_ = ln.Close()
	<-done
}
