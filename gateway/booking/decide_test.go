package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestADecisionThatItIsBookedNeedsTheAppointment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Search, can.Hold = false, scheduling.HoldNone })
	id, ann := w.offer(0), caller("ann")
	w.inDoubt(t, id, bookingtest.LostAfter)
	w.settle(t, w.desk, 10*time.Hour)
	in := booking.Decision{ID: id, Booked: true, By: "op", Reason: "called"}
	wantCode(t, w.desk.Decide(t.Context(), in), scheduling.MissingData)
	if e := must(w.store.Read(t.Context(), id))(t); e.State != scheduling.EntryDoubt || e.Decision != nil {
		t.Fatalf("a refused decision left a trace: %+v", e)
	}
	in.Native = w.ehr.Appointments()[0].ID
	if err := w.desk.Decide(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	w.settle(t, w.desk, 30*time.Hour)
	wantStatus(t, must(w.desk.Read(t.Context(), ann, id))(t), scheduling.ApptBooked)
}

func TestADecisionMayLeaveOutTheAppointmentThatReadingFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, ann := w.offer(0), caller("ann")
	w.ehr.FailReads(-1)
	if v := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t); !v.InDoubt {
		t.Fatalf("%+v", v)
	}
	w.settle(t, w.desk, w.opts.LookFor+6*time.Hour)
	in := booking.Decision{ID: id, Booked: true, By: "op", Reason: "called"}
	wantCode(t, w.desk.Decide(t.Context(), in), scheduling.SourceSlow)
	w.ehr.FailReads(0)
	if err := w.desk.Decide(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	v := must(w.desk.Read(t.Context(), ann, id))(t)
	wantStatus(t, v, scheduling.ApptBooked)
	if v.Entry.Native != w.ehr.Appointments()[0].ID {
		t.Fatalf("booked as %q", v.Entry.Native)
	}
}

func TestABookingWithoutANativeIdIsNeitherReadNorCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, ann := w.offer(0), caller("ann")
	e := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t).Entry
	e.Native = ""
	must(w.store.Save(t.Context(), scheduling.EntryChange{Entry: e, Wake: time.Minute}))(t)
	w.settle(t, w.desk, 30*time.Hour)
	v := must(w.desk.Read(t.Context(), ann, id))(t)
	wantStatus(t, v, scheduling.ApptBooked)
	if !v.Has(booking.NotReached) {
		t.Fatalf("notices: %v", v.Notices)
	}
	_, err := w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
	wantCode(t, err, scheduling.SourceDown)
	if w.ehr.Writes[scheduling.CallCancel] != 0 || len(w.standing(0)) != 1 {
		t.Fatal("something was cancelled")
	}
}
