package ehrsim

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// try sets faults, asks for slots and tells what came over the wire.
func (w *wire) try(faults ...Fault) (answer, error) {
	w.t.Helper()
	if _, err := w.srv.SetFaults(faults...); err != nil {
		w.t.Fatal(err)
	}
	return w.do(w.t.Context(), http.MethodGet, slotQuery, "")
}

const slotQuery = "/Slot?status=free&start=ge2026-02-03&start=lt2026-02-05&_include=Slot:schedule&_count=20"

func TestEachFaultReallyHappensOnTheWire(t *testing.T) {
	t.Parallel()
	type check func(t *testing.T, w *wire, a answer, err error)
	for name, tc := range map[string]struct {
		fault Fault
		check check
	}{
		"status": {Fault{Kind: FaultStatus, Status: 503}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.StatusCode != 503 || digString(a.json(t), "resourceType") != "OperationOutcome" {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		}},
		"status is 500 by itself": {Fault{Kind: FaultStatus}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.StatusCode != 500 {
				t.Errorf("%d", a.StatusCode)
			}
		}},
		"throttle": {Fault{Kind: FaultThrottle, RetryAfter: 7}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.StatusCode != 429 || a.Header.Get("Retry-After") != "7" {
				t.Errorf("%d %v", a.StatusCode, a.Header)
			}
		}},
		"throttle in text alone": {Fault{Kind: FaultThrottleText, RetryAfter: 844}, func(t *testing.T, _ *wire, a answer, _ error) {
			said := digString(a.json(t), "issue", 0, "diagnostics")
			if a.StatusCode != 429 || a.Header.Get("Retry-After") != "" || !strings.Contains(said, "Try in another 844 seconds") {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
			}
		}},
		"html": {Fault{Kind: FaultHTML}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.text, "<html>") {
				t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
			}
		}},
		"empty body": {Fault{Kind: FaultEmptyBody}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.StatusCode != 200 || a.text != "" || a.err != nil {
				t.Errorf("%d %q %v", a.StatusCode, a.text, a.err)
			}
		}},
		"reset": {Fault{Kind: FaultReset}, func(t *testing.T, _ *wire, _ answer, err error) {
			if err == nil {
				t.Error("an answer came")
			}
		}},
		"half a JSON": {Fault{Kind: FaultCutJSON}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.StatusCode != 200 || !errors.Is(a.err, io.ErrUnexpectedEOF) || int64(len(a.text))*2 > a.ContentLength+1 || len(a.text) < 100 {
				t.Errorf("%d bytes of %d: %v", len(a.text), a.ContentLength, a.err)
			}
		}},
		"wrong type": {Fault{Kind: FaultWrongType}, func(t *testing.T, _ *wire, a answer, _ error) {
			if a.Header.Get("Content-Type") != "text/plain" || digString(a.json(t), "resourceType") != "Bundle" {
				t.Errorf("%v", a.Header)
			}
		}},
		"huge gzip": {Fault{Kind: FaultHugeGzip, Size: 3 << 20}, func(t *testing.T, _ *wire, a answer, _ error) {
			zip, err := gzip.NewReader(strings.NewReader(a.text))
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, zip)
			if err != nil || n < 3<<20 || int64(len(a.text)) > n/20 {
				t.Errorf("%d bytes unpack to %d: %v", len(a.text), n, err)
			}
		}},
		"latency": {Fault{Kind: FaultLatency, Delay: Duration(30 * time.Millisecond), Jitter: Duration(5 * time.Millisecond)}, func(t *testing.T, w *wire, a answer, _ error) {
			if seen := w.srv.Requests(0); a.StatusCode != 200 || time.Duration(seen[len(seen)-1].Took) < 30*time.Millisecond {
				t.Errorf("%d %v", a.StatusCode, seen)
			}
		}},
		"foreign next": {Fault{Kind: FaultForeignNext, Link: "http://127.0.0.2:1/fhir/Slot"}, func(t *testing.T, _ *wire, a answer, _ error) {
			if next := link(a.json(t), "next"); next != "http://127.0.0.2:1/fhir/Slot" {
				t.Errorf("next %s", next)
			}
		}},
		"reversed slots": {Fault{Kind: FaultReversed}, eachMatch(func(t *testing.T, _ *wire, r map[string]any) {
			if digString(r, "end") >= digString(r, "start") {
				t.Errorf("%v", r)
			}
		})},
		"no zone": {Fault{Kind: FaultNoZone}, eachMatch(func(t *testing.T, _ *wire, r map[string]any) {
			if hasZone(digString(r, "start")) || len(digString(r, "end")) != 19 {
				t.Errorf("%v", r)
			}
		})},
		"dangling schedule": {Fault{Kind: FaultDangling}, eachMatch(func(t *testing.T, w *wire, r map[string]any) {
			if a := w.get("/" + digString(r, "schedule", "reference")); a.StatusCode != 404 {
				t.Errorf("%v", r)
			}
		})},
		"wrong total": {Fault{Kind: FaultWrongTotal, By: 3}, func(t *testing.T, w *wire, a answer, _ error) {
			if _, err := w.srv.SetFaults(); err != nil {
				t.Fatal(err)
			}
			if told, real := total(a.json(t)), total(w.ok(slotQuery)); told != real+3 {
				t.Errorf("%d, really %d", told, real)
			}
		}},
		"cut answer": {Fault{Kind: FaultCutAnswer}, func(t *testing.T, _ *wire, a answer, _ error) {
			b := a.json(t)
			if n := len(resources(b, "match")); n != 10 || total(b) <= n || link(b, "next") != "" {
				t.Errorf("%d of %d, next %s", n, total(b), link(b, "next"))
			}
		}},
		"no slots": {Fault{Kind: FaultNoSlots}, func(t *testing.T, _ *wire, a answer, _ error) {
			if b := a.json(t); total(b) != 0 || len(resources(b, "match")) != 0 || link(b, "next") != "" || a.StatusCode != 200 {
				t.Errorf("%v", b)
			}
		}},
		"twin ids": {Fault{Kind: FaultTwinIDs, Every: 5}, func(t *testing.T, _ *wire, a answer, _ error) {
			starts := map[string][]string{}
			for _, r := range resources(a.json(t), "match") {
				starts[digString(r, "id")] = append(starts[digString(r, "id")], digString(r, "start"))
			}
			twins := 0
			for _, at := range starts {
				if len(at) == 2 && at[0] != at[1] {
					twins++
				}
			}
			if twins != 4 || len(starts) != 20 {
				t.Errorf("%d twins among %d", twins, len(starts))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, Options{Dialect: Slots})
			a, err := w.try(tc.fault)
			if err != nil && tc.fault.Kind != FaultReset {
				t.Fatal(err)
			}
			tc.check(t, w, a, err)
		})
	}
}

