package booking_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

const napa = scheduling.SourceID("napa")

var opening = time.Date(2030, 5, 6, 15, 0, 0, 0, time.UTC)

// world is desks, a store and an EHR.
type world struct {
	clock   *bookingtest.Clock
	store   *bookingtest.Store
	ehr     *bookingtest.EHR
	slots   []scheduling.Slot
	setting *scheduling.Setting
	rule    *scheduling.Rule // by which offers are made; nil for none
	longest int              // slots of an offer
	log     *syncText
	reg     *prometheus.Registry
	desk    *booking.Desk
	opts    booking.Options
	people  booking.Patients
	// insurance and keeping are those of desks to come.
	insurance booking.Insurance
	keeping   booking.Keeping
	// deskClock is that of desks to come, where it is not the store's.
	deskClock booking.Clock

	mu        sync.Mutex
	refetched []scheduling.Scope
}

// syncText is a log that tests read.
type syncText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t testing.TB, slots int, change ...func(*scheduling.Abilities)) *world {
	t.Helper()
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{longest: 3, clock: bookingtest.NewClock(opening.Add(-72 * time.Hour)), log: &syncText{}}
	w.store = bookingtest.NewStore(w.clock)
	for i := range slots {
		at := opening.Add(time.Duration(i) * 30 * time.Minute)
		w.slots = append(w.slots, scheduling.Slot{ID: fmt.Sprint("s", i), Schedule: "sched", Status: scheduling.SlotFree, Start: at, End: at.Add(30 * time.Minute)})
	}
	w.setting = &scheduling.Setting{
		Source: napa, Schedule: &scheduling.Schedule{ID: "sched"}, Zone: zone,
		Practitioners: []*scheduling.Practitioner{{ID: "dr"}}, Locations: []*scheduling.Location{{ID: "place", Name: "Napa"}},
	}
	can := bookingtest.Abilities(napa)
	for _, c := range change {
		c(&can)
	}
	w.ehr = bookingtest.NewEHR(w.clock, can, w.slots...)
	w.opts = booking.DefaultOptions()
	w.opts.WaitRunning = 2 * time.Second
	w.desk = w.newDesk(t, w.store, w.ehr)
	return w
}

// stores is a store as the desk sees it.
type stores interface {
	booking.Books
	booking.Holds
	booking.Keys
	booking.Leases
}

func (w *world) newDesk(t testing.TB, store stores, ehr booking.EHR) *booking.Desk {
	t.Helper()
	return w.join(t, w, store, ehr)
}

// newDeskOver is a desk that sees other offers.
func (w *world) newDeskOver(t testing.TB, offers booking.Offers) *booking.Desk {
	t.Helper()
	return w.join(t, offers, w.store, w.ehr)
}

func (w *world) join(t testing.TB, offers booking.Offers, store stores, ehr booking.EHR) *booking.Desk {
	t.Helper()
	w.reg = prometheus.NewRegistry()
	var clock booking.Clock = w.clock
	if w.deskClock != nil {
		clock = w.deskClock
	}
	desk, err := booking.New(booking.Deps{
		Offers: offers, Books: store, Holds: store, Keys: store, Leases: store, EHRs: oneEHR{ehr}, Refetch: w, Clock: clock, Patients: w.people, Insurance: w.insurance, Keeping: w.keeping,
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Metrics: w.reg, Secret: []byte("0123456789abcdef0123456789abcdef"),
	}, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

type oneEHR struct{ ehr booking.EHR }

func (o oneEHR) EHR(source scheduling.SourceID) (booking.EHR, bool) { return o.ehr, source == napa }
func (o oneEHR) Sources() []scheduling.SourceID                     { return []scheduling.SourceID{napa} }

func (w *world) Refetch(_ scheduling.SourceID, scope scheduling.Scope) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refetched = append(w.refetched, scope)
}

func (w *world) refetches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.refetched)
}

// offer is the id of the slot's offer as it would be found now.
func (w *world) offer(slot int) string { return w.chain(slot, 1) }

// chain is the id of the offer of n slots from this one on.
func (w *world) chain(slot, n int) string {
	generation := uint32(0)
	for _, s := range w.slots[slot : slot+n] {
		generation = max(generation, w.store.Generation(napa, s.ID))
	}
	return w.rule.OfferID(napa, generation, w.ids(slot, n)...)
}

