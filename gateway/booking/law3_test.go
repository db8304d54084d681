package booking_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// crowd lets many callers book the same slots through two desks at once.
func (w *world) crowd(t *testing.T, callers int, held bool) (booked, refused int) {
	t.Helper()
	desks := []*booking.Desk{w.desk, w.newDesk(t, w.store, w.ehr)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callers {
		for slot := range w.slots {
			id := w.offer(slot)
			wg.Go(func() {
				name, desk := fmt.Sprint("c", i), desks[i%2]
				var err error
				var v booking.View
				if held {
					_, err = desk.Hold(t.Context(), booking.Caller{Principal: name, Holds: 100}, booking.HoldRequest{Target: target(id)})
				}
				if err == nil {
					v, err = desk.Book(t.Context(), caller(name), bookFor(id, name))
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && v.Status == scheduling.ApptBooked && !v.InDoubt:
					booked++
				case is(err, scheduling.SlotTaken):
					refused++
				default:
					t.Errorf("%s: %s doubt %v, %v", name, v.Status, v.InDoubt, err)
				}
			})
		}
	}
	wg.Wait()
	return booked, refused
}

func TestLaw3OneSlotOneWinner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		held, lax bool
	}{
		{name: "the EHR is the judge"},
		{name: "held first", held: true},
		{name: "an EHR that books everything: one among our callers", lax: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.ehr.Be(bookingtest.Lax, c.lax)
			booked, refused := w.crowd(t, 40, c.held)
			if booked != 4 || refused != 4*39 {
				t.Fatalf("%d booked, %d refused; want 4 and 156", booked, refused)
			}
			for i := range w.slots {
				if got := w.standing(i); len(got) != 1 {
					t.Fatalf("slot %d: %v", i, got)
				}
			}
			if list := must(w.desk.Unsettled(t.Context()))(t); len(list) != 0 {
				t.Fatalf("%d in doubt at the end", len(list))
			}
		})
	}
}

func TestOneCallerBooksOnceHoweverOftenItAsks(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "the-key"} {
		w := newWorld(t, 1)
		id := w.offer(0)
		var wg sync.WaitGroup
		for i := range 20 {
			desk := w.desk
			if i%2 == 1 {
				desk = w.newDesk(t, w.store, w.ehr)
			}
			wg.Go(func() {
				req := bookFor(id, "p1")
				req.Key = key
				v, err := desk.Book(t.Context(), caller("ann"), req)
				if err != nil || v.Status != scheduling.ApptBooked || v.Entry.ID != id {
					t.Errorf("%s %v", v.Status, err)
				}
			})
		}
		wg.Wait()
		if n := w.ehr.Writes[scheduling.CallBook]; n != 1 {
			t.Fatalf("%d calls, want 1", n)
		}
	}
}

func TestLaw4ATakenSlotStaysAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id := w.offer(0)
	stale := staleOffers{w, id}
	desk := w.newDeskOver(t, stale)
	must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)}))(t)
	_, err := desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(id)})
	wantCode(t, err, scheduling.SlotTaken)
	_, err = desk.Book(t.Context(), caller("bob"), bookFor(id, "p2"))
	wantCode(t, err, scheduling.SlotTaken)
	must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
	if !w.store.Fenced(napa, "s0") || w.refetches() == 0 {
		t.Fatal("a released slot came back without a fetch that began afterwards")
	}
}

// staleOffers is a replica whose feed lags behind: it still shows the offer.
type staleOffers struct {
	*world
	id string
}

func (s staleOffers) Offer(id string) (scheduling.Hit, bool) {
	return scheduling.Hit{Offer: scheduling.Offer{ID: id, Slots: s.slots[:1], Setting: s.setting}}, id == s.id
}

func TestRunSweepsUntilItIsToldToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.opts.SettleEvery = time.Millisecond
	desk := w.newDesk(t, w.store, w.ehr)
	id := w.offer(0)
	must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: target(id)}))(t)
	w.clock.Advance(10 * time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- desk.Run(ctx) }()
	for deadline := time.Now().Add(2 * time.Minute); w.ehr.Slot("s0") != scheduling.SlotFree; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an expired hold was never released")
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.store.Settling(t.Context(), napa, time.Second); err != nil || !ok {
		t.Fatalf("the lease was not given back: %v", err)
	}
}
