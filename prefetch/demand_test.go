package prefetch

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

// wishes are what people look for.
type wishes struct {
	mu   sync.Mutex
	days scheduling.Demand
	err  error
}

func (w *wishes) Wanted(context.Context, scheduling.SourceID) (scheduling.Demand, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.days, w.err
}

func (w *wishes) set(days scheduling.Demand, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.days, w.err = days, err
}

// looksAt counts the calls that asked for this day.
func looksAt(calls []asked, day scheduling.Day) int {
	n := 0
	for _, c := range calls {
		if c.Days.Has(day) {
			n++
		}
	}
	return n
}

// Far days that people look for are looked at more often, the others as ever;
// when nobody looks for them any more, or nobody can tell, all is as before.
func TestDaysThatPeopleLookForComeSooner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, e, people := newMemory(), newEHR(28, "s1"), &wishes{}
		startWith(t, Deps{Writer: store, Leaser: store, Demand: people}, Job{options("a"), e})
		after(time.Hour)
		today := scheduling.DayOf(time.Now(), time.UTC)
		wanted, other := today+25, today+17
		looks := func(d time.Duration) (int, int) {
			from := time.Now()
			after(d)
			calls := e.since(from)
			return looksAt(calls, wanted), looksAt(calls, other)
		}
		usual, usualOther := looks(2 * time.Hour)
		people.set(scheduling.Demand{wanted: 900, today: 100}, nil)
		more, same := looks(2 * time.Hour)
		if more < 3*usual || same < usualOther-1 || same > usualOther+1 {
			t.Errorf("looked %d times at what is wanted (before: %d), %d times at the other (before: %d)", more, usual, same, usualOther)
		}
		people.set(nil, fmt.Errorf("away"))
		if still, _ := looks(2 * time.Hour); still < 3*usual {
			t.Errorf("looked %d times while nobody could tell", still)
		}
		people.set(scheduling.Demand{wanted: 3}, nil)
		if less, _ := looks(2 * time.Hour); less > usual+2 {
			t.Errorf("looked %d times at what few want, %d before", less, usual)
		}
	})
}

// Whatever people look for, no part comes later than without them, and none more
// often than every tick.
func TestDemandTakesNothingFromAnybody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		opts := options("a")
		opts.SetDefaults()
		p := newPlan(opts)
		p.from = 20_000
		for tick := range rapid.Uint64Range(1, 60).Draw(rt, "ticks") {
			p.tick = tick
			before := map[*item]uint64{}
			for _, it := range p.parts {
				before[it] = it.due
			}
			demand := scheduling.Demand{}
			for range rapid.IntRange(0, 5).Draw(rt, "days") {
				demand[p.from+scheduling.Day(rapid.IntRange(-2, 40).Draw(rt, "day"))] += rapid.IntRange(0, 1<<40).Draw(rt, "shown")
			}
			p.wanted(demand)
			for _, it := range p.parts {
				if it.pace() < 1 || it.pace() > it.every || it.due > before[it] {
					rt.Fatalf("pace %d of %d, due %d after %d", it.pace(), it.every, it.due, before[it])
				}
				if it.due <= p.tick {
					p.done(it, rapid.Bool().Draw(rt, "complete"))
				}
				if it.due <= p.tick {
					rt.Fatal("a part is due again at once")
				}
			}
		}
	})
}

// Once a night everything is looked at, also what is looked at seldom.
func TestEverythingIsLookedAtInTheQuietHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock begins at midnight UTC
		store, e := newMemory(), newEHR(28, "s1")
		o := options("a")
		o.Cron, o.FarEvery = "@every 10m", 1000
		if err := o.Quiet.UnmarshalText([]byte("02:00-05:00")); err != nil {
			t.Fatal(err)
		}
		start(t, store, Job{o, e})
		after(24 * time.Hour)
		far := scheduling.DayOf(time.Now(), time.UTC) + 20
		var nights []int
		for range 3 {
			from := time.Now()
			after(24 * time.Hour)
			calls := e.since(from)
			nights = append(nights, looksAt(calls, far))
			for _, c := range calls {
				if hour := c.at.UTC().Hour(); c.Days.Has(far) && (hour < 2 || hour >= 5) {
					t.Errorf("the far days were looked at at %v", c.at)
				}
			}
		}
		if nights[0] != 1 || nights[1] != 1 || nights[2] != 1 {
			t.Errorf("looks at the far days in three nights: %v", nights)
		}
	})
}

func TestQuietHoursAreThoseOfThePlaceOnDaysOfAnyLength(t *testing.T) {
	t.Parallel()
	la, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	var early, late QuietHours
	for text, q := range map[string]*QuietHours{"02:00-05:30": &early, "22:00-03:00": &late} {
		if err := q.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if back, err := q.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%s is written as %s: %v", text, back, err)
		}
	}
	day := func(text string) scheduling.Day {
		at, err := time.ParseInLocation("2006-01-02", text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		return scheduling.DayOf(at, time.UTC)
	}
	for _, tc := range []struct {
		q      QuietHours
		at     string
		night  string
		within bool
	}{
		{early, "2026-02-03T01:59:00-08:00", "2026-02-03", false},
		{early, "2026-02-03T02:00:00-08:00", "2026-02-03", true},
		{early, "2026-02-03T05:30:00-08:00", "2026-02-03", false},
		{late, "2026-02-03T22:00:00-08:00", "2026-02-03", true},
		{late, "2026-02-04T02:59:00-08:00", "2026-02-03", true},
		{late, "2026-02-04T03:00:00-08:00", "2026-02-03", false},
		{early, "2026-03-08T03:00:00-07:00", "2026-03-08", true},  // 02:00 was left out
		{early, "2026-11-01T01:59:00-08:00", "2026-11-01", false}, // the second time
		{late, "2026-11-01T01:30:00-08:00", "2026-10-31", true},
	} {
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if night, within := tc.q.night(at, la); within != tc.within || within && night != day(tc.night) {
			t.Errorf("%s: night of %s, within: %v", tc.at, night, within)
		}
	}
	for _, bad := range []string{"x", "22:00", "22-05", "25:00-01:00", "02:00-02:00", "02:60-03:00", "-"} {
		var q QuietHours
		if q.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is read as %v", bad, q)
		}
	}
}
