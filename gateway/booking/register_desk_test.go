package booking_test

import (
	"errors"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// TestABookingRegistersItsPatient has a desk whose patients are the registrar's:
// the EHR's Patient is made by the booking, and the appointment is theirs.
func TestABookingRegistersItsPatient(t *testing.T) {
	t.Parallel()
	clinic := newClinic(t, scheduling.RegisterPost, nil)
	deps := clinic.deps
	deps.Metrics = nil
	deps.At = func(scheduling.SourceID) (booking.Registry, bool) { return clinic.deps.At("clinic") }
	w := newWorld(t, 3)
	w.people = clinic.registrar(deps)
	desk := w.newDesk(t, w.store, w.ehr)
	ann, bob := booking.Caller{Principal: "ann", Holds: 3}, booking.Caller{Principal: "bob", Holds: 3}
	id := clinic.come(ann.Principal, canaryPatient)

	v := must(desk.Book(t.Context(), ann, bookFor(w.offer(0), id)))(t)
	native, known, err := clinic.Known(t.Context(), ann.Principal, napa, id)
	if err != nil || !known || clinic.made() != 1 {
		t.Fatalf("%q %v %v, %d made", native, known, err, clinic.made())
	}
	if got := v.Entry.Private.Patients; len(got) != 1 || got[0].Asked != id || got[0].Native != native {
		t.Errorf("booked for %v", got)
	}
	must(desk.Book(t.Context(), ann, bookFor(w.offer(1), id)))(t)
	if clinic.made() != 1 {
		t.Errorf("%d made", clinic.made())
	}
	if _, err := desk.Book(t.Context(), bob, bookFor(w.offer(2), id)); err == nil || clinic.made() != 1 {
		t.Errorf("bob books for ann's patient: %v", err)
	}
	// One whom the clinic must see to holds no slot and makes no appointment.
	other := clinic.come(bob.Principal, `{"resourceType":"Patient","identifier":[{"system":"urn:canary:mrn","value":"CANARY-77"}],"name":[{"family":"Other"}],"birthDate":"2001-01-01"}`)
	_, err = desk.Book(t.Context(), bob, bookFor(w.offer(2), other))
	wantCode(t, err, scheduling.NeedsClinic)
	if !errors.Is(err, booking.ErrState) {
		t.Errorf("not a 409: %v", err)
	}
	must(desk.Book(t.Context(), ann, bookFor(w.offer(2), id)))(t)
}
