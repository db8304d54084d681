package booking_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// TestLaw5ADeskThatDiesAmongSeveralSlotsLeavesNoneHalf: at whichever request to
// the EHR the desk is killed, another one settles what it left by reading.
func TestLaw5ADeskThatDiesAmongSeveralSlotsLeavesNoneHalf(t *testing.T) {
	t.Parallel()
	for way := range severalWays {
		for name, journey := range map[string]func(context.Context, *booking.Desk, *booking.Desk, string) error{
			"book": func(ctx context.Context, mortal, _ *booking.Desk, id string) error {
				_, err := mortal.Book(ctx, caller("ann"), bookFor(id, "pat-1"))
				return err
			},
			"hold and book": func(ctx context.Context, mortal, _ *booking.Desk, id string) error {
				_, err := mortal.Hold(ctx, caller("ann"), booking.HoldRequest{Target: target(id)})
				if err == nil {
					_, err = mortal.Book(ctx, caller("ann"), bookFor(id, "pat-1"))
				}
				return err
			},
			"hold and release": func(ctx context.Context, mortal, _ *booking.Desk, id string) error {
				_, err := mortal.Hold(ctx, caller("ann"), booking.HoldRequest{Target: target(id)})
				if err == nil {
					_, err = mortal.Cancel(ctx, caller("ann"), booking.CancelRequest{ID: id})
				}
				return err
			},
			"cancel": func(ctx context.Context, mortal, other *booking.Desk, id string) error {
				if _, err := other.Book(ctx, caller("ann"), bookFor(id, "pat-1")); err != nil {
					return err
				}
				_, err := mortal.Cancel(ctx, caller("ann"), booking.CancelRequest{ID: id})
				return err
			},
		} {
			// Elsewhere one call does it, for one slot and for several.
			if name != "book" && way != "argonaut" && way != "slot by slot" {
				continue
			}
			t.Run(way+": "+name, func(t *testing.T) {
				t.Parallel()
				step := 3 // before a request, after another
				if way == "slot by slot" && name == "book" {
					step = 1
				}
				killEverywhere(t, way, step, journey)
			})
		}
	}
}

func killEverywhere(t *testing.T, way string, step int, journey func(context.Context, *booking.Desk, *booking.Desk, string) error) {
	t.Helper()
	clock := bookingtest.NewClock(opening.Add(-72 * time.Hour))
	frozen := clock.Now()
	h := newHouse(t, way, 3, func() time.Time { return frozen })
	w := &world{clock: clock, store: bookingtest.NewStore(clock)}
	other := h.desk(t, w.store, clock, h.client(t, nil))
	for kill := 0; ; kill += step {
		if kill >= len(h.chains) {
			t.Fatal("it never ends")
		}
		f, road := newFuse(), &http.Transport{}
		mortal := h.desk(t, w.store, clock, h.client(t, mortalRoad{f, road}))
		id := h.part(kill, 0, 3)
		f.left.Store(int64(kill))
		var err error
		died := dying(func() { err = journey(context.WithoutCancel(t.Context()), mortal, other, id) })
		f.left.Store(-1)
		road.CloseIdleConnections()
		if !died && err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
		w.settle(t, other, 3*time.Hour)
		h.whole(t, kill, w.store.Entries())
		for _, e := range w.store.Entries() {
			if e.ID == id && (e.State.InFlight() || e.State == scheduling.EntryDoubt || e.State == scheduling.EntryHeld) {
				t.Fatalf("kill %d: it never ended: %s", kill, e.State)
			}
		}
		if t.Failed() {
			t.Fatalf("at half request %d", kill)
		}
		if !died {
			return
		}
	}
}

// TestLaw5AnEHRThatDiesAmongSeveralSlotsLeavesNoneHalf: the EHR is gone from the
// second slot on, or did it and could not say so.
func TestLaw5AnEHRThatDiesAmongSeveralSlotsLeavesNoneHalf(t *testing.T) {
	t.Parallel()
	for _, kind := range []ehrsim.FaultKind{ehrsim.FaultLost, ehrsim.FaultCommitLost, ehrsim.FaultDie, ehrsim.FaultCommitError} {
		for at := range 3 {
			t.Run(fmt.Sprint(kind, " at slot ", at+1), func(t *testing.T) {
				t.Parallel()
				clock := bookingtest.NewClock(opening.Add(-72 * time.Hour))
				frozen := clock.Now()
				h := newHouse(t, "slot by slot", 3, func() time.Time { return frozen })
				w := &world{clock: clock, store: bookingtest.NewStore(clock)}
				desk := h.desk(t, w.store, clock, h.client(t, nil))
				// Everything fails from then on.
				if _, err := h.srv.SetFaults(
					ehrsim.Fault{Kind: kind, Path: "/Slot/" + h.chains[0][at].ID, On: "hold", Count: 1},
					ehrsim.Fault{Kind: ehrsim.FaultReset, Skip: 3 + at, Count: 6},
				); err != nil {
					t.Fatal(err)
				}
				v, err := desk.Book(t.Context(), caller("ann"), bookFor(h.part(0, 0, 3), "pat-1"))
				if err == nil && v.Status == scheduling.ApptBooked && !v.InDoubt {
					t.Fatalf("told as booked: %+v", v)
				}
				w.settle(t, desk, 3*time.Hour)
				h.whole(t, 0, w.store.Entries())
				if n := len(h.srv.Appointments("booked")); n != 0 {
					t.Errorf("%d are booked", n)
				}
				if _, err := h.srv.SetFaults(); err != nil {
					t.Fatal(err)
				}
				if again := must(desk.Book(t.Context(), caller("bob"), bookFor(h.part(0, 1, 3), "pat-2")))(t); again.Status != scheduling.ApptBooked {
					t.Errorf("the slots are not free again: %s", again.Status)
				}
			})
		}
	}
}
