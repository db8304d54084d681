package prefetch_test

import (
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// TestLaw8SimulatorThatSpoilsItsSlotsKeepsThemInARealRedis runs the whole way:
// nonsense on the wire, and what a gateway would show.
func TestLaw8SimulatorThatSpoilsItsSlotsKeepsThemInARealRedis(t *testing.T) {
	t.Parallel()
	for _, kind := range []ehrsim.FaultKind{ehrsim.FaultReversed, ehrsim.FaultTwinIDs, ehrsim.FaultDangling} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			sim, store := prefetched(t)
			known := func() int {
				n, err := store.Known(t.Context(), "a", scheduling.Scope{Days: scheduling.Days{From: 0, To: 1 << 20}})
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			status := func() scheduling.Status {
				st, _, err := store.Status(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				return st
			}
			eventually(t, "the first load", func() bool { return !status().Loaded.IsZero() })
			before := known()
			if _, err := sim.SetFaults(ehrsim.Fault{Kind: kind, Path: "/Slot", Every: 1}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the count of what cannot be used", func() bool { return status().Unusable.Total() > 0 && status().Incomplete })
			if n := known(); before < 10 || n != before {
				t.Errorf("%d slots are known, %d before", n, before)
			}
			if _, err := sim.SetFaults(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the source's recovery", func() bool { return !status().Incomplete && known() == before })
		})
	}
}

// prefetched is a simulated EHR and the Redis that it is prefetched into.
func prefetched(t *testing.T) (*ehrsim.Server, *cache.Store) {
	t.Helper()
	sim, err := ehrsim.New(ehrsim.Options{Seed: 7, Practitioners: 4, Days: 6})
	if err != nil {
		t.Fatal(err)
	}
	base, err := sim.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	o := upstream.Options{ID: "a", Base: base, Dialect: upstream.Slots}
	o.Limits.Rate, o.Limits.Concurrency, o.Quirks.Total = 10_000, 8, upstream.TotalNone
	clients, err := upstream.NewRegistry([]upstream.Options{o}, upstream.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clients.Close() })
	client, _ := clients.Get("a")
	store, err := cache.Open(t.Context(), cache.Options{URL: redistest.Start(t).URL()}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	m := prefetch.NewManager(prefetch.Deps{Writer: store, Leaser: store}, []prefetch.Job{{
		Options: prefetch.Options{
			Source: scheduling.Source{ID: "a", Zone: time.UTC, MaxAge: time.Hour},
			Cron:   "@every 1s", Horizon: 5, MiddleEvery: 1, FarEvery: 1,
		},
		Fetcher: client,
	}})
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(t.Context()); err != nil {
			t.Error("Run:", err)
		}
	})
	t.Cleanup(running.Wait)
	return sim, store
}
