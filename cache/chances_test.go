package cache

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

func TestWhatBecameOfOffersIsLearntByAllNodesAndFades(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	now := time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)
	var nodes []*Chances
	for range 2 {
		s, err := Open(t.Context(), Options{URL: server.URL()}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		nodes = append(nodes, s.Chances())
	}
	var learning sync.WaitGroup
	for _, node := range nodes {
		learning.Go(func() {
			for i := range 10 {
				node.learnAt("napa", 20*time.Second, i < 1, now)
				node.learnAt("napa", 20*time.Hour, i < 5, now)
				node.learnAt("napa", time.Second, true, now.Add(-30*24*time.Hour)) // long forgotten
			}
			node.learnAt("york", time.Second, false, now)
		})
	}
	learning.Wait()
	for _, node := range nodes {
		for range 2 { // nothing twice
			if err := node.flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(at time.Time) []scheduling.Chance {
		t.Helper()
		if err := nodes[1].read(t.Context(), []scheduling.SourceID{"napa", "none"}, at); err != nil {
			t.Fatal(err)
		}
		return nodes[1].Of("napa")
	}
	got := read(now)
	if len(got) != 2 || got[0] != (scheduling.Chance{UpTo: 30 * time.Second, Asked: 20, There: 18}) || got[1] != (scheduling.Chance{Asked: 20, There: 10}) {
		t.Errorf("%+v", got)
	}
	if n, err := nodes[0].store.client.HLen(t.Context(), nodes[0].store.keys.source("napa").chances()).Result(); err != nil || n != 4 {
		t.Errorf("%d fields are kept, %v", n, err)
	}
	shown := make(chan prometheus.Metric, 100)
	nodes[1].Collect(shown)
	if len(shown) != 4 {
		t.Errorf("%d metrics are shown", len(shown))
	}
	later := read(now.Add(4 * 24 * time.Hour))
	if math.Abs(later[0].Asked-10) > 1e-9 || math.Abs(later[0].Share()-0.9) > 1e-9 {
		t.Errorf("four days later: %+v", later)
	}
	if nodes[1].Of("none") != nil || nodes[1].Of("york") != nil {
		t.Error("something is known of nothing")
	}
}

func TestCountsThatCannotBeReadCountForNothing(t *testing.T) {
	t.Parallel()
	chances, old := weigh(map[string]string{
		"100.0.k": "3", "100.0.t": "-1", "100.99.k": "1", "x.0.k": "1", "100.k": "1", "100.-1.k": "1", "100.1.t": "many",
	}, 100)
	if len(old) != 6 || len(chances) != 1 || chances[0].Asked != 3 {
		t.Errorf("%+v, %v", chances, old)
	}
}
