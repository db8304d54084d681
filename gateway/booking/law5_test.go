package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// inDoubt books with a fault and wants doubt.
func (w *world) inDoubt(t *testing.T, id string, fault bookingtest.Fault) {
	t.Helper()
	w.ehr.Fail(scheduling.CallBook, fault)
	v := must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
	if !v.InDoubt || v.Status != scheduling.ApptPending || v.RetryAfter < time.Second {
		t.Fatalf("want doubt, got %s %v %s", v.Status, v.InDoubt, v.RetryAfter)
	}
}

func TestLaw5UnknownIsAStateSettledByReading(t *testing.T) {
	t.Parallel()
	t.Run("a lost answer of a call that was done is found at once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		w.ehr.Fail(scheduling.CallBook, bookingtest.LostAfter)
		wantStatus(t, must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t), scheduling.ApptBooked)
	})
	t.Run("one that commits late is found", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		id := w.offer(0)
		w.inDoubt(t, id, bookingtest.LateCommit)
		again := must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
		if !again.InDoubt {
			t.Fatal("a repeat got another answer than 202")
		}
		_, err := w.desk.Book(t.Context(), caller("bob"), bookFor(id, "p2"))
		wantCode(t, err, scheduling.SlotTaken)
		w.settle(t, w.desk, time.Hour)
		wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptBooked)
	})
	t.Run("nothing is sent again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1)
		w.inDoubt(t, w.offer(0), bookingtest.LostBefore)
		w.settle(t, w.desk, 30*time.Hour)
		if n := w.ehr.Writes[scheduling.CallBook]; n != 1 {
			t.Fatalf("%d calls, want 1", n)
		}
	})
}

func TestLaw5NotBookedOnlyAfterSettleTwoReadsAndAFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id := w.offer(0)
	must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)}))(t)
	w.inDoubt(t, id, bookingtest.LostBefore)
	for w.clock.Now().Before(opening.Add(-72*time.Hour + 2*time.Minute)) {
		w.clock.Advance(time.Second)
		must(w.desk.Sweep(t.Context(), napa))(t)
		if v := must(w.desk.Read(t.Context(), caller("ann"), id))(t); !v.InDoubt {
			t.Fatalf("told %s before settle had passed", v.Status)
		}
	}
	w.ehr.Fail(scheduling.CallRelease, bookingtest.RefuseBusy) // not fenced this time
	w.settle(t, w.desk, time.Hour)
	wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptCancelled)
	e := must(w.store.Read(t.Context(), id))(t)
	if e.State != scheduling.EntryNotBooked || !e.Doubt.Fenced || w.ehr.Slot("s0") != scheduling.SlotFree {
		t.Fatalf("%s, fenced %v, slot %s", e.State, e.Doubt.Fenced, w.ehr.Slot("s0"))
	}
	_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1"))
	wantCode(t, err, scheduling.UsedID)
	if w.offer(0) == id {
		t.Fatal("the slot is found again under a used id")
	}
	wantStatus(t, must(w.desk.Book(t.Context(), caller("bob"), bookFor(w.offer(0), "p2")))(t), scheduling.ApptBooked)
}

func TestLaw5ABookingThatAppearsLateIsToldOrCancelled(t *testing.T) {
	t.Parallel()
	for _, cancel := range []bool{false, true} {
		w := newWorld(t, 1, func(can *scheduling.Abilities) { can.LateCancel = cancel })
		w.ehr.LateBy = 5 * time.Hour
		id := w.offer(0)
		w.inDoubt(t, id, bookingtest.LateCommit)
		w.settle(t, w.desk, 4*time.Hour)
		wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptCancelled)
		w.settle(t, w.desk, 6*time.Hour)
		want, stand := scheduling.ApptBooked, 1
		if cancel {
			want, stand = scheduling.ApptCancelled, 0
		}
		wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), want)
		if got := w.standing(0); len(got) != stand {
			t.Fatalf("the EHR shows %v", got)
		}
		if n := w.counter(t, "slotgate_booking_alarms_total", "late"); n != 1 {
			t.Fatalf("%v alarms, want 1", n)
		}
	}
}

func TestLaw5WhereAppointmentsCannotBeSearchedTheSlotDecides(t *testing.T) {
	t.Parallel()
	blind := func(can *scheduling.Abilities) { can.Search = false }
	t.Run("free is not booked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1, blind)
		id := w.offer(0)
		w.inDoubt(t, id, bookingtest.LostBefore)
		w.settle(t, w.desk, time.Hour)
		wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptCancelled)
	})
	t.Run("taken is unresolved until a person decides", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1, blind)
		id := w.offer(0)
		w.inDoubt(t, id, bookingtest.LostAfter)
		w.settle(t, w.desk, 10*time.Hour)
		list := must(w.desk.Unsettled(t.Context()))(t)
		if len(list) != 1 || !list[0].Doubt.Unresolved {
			t.Fatalf("not listed for a person: %+v", list)
		}
		if _, open := w.Offer(w.offer(0)); open {
			t.Fatal("an unresolved slot is offered")
		}
		native := w.ehr.Appointments()[0].ID
		wantCode(t, w.desk.Decide(t.Context(), booking.Decision{ID: id, Booked: true, Native: native}), scheduling.BadRequest)
		wantCode(t, w.desk.Decide(t.Context(), booking.Decision{ID: id, Booked: true, Native: "a99", By: "op", Reason: "called"}), scheduling.NotAcceptable)
		if err := w.desk.Decide(t.Context(), booking.Decision{ID: id, Booked: true, Native: native, By: "op", Reason: "called"}); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptBooked)
		if e := must(w.store.Read(t.Context(), id))(t); e.Decision == nil || e.Decision.By != "op" {
			t.Fatalf("the decision is not kept: %+v", e.Decision)
		}
	})
}

func TestLaw5ACancelAskedForMeanwhileIsKept(t *testing.T) {
	t.Parallel()
	for _, fault := range []bookingtest.Fault{bookingtest.LateCommit, bookingtest.LostBefore} {
		w := newWorld(t, 1)
		id := w.offer(0)
		w.inDoubt(t, id, fault)
		v := must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
		if !v.InDoubt || !v.Has(booking.CancelWanted) {
			t.Fatalf("the cancel was not kept: %+v", v.Notices)
		}
		w.settle(t, w.desk, time.Hour)
		wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptCancelled)
		if got := w.standing(0); len(got) != 0 {
			t.Fatalf("the EHR shows %v", got)
		}
	}
}

func TestLaw5ARefusalIsCheckedAgainstOurOwnLostCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id := w.offer(0)
	v := must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
	w.store.Lose(napa) // the books are gone, the appointment is not
	if err := w.store.Rebuilt(t.Context(), napa); err != nil {
		t.Fatal(err)
	}
	again := must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
	wantStatus(t, again, scheduling.ApptBooked)
	if again.Entry.Native != v.Entry.Native {
		t.Fatalf("booked %s, want our own %s", again.Entry.Native, v.Entry.Native)
	}
}
