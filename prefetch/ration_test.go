package prefetch

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

// rationed is a source that may be asked so often a day.
type rationed struct {
	*ehr
	most    int
	spent   atomic.Int64 // today, by prefetch and others
	made    atomic.Int64
	refused atomic.Int64
	day     atomic.Int64
}

func (r *rationed) Allowance() scheduling.Allowance {
	now := time.Now()
	today := scheduling.DayOf(now, time.UTC)
	if r.day.Swap(int64(today)) != int64(today) {
		r.spent.Store(0)
	}
	return scheduling.Allowance{
		Limited: r.most > 0, Left: max(0, r.most-int(r.spent.Load())), Until: today.End(time.UTC), Made: uint64(r.made.Load()),
	}
}

func (r *rationed) Fetch(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	if r.most > 0 && r.Allowance().Left == 0 {
		r.refused.Add(1)
		e := scheduling.Blame(scheduling.Throttled, "a", nil, "spent")
		e.RetryAfter = time.Until(r.Allowance().Until)
		return scheduling.Fetched{Scope: scope}, e
	}
	r.spent.Add(1)
	r.made.Add(1)
	return r.ehr.Fetch(ctx, scope)
}

// A source that may be asked a third of what its clock would need is looked at
// all day long, more rarely, and is never refused; what others take of the day
// meanwhile is made good for. The next day begins anew.
func TestTheCallsOfADayLastUntilItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, e := newMemory(), &rationed{ehr: newEHR(40, "s1"), most: 800}
		startWith(t, Deps{Writer: store, Leaser: store}, Job{options("a"), e})
		for day := range 3 {
			for quarter := range 4 {
				from := time.Now()
				after(6*time.Hour - time.Millisecond)
				calls := e.since(from)
				if len(calls) < 60 || len(calls) > 400 {
					t.Errorf("day %d, quarter %d: %d calls", day, quarter, len(calls))
				}
				if near := looksAt(calls, scheduling.DayOf(time.Now(), time.UTC)); near < 30 {
					t.Errorf("day %d, quarter %d: %d looks at the nearest days", day, quarter, near)
				}
				if day == 1 && quarter == 1 {
					e.spent.Add(200)
				}
				if spent := e.spent.Load(); quarter == 3 && spent < 700 {
					t.Errorf("day %d: %d of 800 were used", day, spent)
				}
				after(time.Millisecond)
			}
		}
		if n := e.refused.Load(); n > 0 {
			t.Errorf("it was refused %d times", n)
		}
	})
}

func TestASourceWithoutALimitKeepsItsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counts := map[int]int{}
		for _, most := range []int{0, 1_000_000} {
			store, e := newMemory(), &rationed{ehr: newEHR(40, "s1"), most: most}
			startWith(t, Deps{Writer: store, Leaser: store}, Job{options("a"), e})
			after(2 * time.Hour)
			counts[most] = len(e.since(time.Now().Add(-2 * time.Hour)))
		}
		if counts[0] != counts[1_000_000] || counts[0] < 120 {
			t.Errorf("%v", counts)
		}
	})
}

// Whatever is left of a day, the plan asks for no more of it, counted from now;
// and it never looks more often than it is configured to.
func TestAPlanNeverAsksForMoreThanIsLeftOfTheDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		o := options("a")
		o.SetDefaults()
		p := newPlan(o)
		for _, it := range p.parts {
			it.cost = uint64(rapid.IntRange(0, 50).Draw(rt, "cost"))
			it.haste = rapid.IntRange(0, 4).Draw(rt, "haste")
			it.seen, it.due = true, uint64(rapid.IntRange(0, 5000).Draw(rt, "due"))
		}
		now := time.Date(2026, 2, 3, rapid.IntRange(0, 23).Draw(rt, "hour"), 0, 0, 0, time.UTC)
		left := scheduling.Allowance{Limited: true, Left: rapid.IntRange(0, 100_000).Draw(rt, "left"), Until: time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC)}
		slower := p.ration(left, now, time.Minute)
		ticks := left.Until.Sub(now).Minutes()
		need := 0.0
		for _, it := range p.parts {
			if it.pace() < it.wish() || it.due > p.tick+it.pace() {
				rt.Fatalf("pace %d for %d, due %d", it.pace(), it.wish(), it.due)
			}
			need += float64(it.cost) / float64(it.pace()) * ticks
		}
		if need > float64(max(1, left.Left))+1e-6 && float64(slower) < ticks {
			rt.Fatalf("%v calls are planned, %d are left, %d times slower", need, left.Left, slower)
		}
		if left.Limited = false; p.ration(left, now, time.Minute) != 1 {
			rt.Fatal("put off without a limit")
		}
	})
}
