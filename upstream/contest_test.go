package upstream

import (
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// Somebody at the clinic books a slot between our claim and our appointment.
func TestLaw3OneYieldsToWhoCameFirstFromUnderItsMark(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, nil)
			offer := w.offer()
			w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultRival, On: "book"})
			_, err := w.Book(t.Context(), bookCall(offer, nil))
			wantCode(t, "book", err, scheduling.SlotTaken)
			stand := w.srv.Appointments("booked")
			if len(stand) != 1 || w.slot(t, offer) != "busy" || len(w.srv.DoubleBooked()) > 0 {
				t.Errorf("the slot is %s, %+v", w.slot(t, offer), stand)
			}
		})
	}
}

// Without a search nobody can tell who came first: that is no booking yet.
func TestLaw3AContestThatNobodyCanDecideIsInDoubt(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, nil)
			w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503, On: "search"})
			made := scheduling.Appointment{ID: "appt-1"}
			_, err := w.contest(t.Context(), w.offer(), made, contested)
			wantCode(t, "without our mark", err, scheduling.InDoubt)
			_, err = w.contest(t.Context(), w.offer(), made, followed)
			wantCode(t, "under our mark", err, scheduling.InDoubt)
		})
	}
}

// A source that makes the slot busy itself takes nothing away.
func TestLaw3WhoIsAloneOnASlotKeepsIt(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, nil)
			offer := w.offer()
			made := w.book(t, offer, nil)
			for _, how := range []outcome{followed, contested} {
				got, err := w.contest(t.Context(), offer, made, how)
				if err != nil || got.ID != made.ID || len(w.srv.Appointments("booked")) != 1 {
					t.Errorf("%+v %v", got, err)
				}
			}
		})
	}
}
