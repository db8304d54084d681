package ehrsim

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dial is a clock that is set by hand.
type dial struct{ at atomic.Int64 }

func newDial() *dial { d := &dial{}; d.at.Store(monday.UnixNano()); return d }

func (d *dial) now() time.Time                      { return time.Unix(0, d.at.Load()) }
func (d *dial) turn(by time.Duration)               { d.at.Add(int64(by)) }
func (d *dial) start(t *testing.T, o Options) *wire { o.Now = d.now; return start(t, o) }

// told is the text of a 429 of the throttle, "" for another answer.
func told(t *testing.T, a answer) string {
	t.Helper()
	if a.StatusCode != http.StatusTooManyRequests {
		return ""
	}
	if a.Header.Get("Retry-After") != "" || a.Header.Get("RateLimit") != "" {
		t.Errorf("the wait stands in a header: %v", a.Header)
	}
	return digString(a.json(t), "issue", 0, "diagnostics")
}

func TestOneCallTooManyLocksEverybodyOutAndSaysSoInWordsAlone(t *testing.T) {
	t.Parallel()
	d := newDial()
	w := d.start(t, Options{Dialect: Slots, Throttle: Throttle{Calls: 3, Strangers: 2}})
	if a := w.get("/Slot?_count=1"); a.StatusCode != http.StatusOK {
		t.Fatalf("one place was left: %d", a.StatusCode)
	}
	w.control(http.MethodPost, "throttle", `{"strangers": 3}`)
	if text := told(t, w.get("/Slot?_count=1")); text != "User Rate Limit Exceeded, Try in another 900 seconds" {
		t.Errorf("%q", text)
	}
	w.control(http.MethodPost, "throttle", `{"strangers": 0}`) // that they are gone helps nobody
	d.turn(56 * time.Second)
	if text := told(t, w.get("/metadata")); text != "User Rate Limit Exceeded, Try in another 844 seconds" {
		t.Errorf("%q", text)
	}
	a, err := w.do(t.Context(), http.MethodPost, "/Appointment", `{"resourceType":"Appointment"}`)
	if err != nil || told(t, a) == "" {
		t.Errorf("a write went through: %d %v", a.StatusCode, err)
	}
	if got := w.srv.Throttling(); got.Lockouts != 1 || got.Refused != 3 || got.Most != 1 || time.Duration(got.Left) != 844*time.Second || len(got.Locked) != 1 {
		t.Errorf("%+v", got)
	}
	d.turn(844 * time.Second)
	if a := w.get("/Slot?_count=1"); a.StatusCode != http.StatusOK {
		t.Errorf("after the lockout: %d", a.StatusCode)
	}
	if got := w.control(http.MethodGet, "throttle", ""); got["lockouts"] != 1.0 || got["left"] != "0s" || got["calls"] != 3.0 {
		t.Errorf("%v", got)
	}
}

func TestACallTooManyIsOneThatIsUnderWayWithTheOthers(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, Throttle: Throttle{Calls: 4}, Faults: []Fault{{Kind: FaultHang, Count: 4}}})
	var hanging sync.WaitGroup
	for range 4 {
		hanging.Go(func() { _, _ = w.do(t.Context(), http.MethodGet, "/Slot", "") })
	}
	for deadline := time.Now().Add(2 * time.Minute); w.srv.Throttling().Most < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", w.srv.Throttling())
		}
	}
	if told(t, w.get("/Slot")) == "" {
		t.Error("a fifth call was answered")
	}
	w.srv.EndLockouts()
	w.srv.stop() // those that hang go
	hanging.Wait()
	for deadline := time.Now().Add(2 * time.Minute); w.get("/Slot?_count=1").StatusCode != http.StatusOK; w.control(http.MethodDelete, "throttle", "") {
		if time.Now().After(deadline) {
			t.Fatal("the places stay taken")
		}
	}
	if got := w.srv.Throttling(); got.Most != 4 || got.Lockouts == 0 {
		t.Errorf("%+v", got)
	}
}

func TestPoolsApartLockOutEachForItself(t *testing.T) {
	t.Parallel()
	d := newDial()
	w := d.start(t, Options{Dialect: Slots, Throttle: Throttle{Calls: 1, Strangers: 1, Apart: true, Lockout: time.Minute}})
	if told(t, w.get("/Slot")) == "" {
		t.Fatal("a search was answered")
	}
	w.srv.SetStrangers(0)
	if a := w.get("/metadata"); a.StatusCode != http.StatusOK {
		t.Errorf("a read: %d", a.StatusCode)
	}
	if a, err := w.do(t.Context(), http.MethodPost, "/Patient", `{"resourceType":"Patient"}`, "Content-Type", "application/fhir+json"); err != nil || told(t, a) != "" {
		t.Errorf("a write: %d %v", a.StatusCode, err)
	}
	if got := w.srv.Throttling(); len(got.Locked) != 1 || got.Locked[0] != "searches" {
		t.Errorf("%+v", got)
	}
}

func TestWordsCountTheClientsSecondsWhereTheClockRunsFaster(t *testing.T) {
	t.Parallel()
	w := newDial().start(t, Options{Dialect: Slots, TimeScale: 300, Throttle: Throttle{Calls: 1, Strangers: 1}})
	if text := told(t, w.get("/Slot")); text != "User Rate Limit Exceeded, Try in another 3 seconds" {
		t.Errorf("%q", text)
	}
}

func TestAThrottleTakesNoNegativeNumbers(t *testing.T) {
	t.Parallel()
	if err := (Options{Throttle: Throttle{Calls: -1}}).Validate(); err == nil {
		t.Error("taken")
	}
	w := start(t, Options{})
	for _, body := range []string{`{"strangers": -1}`, `{}`, `x`} {
		if a, err := w.do(t.Context(), http.MethodPost, controlPath+"throttle", body); err != nil || a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %v", body, a.StatusCode, err)
		}
	}
}

func TestGarbageIsCutOrNeverEnds(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Faults: []Fault{{Kind: FaultCutGzip, Count: 1}, {Kind: FaultEndlessJSON, Skip: 1}}})
	a := w.get("/Slot")
	zip, err := gzip.NewReader(strings.NewReader(a.text))
	if err != nil || a.err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %v %v", a.StatusCode, a.err, err)
	}
	if _, err = io.ReadAll(zip); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it unpacks: %v", err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/Slot", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.CopyN(io.Discard, res.Body, 5<<20)
	if err != nil || n != 5<<20 {
		t.Errorf("it ends after %d bytes: %v", n, err)
	}
	_ = res.Body.Close()
}
