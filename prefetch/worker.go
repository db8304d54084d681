package prefetch

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"slotgate/scheduling"
)

// worker is the work on one source as one configuration wants it.
type worker struct {
	*source
	job   Job
	delay time.Duration // before its first turn: spreads many sources
	after *worker       // what it takes the place of; it begins when that has ended
	stop  context.CancelFunc
	done  chan struct{}
}

// Update puts other jobs in place of those there are. Work on a source whose job
// is the same goes on undisturbed; that on another ends, and begins anew from
// what the store knows of the source. On an error nothing is changed.
func (m *Manager) Update(jobs []Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	workers, byID, err := m.plan(jobs)
	if err != nil || m.life != nil && m.life.Err() != nil {
		return err
	}
	for _, old := range m.workers {
		if next := byID[old.id]; next != old {
			old.handOn(next)
			m.end(old, next == nil)
		}
	}
	m.workers, m.byID = workers, byID
	m.crew.sources.Store(int64(len(workers)))
	if m.life != nil {
		for _, w := range workers {
			m.start(w)
		}
	}
	return nil
}

// plan makes the workers of these jobs, or keeps those there are.
func (m *Manager) plan(jobs []Job) ([]*worker, map[scheduling.SourceID]*worker, error) {
	var workers []*worker
	var errs []error
	byID := map[scheduling.SourceID]*worker{}
	for _, job := range jobs {
		w, err := m.worker(job, byID, len(jobs) > m.deps.Crowd)
		if err != nil {
			errs = append(errs, fmt.Errorf("prefetch: source %q: %w", job.Source.ID, err))
			continue
		}
		workers = append(workers, w)
		byID[w.id] = w
	}
	return workers, byID, errors.Join(errs...)
}

func (m *Manager) worker(job Job, before map[scheduling.SourceID]*worker, crowd bool) (*worker, error) {
	id := job.Source.ID
	switch {
	case id == "":
		return nil, errors.New("it has no id")
	case job.Fetcher == nil:
		return nil, errors.New("it has no Fetcher")
	case before[id] != nil:
		return nil, errors.New("it is there twice")
	}
	old := m.byID[id]
	if old != nil && old.job.same(job) {
		return old, nil
	}
	w := &worker{job: job, after: old, done: make(chan struct{})}
	if crowd {
		w.delay = spread(id, m.deps.Spread)
	}
	var err error
	if w.source, err = newSource(m.deps, job, w.delay, m.metrics); err != nil {
		return nil, err
	}
	w.crew = &m.crew
	if crowd {
		w.offset = min(w.delay, interval(w.schedule, m.deps.Now())/2)
	}
	if old != nil {
		w.delay = 0 // only what changed begins anew
	}
	return w, nil
}

// same tells whether nothing about the work is different.
func (j Job) same(other Job) bool {
	comparable := reflect.TypeOf(j.Fetcher).Comparable() && reflect.TypeOf(other.Fetcher).Comparable()
	return comparable && j.Fetcher == other.Fetcher && reflect.DeepEqual(j.Options, other.Options)
}

// handOn leaves the source's Subscription to the worker that takes our place,
// where it speaks to the same server. Otherwise it is removed in the end.
func (w *worker) handOn(next *worker) {
	w.handed.Store(next != nil && next.subscriber != nil && next.opts.Source.Base == w.opts.Source.Base)
}

// start begins the work, once. The caller holds the lock.
func (m *Manager) start(w *worker) {
	if w.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(m.life)
	w.stop = stop
	var before <-chan struct{} // nil: nothing to wait for
	if w.after != nil && w.after.stop != nil {
		before = w.after.done
	}
	w.after = nil // or all that ever were would stay
	m.running.Go(func() {
		defer close(w.done)
		defer stop()
		if before != nil {
			<-before
		}
		w.run(ctx, w.delay)
	})
}

// end stops the work. What is shown of a source that is no longer there is
// forgotten. The caller holds the lock.
func (m *Manager) end(w *worker, forget bool) {
	if w.stop == nil {
		return // it never began
	}
	w.stop()
	if forget {
		m.running.Go(func() {
			<-w.done
			m.metrics.forget(w.source)
		})
	}
}

func (m *Manager) all() []*worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.workers)
}
