package prefetch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// rolled is a store that counts workers, too.
type rolled struct {
	*memory
	mu    sync.Mutex
	until map[string]time.Time
	down  bool
}

func newRolled() *rolled { return &rolled{memory: newMemory(), until: map[string]time.Time{}} }

func (r *rolled) Attend(_ context.Context, worker string, ttl time.Duration) (workers int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return 0, context.DeadlineExceeded
	}
	r.until[worker] = time.Now().Add(ttl)
	for _, until := range r.until {
		if time.Now().Before(until) {
			workers++
		}
	}
	return workers, nil
}

func (r *rolled) Depart(_ context.Context, worker string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.until, worker)
	return nil
}

// shared is some sources, and the workers that share them.
type shared struct {
	store   *rolled
	ehrs    []*ehr
	jobs    []Job
	workers []*Manager
}

func share(sources int) *shared {
	s := &shared{store: newRolled()}
	for i := range sources {
		e := newEHR(3, "s1")
		s.ehrs = append(s.ehrs, e)
		s.jobs = append(s.jobs, Job{options(scheduling.SourceID(fmt.Sprint("ehr-", i))), e})
	}
	return s
}

func (s *shared) employ(t *testing.T) (leave func()) {
	t.Helper()
	m, leave := startWith(t, Deps{Writer: s.store, Leaser: s.store}, s.jobs...)
	s.workers = append(s.workers, m)
	return leave
}

// parts are how many sources each worker has.
func (s *shared) parts() (parts []int) {
	for _, m := range s.workers {
		n := 0
		for _, state := range m.States() {
			if state.Leased {
				n++
			}
		}
		parts = append(parts, n)
	}
	return parts
}

// alone wants no source ever to have had two calls at once.
func (s *shared) alone(t *testing.T) {
	t.Helper()
	for i, e := range s.ehrs {
		if e.most > 1 {
			t.Errorf("source %d had %d calls at once", i, e.most)
		}
	}
}

func TestWorkersShareTheSourcesInEqualParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(12)
		want := func(when string, parts ...int) {
			t.Helper()
			after(2 * time.Minute)
			if got := s.parts(); !slices.Equal(got, parts) {
				t.Errorf("%s: %v, want %v", when, got, parts)
			}
		}
		s.employ(t)
		want("alone", 12)
		s.employ(t)
		want("a second one came", 6, 6)
		leave := s.employ(t)
		want("a third one came", 4, 4, 4)
		leave()
		want("it went", 6, 6, 0)
		s.store.mu.Lock()
		s.store.down = true
		s.store.mu.Unlock()
		want("nobody can be counted", 6, 6, 0)
		s.alone(t)
		for i, e := range s.ehrs {
			if looked := e.since(time.Now().Add(-150 * time.Second)); len(looked) < 2 {
				t.Errorf("source %d was looked at %d times within two ticks", i, len(looked))
			}
		}
	})
}

func TestASourceThatNobodyElseTakesIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(10)
		if _, err := s.store.Attend(t.Context(), "a worker for other sources", time.Hour); err != nil {
			t.Fatal(err)
		}
		s.employ(t)
		after(2 * time.Minute)
		began := time.Now()
		after(5 * time.Minute)
		if got := s.parts(); got[0] != 10 {
			t.Errorf("%v of 10 sources are worked on", got)
		}
		for i, e := range s.ehrs {
			if looked := e.since(began); len(looked) < 5 {
				t.Errorf("source %d was looked at %d times in five ticks", i, len(looked))
			}
		}
		s.alone(t)
	})
}

// forget empties the store and with it forgets who has which source.
func (s *shared) forget() {
	s.store.wipe()
	s.store.memory.mu.Lock()
	clear(s.store.leases)
	s.store.memory.mu.Unlock()
}

func TestWhoHadASourceHasItAfterALossOfTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := share(12)
		had := func() (all []string) {
			for i, m := range s.workers {
				for _, state := range m.States() {
					if state.Leased {
						all = append(all, fmt.Sprint(i, " has ", state.Status.Source))
					}
				}
			}
			return all
		}
		for range 3 {
			s.employ(t)
		}
		after(2 * time.Minute)
		before := had()
		for range 5 {
			s.forget()
			after(47 * time.Second)
			if now := had(); !slices.Equal(now, before) {
				t.Fatalf("before %v\nafter %v", before, now)
			}
		}
		s.alone(t)
	})
}