func eachMatch(check func(*testing.T, *wire, map[string]any)) func(*testing.T, *wire, answer, error) {
	return func(t *testing.T, w *wire, a answer, _ error) {
		got := resources(a.json(t), "match")
		for _, r := range got {
			check(t, w, r)
		}
		if len(got) != 20 {
			t.Errorf("%d slots", len(got))
		}
	}
}

func TestAHangingAnswerEndsWhenTheClientGoesOrTheServerStops(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := start(t, Options{Faults: []Fault{{Kind: FaultHang}}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		ask := func(ctx context.Context) {
			_, err := w.do(ctx, method, "/Slot/$prefetch", `{"resourceType":"Parameters"}`, "Content-Type", "application/fhir+json")
			done <- err
		}
		go ask(ctx)
		w.await(func(c Counters) bool { return c.InFlight == 1 })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", method, err)
		}
		w.await(func(c Counters) bool { return c.InFlight == 0 })
		go ask(t.Context())
		w.await(func(c Counters) bool { return c.InFlight == 1 })
		if err := w.srv.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err == nil {
			t.Error("an answer came")
		}
	}
}

// await polls the counters until they are as wanted.
func (w *wire) await(want func(Counters) bool) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !want(w.srv.Counters()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("still %+v", w.srv.Counters())
		}
	}
}

