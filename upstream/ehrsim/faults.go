package ehrsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind names one way of going wrong.
type FaultKind string

// Faults that stand in the way of an answer.
const (
	FaultLatency      FaultKind = "latency"       // Delay, and up to Jitter more, then the answer
	FaultStatus       FaultKind = "status"        // Status (500) with an OperationOutcome
	FaultThrottle     FaultKind = "throttle"      // 429 with Retry-After: RetryAfter seconds
	FaultThrottleText FaultKind = "throttle-text" // 429 that tells the wait only in OperationOutcome.diagnostics
	FaultHTML         FaultKind = "html"          // 200 (or Status) with a login page
	FaultEmptyBody    FaultKind = "empty-body"    // 200 without a body
	FaultHang         FaultKind = "hang"          // nothing, until the client goes
	FaultReset        FaultKind = "reset"         // the connection is cut before any answer
	FaultHugeGzip     FaultKind = "huge-gzip"     // a small gzip body that unpacks to Size bytes (256 MiB)
	FaultCutGzip      FaultKind = "cut-gzip"      // 200 with half of a gzip body, whose length is right
	FaultEndlessJSON  FaultKind = "endless-json"  // 200 with a Bundle whose entries never end
)

// Faults of what a Bundle says.
const (
	FaultEndlessPages FaultKind = "endless-pages" // every page has a next, with slots of other ids
	FaultCirclePages  FaultKind = "circle-pages"  // the third page's next is the first page
	FaultForeignNext  FaultKind = "foreign-next"  // next leads to Link, another origin
	FaultRepeatPage   FaultKind = "repeat-page"   // later pages hold what the page before them held
	FaultSkipPage     FaultKind = "skip-page"     // every next link leads past one page
	FaultBackNext     FaultKind = "back-next"     // the next of later pages leads back to the first search
	FaultReversed     FaultKind = "reversed"      // slots end before they start
	FaultTwinIDs      FaultKind = "twin-ids"      // the same id twice with different times
	FaultWrongTotal   FaultKind = "wrong-total"   // total is By (7) too large
	FaultCutAnswer    FaultKind = "cut-answer"    // half the entries, the whole total, no next
	FaultNoSlots      FaultKind = "no-slots"      // all slots gone: total 0
	FaultNoZone       FaultKind = "no-zone"       // start and end without an offset
	FaultDangling     FaultKind = "dangling"      // slots name a schedule that does not exist
)

// Faults of how an answer is sent.
const (
	FaultCutJSON   FaultKind = "cut-json"   // half the body, then the connection is closed
	FaultWrongType FaultKind = "wrong-type" // a Content-Type (Type) that does not fit the body
)

var faultKinds = []FaultKind{
	FaultLatency, FaultStatus, FaultThrottle, FaultThrottleText, FaultHTML, FaultEmptyBody, FaultHang, FaultReset, FaultHugeGzip, FaultCutGzip, FaultEndlessJSON,
	FaultEndlessPages, FaultCirclePages, FaultForeignNext, FaultRepeatPage, FaultSkipPage, FaultBackNext, FaultReversed, FaultTwinIDs, FaultWrongTotal, FaultCutAnswer,
	FaultNoSlots, FaultNoZone, FaultDangling, FaultCutJSON, FaultWrongType,
	FaultRefuse, FaultLost, FaultCommitLost, FaultCommitLate, FaultCommitError, FaultCommitEmpty, FaultCommitNonsense, FaultDie,
	FaultOtherSlot, FaultOtherPatient, FaultFalseBooked, FaultFalseCancel, FaultKeepBusy, FaultLoseHolds, FaultRival,
	FaultStaleSearch, FaultLaggingSearch, FaultEcho,
	FaultNoticeLost, FaultNoticeLate, FaultNoticeBurst, FaultHeartbeatLost,
	FaultOldTag, FaultUnasked304, FaultOther304,
}

// FaultKinds lists every kind.
func FaultKinds() []FaultKind { return slices.Clone(faultKinds) }

// Fault is one thing that goes wrong until it is taken away, or until it has
// struck Count times. Only Kind is required.
type Fault struct {
	ID    string    `json:"id,omitempty"`    // to change or remove it; given when empty
	Kind  FaultKind `json:"kind"`            //
	Path  string    `json:"path,omitempty"`  // prefix of path and query below the base: "/Slot", "/?_getpages", "/Slot/$prefetch"; empty: all
	On    string    `json:"on,omitempty"`    // what they do, with commas between: hold, book, cancel, release (a Slot set free), register, coverage, read, search, find, match, metadata; empty: what the kind is about
	Count int       `json:"count,omitempty"` // requests to strike; 0: no end
	Skip  int       `json:"skip,omitempty"`  // matching requests to let pass first
	Rate  float64   `json:"rate,omitempty"`  // share of the matching requests to strike, 0..1; 0: all
	Every int       `json:"every,omitempty"` // content faults: every nth slot only; 0: each

	Status     int      `json:"status,omitempty"`     // of status and html
	RetryAfter int      `json:"retryAfter,omitempty"` // seconds, of throttle and throttle-text; default 1
	Delay      Duration `json:"delay,omitempty"`      // of latency, commit-late and notice-late in real time; of lose-holds, stale-search and lagging-search by the simulated clock
	Jitter     Duration `json:"jitter,omitempty"`     // of latency
	Link       string   `json:"link,omitempty"`       // of foreign-next
	Type       string   `json:"type,omitempty"`       // of wrong-type; default text/plain
	Size       int64    `json:"size,omitempty"`       // of huge-gzip
	By         int      `json:"by,omitempty"`         // of wrong-total and notice-burst
	Shape      string   `json:"shape,omitempty"`      // of refuse: one of RefusalShapes, or of CoverageShapes
	Hang       bool     `json:"hang,omitempty"`       // of lost, commit-lost and commit-late: the caller hangs up first
	Stubborn   bool     `json:"stubborn,omitempty"`   // of stale-search
}

