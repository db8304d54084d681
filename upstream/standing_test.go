package upstream

import (
	"slices"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// cutOff books an offer at a source without transactions, whose answer is lost:
// the appointment stands, and its slot is left as a hold leaves one.
func cutOff(t *testing.T, release scheduling.Release, bend func(*Options)) (*deskWorld, scheduling.OfferRecord) {
	t.Helper()
	w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, func(o *Options) {
		hasty(o)
		if bend != nil {
			bend(o)
		}
	})
	offer := w.offer()
	w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "book"})
	_, err := w.Book(t.Context(), bookCall(offer, nil))
	wantCode(t, "book", err, scheduling.InDoubt)
	w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
	if s := w.slot(t, offer); s != "busy-tentative" || len(w.srv.Appointments("booked")) != 1 {
		t.Fatalf("the slot is %s, %+v", s, w.srv.Appointments())
	}
	return w, offer
}

var bothReleases = map[string]scheduling.Release{"STU3": scheduling.STU3, "R4": scheduling.R4}

func TestLaw3ABookingThatWasCutOffIsNoHoldToWhoeverRebuilds(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		for search, want := range map[string]struct {
			booked bool
			slot   string
		}{
			"identifier": {true, "busy"}, "patient": {true, "busy"}, "none": {false, "busy-tentative"},
		} {
			t.Run(name+" searched by "+search, func(t *testing.T) {
				t.Parallel()
				w, offer := cutOff(t, release, func(o *Options) { o.Quirks.Search = search })
				held := w.offer()
				w.hold(t, held)
				ours, err := w.Ours(t.Context())
				if err != nil && scheduling.CodeOf(err) != scheduling.NotSupported {
					t.Fatal(err)
				}
				on := func(offer scheduling.OfferRecord, status scheduling.AppointmentStatus) bool {
					return slices.ContainsFunc(ours, func(a scheduling.Appointment) bool {
						return a.Status == status && slices.Equal(a.Slots, offer.SlotIDs()) && a.HasIdentifier("key-1")
					})
				}
				if on(offer, scheduling.ApptPending) || on(offer, scheduling.ApptBooked) != want.booked || w.slot(t, offer) != want.slot {
					t.Errorf("the booking: %+v, its slot is %s", ours, w.slot(t, offer))
				}
				if !on(held, scheduling.ApptPending) { // its mark tells
					t.Errorf("the hold: %+v", ours)
				}
			})
		}
	}
}

func TestLaw3NoReleaseFreesASlotOnWhichAnAppointmentStands(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		for _, search := range []string{"identifier", "patient"} {
			t.Run(name+" searched by "+search, func(t *testing.T) {
				t.Parallel()
				w, offer := cutOff(t, release, func(o *Options) { o.Quirks.Search = search })
				w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503, On: "search"})
				call := scheduling.ReleaseCall{Offer: offer, Hold: scheduling.Hold{ETag: markPart + "key-1"}}
				wantCode(t, "release where nobody answers", w.Release(t.Context(), call), scheduling.SourceDown)
				if s := w.slot(t, offer); s != "busy-tentative" {
					t.Errorf("the slot is %s", s)
				}
				w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
				wantCode(t, "release", w.Release(t.Context(), call), scheduling.NotAcceptable)
				if s := w.slot(t, offer); s != "busy" {
					t.Errorf("the slot is %s", s)
				}
			})
		}
	}
}

func TestLaw5WhoFindsABookingThatWasCutOffFinishesIt(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(*testing.T, *deskWorld, scheduling.OfferRecord) error{
		"found": func(t *testing.T, w *deskWorld, _ scheduling.OfferRecord) error {
			_, err := w.Find(t.Context(), scheduling.FindCall{Identifier: "key-1", Purpose: scheduling.ForBook})
			return err
		},
		"found by patient": func(t *testing.T, w *deskWorld, offer scheduling.OfferRecord) error {
			w.opts.Quirks.Search = "patient"
			_, err := w.Find(t.Context(), scheduling.FindCall{
				Identifier: "key-1", Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End(), Purpose: scheduling.ForSettle,
			})
			return err
		},
		"read": func(t *testing.T, w *deskWorld, _ scheduling.OfferRecord) error {
			_, err := w.Read(t.Context(), w.srv.Appointments("booked")[0].ID, scheduling.ForSettle)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, offer := cutOff(t, scheduling.STU3, nil)
			if err := read(t, w, offer); err != nil || w.slot(t, offer) != "busy" {
				t.Errorf("the slot is %s, %v", w.slot(t, offer), err)
			}
		})
	}
}
