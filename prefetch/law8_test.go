package prefetch

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

func TestLaw8CompleteAnswerRemovesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1", "s2"}, func(t *testing.T, store *memory, e *ehr) {
		if got := store.open("a"); got != 56 {
			t.Fatalf("after the first load %d slots are known, want 56", got)
		}
		today := scheduling.DayOf(time.Now(), time.UTC)
		e.set(func() { delete(e.slots, scheduling.WindowKey{Schedule: "s1", Day: today}) })
		after(61 * time.Second)
		if got := store.open("a"); got != 55 {
			t.Errorf("a slot that was deleted at the source without a trace: %d are known, want 55", got)
		}
	})
}

func TestLaw8IncompleteReplacesNothing(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.set(func() { e.alwaysCut, e.slots = true, nil })
		puts := store.puttings()
		after(time.Hour)
		if got := store.puttings(); got != puts {
			t.Errorf("%d incomplete answers were put in place", got-puts)
		}
		if got := store.open("a"); got != 28 {
			t.Errorf("%d slots are known, want all 28", got)
		}
		if st := store.status("a"); !st.Incomplete || st.Failures != 0 {
			t.Errorf("status %+v: want incomplete, and no failure", st)
		}
	})
}

func TestLaw8CutAnswerIsSplitByDays(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.limit = 2 // a week has seven
		start(t, store, Job{options("a"), e})
		synctest.Wait()
		if got := store.open("a"); got != 28 {
			t.Errorf("%d slots are known, want 28", got)
		}
		if st := store.status("a"); st.Incomplete || st.Loaded.IsZero() {
			t.Errorf("status %+v: want loaded and not incomplete", st)
		}
		for _, put := range store.replaced {
			if put.Slots() > 2 {
				t.Errorf("an answer of %d slots was put in place, the source gives 2 at most", put.Slots())
			}
		}
	})
}

func TestLaw8CutDayIsSplitBySchedules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		names := []string{"s1", "s2", "s3", "s4", "s5"}
		store, e := newMemory(), newEHR(28, names...)
		e.limit = 2
		start(t, store, Job{options("a"), e})
		// The far parts need more fetches than they may have in a row.
		after(10 * time.Second)
		if got := store.open("a"); got != 28*5 {
			t.Errorf("%d slots are known, want %d", got, 28*5)
		}
		if st := store.status("a"); st.Incomplete || st.Loaded.IsZero() {
			t.Errorf("status %+v: want loaded and not incomplete", st)
		}
	})
}

func TestLaw8SchedulesOfOurOwnMakingAreNotAskedForByName(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1", "s2", "s3"}, func(t *testing.T, store *memory, e *ehr) {
		e.dir.Schedules["s3"].Virtual = true
		e.limit = 2
		start(t, store, Job{options("a"), e})
		synctest.Wait()
		if st := store.status("a"); !st.Incomplete || !st.Loaded.IsZero() {
			t.Errorf("status %+v: want incomplete and not loaded", st)
		}
		for _, call := range e.since(time.Time{}) {
			if len(call.Schedules) > 0 {
				t.Fatalf("asked for schedules by name: %v", call.Schedules)
			}
		}
	})
}

func TestLaw8EmptyingAsksAgainOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		before  int // slots of today, and none on other days
		after   int
		again   bool
		emptied bool
	}{
		{"all gone", 20, 0, true, true},
		{"more than half gone", 20, 9, true, true},
		{"half gone", 20, 10, false, false},
		{"nothing gone", 20, 20, false, false},
		{"more than before", 20, 30, false, false},
		{"the only slot gone", 1, 0, true, true},
		{"none, as before", 0, 0, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, e := newMemory(), newEHR(0)
				e.setToday(test.before)
				start(t, store, Job{options("a"), e})
				synctest.Wait()
				e.setToday(test.after)
				calls := e.count()
				after(61 * time.Second)
				want := 1
				if test.again {
					want = 2
				}
				if got := e.asksFor(e.since(time.Now().Add(-10 * time.Second))); got != want {
					t.Errorf("today was asked for %d times, want %d (%d calls before)", got, want, calls)
				}
				if got := store.open("a"); got != test.after {
					t.Errorf("%d slots are known, want %d: a repeated answer is believed", got, test.after)
				}
				if st := store.status("a"); st.Emptied != test.emptied {
					t.Errorf("emptied is %t, want %t", st.Emptied, test.emptied)
				}
			})
		})
	}
}

