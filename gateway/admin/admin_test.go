package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"slotgate/config"
	"slotgate/scheduling"
)

// TestMain looks for goroutines left behind. The two of fasthttp's sleep on for
// seconds after a server has ended, and then end too.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// replica is a Replica whose answers a test sets.
type replica struct {
	sources []scheduling.Freshness
	ready   bool
	panics  bool
}

func (r *replica) Sources() []scheduling.Freshness {
	if r.panics {
		panic("the panic's own text")
	}
	return r.sources
}
func (r *replica) Ready() bool { return r.ready }

type fixture struct {
	base string
	deps Deps
	now  atomic.Pointer[time.Time]
}

// start serves on a port of its own until the test ends.
func start(t *testing.T, token string, bend func(*Deps)) *fixture {
	t.Helper()
	f := &fixture{}
	at := noon
	f.now.Store(&at)
	f.deps = Deps{
		Replica:  &replica{ready: true},
		Gatherer: prometheus.NewRegistry(),
		Logger:   slog.New(slog.DiscardHandler),
		Now:      func() time.Time { return *f.now.Load() },
	}
	if bend != nil {
		bend(&f.deps)
	}
	opts := DefaultOptions()
	opts.Token = config.NewSecret(token)
	s, err := New(opts, f.deps)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Listen(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	f.base = "http://" + ln.Addr().String()
	return f
}

func (f *fixture) do(t *testing.T, method, path string, header map[string]string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
		if k == "Host" {
			req.Host = v
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func TestSourcesAreToldInTheWordsOfTheContract(t *testing.T) {
	f := start(t, "", func(d *Deps) {
		d.Sources = []scheduling.Source{
			{ID: "napa", Name: "Napa", Dialect: "argonaut", Release: scheduling.STU3, StaleAfter: time.Minute, MaxAge: time.Hour},
			{ID: "new", Name: "New", Dialect: "slots", Release: scheduling.R4},
		}
		d.Replica = &replica{ready: true, sources: []scheduling.Freshness{{
			Source: "napa", Slots: 7, Windows: 3,
			Status: scheduling.Status{
				LastSync: noon.Add(-5*time.Minute + 300*time.Millisecond), ErrorCode: scheduling.SourceDown, ErrorAt: noon.Add(-time.Minute),
				Unusable: scheduling.Tally{scheduling.NoZone: 2},
			},
		}}}
		d.Detail = func(id scheduling.SourceID) (Detail, bool) {
			return Detail{Breakers: Breakers{Read: "closed", Write: "open"}, Budget: map[string]any{"rate": 10}, Exclusive: "gateway"}, id == "napa"
		}
	})
	status, body, header := f.do(t, http.MethodGet, "/api/sources", nil)
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		t.Fatalf("status %d, content type %q", status, header.Get("Content-Type"))
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v in %s", err, body)
	}
	for _, entry := range list {
		for _, key := range []string{
			"id", "name", "dialect", "fhir", "state", "slots", "windows", "lastSourceSync", "ageSeconds",
			"unusable", "breakers", "budget", "pages", "exclusive", "lastError",
		} {
			if _, ok := entry[key]; !ok {
				t.Errorf("%v lacks %q", entry["id"], key)
			}
		}
	}
	napa, fresh := list[0], list[1]
	if napa["state"] != "stale" || napa["slots"] != 7.0 || napa["windows"] != 3.0 || napa["ageSeconds"] != 300.0 {
		t.Errorf("napa: %v", napa)
	}
	if napa["lastSourceSync"] != "2026-11-23T11:55:00Z" || napa["unusable"].(map[string]any)["no-zone"] != 2.0 {
		t.Errorf("napa: %v", napa)
	}
	if napa["lastError"].(map[string]any)["code"] != "source-down" || napa["breakers"].(map[string]any)["write"] != "open" ||
		napa["breakers"].(map[string]any)["prefetch"] != "unknown" {
		t.Errorf("napa: %v", napa)
	}
	if fresh["state"] != "down" || fresh["lastSourceSync"] != nil || fresh["lastError"] != nil || fresh["exclusive"] != "unknown" {
		t.Errorf("new: %v", fresh)
	}
}

func TestReadyWaitsForTheFirstLoads(t *testing.T) {
	rep := &replica{}
	f := start(t, "", func(d *Deps) {
		d.Replica = rep
		d.Sources = []scheduling.Source{{ID: "a"}, {ID: "b"}}
	})
	ready := func() int { code, _, _ := f.do(t, http.MethodGet, "/readyz", nil); return code }
	rep.sources = []scheduling.Freshness{{Source: "a"}, {Source: "b"}}
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("before every source was tried: %d", got)
	}
	rep.ready = true
	if got := ready(); got != http.StatusOK {
		t.Errorf("with every source tried: %d", got)
	}
	rep.ready = false
	later := noon.Add(30 * time.Second)
	f.now.Store(&later)
	if got := ready(); got != http.StatusOK {
		t.Errorf("after 30 seconds: %d", got)
	}
	rep.sources = nil
	if got := ready(); got != http.StatusServiceUnavailable {
		t.Errorf("with a replica that does not answer: %d", got)
	}
	if code, _, _ := f.do(t, http.MethodGet, "/livez", nil); code != http.StatusOK {
		t.Errorf("/livez: %d", code)
	}
}

func TestWritesAreNotReadyWhileNothingCanBeBooked(t *testing.T) {
	f := start(t, "", nil)
	if code, body, h := f.do(t, http.MethodGet, "/readyz/writes", nil); code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || body != "holds and bookings are not served\n" {
		t.Errorf("status %d, headers %v: %s", code, h, body)
	}
	g := start(t, "", func(d *Deps) {
		d.Writes = func(context.Context) error { return errors.New("redis: dial tcp 10.0.0.1") }
	})
	if code, body, _ := g.do(t, http.MethodGet, "/readyz/writes", nil); code != http.StatusServiceUnavailable || strings.Contains(body, "10.0.0.1") {
		t.Errorf("status %d: %s", code, body)
	}
	h := start(t, "", func(d *Deps) { d.Writes = func(context.Context) error { return nil } })
	if code, _, _ := h.do(t, http.MethodGet, "/readyz/writes", nil); code != http.StatusOK {
		t.Errorf("status %d", code)
	}
}

func TestGuards(t *testing.T) {
	open, closed := start(t, "", nil), start(t, "s3cret-token", nil)
	for _, tc := range []struct {
		name         string
		f            *fixture
		method, path string
		header       map[string]string
		want         int
	}{
		{"loopback needs no token", open, "GET", "/api/sources", nil, 200},
		{"localhost is loopback", open, "GET", "/api/sources", map[string]string{"Host": "localhost:9090"}, 200},
		{"so is ::1", open, "GET", "/api/sources", map[string]string{"Host": "[::1]:9090"}, 200},
		{"a foreign Host is a rebinding page", open, "GET", "/api/sources", map[string]string{"Host": "evil.example:9090"}, 403},
		{"a name that begins like ours is foreign", open, "GET", "/livez", map[string]string{"Host": "127.0.0.1.evil.example"}, 403},
		{"with a token a name is allowed", closed, "GET", "/api/sources", map[string]string{"Host": "admin.example", "Authorization": "Bearer s3cret-token"}, 200},
		{"a token is asked for", closed, "GET", "/api/sources", nil, 401},
		{"a wrong token", closed, "GET", "/metrics", map[string]string{"Authorization": "Bearer s3cret-toke"}, 401},
		{"another scheme", closed, "GET", "/metrics", map[string]string{"Authorization": "Basic s3cret-token"}, 401},
		{"the right token", closed, "GET", "/metrics", map[string]string{"Authorization": "Bearer s3cret-token"}, 200},
		{"health needs no token", closed, "GET", "/livez", nil, 200},
		{"a POST from another site", open, "POST", "/api/in-doubt", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a POST from another origin", open, "POST", "/api/in-doubt", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a POST of no origin", open, "POST", "/api/in-doubt", map[string]string{"Origin": "null"}, 403},
		{"a POST of a program has no decision to take", open, "POST", "/api/in-doubt", nil, 405},
		{"nothing is in doubt", open, "GET", "/api/in-doubt", nil, 200},
		{"no orphans", open, "GET", "/api/orphans", nil, 200},
		{"an unknown path", open, "GET", "/api/none", nil, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, body, header := tc.f.do(t, tc.method, tc.path, tc.header)
			if code != tc.want {
				t.Errorf("status %d, want %d: %s", code, tc.want, body)
			}
			if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Server") != "" {
				t.Errorf("headers %v", header)
			}
			if tc.path == "/api/in-doubt" && code == 200 && body != "[]\n" {
				t.Errorf("body %q", body)
			}
		})
	}
}