func (w *world) ids(slot, n int) []string {
	return scheduling.OfferRecord{Slots: w.slots[slot : slot+n]}.SlotIDs()
}

// chains calls yield for all that can be made of the slots, until it says stop.
func (w *world) chains(yield func(slot, n int) bool) {
	for i := range w.slots {
		for n := 1; i+n <= len(w.slots); n++ {
			if !yield(i, n) {
				return
			}
		}
	}
}

// Offer gives what no claim hides.
func (w *world) Offer(id string) (hit scheduling.Hit, ok bool) {
	w.chains(func(slot, n int) bool {
		if w.chain(slot, n) != id {
			return true
		}
		for _, s := range w.ids(slot, n) {
			if _, claimed := w.store.Claimed(napa, s); claimed {
				return false
			}
		}
		hit, ok = scheduling.Hit{Offer: scheduling.Offer{ID: id, Slots: w.slots[slot : slot+n], Setting: w.setting, Rule: w.rule}}, true
		return false
	})
	return hit, ok
}

func (w *world) BySlots(slots []string) (hit scheduling.Hit, ok bool) {
	w.chains(func(slot, n int) bool {
		if n > w.longest || !slices.Equal(slots, w.ours(slot, n)) {
			return true
		}
		hit, ok = w.Offer(w.chain(slot, n))
		return false
	})
	return hit, ok
}

// ours are our ids of n slots.
func (w *world) ours(slot, n int) []string {
	var out []string
	for _, id := range w.ids(slot, n) {
		out = append(out, scheduling.ResourceID(napa, scheduling.KindSlot, id))
	}
	return out
}

func (w *world) Gone(id string) (gone bool) {
	w.chains(func(slot, n int) bool {
		for g := range uint32(8) {
			gone = gone || w.rule.OfferID(napa, g, w.ids(slot, n)...) == id && id != w.chain(slot, n)
		}
		for _, s := range w.ids(slot, n) {
			_, claimed := w.store.Claimed(napa, s)
			gone = gone || claimed && id == w.chain(slot, n)
		}
		return !gone
	})
	return gone
}

// Left knows of nothing: what no claim hides is shown at once here.
func (w *world) Left([]string) (string, bool) { return "", false }

func caller(name string) booking.Caller {
	return booking.Caller{Principal: name, Holds: 3, Trusted: []scheduling.SourceID{napa}}
}

func target(id string) booking.Target { return booking.Target{ID: id} }

func bookFor(id, patient string) booking.BookRequest {
	return booking.BookRequest{Target: target(id), Patients: []string{patient}}
}

// settle lets time pass until nothing waits before the horizon, and sweeps
// whenever something is due.
func (w *world) settle(t testing.TB, desk *booking.Desk, horizon time.Duration) {
	t.Helper()
	until := w.clock.Now().Add(horizon)
	for range 5000 {
		next := w.store.NextWake()
		if next.IsZero() || next.After(until) {
			return
		}
		if wait := next.Sub(w.clock.Now()); wait > 0 {
			w.clock.Advance(wait)
		}
		if _, err := desk.Sweep(context.WithoutCancel(t.Context()), napa); err != nil {
			t.Fatalf("sweep: %v", err)
		}
	}
	t.Fatalf("it never ends: %+v", w.store.Entries())
}

// standing gives the patients of the appointments that stand on a slot.
func (w *world) standing(slot int) []string {
	var patients []string
	for _, a := range w.ehr.Appointments() {
		if a.Status.Stands() && slices.Contains(a.Slots, w.slots[slot].ID) {
			patients = append(patients, strings.Join(a.Patient, "+"))
		}
	}
	return patients
}

func (w *world) counter(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

func wantCode(t testing.TB, err error, code scheduling.Code) {
	t.Helper()
	if got := scheduling.CodeOf(err); got != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func must[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected: %v", err)
		}
		return v
	}
}

func wantStatus(t testing.TB, v booking.View, status scheduling.AppointmentStatus) {
	t.Helper()
	if v.Status != status {
		t.Fatalf("status %s (entry %s, doubt %v), want %s", v.Status, v.Entry.State, v.InDoubt, status)
	}
}

// tctx is a context for tests of rapid, which has none of its own that outlives
// an action.
func tctx(interface{ Helper() }) context.Context { return context.TODO() }
