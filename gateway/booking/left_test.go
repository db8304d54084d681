package booking_test

import (
	"slices"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// leftOffers is a replica whose source has not shown these slots again.
type leftOffers struct {
	*world
	id    string
	slots []string
}

func (o *leftOffers) Offer(id string) (scheduling.Hit, bool) {
	if id == o.id {
		return scheduling.Hit{}, false
	}
	return o.world.Offer(id)
}

func (o *leftOffers) BySlots(slots []string) (scheduling.Hit, bool) {
	if slices.Equal(slots, o.slots) {
		return scheduling.Hit{}, false
	}
	return o.world.BySlots(slots)
}

func (o *leftOffers) Left(slots []string) (string, bool) {
	return o.id, slices.Equal(slots, o.slots)
}

func (o *leftOffers) Gone(id string) bool { return id == o.id }

func TestSeveralNamedSlotsThatWereJustReleasedAreHeldAtOnceAndThoseThatWereTakenAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	o := &leftOffers{world: w, id: w.chain(0, 2), slots: w.ours(0, 2)}
	ann, bob := caller("ann"), caller("bob")
	hold := func(desk *booking.Desk, c booking.Caller, slots []string) error {
		_, err := desk.Hold(t.Context(), c, booking.HoldRequest{Target: booking.Target{Slots: slots, ByResource: true}})
		return err
	}
	desk := w.newDeskOver(t, o)
	wantCode(t, hold(desk, bob, o.slots), scheduling.SlotTaken)               // at the EHR
	wantCode(t, hold(desk, bob, reversed(o.slots)), scheduling.NotAcceptable) // never an offer

	must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(o.id)}))(t)
	wantCode(t, hold(desk, bob, o.slots), scheduling.SlotTaken)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: o.id}))(t)
	if err := hold(desk, bob, o.slots); err != nil {
		t.Fatalf("just released: %v", err)
	}
	must(desk.Book(t.Context(), bob, booking.BookRequest{Target: booking.Target{Slots: o.slots}, Patients: []string{"p1"}}))(t)
	must(desk.Cancel(t.Context(), bob, booking.CancelRequest{ID: o.id}))(t)
	wantCode(t, hold(desk, ann, o.slots), scheduling.SlotTaken) // that id was used up
}

func reversed(slots []string) []string {
	slots = slices.Clone(slots)
	slices.Reverse(slots)
	return slots
}
