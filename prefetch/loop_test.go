package prefetch

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// A day 0 part, two of the middle and two far ones: what options() plan.
const parts = 5

func TestFirstLoadIsAtOnceAndNearestFirst(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		from := time.Now()
		m, _ := start(t, store, Job{options("a"), e})
		synctest.Wait()
		if len(e.dirs) != 1 || len(e.calls) != parts || !time.Now().Equal(from) {
			t.Fatalf("%d directories and %d scopes were asked for, want 1 and %d, at once", len(e.dirs), len(e.calls), parts)
		}
		next := scheduling.DayOf(from, time.UTC)
		for _, call := range e.calls {
			if call.Days.From != next {
				t.Errorf("asked for %v where %v was nearest", call.Days, next)
			}
			next = call.Days.To
		}
		st := store.status("a")
		if !st.Loaded.Equal(from) || !st.LastSync.Equal(from) || !st.Tried.Equal(from) || st.Failures != 0 || st.Incomplete || st.Emptied {
			t.Errorf("status %+v", st)
		}
		if !m.Loaded() || !m.Tried() || !m.States()[0].Leased {
			t.Errorf("the manager says %+v", m.States())
		}
	})
}

func TestNearDaysComeAtEveryTickAndFarOnesRarely(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		start(t, store, Job{options("a"), e})
		today := scheduling.DayOf(time.Now(), time.UTC)
		after(30 * time.Second) // between the ticks
		from := time.Now()
		after(100 * time.Minute)
		asks := map[scheduling.Day]int{}
		for _, call := range e.since(from) {
			asks[call.Days.From-today]++
		}
		for day, want := range map[scheduling.Day]int{0: 100, 2: 20, 9: 20, 14: 5, 21: 5} {
			if asks[day] != want {
				t.Errorf("the part of day %d was asked for %d times in 100 ticks, want %d", day, asks[day], want)
			}
		}
		if len(e.dirs) != 1 {
			t.Errorf("the directory was read %d times", len(e.dirs))
		}
	})
}

func TestDirectoryIsReadDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, e := newMemory(), newEHR(40, "s1")
		o := options("a")
		o.Cron, o.LeaseTTL = "@every 1h", time.Hour
		startWith(t, Deps{Writer: store, Leaser: store, EpochEvery: time.Hour}, Job{o, e})
		after(71 * time.Hour)
		if len(e.dirs) != 3 {
			t.Errorf("the directory was read %d times in 71 hours, want 3", len(e.dirs))
		}
	})
}

func TestDirectoryForgetsOnlyOnceEverythingWasLookedAt(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		store.dirs["a"] = scheduling.NewDirectory()
		store.dirs["a"].Schedules["gone"] = &scheduling.Schedule{ID: "gone"}
		found := scheduling.NewDirectory()
		found.Schedules["beside"] = &scheduling.Schedule{ID: "beside"}
		e.found = found
		e.took = time.Second
		start(t, store, Job{options("a"), e})
		after(3500 * time.Millisecond) // The directory was read, the parts not all.
		if dir := store.directory("a"); dir.Schedules["gone"] == nil || dir.Schedules["s1"] == nil {
			t.Errorf("while loading, the directory is %v", dir.Schedules)
		}
		after(10 * time.Second)
		if dir := store.directory("a"); dir.Schedules["gone"] != nil || dir.Schedules["s1"] == nil || dir.Schedules["beside"] == nil {
			t.Errorf("when all is loaded, the directory is %v", dir.Schedules)
		}
	})
}

func TestDirectoryReadAgainForgetsNothingThatOnlyFarDaysName(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1", "s2"}, func(t *testing.T, store *memory, e *ehr) {
		e.far = scheduling.NewDirectory()
		e.far.Schedules["far"] = &scheduling.Schedule{ID: "far"}
		o := options("a")
		o.DirectoryEvery = time.Hour
		start(t, store, Job{o, e})
		after(50 * time.Minute)
		e.set(func() {
			e.dir = scheduling.NewDirectory()
			e.dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1"}
		})
		after(13 * time.Minute) // It was read again, and the near days since.
		if dir := store.directory("a"); dir.Schedules["far"] == nil || dir.Schedules["s2"] == nil {
			t.Errorf("before the far days were looked at, the directory is %v", dir.Schedules)
		}
		after(25 * time.Minute)
		if dir := store.directory("a"); dir.Schedules["far"] == nil || dir.Schedules["s2"] != nil {
			t.Errorf("when all was looked at, the directory is %v", dir.Schedules)
		}
	})
}

func (m *memory) directory(source scheduling.SourceID) scheduling.Directory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dirs[source]
}

func TestSourceNeverOverlapsItselfAndMissedTicksAreDropped(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.took = 90 * time.Second // longer than a tick
		start(t, store, Job{options("a"), e})
		after(10 * time.Hour)
		if e.most != 1 {
			t.Errorf("%d calls at once", e.most)
		}
		for i, call := range e.calls[1:] {
			if gap := call.at.Sub(e.calls[i].at); gap < 90*time.Second {
				t.Fatalf("calls %v after each other, each takes 90s", gap)
			}
		}
		last := map[scheduling.Day]time.Time{}
		today := scheduling.DayOf(time.Now(), time.UTC)
		for _, call := range e.calls {
			last[call.Days.From-today] = call.at
		}
		if len(last) != parts {
			t.Errorf("parts that were asked for: %v", last)
		}
		for day, at := range last {
			if time.Since(at) > time.Hour {
				t.Errorf("day %d was asked for last %v ago: it starves", day, time.Since(at))
			}
		}
	})
}