func TestAPanicTellsNothing(t *testing.T) {
	var log strings.Builder
	f := start(t, "", func(d *Deps) {
		d.Replica = &replica{ready: true, panics: true}
		d.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	code, body, _ := f.do(t, http.MethodGet, "/api/sources", nil)
	if code != http.StatusInternalServerError || strings.Contains(body, "own text") {
		t.Errorf("status %d: %s", code, body)
	}
	if strings.Contains(log.String(), "own text") || !strings.Contains(log.String(), "panic") {
		t.Errorf("log: %s", log.String())
	}
}

func TestOptionsKeepTheNetworkOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, listen, token string
		ok                  bool
	}{
		{"loopback", "127.0.0.1:9090", "", true},
		{"loopback of IPv6", "[::1]:9090", "", true},
		{"every address without a token", "0.0.0.0:9090", "", false},
		{"no host is every address", ":9090", "", false},
		{"a name without a token", "admin.example:9090", "", false},
		{"every address with a token", "0.0.0.0:9090", "t0ken", true},
		{"no port", "127.0.0.1", "", false},
		{"nothing", "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := Options{Listen: tc.listen, Token: config.NewSecret(tc.token)}.Validate()
			if (err == nil) != tc.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestHowOldWindowsAreAndWhatIsLearntOfOffersIsTold(t *testing.T) {
	f := start(t, "", func(d *Deps) {
		d.Sources = []scheduling.Source{{ID: "napa"}, {ID: "new"}}
		d.Ages = func(id scheduling.SourceID) []scheduling.TierAge {
			if id != "napa" {
				return nil
			}
			return []scheduling.TierAge{{
				Tier: "near", Windows: 3, Checked: scheduling.Spread{Count: 3, P50: 1240 * time.Millisecond, P99: time.Minute},
				Changed: scheduling.Spread{Count: 3, P50: time.Hour, P99: 2 * time.Hour},
			}}
		}
		d.Chances = func(id scheduling.SourceID) []scheduling.Chance {
			if id != "napa" {
				return nil
			}
			return []scheduling.Chance{{UpTo: 30 * time.Second, Asked: 3, There: 2}, {Asked: 1.5, There: 0}}
		}
	})
	_, body, _ := f.do(t, http.MethodGet, "/api/sources", nil)
	for _, want := range []string{
		`"ages":{"near":{"windows":3,"checked":{"p50":1.2,"p99":60},"valid":null,"changed":{"p50":3600,"p99":7200}}}`,
		`"stillThere":[{"upToSeconds":30,"share":0.67,"asked":3},{"upToSeconds":0,"share":0,"asked":1.5}]`,
		`"ages":{},"stillThere":[]`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not told: %s", want, body)
		}
	}
}
