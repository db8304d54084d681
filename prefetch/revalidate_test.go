package prefetch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// prompt is an EHR that can be revalidated.
type prompt struct {
	*ehr
	asks  atomic.Int32
	delay atomic.Int64 // nanoseconds
	deaf  atomic.Bool  // it does not heed the end of a context
}

func (p *prompt) Revalidate(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	p.asks.Add(1)
	if p.deaf.Load() {
		time.Sleep(time.Duration(p.delay.Load()))
		return p.answer(scope), nil
	}
	if err := p.work(ctx, time.Duration(p.delay.Load())); err != nil {
		return scheduling.Fetched{}, err
	}
	return p.answer(scope), nil
}

func today() scheduling.Day { return scheduling.DayOf(time.Now(), time.UTC) }

func oneDay(day scheduling.Day, schedules ...string) scheduling.Scope {
	return scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}, Schedules: schedules}
}

// answered waits for the end of a revalidation.
func answered(m *Manager, scope scheduling.Scope) (err error, ours bool) {
	ended := make(chan error, 1)
	if !m.Revalidate("a", scope, func(err error) { ended <- err }) {
		return nil, false
	}
	return <-ended, true
}

// promptly is loaded with an EHR that can be revalidated.
func promptly(t *testing.T, schedules []string, test func(t *testing.T, m *Manager, store *memory, p *prompt)) {
	t.Helper()
	bubble(t, schedules, func(t *testing.T, store *memory, e *ehr) {
		p := &prompt{ehr: e}
		m, _ := start(t, store, Job{options("a"), p})
		synctest.Wait()
		test(t, m, store, p)
	})
}

func TestARevalidationDoesNotWaitForALookThatTakesLong(t *testing.T) {
	t.Parallel()
	promptly(t, []string{"s1", "s2"}, func(t *testing.T, m *Manager, store *memory, p *prompt) {
		p.set(func() { p.took = 100 * time.Second }) // the loop hangs on its next look
		after(65 * time.Second)
		began := time.Now()
		p.set(func() { delete(p.slots, scheduling.WindowKey{Schedule: "s1", Day: today()}) })
		if err, ours := answered(m, oneDay(today(), "s1")); err != nil || !ours {
			t.Fatalf("%v, ours %v", err, ours)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if got := store.open("a"); got != 55 {
			t.Errorf("%d slots are known, want 55", got)
		}
	})
}

func TestWhatCoversTheSameIsRevalidatedOnce(t *testing.T) {
	t.Parallel()
	promptly(t, []string{"s1", "s2"}, func(t *testing.T, m *Manager, _ *memory, p *prompt) {
		p.delay.Store(int64(time.Second))
		var running sync.WaitGroup
		for range 100 {
			for _, scope := range []scheduling.Scope{oneDay(today()), oneDay(today(), "s1")} {
				running.Go(func() {
					if err, ours := answered(m, scope); err != nil || !ours {
						t.Errorf("%v, ours %v", err, ours)
					}
				})
				synctest.Wait()
			}
		}
		running.Wait()
		if asks := p.asks.Load(); asks != 1 {
			t.Errorf("%d calls", asks)
		}
	})
}

func TestMoreThanSomeAtOnceAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	promptly(t, []string{"s1"}, func(t *testing.T, m *Manager, _ *memory, p *prompt) {
		p.delay.Store(int64(time.Second))
		var running sync.WaitGroup
		var crowded atomic.Int32
		for i := range 2 * maxUrgent {
			running.Go(func() {
				if err, _ := answered(m, oneDay(today()+scheduling.Day(i))); errors.Is(err, errCrowded) {
					crowded.Add(1)
				}
			})
		}
		running.Wait()
		if p.asks.Load() != maxUrgent || crowded.Load() != maxUrgent {
			t.Errorf("%d calls, %d refused", p.asks.Load(), crowded.Load())
		}
	})
}

// An answer that asks for judgement is the loop's: a revalidation neither takes
// slots away by a cut answer, nor empties a source without asking again.
func TestLaw8RevalidationPutsNothingInPlaceThatIsInDoubt(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(e *ehr){
		"cut":     func(e *ehr) { e.alwaysCut = true; e.slots = nil },
		"emptied": func(e *ehr) { e.slots = nil },
	} {
		t.Run(name, func(t *testing.T) {
			promptly(t, []string{"s1", "s2"}, func(t *testing.T, m *Manager, store *memory, p *prompt) {
				p.set(func() { spoil(p.ehr); p.fetch = func(scheduling.Scope) error { return errDown } })
				scope := scheduling.Scope{Days: scheduling.Days{From: today(), To: today() + 20}}
				if err, _ := answered(m, scope); !errors.Is(err, errUnclear) {
					t.Errorf("%v", err)
				}
				synctest.Wait()
				if got := store.open("a"); got != 56 {
					t.Errorf("%d slots are known, want 56", got)
				}
				if calls := p.since(time.Now()); calls[len(calls)-1].Days != scope.Days {
					t.Errorf("the loop was not told: %v", calls)
				}
			})
		})
	}
}

func TestARevalidationThatDoesNotEndIsAbandoned(t *testing.T) {
	t.Parallel()
	promptly(t, []string{"s1"}, func(t *testing.T, m *Manager, _ *memory, p *prompt) {
		p.deaf.Store(true)
		p.delay.Store(int64(time.Hour))
		began := time.Now()
		err, _ := answered(m, oneDay(today()))
		if scheduling.CodeOf(err) != scheduling.SourceSlow {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("after %v", took)
		}
		time.Sleep(2 * time.Hour) // it ends by itself
	})
}

func TestRevalidationEndsWithTheLease(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"s1"}, func(t *testing.T, store *memory, e *ehr) {
		p := &prompt{ehr: e}
		m, stop := start(t, store, Job{options("a"), p})
		synctest.Wait()
		p.delay.Store(int64(4 * time.Second))
		ended := make(chan error, 1)
		if !m.Revalidate("a", oneDay(today()), func(err error) { ended <- err }) {
			t.Fatal("not ours")
		}
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if m.Revalidate("a", oneDay(today()), func(error) { t.Error("told") }) {
			t.Error("without a lease it is not ours")
		}
		if m.Revalidate("b", oneDay(today()), func(error) { t.Error("told") }) {
			t.Error("there is no such source")
		}
	})
}

func TestWhatARevalidationFoundIsNotForgottenByTheNextDirectory(t *testing.T) {
	t.Parallel()
	promptly(t, []string{"s1"}, func(t *testing.T, m *Manager, store *memory, p *prompt) {
		p.set(func() {
			p.found = scheduling.NewDirectory()
			p.found.Practitioners["new"] = &scheduling.Practitioner{ID: "new"}
		})
		if err, _ := answered(m, oneDay(today())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		store.mu.Lock()
		defer store.mu.Unlock()
		if store.dirs["a"].Practitioners["new"] == nil {
			t.Error("who came along is not known")
		}
		if at := store.statuses["a"].LastSync; !at.Equal(time.Now()) {
			t.Errorf("last sync %v", at)
		}
	})
}
