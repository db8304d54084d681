package prefetch_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/prefetch"
	"slotgate/scheduling"
)

// practice is a source with two slots on every day asked for.
type practice struct {
	mu    sync.Mutex
	calls int
}

func (p *practice) Directory(context.Context) (scheduling.Directory, scheduling.Tally, error) {
	dir := scheduling.NewDirectory()
	dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1"}
	return dir, nil, nil
}

func (p *practice) Fetch(_ context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	got := scheduling.Fetched{Scope: scope, Complete: true, Windows: map[scheduling.WindowKey][]scheduling.Slot{}}
	for day := scope.Days.From; day < scope.Days.To; day++ {
		key := scheduling.WindowKey{Schedule: "s1", Day: day}
		for i := range 2 {
			at := day.Start(time.UTC).Add(time.Duration(9+i) * time.Hour)
			got.Windows[key] = append(got.Windows[key], scheduling.Slot{
				ID: fmt.Sprint(day, "-", i), Schedule: "s1", Status: scheduling.SlotFree,
				Start: at, End: at.Add(30 * time.Minute),
			})
		}
	}
	return got, nil
}

func (p *practice) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// TestTwoWorkersFillARealRedisAndFillItAgainAfterALoss runs the whole way but
// for the EHR: leases, counters, windows, status and epoch are those of cache.
func TestTwoWorkersFillARealRedisAndFillItAgainAfterALoss(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := &practice{}
	options := prefetch.Options{
		Source:  scheduling.Source{ID: "a", Zone: time.UTC},
		Horizon: 13, LeaseTTL: 2 * time.Second,
	}
	var stores []*cache.Store
	var managers []*prefetch.Manager
	var running sync.WaitGroup
	for range 2 {
		store, err := cache.Open(t.Context(), cache.Options{URL: server.URL()}, cache.Deps{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		m := prefetch.NewManager(prefetch.Deps{Writer: store, Leaser: store, EpochEvery: 100 * time.Millisecond},
			[]prefetch.Job{{Options: options, Fetcher: p}})
		running.Go(func() {
			if err := m.Run(t.Context()); err != nil {
				t.Error("Run:", err)
			}
		})
		stores, managers = append(stores, store), append(managers, m)
	}
	t.Cleanup(running.Wait)

	all := scheduling.Scope{Days: scheduling.Days{From: 0, To: 1 << 20}}
	filled := func(after time.Time) func() bool {
		return func() bool {
			status, ok, err := stores[0].Status(t.Context(), "a")
			if err != nil || !ok || !status.Loaded.After(after) {
				return false
			}
			n, err := stores[0].Known(t.Context(), "a", all)
			return err == nil && n == 28
		}
	}
	eventually(t, "the first load", filled(time.Time{}))
	if states := [2]bool{managers[0].States()[0].Leased, managers[1].States()[0].Leased}; states[0] == states[1] {
		t.Errorf("leased: %v, want one of two", states)
	}
	if n := p.asked(); n > 3 {
		t.Errorf("the source was asked %d times for one load of 3 scopes", n)
	}

	lost := time.Now()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the load after the loss", filled(lost))
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
