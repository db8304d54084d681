package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// status answers everything with one status that can be changed.
type status struct {
	code  atomic.Int32
	calls atomic.Int32
	retry atomic.Value // Retry-After
}

func (s *status) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	if text, _ := s.retry.Load().(string); text != "" {
		w.Header().Set("Retry-After", text)
	}
	if code := int(s.code.Load()); code != http.StatusOK {
		w.WriteHeader(code)
		return
	}
	tiny(func(w http.ResponseWriter, _ *http.Request) { page(w, 1, "", slotJSON("a", 0)) })(w, r)
}

// once makes calls to be sent but once.
func once(o *Options) {
	utc(o)
	o.Limits.Retries = new(int)
	o.Limits.BreakerFailures = 3
	o.Limits.BreakerOpen = config.Duration(50 * time.Millisecond)
}

func readMetadata(t *testing.T, c *Client) error {
	t.Helper()
	_, err := c.Metadata(t.Context())
	return err
}

func TestTheBreakerOpensOnFailuresAloneAndKeepsLanesApart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		opens  bool
	}{
		"500": {500, true}, "503": {503, true}, "504": {504, true}, "304": {304, true},
		"400": {400, false}, "401": {401, false}, "404": {404, false}, "422": {422, false}, "429": {429, false}, "501": {501, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &status{}
			s.code.Store(int32(tc.status))
			c := client(t, serve(t, s.ServeHTTP), once)
			for range 6 {
				_ = readMetadata(t, c)
			}
			want := map[string]string{"read": "closed", "prefetch": "closed"}
			if tc.opens {
				want["read"] = "open"
			}
			if got := c.Breakers(); got["read"] != want["read"] || got["prefetch"] != "closed" {
				t.Errorf("breakers %v, want %v", got, want)
			}
			if calls := s.calls.Load(); tc.opens && calls != 3 || !tc.opens && calls != 6 {
				t.Errorf("%d calls were sent", calls)
			}
		})
	}
}

func TestTheBreakerClosesWhenTheSourceIsWellAgain(t *testing.T) {
	t.Parallel()
	s := &status{}
	s.code.Store(503)
	c := client(t, serve(t, s.ServeHTTP), once)
	scope := ahead(noon, 2)
	for range 4 {
		if _, err := c.Fetch(t.Context(), scope); scheduling.CodeOf(err) != scheduling.SourceDown {
			t.Fatalf("%v", err)
		}
	}
	if c.Breakers()["prefetch"] != "open" || c.Breakers()["read"] != "closed" {
		t.Fatalf("%v", c.Breakers())
	}
	_, err := c.Fetch(t.Context(), scope)
	if e := scheduling.AsError(err); e.RetryAfter == 0 {
		t.Errorf("an open breaker tells no time: %v", err)
	}
	s.code.Store(http.StatusOK)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		got, err := c.Fetch(t.Context(), scope)
		if err == nil && got.Slots() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if c.Breakers()["prefetch"] != "closed" {
		t.Errorf("%v", c.Breakers())
	}
}

func TestACallerWhoGoesAwaySaysNothingOfTheSource(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultHang}} }))
	c := client(t, base, once)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		seen := len(srv.Requests(0))
		go func() {
			for len(srv.Requests(0)) == seen && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		if _, err := c.Metadata(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		cancel()
	}
	if c.Breakers()["read"] != "closed" {
		t.Errorf("%v", c.Breakers())
	}
}

func TestACallersDeadlineIsTheSourcesSlownessButNoFailure(t *testing.T) {
	t.Parallel()
	_, base := sim(t, practice(func(o *ehrsim.Options) { o.Faults = []ehrsim.Fault{{Kind: ehrsim.FaultHang}} }))
	c := client(t, base, once)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := c.Metadata(ctx)
		cancel()
		if scheduling.CodeOf(err) != scheduling.SourceSlow {
			t.Fatalf("%v", err)
		}
	}
	if c.Breakers()["read"] != "closed" {
		t.Errorf("%v", c.Breakers())
	}
}

func TestNoMoreCallsAtOnceThanConfigured(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(slotsSim(func(o *ehrsim.Options) { o.Latency = 5 * time.Millisecond })))
	c := client(t, base, func(o *Options) { o.Limits.Concurrency, o.Quirks.MaxDays = 2, 1 })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { fetch(t, c, ahead(noon, 6)) })
	}
	wg.Wait()
	if n := srv.Counters().MaxInFlight; n != 2 {
		t.Errorf("%d calls at once, want 2", n)
	}
}

func TestNoMoreCallsASecondThanConfigured(t *testing.T) {
	t.Parallel()
	s := &status{}
	s.code.Store(404)
	c := client(t, serve(t, s.ServeHTTP), func(o *Options) { once(o); o.Limits.Rate, o.Limits.Concurrency = 100, 1 })
	began := time.Now()
	for range 31 {
		_ = readMetadata(t, c)
	}
	// A burst of ten, and 21 more at 100 a second.
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("31 calls in %v", took)
	}
}

func TestAPauseThatTheSourceAsksForHoldsForAllCalls(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]string{"seconds": "60", "a date": time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)} {
		s := &status{}
		s.code.Store(http.StatusTooManyRequests)
		s.retry.Store(wait)
		c := client(t, serve(t, s.ServeHTTP), utc)
		for range 3 {
			err := readMetadata(t, c)
			e := scheduling.AsError(err)
			if e == nil || e.Code != scheduling.Throttled || e.RetryAfter < 50*time.Second || e.RetryAfter > time.Minute {
				t.Errorf("%s: %v, retry after %v", name, err, e.RetryAfter)
			}
		}
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%s: %d calls were sent into the pause", name, n)
		}
	}
}

