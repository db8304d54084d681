package booking_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// TestLaw3OneAppointmentIsReplacedOnce: many bookings want to take the place of
// one appointment, each with another offer, through two desks. One does; to the
// others the EHR was never asked.
func TestLaw3OneAppointmentIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for _, way := range []scheduling.RescheduleWay{scheduling.BookFirst, scheduling.Move, scheduling.CancelFirst} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			const rivals = 30
			w := newWorld(t, rivals+1, func(can *scheduling.Abilities) { can.Reschedule = way })
			old, ann := w.offer(0), caller("ann")
			ann.Holds = 100
			must(w.desk.Book(t.Context(), ann, bookFor(old, "p1")))(t)
			desks := []*booking.Desk{w.desk, w.newDesk(t, w.store, w.ehr)}
			var mu sync.Mutex
			var wg sync.WaitGroup
			booked := 0
			for i := range rivals {
				req := bookFor(w.offer(i+1), "p1")
				req.Replaces = old
				wg.Go(func() {
					v, err := desks[i%2].Book(t.Context(), ann, req)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil && v.Status == scheduling.ApptBooked && !v.InDoubt:
						booked++
					case errors.Is(err, booking.ErrState):
					default:
						t.Errorf("%s doubt %v, %v", v.Status, v.InDoubt, err)
					}
				})
			}
			wg.Wait()
			stand := 0
			for _, a := range w.ehr.Appointments() {
				if a.Status.Stands() {
					stand++
				}
				if a.Status == scheduling.ApptPending {
					t.Errorf("a hold is left behind: %+v", a)
				}
			}
			if booked != 1 || stand != 1 || w.ehr.Writes[scheduling.CallBook] != 2 || len(w.standing(0)) != 0 {
				t.Fatalf("%d booked, %d stand, %d calls", booked, stand, w.ehr.Writes[scheduling.CallBook])
			}
			// Nor can it be replaced once more, as long as the one that did stands.
			late := bookFor(w.offer(rivals), "p1")
			for i := range rivals {
				if len(w.standing(i+1)) == 0 {
					late = bookFor(w.offer(i+1), "p1")
				}
			}
			late.Replaces = old
			if _, err := w.desk.Book(t.Context(), ann, late); !errors.Is(err, booking.ErrState) {
				t.Fatalf("replaced twice: %v", err)
			}
		})
	}
}

func TestARescheduleThatCameToNothingLeavesThePlaceToAnother(t *testing.T) {
	t.Parallel()
	for _, way := range []scheduling.RescheduleWay{scheduling.BookFirst, scheduling.Move, scheduling.CancelFirst} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 3, func(can *scheduling.Abilities) { can.Reschedule = way })
			old, ann := w.offer(0), caller("ann")
			must(w.desk.Book(t.Context(), ann, bookFor(old, "p1")))(t)
			w.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
			req := bookFor(w.offer(1), "p1")
			req.Replaces = old
			_, err := w.desk.Book(t.Context(), ann, req)
			wantCode(t, err, scheduling.NotAcceptable)
			w.settle(t, w.desk, time.Hour)
			wantStatus(t, must(w.desk.Read(t.Context(), ann, old))(t), scheduling.ApptBooked)
			if w.ehr.Slot("s1") != scheduling.SlotFree {
				t.Fatal("a hold of a reschedule that came to nothing is left")
			}
			next := bookFor(w.offer(2), "p1")
			next.Replaces = old
			wantStatus(t, must(w.desk.Book(t.Context(), ann, next))(t), scheduling.ApptBooked)
			wantStatus(t, must(w.desk.Read(t.Context(), ann, old))(t), scheduling.ApptCancelled)
		})
	}
}
