package prefetch

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// quietly is a source of three schedules that is read once an hour, loaded.
func quietly(t *testing.T, test func(t *testing.T, m *Manager, e *ehr, today scheduling.Day)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newEHR(28, "s1", "s2", "s3")
		for i, id := range []string{"s1", "s2", "s3"} {
			e.dir.Schedules[id].Actors = []scheduling.Actor{
				{Kind: scheduling.KindPractitioner, ID: fmt.Sprint("p", i/2)}, // p0 works two of them
				{Kind: scheduling.KindLocation, ID: "l" + id},
			}
		}
		o := options("a")
		o.Cron = "@every 1h"
		m, _ := startWith(t, Deps{Writer: newMemory(), Leaser: newMemory()}, Job{o, e})
		after(2 * time.Minute)
		test(t, m, e, scheduling.DayOf(time.Now(), time.UTC))
	})
}

func by(ids ...string) (out []scheduling.Actor) {
	for _, id := range ids {
		kind := scheduling.KindPractitioner
		if id[0] == 'l' {
			kind = scheduling.KindLocation
		}
		out = append(out, scheduling.Actor{Kind: kind, ID: id})
	}
	return out
}

func TestANoticeIsReadForJustWhatItNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		notice    func(today scheduling.Day) scheduling.Notice
		from, to  scheduling.Day // from today; to is not included; both 0: nothing is read
		schedules []string
		directory bool
	}{
		"a schedule, a day": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s1", Actors: by("p0"), Start: (d + 3).String(), End: (d + 3).String()}
		}, 3, 4, []string{"s1"}, false},
		"times": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s2", Start: (d + 3).String() + "T23:00:00Z", End: (d + 4).String() + "T01:00:00Z"}
		}, 3, 5, []string{"s2"}, false},
		"a practitioner without a schedule": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Actors: by("p0"), Start: (d + 1).String(), End: (d + 1).String()}
		}, 1, 2, []string{"s1", "s2"}, false},
		"a practitioner at a place": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Actors: by("p0", "ls2"), Start: (d + 1).String(), End: (d + 1).String()}
		}, 1, 2, []string{"s2"}, false},
		"beyond the horizon": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s1", Start: (d + 400).String(), End: (d + 500).String()}
		}, 0, 0, nil, false},
		"gone by": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s1", Start: (d - 9).String(), End: (d - 3).String()}
		}, 0, 0, nil, false},
		"partly beyond": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s1", Start: (d + 26).String(), End: (d + 500).String()}
		}, 26, 28, []string{"s1"}, false},
		"somebody else works it now": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s1", Actors: by("p9"), Start: (d + 3).String(), End: (d + 3).String()}
		}, 3, 4, nil, true},
		"a schedule that is new": {func(d scheduling.Day) scheduling.Notice {
			return scheduling.Notice{Schedule: "s9", Actors: by("p0"), Start: (d + 3).String(), End: (d + 3).String()}
		}, 3, 4, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quietly(t, func(t *testing.T, m *Manager, e *ehr, today scheduling.Day) {
				from, dirs := time.Now(), len(e.dirs)
				if !m.Notice("a", c.notice(today)) {
					t.Fatal("nobody takes it")
				}
				synctest.Wait()
				calls := e.since(from)
				if c.to == 0 {
					if len(calls) != 0 {
						t.Errorf("read: %v", calls)
					}
					return
				}
				want := scheduling.Scope{Days: scheduling.Days{From: today + c.from, To: today + c.to}, Schedules: c.schedules}
				if len(calls) != 1 || calls[0].Days != want.Days || !slices.Equal(calls[0].Schedules, want.Schedules) {
					t.Errorf("read: %v, want %v", calls, want)
				}
				if (len(e.dirs) > dirs) != c.directory {
					t.Errorf("the directory was read %d times", len(e.dirs)-dirs)
				}
			})
		})
	}
}

// However many come, a scope is read once a second, and the last one counts: what
// was told after a look began leads to another.
func TestABurstOfNoticesIsOneLookAScopeASecond(t *testing.T) {
	t.Parallel()
	quietly(t, func(t *testing.T, m *Manager, e *ehr, today scheduling.Day) {
		from := time.Now()
		for i := range 1000 {
			m.Notice("a", scheduling.Notice{Schedule: []string{"s1", "s2"}[i%2], Start: (today + 3).String(), End: (today + 3).String()})
			time.Sleep(10 * time.Millisecond)
			if i == 0 {
				synctest.Wait()
				if len(e.since(from)) != 1 {
					t.Fatal("the first is not read at once")
				}
			}
		}
		last := time.Now()
		after(5 * time.Second)
		looks := map[string][]time.Time{}
		for _, call := range e.since(from) {
			looks[call.Schedules[0]] = append(looks[call.Schedules[0]], call.at)
		}
		for id, at := range looks {
			if len(at) < 10 || len(at) > 12 {
				t.Errorf("%s was read %d times in ten seconds", id, len(at))
			}
			for i := range at[1:] {
				if at[i+1].Sub(at[i]) < time.Second {
					t.Errorf("%s was read at %v and %v", id, at[i], at[i+1])
				}
			}
			if final := at[len(at)-1]; final.Before(last.Add(-10 * time.Millisecond)) {
				t.Errorf("%s was last read at %v, and told of at %v", id, final, last)
			}
		}
		if len(looks) != 2 {
			t.Errorf("%v", looks)
		}
	})
}

// A source whose searches are behind its writes is asked when they can tell of
// the latest change.
func TestANoticeOfASourceWhoseSearchesLagIsReadLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, o := newEHR(28, "s1"), options("a")
		o.Cron, o.Lag = "@every 1h", 30*time.Second
		m, _ := startWith(t, Deps{Writer: newMemory(), Leaser: newMemory()}, Job{o, e})
		after(2 * time.Minute)
		from := time.Now()
		tell := func() {
			m.Notice("a", scheduling.Notice{Schedule: "s1", Start: "2000", End: scheduling.DayOf(from, time.UTC).String()})
			synctest.Wait()
		}
		tell()
		after(20 * time.Second)
		tell()
		after(20 * time.Second)
		if n := len(e.since(from)); n != 0 {
			t.Errorf("read %d times before its searches tell of the second change", n)
		}
		after(15 * time.Second)
		if n := len(e.since(from)); n != 1 {
			t.Errorf("read %d times", n)
		}
	})
}

func TestAFloodOfNoticesIsBounded(t *testing.T) {
	t.Parallel()
	quietly(t, func(t *testing.T, m *Manager, e *ehr, today scheduling.Day) {
		from := time.Now()
		for i := range 5000 {
			m.Notice("a", scheduling.Notice{Schedule: "s1", Start: today.String(), End: fmt.Sprintf("%sT10:%02d:%02dZ", today, i/60%60, i%60)})
		}
		synctest.Wait()
		if n := len(e.since(from)); n == 0 || n > 10 {
			t.Errorf("5000 notices led to %d looks at once", n)
		}
	})
}

func TestANoticeNeedsTheWorkerWhoHasTheSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		first, _ := start(t, store, Job{options("a"), newEHR(28, "s1")})
		synctest.Wait()
		second, _ := start(t, store, Job{options("a"), newEHR(28, "s1")})
		synctest.Wait()
		n := scheduling.Notice{Schedule: "s1"}
		if !first.Notice("a", n) || second.Notice("a", n) || first.Notice("b", n) {
			t.Error("the wrong one takes it")
		}
	})
}
