package cache_test

import (
	"maps"
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// What two gateways show is counted together, by source and day in the place's
// zone, for this hour and the one before.
func TestWhatAnswersShowIsCountedOverAllGateways(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := open(t, server.URL()), open(t, server.URL())
	zone := time.FixedZone("west", -8*3600)
	hit := func(source scheduling.SourceID, at string) scheduling.Hit {
		start, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		return scheduling.Hit{Offer: scheduling.Offer{
			Slots: []scheduling.Slot{{Start: start, End: start.Add(time.Hour)}}, Setting: &scheduling.Setting{Source: source, Zone: zone},
		}}
	}
	evening := hit("napa", "2026-02-04T02:00:00Z") // still the third there
	third := scheduling.DayOf(evening.Start(), zone)
	now := time.Date(2026, 2, 1, 12, 30, 0, 0, time.UTC)
	a, b := one.Demand(), two.Demand()
	var running sync.WaitGroup
	for _, d := range []*cache.Demand{a, b} {
		for range 5 {
			running.Go(func() {
				for range 10 {
					d.Shown([]scheduling.Hit{evening, evening, hit("napa", "2026-02-04T20:00:00Z"), hit("sonoma", "2026-02-04T20:00:00Z")})
				}
			})
		}
	}
	running.Wait()
	for _, d := range []*cache.Demand{a, b} {
		if err := d.FlushAt(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if err := d.FlushAt(t.Context(), now); err != nil { // nothing twice
			t.Fatal(err)
		}
	}
	want := scheduling.Demand{third: 200, third + 1: 100}
	for _, tc := range []struct {
		after time.Duration
		want  scheduling.Demand
	}{{0, want}, {time.Hour, want}, {2 * time.Hour, scheduling.Demand{}}, {-time.Hour, scheduling.Demand{}}} {
		got, err := two.WantedAt(t.Context(), "napa", now.Add(tc.after))
		if err != nil || !maps.Equal(got, tc.want) {
			t.Errorf("%v later: %v, %v", tc.after, got, err)
		}
	}
	c := client(t, server.URL())
	for _, key := range c.Keys(t.Context(), "*shown*").Val() {
		if ttl := c.TTL(t.Context(), key).Val(); ttl <= time.Hour || ttl > 3*time.Hour {
			t.Errorf("%s is kept for %v", key, ttl)
		}
	}
}

func TestACountThatCannotBeWrittenOrReadHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	store := open(t, "redis://127.0.0.1:1/0")
	d := store.Demand()
	d.Shown(nil)
	if err := d.FlushAt(t.Context(), time.Now()); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
	d.Shown([]scheduling.Hit{{Offer: scheduling.Offer{
		Slots: []scheduling.Slot{{Start: time.Now(), End: time.Now()}}, Setting: &scheduling.Setting{Source: "napa", Zone: time.UTC},
	}}})
	if err := d.FlushAt(t.Context(), time.Now()); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Errorf("%v", err)
	}
	if _, err := store.Wanted(t.Context(), "napa"); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Errorf("%v", err)
	}
}
