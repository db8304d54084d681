package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestLaw1ACancelThatIsProvedByReadingFreesItsSlotAsWell(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kept  bool // the EHR keeps the slot, whoever wants it free
		blind bool // the answer is read at once
	}{
		"at once": {}, "by the settler": {blind: true}, "and tells where it cannot": {kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			id, ann := w.offer(0), caller("ann")
			must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
			fault := bookingtest.LeavesSlot
			if c.kept {
				fault = bookingtest.KeepsSlot
			}
			w.ehr.Fail(scheduling.CallCancel, fault)
			if c.blind {
				f := newFuse()
				f.left.Store(3) // dies of the answer
				if !dying(func() {
					_, _ = w.newDesk(t, w.store, mortalEHR{w.ehr, f}).Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
				}) {
					t.Fatal("it lives")
				}
			} else {
				must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
			}
			before := w.refetches()
			w.settle(t, w.desk, time.Hour)
			v := must(w.desk.Read(t.Context(), ann, id))(t)
			wantStatus(t, v, scheduling.ApptCancelled)
			if free := w.ehr.Slot("s0") == scheduling.SlotFree; free == c.kept || v.Has(booking.ReleasedUnverified) == free {
				t.Fatalf("free: %v, notices: %v", free, v.Notices)
			}
			if c.blind && w.refetches() == before {
				t.Fatal("its window was not read again")
			}
			if n := w.ehr.Writes[scheduling.CallCancel]; n != 1 {
				t.Fatalf("%d cancels were sent", n)
			}
		})
	}
}

func TestLaw1ALateCancelOfOursFreesItsSlotWhenItIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, ann := w.offer(0), caller("ann")
	native := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t).Entry.Native
	w.ehr.Fail(scheduling.CallCancel, bookingtest.LostBefore)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
	w.settle(t, w.desk, 3*time.Minute)
	wantStatus(t, must(w.desk.Read(t.Context(), ann, id))(t), scheduling.ApptBooked)
	w.ehr.CommitsLate(native) // after all, and nobody frees the slot
	w.settle(t, w.desk, 10*time.Hour)
	wantStatus(t, must(w.desk.Read(t.Context(), ann, id))(t), scheduling.ApptCancelled)
	if s := w.ehr.Slot("s0"); s != scheduling.SlotFree {
		t.Fatalf("the slot is %s", s)
	}
}