func TestDaysGoneByAreDroppedWhenTheDayTurnsAtThePlace(t *testing.T) {
	t.Parallel()
	la, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		zone  *time.Location
		turns time.Duration // after the start, at midnight UTC
	}{
		{"in UTC", time.UTC, 24 * time.Hour},
		{"in Los Angeles", la, 8 * time.Hour},
		{"in an unknown zone", nil, 12 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
				o := options("a")
				o.Source.Zone, o.LeaseTTL = test.zone, time.Hour
				startWith(t, Deps{Writer: store, Leaser: store, EpochEvery: time.Hour}, Job{o, e})
				after(test.turns - time.Second)
				store.mu.Lock()
				before := slices.Clone(store.dropped)
				store.mu.Unlock()
				after(62 * time.Second)
				store.mu.Lock()
				after := slices.Clone(store.dropped)
				store.mu.Unlock()
				if len(before) != 1 || len(after) != 2 || after[1] != before[0]+1 {
					t.Errorf("dropped before %v, then %v", before, after)
				}
			})
		})
	}
}

func TestTriggerAsksOutOfTurnAndOnce(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1", "s2"}, func(t *testing.T, store *memory, e *ehr) {
		m, _ := start(t, store, Job{options("a"), e})
		synctest.Wait()
		today := scheduling.DayOf(time.Now(), time.UTC)
		day := today + 20
		scope := scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}, Schedules: []string{"s2"}}
		e.set(func() { delete(e.slots, scheduling.WindowKey{Schedule: "s2", Day: day}) })
		calls := e.count()
		for range 10 {
			if !m.Trigger("a", scope) {
				t.Fatal("the trigger was not taken")
			}
		}
		synctest.Wait()
		if got := e.count() - calls; got < 1 || got > 3 {
			t.Errorf("asked %d times, want once (and again, since all of it went)", got)
		}
		if got := store.open("a"); got != 55 {
			t.Errorf("%d slots are known, want 55", got)
		}
		calls = e.count()
		past := scheduling.Scope{Days: scheduling.Days{From: today - 10, To: today}}
		m.Trigger("a", past)
		synctest.Wait()
		if e.count() != calls {
			t.Error("days gone by were asked for")
		}
		if m.Trigger("nobody", scope) {
			t.Error("a trigger of an unknown source was taken")
		}
	})
}

func TestTalliesAreThoseOfTheLatestLooksAndDoNotGrow(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		start(t, store, Job{options("a"), e})
		for range 3 {
			after(time.Hour)
			st := store.status("a")
			// One of each scope, and one of the directory.
			if st.Unusable[scheduling.NoZone] != parts || st.Unusable[scheduling.NoActor] != 1 || st.Unmapped["specialty"] != 2*parts {
				t.Errorf("tallies %v and %v", st.Unusable, st.Unmapped)
			}
		}
	})
}

func TestManySourcesDoNotAllStartAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		var jobs []Job
		var sources []*ehr
		for i := range 40 {
			e := newEHR(2, "s1")
			sources = append(sources, e)
			jobs = append(jobs, Job{options(scheduling.SourceID("source-" + string(rune('A'+i)))), e})
		}
		m, _ := start(t, store, jobs...)
		synctest.Wait()
		begun := 0
		for _, e := range sources {
			begun += min(1, e.count())
		}
		if begun > 10 {
			t.Errorf("%d of 40 sources were asked at the same instant", begun)
		}
		after(10 * time.Second)
		if !m.Loaded() {
			t.Error("not all were loaded after the time over which they spread")
		}
	})
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	store := newMemory()
	good := Deps{Writer: store, Leaser: store}
	e := &ehr{}
	bad := options("a")
	bad.Cron = "TZ=0"
	for name, m := range map[string]*Manager{
		"needed":  NewManager(Deps{}, nil),
		"cron":    NewManager(good, []Job{{bad, e}}),
		"no id":   NewManager(good, []Job{{options(""), e}}),
		"Fetcher": NewManager(good, []Job{{options("a"), nil}}),
		"twice":   NewManager(good, []Job{{options("a"), e}, {options("a"), e}}),
	} {
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if len(e.calls) > 0 {
		t.Error("something was started")
	}
}

func TestMetricsTellHowEachSourceDoesAndForgetIt(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		registry := prometheus.NewRegistry()
		deps := Deps{Writer: store, Leaser: store, Registerer: registry}
		_, stop := startWith(t, deps, Job{options("a"), e})
		other := NewManager(deps, nil) // shares the registry
		if other.err != nil {
			t.Fatal(other.err)
		}
		after(30 * time.Second)
		for name, want := range map[string]float64{
			"slotgate_prefetch_slots":                       28,
			"slotgate_prefetch_age_seconds":                 30,
			"slotgate_prefetch_last_sync_timestamp_seconds": float64(time.Now().Unix() - 30),
			"slotgate_prefetch_lease_held":                  1,
			"slotgate_prefetch_emptied":                     0,
			"slotgate_prefetch_incomplete":                  0,
			"slotgate_prefetch_failures":                    0,
			"slotgate_prefetch_unusable":                    parts + 1,
			"slotgate_prefetch_fetches_total":               parts + 1,
			"slotgate_prefetch_fetch_seconds":               parts + 1,
			"slotgate_prefetch_windows_total":               28,
		} {
			if got := sum(t, registry, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		other.metrics.lease("a", false) // what a lost lease does
		if got := sum(t, registry, "slotgate_prefetch_age_seconds"); got != -1 {
			t.Errorf("without the lease the age is still shown: %v", got)
		}
		stop()
		families, err := registry.Gather()
		if err != nil || len(families) > 0 {
			t.Errorf("after the end the registry holds %v, %v", families, err)
		}
	})
}

// sum adds up all values of a metric, of a histogram its count.
func sum(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := -1.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		total = 0
		for _, metric := range family.GetMetric() {
			total += metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return total
}
