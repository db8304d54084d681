package gateway

import (
	"log/slog"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkFind answers in the process, through fasthttp's handler and Fiber:
// everything but the socket.
func BenchmarkFind(b *testing.B) {
	s, _ := newServer(b, func(_ *Options, d *Deps) { d.Logger = slog.New(slog.DiscardHandler) })
	s.app.Handler() // builds the routes
	for _, bc := range []struct{ name, query string }{
		{"20 offers", ""},
		{"20 offers of a specialty", "specialty=" + dermatology},
		{"2 offers", "_count=2"},
		{"total", "_count=0"},
		{"20 offers, XML", "_format=xml"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			var req fasthttp.Request
			req.SetRequestURI("http://gateway/fhir/r4/Appointment/$find?" + bc.query)
			var ctx fasthttp.RequestCtx
			ctx.Init(&req, nil, nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				ctx.ResetUserValues()
				s.app.Server().Handler(&ctx)
				if ctx.Response.StatusCode() != fasthttp.StatusOK {
					b.Fatalf("status %d", ctx.Response.StatusCode())
				}
			}
			b.SetBytes(int64(len(ctx.Response.Body())))
		})
	}
}
