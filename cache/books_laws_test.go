package cache_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/replica"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// clinic is a source with three slots three days ahead, kept in Redis by two
// gateways, one of which has a replica.
type clinic struct {
	t       *testing.T
	stores  []*cache.Store
	books   []*cache.Books
	vault   *vault.Vault
	client  *redis.Client
	replica *replica.Replica
	slots   []scheduling.Slot
	window  scheduling.WindowKey
}

func newClinic(t *testing.T, url string) *clinic {
	t.Helper()
	w := &clinic{t: t, vault: vault.Ephemeral(), client: client(t, url)}
	for i := range 3 {
		w.slots = append(w.slots, slotAt(fmt.Sprint("x", i)))
	}
	w.window = scheduling.WindowKey{Schedule: "s1", Day: scheduling.DayOf(w.slots[0].Start, time.UTC)}
	for range 2 {
		s := open(t, url, func(o *cache.Options) { o.PutBack = time.Millisecond })
		w.stores = append(w.stores, s)
		w.books = append(w.books, newBooks(t, s, w.vault))
	}
	w.replica = replica.New(replica.Options{Sources: []scheduling.Source{{
		ID: source, Release: scheduling.R4, Zone: time.UTC, MaxAge: 24 * time.Hour, StaleAfter: time.Hour, Horizon: 60,
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.stores[0].Follow(ctx, []scheduling.SourceID{source}, w.replica) }()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// filled says that a worker has filled the source.
func (w *clinic) filled() {
	w.t.Helper()
	dir := scheduling.NewDirectory()
	dir.Practitioners["who"] = &scheduling.Practitioner{ID: "who"}
	dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1", Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "who"}}}
	must(w.t, w.stores[0].PutDirectory(w.t.Context(), source, dir))
	now := time.Now().UTC()
	must(w.t, w.stores[0].PutStatus(w.t.Context(), scheduling.Status{Source: source, Tried: now, LastSync: now, Loaded: now}))
}

// answer is one that shows every slot free, as an EHR's search cache may.
func (w *clinic) answer() scheduling.Fetched {
	return scheduling.Fetched{
		Scope:    scheduling.Scope{Days: scheduling.Days{From: w.window.Day, To: w.window.Day + 1}},
		Complete: true, Windows: map[scheduling.WindowKey][]scheduling.Slot{w.window: w.slots},
	}
}

func (w *clinic) begin() uint64 {
	w.t.Helper()
	n, err := w.stores[1].Begin(w.t.Context(), source)
	must(w.t, err)
	return n
}

func (w *clinic) replace(fetch uint64) error {
	_, err := w.stores[1].Replace(w.t.Context(), source, fetch, time.Now(), w.answer())
	return err
}

// shows tells which slots the replica offers, by the ids of these generations.
func (w *clinic) shows(generations map[string]uint32) []string {
	var open []string
	for _, s := range w.slots {
		if _, ok := w.replica.Offer(scheduling.OfferID(source, generations[s.ID], s.ID)); ok {
			open = append(open, s.ID)
		}
	}
	return open
}

func (w *clinic) claims() map[string]string {
	return w.client.HGetAll(w.t.Context(), "slotgate:{s:napa}:claims").Val()
}

func TestLaw4NoFetchThatBeganBeforeTheClaimEndedBringsTheSlotBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		w := newClinic(t, server.URL())
		w.filled()
		must(t, w.replace(w.begin()))
		all := []string{"x0", "x1", "x2"}
		offers := func(what string, want ...string) {
			t.Helper()
			eventually(t, what, func() bool { return slices.Equal(w.shows(nil), want) })
		}
		offers("all are offered", all...)
		before := w.begin()
		e := save(t, w.books[0], taking(entryOf(scheduling.EntryHolding, "p1", 0, "x1")))
		offers("a claimed slot is not", "x0", "x2")
		if _, err := w.books[1].Save(t.Context(), taking(entryOf(scheduling.EntryHolding, "p2", 0, "x1", "x2"))); scheduling.CodeOf(err) != scheduling.SlotTaken {
			t.Fatalf("another gateway takes it: %v", err)
		}
		during := w.begin()
		must(t, w.replace(before))
		e.State = scheduling.EntryFree
		save(t, w.books[1], scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
		after := w.begin()
		must(t, w.replace(during))
		// The feed has been read to here once this is known.
		must(t, w.stores[1].PutStatus(t.Context(), scheduling.Status{Source: source, Failures: 7}))
		eventually(t, "the feed is read", func() bool { return w.replica.Sources()[0].Status.Failures == 7 })
		offers("fetches that began before do not bring it back", "x0", "x2")
		must(t, w.replace(after))
		offers("one that began afterwards does", all...)

		e, err := w.books[0].Read(t.Context(), e.ID)
		must(t, err)
		e.State = scheduling.EntryHolding
		e = save(t, w.books[0], taking(e))
		offers("it is claimed again", "x0", "x2")
		e.State = scheduling.EntryFree
		save(t, w.books[0], scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsDrop})
		offers("what nothing happened to is back at once", all...)
	})
}

func TestAUsedSlotIsOfferedUnderAnotherID(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		w := newClinic(t, server.URL())
		w.filled()
		for generation := range uint32(3) {
			e := save(t, w.books[0], taking(entryOf(scheduling.EntryBooking, "p1", generation, "x1")))
			e.State, e.Used = scheduling.EntryBooked, true
			e = save(t, w.books[0], scheduling.EntryChange{Entry: e})
			e.State = scheduling.EntryCancelled
			save(t, w.books[1], scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence}) // used already: raises nothing
			must(t, w.replace(w.begin()))
			want := map[string]uint32{"x1": generation + 1}
			eventually(t, "the next id", func() bool { return len(w.shows(want)) == 3 })
			if _, ok := w.replica.Offer(e.ID); ok {
				t.Fatal("the used id is offered")
			}
			got, err := w.books[1].Read(t.Context(), e.ID)
			if err != nil || got.State != scheduling.EntryCancelled {
				t.Fatalf("the used id answers %v, %v", got.State, err)
			}
		}
	})
}
