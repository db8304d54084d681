package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestLaw2ARefusalIsARefusalInAnyShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault bookingtest.Fault
		code  scheduling.Code
		taken bool
	}{
		{bookingtest.RefuseTaken, scheduling.SlotTaken, true},
		{bookingtest.RefuseRules, scheduling.NotAcceptable, false},
		{bookingtest.RefuseStrange, scheduling.SourceRefused, false},
		{bookingtest.RefuseLogin, scheduling.SourceLogin, false},
		{bookingtest.RefuseBusy, scheduling.Throttled, false},
		{bookingtest.NotSent, scheduling.SourceDown, false},
	} {
		for _, held := range []bool{false, true} {
			t.Run(string(c.fault), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 1)
				id := w.offer(0)
				if held {
					must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)}))(t)
				}
				w.ehr.Fail(scheduling.CallBook, c.fault)
				_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1"))
				wantCode(t, err, c.code)
				w.afterRefusal(t, id, held, c.taken)
			})
		}
	}
}

// afterRefusal checks that nothing is left behind, and that only what is taken
// goes away.
func (w *world) afterRefusal(t *testing.T, id string, held, taken bool) {
	t.Helper()
	_, claimed := w.store.Claimed(napa, "s0")
	if want := held && !taken; claimed != want {
		t.Fatalf("claimed %v, want %v", claimed, want)
	}
	if (w.refetches() > 0) != taken {
		t.Fatalf("refetched %d times, taken is %v", w.refetches(), taken)
	}
	if !claimed && w.store.Fenced(napa, "s0") != taken {
		t.Fatalf("only what was taken stays away until it is fetched again")
	}
	if held && !taken { // the hold is still the caller's
		v := must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t)
		wantStatus(t, v, scheduling.ApptBooked)
		return
	}
	if got := w.ehr.Slot("s0"); got != scheduling.SlotFree {
		t.Fatalf("the slot is %s at the EHR", got)
	}
	w.settle(t, w.desk, 30*time.Hour)
	for _, a := range w.ehr.Appointments() {
		if !a.Status.Void() {
			t.Fatalf("left behind: %+v", a)
		}
	}
}

func TestARefusedLoginIsAnAlarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.ehr.Fail(scheduling.CallHold, bookingtest.RefuseLogin)
	_, err := w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(w.offer(0))})
	wantCode(t, err, scheduling.SourceLogin)
	if n := w.counter(t, "slotgate_booking_alarms_total", "login"); n != 1 {
		t.Fatalf("%v alarms, want 1", n)
	}
}
