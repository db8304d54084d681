package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestLaw1NeverSayBookedUnlessTheEHRDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault bookingtest.Fault
		hold  bool
		code  scheduling.Code // of the answer; "" is no error
		alarm string
	}{
		{fault: bookingtest.OtherPatient, code: scheduling.SourceNonsense, alarm: "wrong-patient"},
		{fault: bookingtest.OtherPatient, hold: true, code: scheduling.SourceNonsense, alarm: "wrong-patient"},
		{fault: bookingtest.Nobody, code: scheduling.SourceNonsense, alarm: "wrong-patient"},
		{fault: bookingtest.OtherTime, code: scheduling.SourceNonsense, alarm: "wrong-start"},
		{fault: bookingtest.SaysOnly},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			id := w.offer(0)
			if c.hold {
				must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)}))(t)
			}
			w.ehr.Fail(scheduling.CallBook, c.fault)
			v, err := w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1"))
			if v.Status == scheduling.ApptBooked {
				t.Fatal("told as booked")
			}
			if c.code != "" {
				wantCode(t, err, c.code)
				if n := w.counter(t, "slotgate_booking_alarms_total", c.alarm); n != 1 {
					t.Fatalf("%v alarms %s, want 1", n, c.alarm)
				}
			} else if err != nil || !v.InDoubt {
				t.Fatalf("a booking that nothing shows is in doubt: %+v %v", v, err)
			}
			w.settle(t, w.desk, 30*time.Hour)
			for _, a := range w.ehr.Appointments() {
				if a.Status.Stands() || a.Status == scheduling.ApptPending {
					t.Fatalf("left behind: %+v", a)
				}
			}
			v = must(w.desk.Read(t.Context(), caller("ann"), id))(t)
			wantStatus(t, v, scheduling.ApptCancelled)
		})
	}
}

func TestLaw1WhatTheEHRDoesNotReturnIsToldAsNotProved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.ehr.Be(bookingtest.Sparse, true)
	v := must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t)
	wantStatus(t, v, scheduling.ApptBooked)
	if !v.Has(booking.NotProved) || len(v.NotProved) != 4 {
		t.Fatalf("not proved: %v", v.NotProved)
	}
}

func TestLaw1ACancelIsReadBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id := w.offer(0)
	must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
	w.ehr.Fail(scheduling.CallCancel, bookingtest.SaysOnly)
	v := must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
	if !v.InDoubt || v.Status == scheduling.ApptCancelled {
		t.Fatalf("a cancel that nothing shows: %+v", v)
	}
	w.settle(t, w.desk, time.Hour)
	wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptBooked)
	v = must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
	wantStatus(t, v, scheduling.ApptCancelled)
	if v.Has(booking.ReleasedUnverified) {
		t.Fatal("the slot is free, and was not proved")
	}
}

func TestACancelThatKeepsTheSlotIsToldAsUnverified(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id := w.offer(0)
	must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
	w.ehr.Fail(scheduling.CallCancel, bookingtest.KeepsSlot)
	before := w.refetches()
	v := must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
	wantStatus(t, v, scheduling.ApptCancelled)
	if !v.Has(booking.ReleasedUnverified) || w.refetches() == before {
		t.Fatalf("notices %v, refetches %d", v.Notices, w.refetches()-before)
	}
}
