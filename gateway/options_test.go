package gateway

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

func TestOptionsRefuseWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		bend func(*Options)
		want string
	}{
		{"the defaults", func(*Options) {}, ""},
		{"a good public_url", func(o *Options) { o.PublicURL = "https://slots.example.org/gate" }, ""},
		{"no port", func(o *Options) { o.Listen = "localhost" }, "listen: "},
		{"a relative public_url", func(o *Options) { o.PublicURL = "/gate" }, "public_url: "},
		{"another scheme", func(o *Options) { o.PublicURL = "ftp://example.org" }, "public_url: "},
		{"a password in public_url", func(o *Options) { o.PublicURL = "https://u:secret@example.org" }, "public_url: "},
		{"a query in public_url", func(o *Options) { o.PublicURL = "https://example.org?a=b" }, "public_url: "},
		{"a page larger than the largest", func(o *Options) { o.DefaultCount = 2000 }, "default_count: "},
		{"no page", func(o *Options) { o.MaxCount, o.DefaultCount = 0, 0 }, "count: "},
		{"no parameters", func(o *Options) { o.MaxParams = 0 }, "max_params: "},
		{"no body", func(o *Options) { o.BodyLimit = 0 }, "body_limit: "},
		{"headers without end", func(o *Options) { o.HeaderLimit = 1 << 30 }, "header_limit: "},
		{"no time to read", func(o *Options) { o.ReadTimeout = 0 }, "read_timeout: "},
		{"cursors for ever", func(o *Options) { o.CursorTTL = 1000 * 24 * time.Hour }, "cursor_ttl: "},
	} {
		o := DefaultOptions()
		tc.bend(&o)
		text := ""
		for _, err := range []error{o.Validate(), o.Limits.Validate()} {
			if err != nil {
				text += err.Error()
			}
		}
		if (text == "") != (tc.want == "") || !strings.Contains(text, tc.want) || strings.Contains(text, "secret") {
			t.Errorf("%s: %q, want %q", tc.name, text, tc.want)
		}
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	t.Parallel()
	if _, err := New(DefaultOptions(), Deps{Secret: make([]byte, 32)}); err == nil {
		t.Error("no parts at all are taken")
	}
	_, w := newServer(t, nil)
	deps := w.server.deps
	deps.Registerer, deps.Secret = prometheus.NewRegistry(), make([]byte, 15)
	if _, err := New(DefaultOptions(), deps); err == nil {
		t.Error("a short secret is taken")
	}
	deps.Secret = make([]byte, 16)
	if _, err := New(DefaultOptions(), deps); err != nil {
		t.Error(err)
	}
	if _, err := New(DefaultOptions(), deps); err == nil {
		t.Error("metrics are registered twice")
	}
}

func TestPublicBase(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ public, listening, want string }{
		{"", "127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"", "[::1]:8080", "http://[::1]:8080"},
		{"", "0.0.0.0:8080", "http://127.0.0.1:8080"},
		{"", "[::]:8080", "http://127.0.0.1:8080"},
		{"", ":8080", "http://127.0.0.1:8080"},
		{"https://slots.example.org//", "127.0.0.1:8080", "https://slots.example.org"},
		{"https://slots.example.org/gate", "127.0.0.1:8080", "https://slots.example.org/gate"},
	} {
		if got := publicBase(Options{PublicURL: tc.public}, tc.listening); got != tc.want {
			t.Errorf("%q on %s: %q, want %q", tc.public, tc.listening, got, tc.want)
		}
	}
}

// slow is a Finder that says when it is asked, and waits to answer.
type slow struct {
	Finder
	asked, answer chan struct{}
}

func (s slow) Find(q scheduling.Query) (scheduling.Found, error) {
	close(s.asked)
	<-s.answer
	return s.Finder.Find(q)
}

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	finder := slow{asked: make(chan struct{}), answer: make(chan struct{})}
	s, w := newServer(t, func(_ *Options, d *Deps) { finder.Finder, d.Finder = d.Finder, &finder })
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Listen(ln) }()
	w.t, w.base = t, "http://"+ln.Addr().String()
	answered := make(chan reply, 1)
	go func() { answered <- w.get("/fhir/r4/Appointment/$find") }()
	<-finder.asked
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.WithoutCancel(t.Context())) }()
	// New connections are refused from now on.
	for refused := false; !refused; {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
		if refused = err != nil; !refused {
			_ = conn.Close()
		}
	}
	close(finder.answer)
	if r := <-answered; r.status != http.StatusOK {
		t.Errorf("the request under way: %d", r.status)
	}
	w.client.CloseIdleConnections()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestShutdownDoesNotWaitForIdleConnections(t *testing.T) {
	t.Parallel()
	s, w := newServer(t, nil)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Listen(ln) }()
	w.t, w.base = t, "http://"+ln.Addr().String()
	defer w.client.CloseIdleConnections()
	w.get("/fhir/r4/metadata") // and the client keeps the connection
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestSourcesAndCallersMayChange(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	far := "/fhir/r4/Appointment/$find?end=2027-03-01"
	if r := w.get(far); r.status != http.StatusOK || !strings.Contains(r.body, "parameter end was brought down") {
		t.Errorf("before: %d %s", r.status, r.body)
	}
	longer := sources(t)
	for i := range longer {
		longer[i].Horizon = 200
	}
	w.server.Reconfigure(longer, newAuth(t))
	if r := w.get(far); r.status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", r.status)
	}
	if r := w.get(far, "Authorization: Bearer site-key"); r.status != http.StatusOK || strings.Contains(r.body, "brought down") {
		t.Errorf("after: %d %s", r.status, r.body)
	}
}
