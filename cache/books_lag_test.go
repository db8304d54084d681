package cache_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/embedded"
	"slotgate/scheduling"
)

func TestLaw4AFetchThatBeginsWhileSearchesAreBehindBringsNoSlotBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		w := newClinic(t, server.URL())
		long := strings.Repeat("x", 300) // its length takes two bytes
		w.slots[1] = slotAt(long)
		w.filled()
		must(t, w.replace(w.begin()))
		offers := func(what string, want ...string) {
			t.Helper()
			// The feed has been read to here once this is known.
			must(t, w.stores[1].PutStatus(t.Context(), scheduling.Status{Source: source, Failures: len(what)}))
			eventually(t, what, func() bool {
				return w.replica.Sources()[0].Status.Failures == len(what) && slices.Equal(w.shows(nil), want)
			})
		}
		offers("all are offered", "x0", long, "x2")
		taken := save(t, w.books[0], taking(entryOf(scheduling.EntryHolding, "p1", 0, long)))
		taken.State = scheduling.EntryFree
		save(t, w.books[1], scheduling.EntryChange{Entry: taken, Claims: scheduling.ClaimsFence, Lag: time.Hour})
		for range 3 {
			must(t, w.replace(w.begin())) // the source's search still shows it free
		}
		offers("what may be old is not shown", "x0", "x2")
		late := w.begin()
		over := float64(time.Now().Add(-time.Minute).UnixMilli())
		must(t, w.client.ZAdd(t.Context(), "slotgate:{s:napa}:lagging", redis.Z{Score: over, Member: long}).Err())
		must(t, w.replace(late))
		offers("one that began before that is old", "x0", "x2")
		must(t, w.replace(w.begin()))
		offers("one that began afterwards is believed", "x0", long, "x2")
		if n := w.client.ZCard(t.Context(), "slotgate:{s:napa}:lagging").Val(); n != 0 {
			t.Errorf("%d slots are fenced for ever", n)
		}
	})
}