func TestEndlessPagesNeverEndAndNeverRepeatASlot(t *testing.T) {
	t.Parallel()
	for dialect, path := range map[Dialect]string{Slots: slotQuery, Argonaut: "/Slot/$prefetch?start=2026-02-03&end=2026-02-03"} {
		w := start(t, Options{Dialect: dialect, Faults: []Fault{{Kind: FaultEndlessPages}}})
		seen, at := map[string]bool{}, w.base+path
		for page := range 12 {
			b := w.ok(at)
			for _, r := range resources(b, "match") {
				if id := digString(r, "id"); seen[id] {
					t.Fatalf("page %d repeats %s", page, id)
				} else {
					seen[id] = true
				}
			}
			if at = link(b, "next"); at == "" {
				t.Fatalf("page %d is the last", page)
			}
		}
	}
}

func TestPagesInACircleComeBackToTheFirst(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, Faults: []Fault{{Kind: FaultCirclePages}}})
	var links []string
	at := w.base + slotQuery
	for range 7 {
		at = link(w.ok(at), "next")
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, u.Query().Get("_page"))
	}
	if !slices.Equal(links, []string{"1", "2", "0", "1", "2", "0", "1"}) {
		t.Errorf("pages %v", links)
	}
}

func TestAFaultKeepsToItsPathItsCountAndWhatItSkips(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots})
	set := func(f Fault) {
		if _, err := w.srv.SetFaults(f); err != nil {
			t.Fatal(err)
		}
	}
	codes := func(path string, n int) (out []int) {
		for range n {
			out = append(out, w.get(path).StatusCode)
		}
		return out
	}
	set(Fault{Kind: FaultStatus, Path: "/Slot", Count: 2, Skip: 1})
	if got := codes("/Schedule", 2); !slices.Equal(got, []int{200, 200}) {
		t.Errorf("another path: %v", got)
	}
	if got := codes("/Slot?_count=1", 5); !slices.Equal(got, []int{200, 500, 500, 200, 200}) {
		t.Errorf("skip 1, count 2: %v", got)
	}
	next := link(w.ok("/Slot?_count=1"), "next")
	set(Fault{Kind: FaultStatus, Status: 410, Path: "/?_count=1&_getpages"})
	if got := w.get(next).StatusCode; got != 410 {
		t.Errorf("a page by its query: %d", got)
	}
	set(Fault{Kind: FaultStatus, Rate: 0.5})
	if got := codes("/Slot?_count=1", 60); !slices.Contains(got, 500) || !slices.Contains(got, 200) {
		t.Errorf("flaky: %v", got)
	}
}

func TestSeveralFaultsStrikeTogether(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots})
	a, err := w.try(Fault{Kind: FaultReversed, Every: 2}, Fault{Kind: FaultWrongType}, Fault{Kind: FaultWrongTotal})
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, r := range resources(a.json(t), "match") {
		if digString(r, "end") < digString(r, "start") {
			wrong++
		}
	}
	if wrong != 10 || a.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%d reversed, %v", wrong, a.Header)
	}
}

func TestLatencyAndErrorRateOfTheOptionsAreFaultsFromTheBeginning(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Latency: time.Millisecond, Jitter: time.Millisecond, ErrorRate: 1})
	if a := w.get("/Schedule"); a.StatusCode != 500 {
		t.Errorf("%d", a.StatusCode)
	}
	if got := w.srv.Faults(); len(got) != 2 || got[0].ID != "latency" || got[1].ID != "error-rate" {
		t.Errorf("%v", got)
	}
}

func TestEveryKindOfFaultIsKnownToValidation(t *testing.T) {
	t.Parallel()
	for _, kind := range FaultKinds() {
		if err := (Fault{Kind: kind}).validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsAreReadStrictly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`[{"kind":"hang"},{"kind":"status","status":429,"delay":"1s"}]`: 2,
		`{"faults":[{"kind":"hang"}]}`:                                  1,
		`{"kind":"latency","delay":"250ms","jitter":"1m"}`:              1,
		`{"faults":[]}`:                     0,
		``:                                  -1,
		`{}`:                                -1,
		`{"kind":"explode"}`:                -1,
		`[{"kind":"hang","often":true}]`:    -1,
		`{"kind":"latency","delay":"soon"}`: -1,
		`{"kind":"status","status":99}`:     -1,
		`{"kind":"status","rate":1.5}`:      -1,
		`{"kind":"status","count":-1}`:      -1,
		`{"kind":"status","path":"Slot"}`:   -1,
	} {
		got, err := ReadFaults([]byte(text))
		if want < 0 && err == nil || want >= 0 && (err != nil || len(got) != want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
