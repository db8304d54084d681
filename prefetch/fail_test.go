package prefetch

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

func (e *ehr) failWith(err error) {
	e.set(func() {
		e.fetch = func(scheduling.Scope) error { return err }
		e.directory = func() error { return err }
	})
}

func TestFailingSourceKeepsItsSlotsAndIsWellWithinSeconds(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		start(t, store, Job{options("a"), e})
		after(30 * time.Second)
		e.failWith(scheduling.Blame(scheduling.SourceDown, "a", errors.New("refused"), "down"))
		from := time.Now()
		after(9 * time.Minute)
		st := store.status("a")
		if store.open("a") != 28 || st.Failures < 10 || st.ErrorCode != scheduling.SourceDown || time.Since(st.ErrorAt) > 31*time.Second {
			t.Fatalf("while down: %d slots, status %+v", store.open("a"), st)
		}
		if n := len(e.since(from)); n > 30 {
			t.Errorf("asked %d times in 9 minutes", n)
		}
		e.failWith(nil)
		well := time.Now()
		after(31 * time.Second)
		st = store.status("a")
		if st.Failures != 0 || st.Incomplete {
			t.Errorf("well for 31s: status %+v", st)
		}
		if again := e.since(well)[0].at.Sub(well); again > 30*time.Second {
			t.Errorf("asked again %v after it was well", again)
		}
	})
}

func TestSourceThatIsDownFromTheStartIsLoadedSoonAfterItIsWell(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.failWith(errors.New("something nobody classified"))
		m, _ := start(t, store, Job{options("a"), e})
		after(3 * time.Minute)
		st := store.status("a")
		if !m.Tried() || m.Loaded() || st.Tried.IsZero() || !st.LastSync.IsZero() || st.ErrorCode != scheduling.Internal {
			t.Fatalf("while down: status %+v", st)
		}
		e.failWith(nil)
		after(31 * time.Second)
		if !m.Loaded() || store.open("a") != 28 || len(e.dirs) == 0 {
			t.Errorf("well for 31s: loaded is %t, %d slots", m.Loaded(), store.open("a"))
		}
	})
}

func TestOldFailuresAreTriedAtTheCronsPace(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		o := options("a")
		o.Cron = "@every 10m"
		start(t, store, Job{o, e})
		synctest.Wait()
		e.failWith(scheduling.Blame(scheduling.SourceDown, "a", nil, "down"))
		after(3 * time.Hour)
		from := time.Now()
		after(5 * time.Hour)
		if n := len(e.since(from)); n < 25 || n > 35 {
			t.Errorf("asked %d times in 5 hours, want about every 10 minutes", n)
		}
	})
}

func TestWaitThatTheSourceAsksForIsKept(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		start(t, store, Job{options("a"), e})
		after(30 * time.Second)
		throttled := scheduling.Blame(scheduling.Throttled, "a", nil, "throttled")
		throttled.RetryAfter = 844 * time.Second
		from := time.Now()
		e.failWith(throttled)
		after(time.Minute)
		e.failWith(nil)
		after(time.Hour)
		calls := e.since(from)
		if gap := calls[1].at.Sub(calls[0].at); gap < 844*time.Second || gap > 850*time.Second {
			t.Errorf("asked again after %v, want 844s", gap)
		}
	})
}

func TestOneBadScopeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		today := scheduling.DayOf(time.Now(), time.UTC)
		e.fetch = func(scope scheduling.Scope) error {
			if scope.Days.Has(today) {
				return scheduling.Blame(scheduling.SourceNonsense, "a", nil, "nonsense")
			}
			return nil
		}
		start(t, store, Job{options("a"), e})
		after(10 * time.Second)
		if got := store.open("a"); got != 26 {
			t.Errorf("%d slots are known, want all 26 but those of the bad scope", got)
		}
		from := time.Now()
		after(time.Hour)
		if st := store.status("a"); !st.Incomplete || !st.Loaded.IsZero() {
			t.Errorf("status %+v: want incomplete and not loaded", st)
		}
		bad := 0
		for _, call := range e.since(from) {
			if call.Days.Has(today) {
				bad++
			}
		}
		if bad < 30 || bad > 300 {
			t.Errorf("the bad scope was asked for %d times in an hour", bad)
		}
	})
}

func TestOneBadDayOfASplitScopeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.limit = 1
		bad := scheduling.DayOf(time.Now(), time.UTC) + 14 // the first of its part
		e.fetch = func(scope scheduling.Scope) error {
			if scope.Days.Has(bad) && scope.Days.Len() == 1 {
				return scheduling.Blame(scheduling.SourceNonsense, "a", nil, "nonsense")
			}
			return nil
		}
		start(t, store, Job{options("a"), e})
		after(time.Minute)
		if got := store.open("a"); got != 27 {
			t.Errorf("%d slots are known, want all 27 but that of the bad day", got)
		}
	})
}

func TestDirectoryThatFailsHoldsUpNoSlots(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.directory = func() error { return scheduling.Blame(scheduling.NotSupported, "a", nil, "404") }
		m, _ := start(t, store, Job{options("a"), e})
		after(5 * time.Second)
		if !m.Loaded() || store.open("a") != 28 {
			t.Errorf("loaded is %t with %d slots", m.Loaded(), store.open("a"))
		}
		after(24 * time.Hour)
		if n := len(e.dirs); n > 60 {
			t.Errorf("a directory that fails was asked for %d times in a day", n)
		}
	})
}

func TestPanicAndHangAndGarbageDisturbNoOtherSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		well, mad, dead, odd := newEHR(28, "s1"), newEHR(28, "s1"), newEHR(28, "s1"), newEHR(28, "s1")
		mad.fetch = func(scheduling.Scope) error { panic("garbage") }
		mad.directory = func() error { panic(nil) }
		release := make(chan struct{})
		dead.fetch = func(scheduling.Scope) error { <-release; return nil } // deaf to its context
		odd.found = scheduling.NewDirectory()
		odd.found.Locations["nil"] = nil
		odd.found.Schedules["nil"] = nil
		odd.wider = true
		start(t, store, Job{options("mad"), mad}, Job{options("dead"), dead}, Job{options("odd"), odd}, Job{options("well"), well})
		after(30 * time.Minute)
		if st := store.status("well"); st.Failures != 0 || time.Since(st.LastSync) > time.Minute || store.open("well") != 28 {
			t.Errorf("the source that is well has %d slots, status %+v", store.open("well"), st)
		}
		if st := store.status("mad"); st.ErrorCode != scheduling.Internal || st.Failures == 0 {
			t.Errorf("the source that panics has status %+v", st)
		}
		if st := store.status("dead"); st.ErrorCode != scheduling.SourceSlow || st.Failures == 0 {
			t.Errorf("the source that hangs has status %+v", st)
		}
		if dead.count() != 1 || dead.most != 1 {
			t.Errorf("a source that hangs was called %d times, %d at once", dead.count(), dead.most)
		}
		if st := store.status("odd"); st.Failures != 0 || store.open("odd") != 28 {
			t.Errorf("the source with odd answers has %d slots, status %+v", store.open("odd"), st)
		}
		close(release)
		after(3 * time.Minute)
		if got := store.open("dead"); got != 28 {
			t.Errorf("the source that hung has %d slots", got)
		}
	})
}

func TestScopeThatTakesTooLongIsAskedForInHalves(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.perDay = 30 * time.Second // a week takes longer than a fetch may
		m, _ := start(t, store, Job{options("a"), e})
		after(2 * time.Hour)
		if !m.Loaded() || store.open("a") != 28 {
			t.Errorf("loaded is %t with %d slots", m.Loaded(), store.open("a"))
		}
	})
}