// setToday gives the source n slots today.
func (e *ehr) setToday(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	today := scheduling.DayOf(time.Now(), time.UTC)
	var slots []scheduling.Slot
	for i := range n {
		at := today.Start(time.UTC).Add(time.Duration(i) * time.Minute)
		slots = append(slots, scheduling.Slot{ID: fmt.Sprint(i), Schedule: "s1", Start: at, End: at.Add(time.Minute)})
	}
	e.slots[scheduling.WindowKey{Schedule: "s1", Day: today}] = slots
}

// asksFor counts the calls whose scope has today in it.
func (e *ehr) asksFor(calls []asked) int {
	today := scheduling.DayOf(time.Now(), time.UTC)
	n := 0
	for _, call := range calls {
		if call.Days.Has(today) {
			n++
		}
	}
	return n
}

func TestLaw8SecondAnswerThatIsFullIsTheOneThatCounts(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1", "s2"}, func(t *testing.T, store *memory, e *ehr) {
		full := e.slots
		var asked int
		e.set(func() {
			e.slots = map[scheduling.WindowKey][]scheduling.Slot{}
			e.fetch = func(scheduling.Scope) error {
				if asked++; asked%2 == 0 { // every second answer is a good one
					e.set(func() { e.slots = full })
				} else {
					e.set(func() { e.slots = map[scheduling.WindowKey][]scheduling.Slot{} })
				}
				return nil
			}
		})
		after(61 * time.Second)
		if st := store.status("a"); st.Emptied || store.open("a") < 52 {
			t.Errorf("emptied is %t with %d slots known: one bad answer was believed", st.Emptied, store.open("a"))
		}
	})
}

func TestLaw8EmptiedStaysUntilTheSlotsAreBack(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		full := e.slots
		e.set(func() { e.slots = nil })
		after(40 * time.Minute)
		if st := store.status("a"); !st.Emptied || store.open("a") != 0 {
			t.Fatalf("emptied is %t with %d slots known, want true and 0", st.Emptied, store.open("a"))
		}
		e.set(func() { e.slots = full })
		after(40 * time.Minute)
		if st := store.status("a"); st.Emptied || store.open("a") != 28 {
			t.Errorf("emptied is %t with %d slots known, want false and 28", st.Emptied, store.open("a"))
		}
	})
}

func TestLaw8EmptiedEndsWithTheDay(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.set(func() { e.slots = nil })
		after(23 * time.Hour)
		if !store.status("a").Emptied {
			t.Error("on the same day it is not shown as emptied")
		}
		after(2 * time.Hour)
		if store.status("a").Emptied {
			t.Error("on the next day it is still shown as emptied")
		}
	})
}

func TestLaw8SourceThatAlwaysCutsIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 60 {
			names = append(names, fmt.Sprint("s", i))
		}
		store, e := newMemory(), newEHR(28, names...)
		all := e.slots
		start(t, store, Job{options("a"), e})
		synctest.Wait()
		e.set(func() { e.alwaysCut = true })
		from := time.Now()
		after(time.Hour)
		calls := e.since(from)
		if len(calls) > 1500 {
			t.Errorf("%d calls in an hour of a source that cuts everything", len(calls))
		}
		if got := store.open("a"); got != len(all) {
			t.Errorf("%d slots are known, want all %d: incomplete answers replace nothing", got, len(all))
		}
		for day := range 28 {
			at := scheduling.DayOf(from, time.UTC) + scheduling.Day(day)
			if !slices.ContainsFunc(calls, func(a asked) bool { return a.Days.Has(at) }) {
				t.Errorf("day %d was not asked for", day)
			}
		}
	})
}

func TestSourceThatIsWholeAgainIsReadSoon(t *testing.T) {
	t.Parallel()
	loaded(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.set(func() { e.alwaysCut = true })
		after(3 * time.Hour)
		today := scheduling.DayOf(time.Now(), time.UTC)
		e.set(func() {
			e.alwaysCut = false
			delete(e.slots, scheduling.WindowKey{Schedule: "s1", Day: today})
			delete(e.slots, scheduling.WindowKey{Schedule: "s1", Day: today + 10})
		})
		after(2*time.Minute + time.Second)
		if got := store.open("a"); got > 27 {
			t.Errorf("two ticks after it was whole again %d slots are known: today was not read", got)
		}
		after(3 * time.Minute)
		if got := store.open("a"); got > 26 {
			t.Errorf("five ticks after it was whole again %d slots are known: the next fortnight was not read", got)
		}
	})
}
