package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache/replica"
	"slotgate/scheduling"
)

// looker is a worker of both sources: it confirms at once what it is asked for.
type looker struct {
	replica *replica.Replica
	now     func() time.Time
	may     func(scheduling.SourceID) bool
	// before is asked before anything is confirmed.
	before func(ctx context.Context, source scheduling.SourceID) error
	gone   map[scheduling.WindowKey]bool // windows that turn out to be empty

	calls atomic.Int32
	mu    sync.Mutex
	fetch uint64
	asked []string
}

func (l *looker) May(source scheduling.SourceID) bool { return l.may == nil || l.may(source) }

func (l *looker) Revalidate(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope, windows []scheduling.WindowKey) error {
	l.calls.Add(1)
	if l.before != nil {
		if err := l.before(ctx, source); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fetch++
	change := scheduling.Change{Check: &scheduling.Check{Scope: scope, Fetch: 10 + l.fetch, At: l.now()}}
	for _, key := range windows {
		if !scope.Covers(key) {
			return errors.New("a window outside of its scope")
		}
		l.asked = append(l.asked, fmt.Sprint(source, key))
		if l.gone[key] {
			change.Windows = append(change.Windows, scheduling.Window{Key: key, Fetch: 10 + l.fetch, Checked: l.now(), Changed: l.now()})
		}
	}
	l.replica.Apply(source, change)
	return nil
}

// lookedAt is a gateway five minutes after everything was read, with a worker.
func lookedAt(t *testing.T, l *looker, bend func(*Options)) *world {
	t.Helper()
	w := start(t, func(o *Options, d *Deps) {
		o.RevalidateTimeout = 300 * time.Millisecond
		if bend != nil {
			bend(o)
		}
		d.Revalidate = l
		l.now = d.Now
	})
	l.replica = w.replica
	w.now.set(noon.Add(5 * time.Minute))
	return w
}

func TestMaxAgeHasThePageLookedAtAgain(t *testing.T) {
	t.Parallel()
	l := &looker{}
	w := lookedAt(t, l, nil)
	r := w.get("/fhir/r4/Appointment/$find?_max-age=60", siteKey)
	b := w.bundle(r, scheduling.R4)
	list, outcome := offers(t, b)
	if len(list) != 20 || *b.Total != 72 || r.header.Get(headerComplete) != "true" {
		t.Errorf("%d offers of %d, complete %s", len(list), *b.Total, r.header.Get(headerComplete))
	}
	if strings.Contains(told(outcome), "left out") {
		t.Errorf("told: %s", told(outcome))
	}
	if l.calls.Load() != 2 { // 8 of york and 12 of napa's 16 on the first day
		t.Errorf("%d calls: %v", l.calls.Load(), l.asked)
	}
	w.find("_max-age=60", siteKey)
	w.find("_max-age=60&_count=0", siteKey)
	w.find("", siteKey)
	if l.calls.Load() != 2 {
		t.Errorf("what is fresh was looked at again: %v", l.asked)
	}
}

func TestWhatIsGoneWhenLookedAtAgainIsNotShown(t *testing.T) {
	t.Parallel()
	day := scheduling.DayOf(noon, time.UTC) + 1
	l := &looker{gone: map[scheduling.WindowKey]bool{{Schedule: "sched-1", Day: day}: true}}
	w := lookedAt(t, l, nil)
	b := w.find("_max-age=0&source=york", siteKey)
	list, _ := offers(t, b)
	if *b.Total != 16 || len(list) != 16 || !strings.HasPrefix(list[0].Start, "2026-11-25") {
		t.Errorf("%d of %d, from %s", len(list), *b.Total, list[0].Start)
	}
}

// TestLaw7WhatCouldNotBeConfirmedInTimeIsLeftOutAndTold: a source that does not
// answer in time holds up nobody for longer than that, and is not "no slots".
func TestLaw7WhatCouldNotBeConfirmedInTimeIsLeftOutAndTold(t *testing.T) {
	t.Parallel()
	l := &looker{before: func(ctx context.Context, source scheduling.SourceID) error {
		if source == "napa" {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	w := lookedAt(t, l, nil)
	r := w.get("/fhir/r4/Appointment/$find?_max-age=60", siteKey)
	b := w.bundle(r, scheduling.R4)
	list, outcome := offers(t, b)
	if len(list) != 12 || *b.Total != 64 || r.header.Get(headerComplete) != "false" {
		t.Errorf("%d offers of %d, complete %s", len(list), *b.Total, r.header.Get(headerComplete))
	}
	for _, want := range []string{"warning timeout: York Street Clinic: 8 offers of 1 schedule-days could not be confirmed", "York Street Clinic: ok", "offers may be missing"} {
		if !strings.Contains(told(outcome), want) {
			t.Errorf("%q is not told: %s", want, told(outcome))
		}
	}
	if b.LinkURL("next") == "" {
		t.Error("there is more, and no next link")
	}
	// It rests: others are not held up by it, and told the same.
	calls := l.calls.Load()
	r = w.get("/fhir/r4/Appointment/$find?_max-age=60&source=york&strict=true", siteKey)
	if r.status != http.StatusServiceUnavailable || l.calls.Load() != calls {
		t.Errorf("%d, %d calls", r.status, l.calls.Load()-calls)
	}
	w.now.set(w.now.now().Add(restSilent))
	// The look that was given up may take a moment to end.
	for deadline := time.Now().Add(2 * time.Minute); l.calls.Load() == calls && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		w.find("_max-age=60&source=york&_count=8", siteKey)
	}
	if l.calls.Load() != calls+1 {
		t.Errorf("%d calls once it has rested", l.calls.Load()-calls)
	}
}

func TestPagesUnderMaxAgeNeitherRepeatNorSkip(t *testing.T) {
	t.Parallel()
	l := &looker{}
	w := lookedAt(t, l, func(o *Options) { o.RevalidateWindows = 2 })
	seen := map[string]bool{}
	at := "/fhir/r4/Appointment/$find?_max-age=60&_count=15"
	for pages := 0; at != ""; pages++ {
		b := w.bundle(w.get(at, siteKey), scheduling.R4)
		list, _ := offers(t, b)
		for _, o := range list {
			if seen[o.ID] {
				t.Errorf("%s twice", o.ID)
			}
			seen[o.ID] = true
		}
		if *b.Total != 72 || pages > 30 {
			t.Fatalf("page %d: total %d", pages, *b.Total)
		}
		next := b.LinkURL("next")
		if at = next; next != "" {
			at = path(t, next)
		}
	}
	if len(seen) != 72 || len(l.asked) != 9 {
		t.Errorf("%d offers, looked at %d windows", len(seen), len(l.asked))
	}
}

func TestNoMoreWindowsAreLookedAtThanAllowed(t *testing.T) {
	t.Parallel()
	l := &looker{}
	w := lookedAt(t, l, func(o *Options) { o.RevalidateWindows = 2 })
	b := w.find("_max-age=60&_count=72", siteKey)
	list, _ := offers(t, b)
	if len(l.asked) != 2 || len(list) == 0 || b.LinkURL("next") == "" {
		t.Errorf("looked at %v, %d offers, next %q", l.asked, len(list), b.LinkURL("next"))
	}
}

func TestASourceThatIsNotWellIsNotLookedAtAgain(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]scheduling.Status{
		"its latest fetch failed": {Source: "york", Tried: noon, LastSync: noon, Loaded: noon, Failures: 1},
		"it is down":              {Source: "york", Tried: noon, LastSync: noon.Add(-48 * time.Hour), Loaded: noon},
		"it never answered":       {Source: "york", Tried: noon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &looker{}
			w := lookedAt(t, l, nil)
			w.replica.Apply("york", scheduling.Change{Status: &status})
			if b := w.find("_max-age=60&source=york&_count=8", siteKey); *b.Total != 0 || l.calls.Load() != 0 {
				t.Errorf("total %d, %d calls", *b.Total, l.calls.Load())
			}
		})
	}
	t.Run("it must not be asked", func(t *testing.T) {
		t.Parallel()
		l := &looker{may: func(id scheduling.SourceID) bool { return id != "york" }}
		w := lookedAt(t, l, nil)
		r := w.get("/fhir/r4/Appointment/$find?_max-age=60&_count=100", siteKey)
		if b := w.bundle(r, scheduling.R4); *b.Total != 48 || r.header.Get(headerComplete) != "false" {
			t.Errorf("total %d, complete %s", *b.Total, r.header.Get(headerComplete))
		}
	})
	t.Run("nobody has a key", func(t *testing.T) {
		t.Parallel()
		l := &looker{}
		w := lookedAt(t, l, nil)
		if b := w.find("_max-age=60"); *b.Total != 72 || l.calls.Load() != 0 {
			t.Errorf("total %d, %d calls", *b.Total, l.calls.Load())
		}
	})
}

func TestAWindowIsLookedAtOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	var found atomic.Int64
	l := &looker{
		may: func(scheduling.SourceID) bool { found.Add(1); return true },
		before: func(ctx context.Context, _ scheduling.SourceID) error {
			select {
			case <-let:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	w := lookedAt(t, l, func(o *Options) { o.RevalidateTimeout = time.Minute })
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			if b := w.find("_max-age=60&source=york&_count=8", siteKey); len(b.Entry) != 9 {
				t.Errorf("%d entries", len(b.Entry))
			}
		})
	}
	waitUntil(t, func() bool { return found.Load() >= 50 && l.calls.Load() > 0 })
	time.Sleep(500 * time.Millisecond) // the last to find it too old is about to ask
	close(let)
	asking.Wait()
	if l.calls.Load() != 1 {
		t.Errorf("%d calls", l.calls.Load())
	}
}

// The first to ask leaves: the others get what was asked for all the same.
func TestWhoLeavesEndsNobodysRevalidation(t *testing.T) {
	t.Parallel()
	let := make(chan struct{})
	l := &looker{replica: newReplica(t, func() time.Time { return noon }), now: func() time.Time { return noon.Add(time.Minute) }}
	l.before = func(ctx context.Context, _ scheduling.SourceID) error {
		select {
		case <-let:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f := newFlights(l, time.Minute, func() time.Time { return noon })
	window := []windowAt{{"york", scheduling.WindowKey{Schedule: "sched-1", Day: scheduling.DayOf(noon, time.UTC) + 1}}}
	first, leave := context.WithCancel(t.Context())
	left := make(chan int)
	go func() { left <- len(f.renew(first, window, nil)) }()
	waitUntil(t, func() bool { return l.calls.Load() == 1 })
	stays := f.join(t.Context(), window, nil)[window[0]]
	leave()
	if n := <-left; n != 0 {
		t.Errorf("who left got %d", n)
	}
	close(let)
	if !stays.over(t.Context()) || stays.err != nil || l.calls.Load() != 1 {
		t.Errorf("who stayed got %v by %d calls", stays.err, l.calls.Load())
	}
}

func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}