func TestStoreThatIsAwayIsNotTheSourcesFault(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		store.setDown(true)
		m, _ := start(t, store, Job{options("a"), e})
		after(time.Hour)
		if m.Tried() || m.Loaded() {
			t.Error("nothing was tried yet, and the manager says otherwise")
		}
		if e.count()+len(e.dirs) != 0 {
			t.Errorf("the source was asked %d times for nothing", e.count())
		}
		store.setDown(false)
		after(10 * time.Second)
		if !m.Loaded() || store.status("a").Failures != 0 {
			t.Errorf("10s after the store came: status %+v", store.status("a"))
		}
		store.setDown(true)
		after(20 * time.Minute)
		store.setDown(false)
		back := time.Now()
		after(90 * time.Second)
		if st := store.status("a"); !st.LastSync.After(back) || st.Failures != 0 {
			t.Errorf("90s after the store came back: status %+v", st)
		}
		if n := len(e.since(back)); n > parts {
			t.Errorf("a store that kept its data costs %d calls, the plan has %d parts", n, parts)
		}
	})
}

func TestStoreThatTakesNothingIsTriedWithPauses(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		store.full = true
		start(t, store, Job{options("a"), e})
		after(10 * time.Minute)
		store.mu.Lock()
		begins := store.begins
		store.full = false
		store.mu.Unlock()
		if begins < 60 || begins > 200 {
			t.Errorf("tried %d times in 10 minutes", begins)
		}
		after(7 * time.Second)
		if got := store.open("a"); got != 28 {
			t.Errorf("%d slots are known 7s after the store took them again", got)
		}
	})
}

func TestStoreThatLostItsDataIsFilledAgainAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		start(t, store, Job{options("a"), e})
		after(90 * time.Second)
		store.wipe()
		lost := time.Now()
		after(7 * time.Second)
		if got := store.open("a"); got != 28 {
			t.Errorf("7s after the loss %d slots are known, want 28", got)
		}
		store.mu.Lock()
		defer store.mu.Unlock()
		known := false
		for _, st := range store.history {
			if !st.Tried.Before(lost) && !st.Loaded.IsZero() && st.Loaded.Before(lost) {
				t.Errorf("a store that lost its data was told that the source is loaded: %+v", st)
			}
			known = known || !st.Loaded.Before(lost)
		}
		if !known {
			t.Error("nobody was told that the source is loaded again")
		}
		if len(store.dirs["a"].Schedules) != 1 {
			t.Error("the directory was not written again")
		}
	})
}

func TestLossBetweenALookAndItsStatusIsNoticed(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		// Nobody else looks: the loop itself must notice.
		startWith(t, Deps{Writer: store, Leaser: store, EpochEvery: time.Hour}, Job{options("a"), e})
		after(30 * time.Second)
		var wiped atomic.Bool
		e.set(func() {
			e.fetch = func(scheduling.Scope) error {
				if wiped.CompareAndSwap(false, true) {
					store.wipe()
				}
				return nil
			}
		})
		after(40 * time.Second)
		if !wiped.Load() || store.open("a") != 28 {
			t.Errorf("wiped is %t, %d slots are known", wiped.Load(), store.open("a"))
		}
		if st := store.status("a"); st.Loaded.IsZero() || time.Since(st.Loaded) > 40*time.Second {
			t.Errorf("status %+v", st)
		}
	})
}

// leftAlone is what a breaker says instead of a call.
type leftAlone struct{ because scheduling.Code }

func (leftAlone) Error() string              { return "circuit breaker is open" }
func (l leftAlone) Because() scheduling.Code { return l.because }

func TestStatusTellsWhatOpenedTheBreaker(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.fetch = func(scheduling.Scope) error {
			return scheduling.Blame(scheduling.SourceDown, "a", leftAlone{scheduling.SourceNonsense}, "left alone for a moment")
		}
		start(t, store, Job{options("a"), e})
		after(10 * time.Second)
		if st := store.status("a"); st.ErrorCode != scheduling.SourceNonsense {
			t.Errorf("the error code is %q, want what opened the breaker", st.ErrorCode)
		}
	})
}
