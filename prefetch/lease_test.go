package prefetch

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

func TestOfSeveralWorkersOneWorksOnASource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, a, b := newMemory(), newEHR(28, "s1"), newEHR(28, "s1")
		var managers []*Manager
		for range 3 {
			m, _ := start(t, store, Job{options("a"), a}, Job{options("b"), b})
			managers = append(managers, m)
		}
		after(10 * time.Minute)
		for _, e := range []*ehr{a, b} {
			if e.most != 1 || len(e.dirs) != 1 {
				t.Errorf("%d calls at once, %d directories", e.most, len(e.dirs))
			}
		}
		held := 0
		for _, m := range managers {
			for _, state := range m.States() {
				if state.Leased {
					held++
				}
			}
			if !m.Loaded() || !m.Tried() {
				t.Error("a worker waits for a source that is another's")
			}
		}
		if held != 2 {
			t.Errorf("%d leases are held for 2 sources", held)
		}
		store.mu.Lock()
		defer store.mu.Unlock()
		for _, st := range store.history {
			if st.Failures != 0 {
				t.Fatalf("a lost race was told as a failure: %+v", st)
			}
		}
	})
}

func TestWorkerThatEndsLeavesItsSourceAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		_, stop := start(t, store, Job{options("a"), e})
		synctest.Wait()
		second, _ := start(t, store, Job{options("a"), e})
		after(time.Minute)
		stop()
		after(7 * time.Second)
		if !second.States()[0].Leased {
			t.Error("the other worker did not take over")
		}
		if e.most != 1 {
			t.Errorf("%d calls at once", e.most)
		}
	})
}

// crash takes the worker's lease hostage: it is never renewed nor released.
func (m *memory) crash(source scheduling.SourceID) {
	m.mu.Lock()
	m.leases[source].dead = true
	m.mu.Unlock()
}

func TestKilledWorkerIsTakenOverWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		_, kill := start(t, store, Job{options("a"), e})
		synctest.Wait()
		store.crash("a")
		kill()
		second, _ := start(t, store, Job{options("a"), e})
		after(10 * time.Second)
		if second.States()[0].Leased {
			t.Fatal("the lease was taken before its end")
		}
		after(15 * time.Second)
		if !second.States()[0].Leased || !second.Loaded() {
			t.Error("the source of a killed worker was not taken over")
		}
	})
}

func TestWorkStopsWhenTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.took = time.Minute
		m, _ := start(t, store, Job{options("a"), e})
		after(time.Second)
		store.crash("a")
		after(7 * time.Second) // The next renewal fails.
		if m.States()[0].Leased {
			t.Error("it works on without a lease")
		}
		e.mu.Lock()
		inside := e.inside
		e.mu.Unlock()
		if inside != 0 {
			t.Error("the call under way was not broken off")
		}
		after(20 * time.Second)
		if !m.States()[0].Leased {
			t.Error("it did not try for the lease again")
		}
		if st := store.status("a"); st.Failures != 0 {
			t.Errorf("a lost lease was told as the source's failure: %+v", st)
		}
	})
}

func TestLeaseIsRenewedDuringALongFetch(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		e.took = 110 * time.Second
		start(t, store, Job{options("a"), e})
		synctest.Wait()
		second, _ := start(t, store, Job{options("a"), e})
		after(time.Hour)
		if second.States()[0].Leased || e.most != 1 {
			t.Errorf("another worker took a source that was worked on (%d calls at once)", e.most)
		}
	})
}

func TestRunEndsSoonWhateverIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, deaf, slow := newMemory(), newEHR(28, "s1"), newEHR(28, "s1")
		release := make(chan struct{})
		deaf.fetch = func(scheduling.Scope) error { <-release; return nil }
		slow.took = time.Minute
		m := NewManager(Deps{Writer: store, Leaser: store}, []Job{{options("deaf"), deaf}, {options("slow"), slow}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = m.Run(ctx) })
		after(90 * time.Second)
		asked := time.Now()
		cancel()
		running.Wait()
		if took := time.Since(asked); took > 2*time.Second {
			t.Errorf("Run ended after %v", took)
		}
		store.mu.Lock()
		if len(store.leases) != 0 {
			t.Error("leases were not given back")
		}
		store.mu.Unlock()
		close(release)
	})
}

// stuck is a leaser whose store hangs when a lease is given back.
type stuck struct{ *memory }

func (s stuck) Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	lease, ok, err := s.memory.Lease(ctx, source, ttl)
	return stuckLease{lease}, ok, err
}

type stuckLease struct{ scheduling.Lease }

func (stuckLease) Release(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestWorkerThatEndsDoesNotWaitForAStoreThatHangs(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		_, stop := startWith(t, Deps{Writer: store, Leaser: stuck{store}}, Job{options("a"), e})
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}
