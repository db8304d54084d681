package upstream

import (
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// marks are the systems of our marks on an offer's first slot.
func (w *deskWorld) marks(t *testing.T, offer scheduling.OfferRecord) (marks []string, held bool) {
	t.Helper()
	s, err := w.readSlot(t.Context(), offer.Slots[0].ID, laneBook, false)
	if err != nil {
		t.Fatal(err)
	}
	return s.marks, s.held
}

func TestLaw1ACancelThatWasProvedByReadingFreesItsSlot(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, release, nil, nil)
			offer := w.offer()
			made := w.book(t, offer, nil)
			vacate := scheduling.VacateCall{Offer: offer, Native: made.ID, Identifier: "key-1"}
			wantCode(t, "what stands", w.Vacate(t.Context(), vacate), scheduling.NotAcceptable)
			if s := w.slot(t, offer); s != "busy" {
				t.Fatalf("the slot is %s", s)
			}
			// Cancelled by a call that was cut off before it came to the slot.
			if err := w.withdraw(t.Context(), made.ID); err != nil || w.slot(t, offer) != "busy" {
				t.Fatalf("%v, the slot is %s", err, w.slot(t, offer))
			}
			if err := w.Vacate(t.Context(), vacate); err != nil || w.slot(t, offer) != "free" {
				t.Fatalf("%v, the slot is %s", err, w.slot(t, offer))
			}
			next := bookCall(offer, nil)
			next.Identifier, next.Patients = "key-2", []string{"pat-2"}
			if _, err := w.Book(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			if err := w.Vacate(t.Context(), vacate); err != nil || w.slot(t, offer) != "busy" {
				t.Fatalf("%v, the next patient's slot is %s", err, w.slot(t, offer))
			}
		})
	}
}

func TestLaw1AnotherSlotThanAskedIsCancelledAndBothAreFreed(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		for _, steps := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = steps }, nil)
				offer := w.offer()
				w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultOtherSlot, Count: 1})
				made := w.book(t, offer, nil)
				stands, err := w.srv.Appointment(made.ID)
				if err != nil || stands.Slots[0] == offer.Slots[0].ID || w.slot(t, offer) != "busy" {
					t.Fatalf("%v: %+v, the slot asked for is %s", err, stands, w.slot(t, offer))
				}
				call := scheduling.CancelCall{Offer: offer, Native: made.ID, Identifier: "key-1"}
				if err := w.Cancel(t.Context(), call); err != nil {
					t.Fatal(err)
				}
				other, err := w.srv.Slot(stands.Slots[0])
				if err != nil || other.Status != "free" || w.slot(t, offer) != "free" {
					t.Errorf("%v: the other slot is %s, the one asked for %s", err, other.Status, w.slot(t, offer))
				}
			})
		}
	}
}

func TestLaw3TheClaimOfABookingIsNoHold(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, func(o *Options) {
				hasty(o)
				o.Quirks.Search = "none"
			})
			offer := w.offer()
			hold := w.hold(t, offer)
			if _, held := w.marks(t, offer); !held {
				t.Fatal("a hold does not bear the mark of one")
			}
			w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "book"})
			_, err := w.Book(t.Context(), bookCall(offer, hold))
			wantCode(t, "book", err, scheduling.InDoubt)
			w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
			// Nobody can search: what stands there must not be sold again.
			wantCode(t, "release", w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: *hold}), scheduling.NotAcceptable)
			states, err := w.SlotStates(t.Context(), offer.SlotIDs(), scheduling.ForSettle)
			if err != nil || states[0].Status != scheduling.SlotTentative || states[0].Mark != "" {
				t.Errorf("%+v %v", states, err)
			}
		})
	}
}

func TestAHoldIsAsItWasAfterARefusedBooking(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, nil)
			offer := w.offer()
			hold := w.hold(t, offer)
			s, err := w.readSlot(t.Context(), offer.Slots[0].ID, laneBook, false)
			if err != nil {
				t.Fatal(err)
			}
			before := s.markedUntil()
			w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 422, On: "book", Path: "/Appointment"})
			_, err = w.Book(t.Context(), bookCall(offer, hold))
			wantCode(t, "book", err, scheduling.NotAcceptable)
			if s, err = w.readSlot(t.Context(), offer.Slots[0].ID, laneBook, false); err != nil || !s.heldBy(hold.ETag) || !s.markedUntil().Equal(before) || before.IsZero() {
				t.Fatalf("%v: %s under %v until %s, was %s", err, s.slot.Status, s.marks, s.markedUntil(), before)
			}
			w.fault(t, ehrsim.Fault{ID: "none", Kind: ehrsim.FaultLatency})
			w.book(t, offer, hold)
			if s := w.slot(t, offer); s != "busy" {
				t.Errorf("the slot is %s", s)
			}
		})
	}
}

func TestLaw12TheClaimOfABookingThatNeverCameIsFreed(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, func(o *ehrsim.Options) { o.NoTransactions = true }, nil)
	offer := w.offer()
	how := w.claimFor(bookCall(offer, nil))
	if _, err := w.claimSlots(t.Context(), offer, how); err != nil { // and then it is cut off
		t.Fatal(err)
	}
	wantCode(t, "release", w.Release(t.Context(), scheduling.ReleaseCall{Offer: offer, Hold: scheduling.Hold{ETag: markPart + "key-1"}}), scheduling.NotAcceptable)
	if err := w.Vacate(t.Context(), scheduling.VacateCall{Offer: offer, Identifier: "key-1"}); err != nil || w.slot(t, offer) != "free" {
		t.Errorf("%v, the slot is %s", err, w.slot(t, offer))
	}
}
