package booking_test

import (
	"errors"
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

func TestAPersonDecidesWhatBecameOfACancel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		done, booked, readable bool
		code                   scheduling.Code
		want                   scheduling.AppointmentStatus
	}{
		{done: true, want: scheduling.ApptCancelled},
		{done: false, booked: true, want: scheduling.ApptBooked},
		{done: false, booked: false, readable: true, code: scheduling.NotAcceptable},
		{done: true, booked: true, readable: true, code: scheduling.NotAcceptable},
		{done: true, booked: false, readable: true, want: scheduling.ApptCancelled},
	} {
		w := newWorld(t, 1)
		w.opts.Checkpoint = func(name string) {
			if name == "cancel.answered" {
				w.ehr.FailReads(-1)
			}
		}
		w.desk = w.newDesk(t, w.store, w.ehr)
		id, ann := w.offer(0), caller("ann")
		must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
		fault := bookingtest.LostBefore
		if c.done {
			fault = bookingtest.LostAfter
		}
		w.ehr.Fail(scheduling.CallCancel, fault)
		must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
		w.settle(t, w.desk, w.opts.LookFor+6*time.Hour)
		if e := must(w.store.Read(t.Context(), id))(t); e.Doubt == nil || !e.Doubt.Unresolved {
			t.Fatalf("nobody is asked: %s %+v", e.State, e.Doubt)
		}
		if c.readable {
			w.ehr.FailReads(0)
		}
		err := w.desk.Decide(t.Context(), booking.Decision{ID: id, Booked: c.booked, By: "op", Reason: "looked"})
		wantCode(t, err, c.code)
		if c.code != "" {
			continue
		}
		v := must(w.desk.Read(t.Context(), ann, id))(t)
		wantStatus(t, v, c.want)
		if v.InDoubt || v.Entry.Decision == nil || v.Entry.Decision.By != "op" {
			t.Fatalf("%+v", v)
		}
		err = w.desk.Decide(t.Context(), booking.Decision{ID: id, Booked: c.booked, By: "op", Reason: "looked"})
		if !errors.Is(err, booking.ErrState) {
			t.Fatalf("decided twice: %v", err)
		}
	}
}

func TestLaw12WhatAPersonDecidedIsNotBookedLeavesNoSlotTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.ehr.Be(bookingtest.HidesIDs, true)
	id := w.offer(0)
	w.inDoubt(t, id, bookingtest.LostBefore)
	if !w.ehr.Stranger("s0") {
		t.Fatal("the slot is not free")
	}
	w.ehr.FailReads(-1)
	w.settle(t, w.desk, w.opts.LookFor+6*time.Hour)
	w.ehr.FailReads(0)
	if err := w.desk.Decide(t.Context(), booking.Decision{ID: id, By: "op", Reason: "looked"}); err != nil {
		t.Fatal(err)
	}
	if got := w.standing(0); len(got) != 1 || w.ehr.Slot("s0") != scheduling.SlotBusy {
		t.Fatalf("somebody else's slot was freed: %v", got)
	}
}