func TestAShortRetryAfterIsHonouredAtOnce(t *testing.T) {
	t.Parallel()
	var first time.Time
	var waited time.Duration
	s := tiny(func(w http.ResponseWriter, _ *http.Request) {
		if first.IsZero() {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		waited = time.Since(first)
		page(w, 1, "", slotJSON("a", 0))
	})
	c := client(t, serve(t, s), func(o *Options) { utc(o); o.Limits.RetryWait = config.Duration(2 * time.Second) })
	if got := fetch(t, c, ahead(noon, 2)); got.Slots() != 1 || waited < 900*time.Millisecond {
		t.Errorf("%d slots after %v", got.Slots(), waited)
	}
}

// Only a status that is about the source as a whole stops the calls of others.
func TestARetryAfterOfARefusalStopsNobodyElse(t *testing.T) {
	t.Parallel()
	for status, pauses := range map[int]bool{
		400: false, 401: false, 403: false, 404: false, 409: false, 410: false, 412: false, 422: false, 500: false, 501: false,
		408: true, 429: true, 503: true, 504: true,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				c := client(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "600")
					w.WriteHeader(status)
				}), func(o *Options) { o.Limits.Retries = new(0) })
				_, err := c.send(t.Context(), &call{op: "x", lane: laneRead, method: method, url: resolve(c.base, "Slot/x", nil)})
				if err == nil || scheduling.AsError(err).RetryAfter != 10*time.Minute {
					t.Errorf("the caller is told %v", err)
				}
				if paused := c.budget.pauseLeft() > 0; paused != pauses {
					t.Errorf("paused: %v, want %v", paused, pauses)
				}
			})
		}
	}
}

func TestRetryAfterIsReadWhereverServersPutIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		status       int
		header, body string
		want         time.Duration
	}{
		"seconds":            {503, "Retry-After: 7", "", 7 * time.Second},
		"a date":             {503, "Retry-After: Tue, 03 Feb 2026 12:00:30 GMT", "", 30 * time.Second},
		"a date gone by":     {503, "Retry-After: Tue, 03 Feb 2026 11:00:30 GMT", "", 0},
		"nonsense":           {503, "Retry-After: soon", "", 0},
		"negative":           {503, "Retry-After: -5", "", 0},
		"for ever":           {503, "Retry-After: 999999999", "", longestPause},
		"in words":           {429, "", `{"diagnostics":"User Rate Limit Exceeded, Try in another 844 seconds"}`, 844 * time.Second},
		"words of another":   {500, "", `Try in another 844 seconds`, 0},
		"a RateLimit header": {429, `RateLimit: "requests";r=0;t=42`, "", 42 * time.Second},
		"nothing":            {429, "", "", 0},
	} {
		rec := httptest.NewRecorder()
		if head, value, ok := strings.Cut(tc.header, ": "); ok {
			rec.Header().Set(head, value)
		}
		if got := retryAfter(&answer{status: tc.status, header: rec.Header(), body: []byte(tc.body)}, now); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestWhatWeSendIsWhatServersExpect(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(slotsSim(nil)))
	c := registered(t, func() Options {
		o := Options{ID: "src", Base: base + "/", Dialect: Slots}
		quick(&o)
		o.Quirks.Params = map[string]string{"service-type": "office-visit"}
		return o
	}(), Deps{UserAgent: "slotgate/test"})
	fetch(t, c, ahead(noon, 2))
	for _, r := range srv.Requests(0) {
		if !strings.HasPrefix(r.Accept, "application/fhir+json") || r.CacheControl != "no-cache" || r.Authorization || strings.Contains(r.Path, "//") {
			t.Errorf("%+v", r)
		}
		query, _ := url.ParseQuery(r.Query)
		if r.Path == "/Slot" && (query.Get("service-type") != "office-visit" || len(query["start"]) != 2 || !strings.HasSuffix(query.Get("start"), "Z")) {
			t.Errorf("%v", query)
		}
	}
}

func TestMetricsCountCallsPagesAndWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(slotsSim(nil)))
	reg := prometheus.NewPedanticRegistry()
	o := Options{ID: "src", Base: base, Dialect: Slots}
	quick(&o)
	r, err := NewRegistry([]Options{o}, Deps{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := r.Get("src")
	if _, err = srv.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultReversed, Path: "/Slot"}); err != nil {
		t.Fatal(err)
	}
	got := fetch(t, c, ahead(noon, 2))
	if n := counted(t, reg, "calls_total", "slots", "ok"); n != 1 {
		t.Errorf("%v calls for slots", n)
	}
	if n := counted(t, reg, "pages_total", "directory"); n != 6 {
		t.Errorf("%v pages of the directory", n)
	}
	if n := counted(t, reg, "unusable_total", "ends-before-start"); n == 0 || int(n) != got.Unusable.Total() {
		t.Errorf("%v unusable, want %v", n, got.Unusable)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if text := family.String(); strings.Contains(text, "start=") || strings.Contains(text, "http") {
			t.Errorf("an address in %s", text)
		}
	}
	if err = r.Close(); err != nil {
		t.Error(err)
	}
	if families, err = reg.Gather(); len(families) != 0 || err != nil {
		t.Errorf("after Close there are still %v %v", families, err)
	}
}

// counted is the value of the series of source src that has these label values.
func counted(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "slotgate_upstream_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, label := range m.GetLabel() {
				if label.GetName() != "source" {
					values = append(values, label.GetValue())
				}
			}
			if slices.Equal(values, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
