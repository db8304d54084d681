package replica

import (
	"context"
	"errors"
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestAgesTellWhenWeLookedAndWhenItWasTrue(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	now := time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }})
	today := scheduling.DayOf(now, source.Zone)
	var slots []scheduling.Slot
	for _, day := range []int{0, 1, 5, 20, 30} {
		slots = append(slots, slotsOn("sched", (today+scheduling.Day(day)).String(), (today+scheduling.Day(day)).Start(source.Zone).Add(18*time.Hour), 2)...)
	}
	written := now.Add(-time.Hour)
	check := func(from, to int, age, valid time.Duration) scheduling.Check {
		c := scheduling.Check{Scope: scheduling.Scope{Days: scheduling.Days{From: today + scheduling.Day(from), To: today + scheduling.Day(to)}}, Fetch: 2, At: now.Add(-age)}
		if valid > 0 {
			c.Valid = now.Add(-valid)
		}
		return c
	}
	r.Load("a", scheduling.Snapshot{
		Loaded: true, Directory: dir, Windows: windowsOf(slots, source.Zone, 1, written), Status: fine("a", now),
		Checks: []scheduling.Check{check(0, 2, 10*time.Second, 40*time.Second), check(2, 14, 5*time.Minute, 0)},
	})
	want := []scheduling.TierAge{
		{Tier: "near", Windows: 2, Checked: spread(2, 10*time.Second), Valid: spread(2, 40*time.Second), Changed: spread(2, time.Hour)},
		{Tier: "middle", Windows: 1, Checked: spread(1, 5*time.Minute), Changed: spread(1, time.Hour)},
		{Tier: "far", Windows: 2, Checked: spread(2, time.Hour), Changed: spread(2, time.Hour)},
	}
	for i, got := range r.Ages("a") {
		if got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
	// A later look whose source tells no time says nothing of when it was true.
	later := check(0, 2, time.Second, 0)
	r.Apply("a", scheduling.Change{Check: &later})
	if near := r.Ages("a")[0]; near.Checked != spread(2, time.Second) || near.Valid.Count != 0 {
		t.Errorf("%+v", near)
	}
	if r.Ages("b") != nil {
		t.Error("there is no such source")
	}
}

func spread(n int, age time.Duration) scheduling.Spread {
	return scheduling.Spread{Count: n, P50: age, P99: age}
}

func TestSpreadsAreOfTheNearestRank(t *testing.T) {
	t.Parallel()
	var ages []time.Duration
	for i := range 100 {
		ages = append(ages, time.Duration(100-i)*time.Second)
	}
	if got := spreadOf(ages); got.P50 != 50*time.Second || got.P99 != 99*time.Second {
		t.Errorf("%+v", got)
	}
	if got := spreadOf([]time.Duration{-time.Second}); got.P99 != 0 {
		t.Errorf("from a clock that is ahead: %+v", got)
	}
}

func TestWhoAwaitsAConfirmationHearsOfItOnce(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	now := time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }})
	day := scheduling.DayOf(now, source.Zone)
	start := day.Start(source.Zone).Add(18 * time.Hour)
	r.Load("a", scheduling.Snapshot{Loaded: true, Directory: dir, Windows: windowsOf(slotsOn("sched", "s", start, 2), source.Zone, 1, now), Status: fine("a", now)})
	key := scheduling.WindowKey{Schedule: "sched", Day: day}
	if at := r.Checked("a", key); !at.Equal(now) {
		t.Fatalf("checked %v", at)
	}
	for _, tc := range []struct {
		name   string
		change scheduling.Change
	}{
		{"by a check of all", scheduling.Change{Check: &scheduling.Check{Scope: scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}}, Fetch: 2, At: now.Add(time.Second)}}},
		{"by a check of its schedule", scheduling.Change{Check: &scheduling.Check{Scope: scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}, Schedules: []string{"sched"}}, Fetch: 3, At: now.Add(2 * time.Second)}}},
		{"by being emptied", scheduling.Change{Windows: []scheduling.Window{{Key: key, Fetch: 4, Checked: now.Add(3 * time.Second), Changed: now.Add(3 * time.Second)}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			since := map[scheduling.WindowKey]time.Time{key: r.Checked("a", key)}
			done := make(chan error, 1)
			go func() { done <- r.Await(t.Context(), "a", since) }()
			r.Apply("a", scheduling.Change{Status: &scheduling.Status{Source: "a"}})
			r.Apply("a", tc.change)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	refused := errors.New("refused")
	cancel(refused)
	if err := r.Await(ctx, "a", map[scheduling.WindowKey]time.Time{key: now.Add(time.Hour)}); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	if err := r.Await(t.Context(), "b", nil); err == nil {
		t.Error("there is no such source")
	}
}
