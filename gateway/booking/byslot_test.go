package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// TestLaw3WhoNamesASlotIsToldThatItIsTaken: a caller that builds appointments
// from prefetched slots has no id of an offer.
func TestLaw3WhoNamesASlotIsToldThatItIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	ann, bob := caller("ann"), caller("bob")
	ours := func(slot string) string { return scheduling.ResourceID(napa, scheduling.KindSlot, slot) }
	named := booking.Target{Slots: []string{ours("s0")}, Start: w.slots[0].Start, ByResource: true}
	hold := func(c booking.Caller) (booking.View, error) {
		return w.desk.Hold(t.Context(), c, booking.HoldRequest{Target: named})
	}
	book := func(c booking.Caller, patient, key string) (booking.View, error) {
		return w.desk.Book(t.Context(), c, booking.BookRequest{Target: named, Patients: []string{patient}, Key: key})
	}
	held := must(hold(ann))(t)
	w.clock.Advance(time.Second)
	if again := must(hold(ann))(t); again.Entry.ID != held.Entry.ID || !again.Created {
		t.Fatalf("another hold: %+v", again)
	}
	_, err := hold(bob)
	wantCode(t, err, scheduling.SlotTaken)
	_, err = book(bob, "p2", "")
	wantCode(t, err, scheduling.SlotTaken)
	booked := must(book(ann, "p1", "k1"))(t)
	wantStatus(t, booked, scheduling.ApptBooked)
	for _, key := range []string{"", "k1", "k2"} {
		if again := must(book(ann, "p1", key))(t); again.Entry.ID != booked.Entry.ID || again.Status != scheduling.ApptBooked {
			t.Fatalf("a repeat: %+v", again)
		}
	}
	_, err = book(ann, "p3", "")
	wantCode(t, err, scheduling.SlotTaken)
	_, err = book(bob, "p2", "")
	wantCode(t, err, scheduling.SlotTaken)
	two := booking.Target{Slots: []string{ours("s0"), ours("s1")}}
	_, err = w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: two})
	wantCode(t, err, scheduling.SlotTaken)
	_, err = w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: booking.Target{Slots: []string{ours("never")}}})
	wantCode(t, err, scheduling.UnknownID)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: booked.Entry.ID}))(t)
	next := must(book(bob, "p2", ""))(t)
	if next.Entry.ID == booked.Entry.ID || next.Status != scheduling.ApptBooked {
		t.Fatalf("found again: %+v", next)
	}
}
