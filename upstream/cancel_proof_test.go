package upstream

import (
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestLaw1NoSlotIsFreedBeforeTheCancelIsProved(t *testing.T) {
	t.Parallel()
	for name, release := range bothReleases {
		for what, fault := range map[string]ehrsim.Fault{
			"a cancel that is told and not done": {Kind: ehrsim.FaultFalseCancel},
			"a cancel that cannot be read back":  {Kind: ehrsim.FaultStatus, Status: 503, On: "read", Path: "/Appointment", Skip: 1},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				w := worldOf(t, Slots, release, func(o *ehrsim.Options) { o.NoTransactions = true }, hasty)
				offer := w.offer()
				made := w.book(t, offer, nil)
				w.fault(t, fault)
				call := scheduling.CancelCall{Offer: offer, Native: made.ID}
				wantCode(t, "cancel", w.Cancel(t.Context(), call), scheduling.InDoubt)
				if s := w.slot(t, offer); s != "busy" {
					t.Errorf("the slot is %s", s)
				}
				w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultLatency})
				if err := w.Cancel(t.Context(), call); err != nil || w.slot(t, offer) != "free" || len(w.srv.Appointments("booked")) != 0 {
					t.Errorf("cancelled in earnest: %v, the slot is %s", err, w.slot(t, offer))
				}
			})
		}
	}
}

func TestLaw1NoSlotIsFreedBeforeTheMoveIsProved(t *testing.T) {
	t.Parallel()
	w := worldOf(t, Slots, scheduling.R4, nil, func(o *Options) { o.Quirks.Reschedule = "move" })
	old, next := w.offer(), w.offer()
	made := w.book(t, old, nil)
	w.fault(t, ehrsim.Fault{Kind: ehrsim.FaultFalseCancel})
	call := bookCall(next, nil)
	call.Identifier, call.Moves, call.MovesETag = "key-2", made.ID, made.ETag
	_, err := w.Book(t.Context(), call)
	wantCode(t, "a move that is told and not done", err, scheduling.InDoubt)
	if s := w.slot(t, old); s != "busy" {
		t.Errorf("the old slot is %s", s)
	}
}
