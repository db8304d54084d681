package upstream

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// deskWorld is what these tests know of a source: a client, the simulated EHR behind
// it, and offers made of its free slots.
type deskWorld struct {
	*Client
	srv    *ehrsim.Server
	offers []scheduling.OfferRecord
	next   atomic.Int32
}

// writtenTo are the dialects that hold, in each of their releases.
var writtenTo = map[string]struct {
	dialect string
	release scheduling.Release
}{
	"argonaut STU3": {Argonaut, scheduling.STU3}, "argonaut R4": {Argonaut, scheduling.R4},
	"ihe":        {IHE, scheduling.R4},
	"slots STU3": {Slots, scheduling.STU3}, "slots R4": {Slots, scheduling.R4},
}

// worldOf starts an EHR and a client that may write to it.
func worldOf(t *testing.T, dialect string, release scheduling.Release, simulate func(*ehrsim.Options), bend func(*Options)) *deskWorld {
	t.Helper()
	w := &deskWorld{}
	base := ""
	w.srv, base = sim(t, practice(func(o *ehrsim.Options) {
		o.Dialect, o.FHIR = ehrsim.Dialect(dialect), ehrsim.FHIR(release)
		o.KeepBodies = true
		if simulate != nil {
			simulate(o)
		}
	}))
	o := Options{ID: "src", Base: base, Dialect: dialect, FHIR: release, Timezone: configZone(t, "Europe/Vienna")}
	quick(&o)
	o.Limits.BreakerFailures = 1000
	o.Quirks.Search = "identifier"
	if bend != nil {
		bend(&o)
	}
	w.Client = registered(t, o, Deps{Now: w.srv.Now})
	w.offers = offersOf(t, w.Client, ahead(noon, 9))
	if len(w.offers) < 20 {
		t.Fatalf("%d offers", len(w.offers))
	}
	return w
}

// offersOf makes records of offers as the desk does, from a fetch.
func offersOf(t *testing.T, c *Client, scope scheduling.Scope) []scheduling.OfferRecord {
	t.Helper()
	var out []scheduling.OfferRecord
	got := fetch(t, c, scope)
	resolver := scheduling.NewResolver(c.source.ID, c.known.directory(), c.source.Zone)
	for key, window := range got.Windows {
		setting, reason := resolver.Setting(key.Schedule)
		if reason != "" {
			t.Fatal(reason)
		}
		for _, slot := range window {
			out = append(out, scheduling.OfferRecord{
				Slots: []scheduling.Slot{slot}, Schedule: slot.Schedule, Zone: setting.Zone.String(),
				ServiceType: slot.ServiceType, Specialty: slot.Specialty, AppointmentType: slot.AppointmentType,
				Actors: c.known.directory().Schedules[slot.Schedule].Actors,
			})
		}
	}
	slices.SortFunc(out, func(a, b scheduling.OfferRecord) int {
		if by := a.Start().Compare(b.Start()); by != 0 {
			return by
		}
		return compareText(a.Slots[0].ID, b.Slots[0].ID)
	})
	return out
}

// offer is one that no other test of this world has.
func (w *deskWorld) offer() scheduling.OfferRecord { return w.offers[int(w.next.Add(1))*3] }

func (w *deskWorld) slot(t *testing.T, offer scheduling.OfferRecord) string {
	t.Helper()
	s, err := w.srv.Slot(offer.Slots[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}

func (w *deskWorld) fault(t *testing.T, f ehrsim.Fault) {
	t.Helper()
	if _, err := w.srv.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

func (w *deskWorld) hold(t *testing.T, offer scheduling.OfferRecord) *scheduling.Hold {
	t.Helper()
	a, err := w.Hold(t.Context(), scheduling.HoldCall{Offer: offer, Identifier: "key-1", Patients: []string{"pat-1"}, Length: 5 * time.Minute})
	if err != nil {
		t.Fatalf("hold: %v", err)
	}
	return &scheduling.Hold{By: scheduling.HeldByEHR, Native: a.Native, ETag: a.ETag}
}

func (w *deskWorld) book(t *testing.T, offer scheduling.OfferRecord, hold *scheduling.Hold) scheduling.Appointment {
	t.Helper()
	a, err := w.Book(t.Context(), bookCall(offer, hold))
	if err != nil {
		t.Fatalf("book: %v", err)
	}
	if a.ID == "" {
		t.Fatalf("book: no id in %+v", a)
	}
	return a
}

func bookCall(offer scheduling.OfferRecord, hold *scheduling.Hold) scheduling.BookCall {
	return scheduling.BookCall{Offer: offer, Hold: hold, Identifier: "key-1", Patients: []string{"pat-1"}, Comment: "bring the films"}
}

func wantCode(t *testing.T, what string, err error, want scheduling.Code) {
	t.Helper()
	if got := scheduling.CodeOf(err); got != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// hasty are times under which tests need not wait.
func hasty(o *Options) {
	o.Booking.CallTimeout, o.Booking.ReadTimeout = config.Duration(300*time.Millisecond), config.Duration(300*time.Millisecond)
	o.Booking.Settle = config.Duration(5 * time.Second)
}

// resume ends a pause that a source asked for.
func (b *budget) resume() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
}
