package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// Who holds an offer of a source may have the patient registered there before
// the booking, once; who holds none, or no more, may not (law 13).
func TestLaw13APersonIsRegisteredBeforeTheBookingForWhoHoldsAnOfferThere(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, true)
	patient, _ := tr.newcomer(t, 0)
	refused := func(principal, when string) {
		t.Helper()
		err := tr.registrar.RegisterAt(t.Context(), principal, napa, patient)
		if scheduling.CodeOf(err) != scheduling.NotAcceptable && scheduling.CodeOf(err) != scheduling.UnknownID || len(tr.ehr.Patients()) != 0 {
			t.Errorf("%s: %v, %d patients at the source", when, err, len(tr.ehr.Patients()))
		}
	}
	refused("ann", "without a hold")
	must(tr.desk.Hold(t.Context(), caller("bob"), holdOf(tr.world, 1)))(t)
	refused("ann", "with another's hold")
	refused("bob", "another's patient")
	must(tr.desk.Hold(t.Context(), ann(), holdOf(tr.world, 0)))(t)
	if err := tr.registrar.RegisterAt(t.Context(), "ann", "sonoma", patient); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("at a source where nothing is held: %v", err)
	}
	for range 3 { // again and again: once
		if err := tr.registrar.RegisterAt(t.Context(), "ann", napa, patient); err != nil || len(tr.ehr.Patients()) != 1 {
			t.Fatalf("%v, %d patients at the source", err, len(tr.ehr.Patients()))
		}
	}
	v := must(tr.desk.Book(t.Context(), ann(), booking.BookRequest{Target: booking.Target{ID: tr.offer(0)}, Patients: []string{patient}}))(t)
	if v.Status != scheduling.ApptBooked || len(tr.ehr.Patients()) != 1 {
		t.Errorf("%s, %d patients at the source", v.Status, len(tr.ehr.Patients()))
	}
}

func TestAHoldThatHasRunOutOpensNoRegistration(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, true)
	patient, _ := tr.newcomer(t, 0)
	must(tr.desk.Hold(t.Context(), ann(), holdOf(tr.world, 0)))(t)
	tr.clock.Advance(time.Hour)
	if err := tr.registrar.RegisterAt(t.Context(), "ann", napa, patient); scheduling.CodeOf(err) != scheduling.NotAcceptable || len(tr.ehr.Patients()) != 0 {
		t.Errorf("%v, %d patients at the source", err, len(tr.ehr.Patients()))
	}
}
