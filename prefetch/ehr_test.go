package prefetch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// ehr is a source in memory.
type ehr struct {
	mu        sync.Mutex
	slots     map[scheduling.WindowKey][]scheduling.Slot
	limit     int                          // an answer with more slots is cut; 0: never
	alwaysCut bool                         // every answer is incomplete
	took      time.Duration                // by every call
	fetch     func(scheduling.Scope) error // what goes wrong
	directory func() error
	act       func(*scheduling.Fetched) error // what goes wrong with an answer
	perDay    time.Duration                   // of a scope, by every call
	found     scheduling.Directory            // beside every answer
	far       scheduling.Directory            // beside answers that reach 20 days ahead
	wider     bool                            // answers hold more than was asked for
	dir       scheduling.Directory

	calls  []asked
	dirs   []time.Time
	inside int
	most   int // calls at once
}

type asked struct {
	scheduling.Scope
	at time.Time
}

// newEHR has one slot a day on each of the schedules, from today on.
func newEHR(days int, schedules ...string) *ehr {
	e := &ehr{slots: map[scheduling.WindowKey][]scheduling.Slot{}, dir: scheduling.NewDirectory()}
	today := scheduling.DayOf(time.Now(), time.UTC)
	for _, schedule := range schedules {
		e.dir.Schedules[schedule] = &scheduling.Schedule{ID: schedule}
		for i := range days {
			day := today + scheduling.Day(i)
			start := day.Start(time.UTC).Add(9 * time.Hour)
			e.slots[scheduling.WindowKey{Schedule: schedule, Day: day}] = []scheduling.Slot{{
				ID: fmt.Sprint(schedule, "-", day), Schedule: schedule, Status: scheduling.SlotFree,
				Start: start, End: start.Add(30 * time.Minute),
			}}
		}
	}
	return e
}

func (e *ehr) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inside++
	e.most = max(e.most, e.inside)
}

func (e *ehr) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inside--
}

func (e *ehr) work(ctx context.Context, took time.Duration) error {
	if took == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(took):
		return nil
	}
}

func (e *ehr) Directory(ctx context.Context) (scheduling.Directory, scheduling.Tally, error) {
	e.enter()
	defer e.leave()
	e.mu.Lock()
	e.dirs = append(e.dirs, time.Now())
	fail := e.directory
	e.mu.Unlock()
	if fail != nil {
		if err := fail(); err != nil {
			return scheduling.Directory{}, nil, err
		}
	}
	if err := e.work(ctx, e.took); err != nil {
		return scheduling.Directory{}, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dir, scheduling.Tally{scheduling.NoActor: 1}, nil
}

func (e *ehr) Fetch(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	e.enter()
	defer e.leave()
	e.mu.Lock()
	e.calls = append(e.calls, asked{scope, time.Now()})
	fail := e.fetch
	e.mu.Unlock()
	if fail != nil {
		if err := fail(scope); err != nil {
			return scheduling.Fetched{}, err
		}
	}
	if err := e.work(ctx, e.took+e.perDay*time.Duration(scope.Days.Len())); err != nil {
		return scheduling.Fetched{}, err
	}
	got := e.answer(scope)
	if e.act != nil {
		return got, e.act(&got)
	}
	return got, nil
}

func (e *ehr) answer(scope scheduling.Scope) scheduling.Fetched {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := scheduling.Fetched{
		Scope: scope, Complete: true, Windows: map[scheduling.WindowKey][]scheduling.Slot{},
		Found: e.found, Unusable: scheduling.Tally{scheduling.NoZone: 1}, Unmapped: scheduling.Tally{"specialty": 2},
	}
	for key, slots := range e.slots {
		if len(slots) > 0 && (scope.Covers(key) || e.wider) {
			got.Windows[key] = slots
		}
	}
	if scope.Days.To > scheduling.DayOf(time.Now(), time.UTC)+20 {
		got.Found = e.far
	}
	if e.alwaysCut {
		got.Complete = false
	}
	if e.limit > 0 && got.Slots() > e.limit {
		keys := slices.SortedFunc(maps.Keys(got.Windows), func(a, b scheduling.WindowKey) int { return int(a.Day - b.Day) })
		for _, key := range keys[e.limit:] {
			delete(got.Windows, key)
		}
		got.Complete, got.Cut = false, "more than the limit"
	}
	return got
}

func (e *ehr) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.calls)
}

// since are the calls from at on.
func (e *ehr) since(at time.Time) []asked {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, _ := slices.BinarySearchFunc(e.calls, at, func(a asked, at time.Time) int { return a.at.Compare(at) })
	return slices.Clone(e.calls[i:])
}

func (e *ehr) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}
