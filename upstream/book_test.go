package upstream

import (
	"slices"
	"testing"

	"slotgate/scheduling"
)

// The journey of the desk, at every dialect and release.
func TestAnOfferIsHeldBookedReadListedAndCancelled(t *testing.T) {
	t.Parallel()
	for name, at := range writtenTo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, at.dialect, at.release, nil, nil)
			offer := w.offer()
			hold := w.hold(t, offer)
			if s := w.slot(t, offer); s != "busy-tentative" {
				t.Errorf("held: the slot is %s", s)
			}
			made := w.book(t, offer, hold)
			if s := w.slot(t, offer); s != "busy" {
				t.Errorf("booked: the slot is %s", s)
			}
			read, err := w.Read(t.Context(), made.ID, scheduling.ForBook)
			if err != nil {
				t.Fatal(err)
			}
			same(t, read, offer)
			w.found(t, read, offer)
			if err = w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID, ETag: read.ETag, Reason: "pat"}); err != nil {
				t.Fatalf("cancel: %v", err)
			}
			if s := w.slot(t, offer); s != "free" {
				t.Errorf("cancelled: the slot is %s", s)
			}
			if read, err = w.Read(t.Context(), made.ID, scheduling.ForBook); err != nil || read.Status != scheduling.ApptCancelled {
				t.Errorf("%+v %v", read, err)
			}
			if err = w.Cancel(t.Context(), scheduling.CancelCall{Offer: offer, Native: made.ID}); err != nil {
				t.Errorf("cancelled twice: %v", err)
			}
			if twice := w.srv.DoubleBooked(); len(twice) > 0 {
				t.Errorf("booked twice: %v", twice)
			}
		})
	}
}

// same compares what was read with what was asked (law 1).
func same(t *testing.T, a scheduling.Appointment, offer scheduling.OfferRecord) {
	t.Helper()
	actors := func(a scheduling.Actor) bool {
		return slices.ContainsFunc(offer.Actors, func(b scheduling.Actor) bool { return a.Kind == b.Kind && a.ID == b.ID })
	}
	switch {
	case a.Status != scheduling.ApptBooked, !a.Start.Equal(offer.Start()), !a.End.Equal(offer.End()),
		!slices.Equal(a.Patient, []string{"pat-1"}), !slices.Equal(a.Slots, offer.SlotIDs()),
		len(a.Actors) == 0, !slices.ContainsFunc(a.Actors, actors), a.ETag == "", a.Updated.IsZero():
		t.Errorf("read %+v\nasked %+v", a, offer)
	}
}

func (w *deskWorld) found(t *testing.T, a scheduling.Appointment, offer scheduling.OfferRecord) {
	t.Helper()
	for name, call := range map[string]scheduling.FindCall{
		"by identifier": {Identifier: "key-1"},
		"by patient":    {Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End()},
		"by both":       {Identifier: "key-1", Patients: []string{"pat-1"}, From: offer.Start(), To: offer.End()},
	} {
		got, err := w.Find(t.Context(), call)
		if err != nil || !slices.ContainsFunc(got, func(b scheduling.Appointment) bool { return a.ID == b.ID }) {
			t.Errorf("%s: %+v, %v; want %s", name, got, err, a.ID)
		}
	}
}
