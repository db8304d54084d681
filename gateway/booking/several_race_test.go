package booking_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// onRedis is a store as a gateway has it.
type onRedis struct {
	*cache.Books
	*cache.Holds
	*cache.Keys
}

// TestLaw3OfOverlappingOffersNoSlotIsBookedTwice: a hundred callers at two
// gateways over one Redis.
func TestLaw3OfOverlappingOffersNoSlotIsBookedTwice(t *testing.T) {
	t.Parallel()
	for way := range severalWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, way, 4, time.Now)
			server, sealed := redistest.Start(t), vault.Ephemeral()
			var desks []*booking.Desk
			var books *cache.Books
			for range 2 {
				store, err := cache.Open(t.Context(), cache.Options{URL: server.URL()}, cache.Deps{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = store.Close() })
				books = store.Books(sealed, []scheduling.SourceID{napa})
				if err := books.Open(t.Context(), napa); err != nil {
					t.Fatal(err)
				}
				desks = append(desks, h.desk(t, onRedis{books, store.Holds(), store.Keys(sealed)}, store.Clock(), h.client(t, nil)))
			}
			wants := []string{h.part(0, 0, 2), h.part(0, 1, 3), h.part(0, 2, 4), h.part(0, 1, 2)}
			var booked sync.Map
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					id := wants[rand.IntN(len(wants))] //nolint:gosec // any of them
					if raceFor(t, desks[i%2], fmt.Sprint("c", i), id, i%3) {
						booked.Store(id, true)
					}
				})
			}
			wg.Wait()
			var entries []scheduling.Entry
			for _, id := range wants {
				e, err := books.Read(t.Context(), id)
				if err != nil && !is(err, scheduling.UnknownID) {
					t.Fatal(err)
				}
				if _, told := booked.Load(id); told != (e.State == scheduling.EntryBooked) || e.State.InFlight() {
					t.Errorf("%v is %q, told as booked: %v", e.Offer.SlotIDs(), e.State, told)
				}
				entries = append(entries, e)
			}
			h.whole(t, 0, entries)
			if double := h.srv.DoubleBooked(); len(double) > 0 {
				t.Errorf("booked twice: %v", double)
			}
		})
	}
}

// raceFor books, or holds and books, or holds and gives back. Who does not get it
// is told that it is taken.
func raceFor(t *testing.T, desk *booking.Desk, name, id string, how int) (booked bool) {
	who := caller(name)
	if how > 0 {
		_, err := desk.Hold(t.Context(), who, booking.HoldRequest{Target: target(id)})
		if err == nil && how == 2 {
			_, err = desk.Cancel(t.Context(), who, booking.CancelRequest{ID: id})
			if err != nil {
				t.Errorf("%s gives it back: %v", name, err)
			}
			return false
		}
		if err != nil {
			if !is(err, scheduling.SlotTaken) {
				t.Errorf("%s holds: %v", name, err)
			}
			return false
		}
	}
	v, err := desk.Book(t.Context(), who, bookFor(id, "pat-1"))
	switch {
	case is(err, scheduling.SlotTaken):
		return false
	case err != nil || v.Status != scheduling.ApptBooked || v.InDoubt:
		t.Errorf("%s books: %s, doubt %v, %v", name, v.Status, v.InDoubt, err)
		return false
	}
	return true
}