// Duration is a time.Duration that JSON writes as "250ms".
type Duration time.Duration

// MarshalText writes it as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("ehrsim: %q is not a duration such as 250ms: %w", text, err)
	}
	*d = Duration(v)
	return nil
}

func (f Fault) validate() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("ehrsim: fault kind %q is not known", f.Kind)
	case f.Rate < 0 || f.Rate > 1:
		return fmt.Errorf("ehrsim: fault %s: rate %v: want 0 to 1", f.Kind, f.Rate)
	case f.Count < 0 || f.Skip < 0 || f.Every < 0 || f.Size < 0 || f.RetryAfter < 0 || f.Delay < 0 || f.Jitter < 0:
		return fmt.Errorf("ehrsim: fault %s: numbers must not be negative", f.Kind)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("ehrsim: fault %s: status %d: want 200 to 599", f.Kind, f.Status)
	case f.Shape != "" && !slices.Contains(RefusalShapes(), f.Shape) && !slices.Contains(CoverageShapes(), f.Shape):
		return fmt.Errorf("ehrsim: fault %s: shape %q: want one of %v", f.Kind, f.Shape, RefusalShapes())
	case slices.ContainsFunc(strings.FieldsFunc(f.On, func(r rune) bool { return r == ',' }), func(on string) bool { return !slices.Contains(doingAll, on) }):
		return fmt.Errorf("ehrsim: fault %s: on %q: want some of %v", f.Kind, f.On, doingAll)
	case f.Path != "" && f.Path[0] != '/':
		return fmt.Errorf("ehrsim: fault %s: path %q must begin with a slash", f.Kind, f.Path)
	}
	return nil
}

func (f Fault) contentType() string {
	if f.Type == "" {
		return "text/plain"
	}
	return f.Type
}

// ReadFaults reads faults from JSON: a list, or {"faults": list}, or one.
// Unknown members are refused.
func ReadFaults(data []byte) ([]Fault, error) {
	var wrapped struct {
		Faults []Fault `json:"faults"`
	}
	var one Fault
	data = bytes.TrimSpace(data)
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("[")):
		err = strict(data, &wrapped.Faults)
	case bytes.Contains(data, []byte(`"faults"`)):
		err = strict(data, &wrapped)
	default:
		err = strict(data, &one)
		wrapped.Faults = []Fault{one}
	}
	if err != nil {
		return nil, fmt.Errorf("ehrsim: faults: %w", err)
	}
	for _, f := range wrapped.Faults {
		if err := f.validate(); err != nil {
			return nil, err
		}
	}
	return wrapped.Faults, nil
}

func strict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// hits are the faults that strike one request.
type hits map[FaultKind]Fault

// faultBox holds the faults that are set now.
type faultBox struct {
	mu     sync.Mutex
	next   int
	first  []Fault // what reset goes back to
	active []*armed
}

type armed struct {
	Fault
	met, struck int
}

func newFaultBox(first []Fault) *faultBox {
	b := &faultBox{first: first}
	b.set(first)
	return b
}

// set puts these faults in place of all others.
func (b *faultBox) set(faults []Fault) []Fault {
	b.mu.Lock()
	b.active = nil
	b.mu.Unlock()
	return b.put(faults)
}

// put adds faults; one whose id is there already replaces that one.
func (b *faultBox) put(faults []Fault) []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Fault
	for _, f := range faults {
		if f.ID == "" {
			b.next++
			f.ID = "f" + strconv.Itoa(b.next)
		}
		b.drop(f.ID)
		b.active = append(b.active, &armed{Fault: f})
		out = append(out, f)
	}
	return out
}

func (b *faultBox) drop(id string) bool {
	before := len(b.active)
	b.active = slices.DeleteFunc(b.active, func(a *armed) bool { return a.ID == id })
	return len(b.active) < before
}

func (b *faultBox) remove(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drop(id)
}

func (b *faultBox) list() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := []Fault{}
	for _, a := range b.active {
		out = append(out, a.Fault)
	}
	return out
}

// strike decides which faults hit a request, and uses up their counts.
func (b *faultBox) strike(rq *request) hits {
	b.mu.Lock()
	defer b.mu.Unlock()
	struck := hits{}
	for _, a := range b.active {
		if !a.meant(rq) {
			continue
		}
		if a.strikes() {
			struck[a.Kind] = a.Fault
		}
	}
	return struck
}

// strikes counts one occasion, and decides whether the fault uses it.
func (a *armed) strikes() bool {
	a.met++
	spent := a.Count > 0 && a.struck >= a.Count
	if a.met <= a.Skip || spent || a.Rate > 0 && rand.Float64() >= a.Rate {
		return false
	}
	a.struck++
	return true
}

// happens is strike for what the server does of its own accord.
func (b *faultBox) happens(kind FaultKind) (Fault, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.active {
		if a.Kind == kind && a.strikes() {
			return a.Fault, true
		}
	}
	return Fault{}, false
}
