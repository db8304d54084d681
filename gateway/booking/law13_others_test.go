package booking_test

import (
	"slices"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// given makes the held pending appointment another patient's booked one, as
// clinic staff do.
func (w *world) given(native, patient string) {
	w.ehr.Clinic(native, func(a *scheduling.Appointment) {
		a.Status, a.Patient = scheduling.ApptBooked, []string{patient}
	})
}

// untouched wants the other patient's appointment to stand, and no cancel sent.
func (w *world) untouched(t *testing.T, native, patient string) {
	t.Helper()
	for _, a := range w.ehr.Appointments() {
		if a.ID == native && a.Status.Stands() && slices.Equal(a.Patient, []string{patient}) {
			if n := w.ehr.Writes[scheduling.CallCancel]; n != 0 {
				t.Fatalf("%d cancels were sent", n)
			}
			return
		}
	}
	t.Fatalf("the other patient's appointment is gone: %+v", w.ehr.Appointments())
}

func TestLaw13WhatTheClinicMadeOfOurHoldIsNotOursToCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault      bookingtest.Fault
		hidesIDs   bool
		taken      bool // 409, else in doubt
		unsearched bool
	}{
		"the slot is taken":                             {fault: bookingtest.RefuseTaken, taken: true},
		"the slot is taken, and no identifier is shown": {fault: bookingtest.RefuseTaken, hidesIDs: true, taken: true},
		"a refusal in no table":                         {fault: bookingtest.RefuseStrange, taken: true},
		"a refusal in no table, without a search":       {fault: bookingtest.RefuseStrange, taken: true, unsearched: true},
		"a yes that names it":                           {fault: bookingtest.AnswersOther},
		"a yes that names it, without our identifier":   {fault: bookingtest.AnswersOther, hidesIDs: true},
		"a lost answer":                                 {fault: bookingtest.LostBefore},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Search = !c.unsearched })
			w.ehr.Be(bookingtest.HidesIDs, c.hidesIDs)
			id, ann := w.offer(0), caller("ann")
			v := must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id)}))(t)
			native := v.Entry.Hold.Native
			w.clock.Advance(5 * time.Second)
			w.given(native, "somebody-else")
			w.clock.Advance(5 * time.Second)
			w.ehr.Fail(scheduling.CallBook, c.fault)
			v, err := w.desk.Book(t.Context(), ann, bookFor(id, "p1"))
			switch {
			case c.taken:
				wantCode(t, err, scheduling.SlotTaken)
			case err != nil || !v.InDoubt || v.Status == scheduling.ApptBooked:
				t.Fatalf("%+v %v", v, err)
			}
			w.untouched(t, native, "somebody-else")
			w.settle(t, w.desk, 30*time.Hour)
			w.untouched(t, native, "somebody-else")
			if !c.taken {
				w.decideAndWatch(t, id, native)
			}
		})
	}
}

// decideAndWatch wants a person to be asked, and what they said to be kept to.
func (w *world) decideAndWatch(t *testing.T, id, native string) {
	t.Helper()
	e := must(w.store.Read(t.Context(), id))(t)
	if e.State != scheduling.EntryDoubt || !e.Doubt.Unresolved || w.counter(t, "slotgate_booking_alarms_total", "not-ours-patient") != 1 {
		t.Fatalf("nobody is asked: %s %+v", e.State, e.Doubt)
	}
	err := w.desk.Decide(t.Context(), booking.Decision{ID: id, Booked: true, Native: native, By: "op", Reason: "looked"})
	wantCode(t, err, scheduling.NotAcceptable)
	if err := w.desk.Decide(t.Context(), booking.Decision{ID: id, By: "op", Reason: "looked"}); err != nil {
		t.Fatal(err)
	}
	w.settle(t, w.desk, 30*time.Hour)
	w.untouched(t, native, "somebody-else")
}

func TestLaw13AnAppointmentThatStoodBeforeOurCallIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, ann := w.offer(0), caller("ann")
	if !w.ehr.Stranger(w.slots[0].ID) {
		t.Fatal("the slot is not free")
	}
	native := w.ehr.Appointments()[0].ID
	w.clock.Advance(time.Minute)
	w.ehr.Fail(scheduling.CallBook, bookingtest.AnswersOther)
	v, err := w.desk.Book(t.Context(), ann, bookFor(id, "p1"))
	if err != nil || !v.InDoubt || v.Status == scheduling.ApptBooked {
		t.Fatalf("%+v %v", v, err)
	}
	w.settle(t, w.desk, 30*time.Hour)
	w.untouched(t, native, "stranger")
	e := must(w.store.Read(t.Context(), id))(t)
	if e.State != scheduling.EntryDoubt || !e.Doubt.Unresolved {
		t.Fatalf("nobody is asked: %s %+v", e.State, e.Doubt)
	}
}

func TestLaw13WhatComesLateForAnotherPatientIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, ann := w.offer(0), caller("ann")
	v := must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id)}))(t)
	native := v.Entry.Hold.Native
	w.ehr.Fail(scheduling.CallBook, bookingtest.LostBefore)
	if v = must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t); !v.InDoubt {
		t.Fatalf("%+v", v)
	}
	w.settle(t, w.desk, time.Hour)
	if e := must(w.store.Read(t.Context(), id))(t); e.State != scheduling.EntryNotBooked {
		t.Fatalf("settled as %s", e.State)
	}
	w.given(native, "somebody-else")
	w.settle(t, w.desk, 30*time.Hour)
	w.untouched(t, native, "somebody-else")
	if w.counter(t, "slotgate_booking_alarms_total", "late-not-ours") == 0 {
		t.Fatal("nobody is told")
	}
}

func TestLaw13ABookingTakesThePlaceOfItsOwnPatientsAppointmentOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	ann, old := caller("ann"), w.offer(0)
	must(w.desk.Book(t.Context(), ann, bookFor(old, "p1")))(t)
	req := bookFor(w.offer(1), "p2")
	req.Replaces = old
	for _, way := range []scheduling.RescheduleWay{"", scheduling.Move, scheduling.CancelFirst} {
		req.Reschedule = way
		_, err := w.desk.Book(t.Context(), ann, req)
		wantCode(t, err, scheduling.NotAcceptable)
	}
	if len(w.standing(0)) != 1 || len(w.standing(1)) != 0 || w.ehr.Writes[scheduling.CallBook] != 1 || w.ehr.Writes[scheduling.CallCancel] != 0 {
		t.Fatal("a refused request reached the EHR")
	}
	req.Reschedule, req.Patients = "", []string{"p2", "p1"}
	must(w.desk.Book(t.Context(), ann, req))(t)
	if len(w.standing(0)) != 0 || len(w.standing(1)) != 1 {
		t.Fatal("one patient in common is enough")
	}
}
