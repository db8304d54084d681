package prefetch

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// Deps is what the sources share.
type Deps struct {
	Writer     Writer                // needed
	Leaser     Leaser                // needed
	Logger     *slog.Logger          // default: says nothing
	Registerer prometheus.Registerer // default: no metrics are shown
	Demand     Demand                // default: nobody tells what people look for
	Memory     Memory                // default: no source is asked to tell of changes
	Channels   Channels              // likewise
	Now        func() time.Time      // default: time.Now
	Jitter     func() float64        // in [0,1), safe for concurrent use; default: rand.Float64

	// EpochEvery is how often we look whether the store lost its data. Default:
	// 5s.
	EpochEvery time.Duration
	// CountEvery is how often the slots that the store holds are counted where the
	// source's answer stays the same. Default: 1 h.
	CountEvery time.Duration
	// Crowd is the number of sources up to which all start at once, more start
	// spread over Spread. Defaults: 16 and 10s.
	Crowd  int
	Spread time.Duration
}

// Job is one source to keep fresh.
type Job struct {
	Options
	Fetcher Fetcher
}

// Manager keeps sources fresh, each for itself.
type Manager struct {
	deps    Deps
	metrics *metrics
	crew    crew
	err     error

	mu      sync.Mutex
	workers []*worker // in the order of the jobs
	byID    map[scheduling.SourceID]*worker
	life    context.Context // of Run; nil before it
	running sync.WaitGroup
}

// NewManager prepares the work on these sources. What is wrong with them is told
// by Run.
func NewManager(deps Deps, jobs []Job) *Manager {
	deps.defaults()
	m := &Manager{deps: deps, byID: map[scheduling.SourceID]*worker{}}
	if deps.Writer == nil || deps.Leaser == nil {
		m.err = errors.New("prefetch: a Writer and a Leaser are needed")
		return m
	}
	m.metrics, m.err = newMetrics(deps)
	if m.err == nil {
		m.err = m.Update(jobs)
	}
	return m
}

func (d *Deps) defaults() {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Jitter == nil {
		d.Jitter = rand.Float64
	}
	def(&d.EpochEvery, 5*time.Second)
	def(&d.CountEvery, time.Hour)
	def(&d.Crowd, 16)
	def(&d.Spread, 10*time.Second)
}

// spread is the source's own place within d, the same on every worker.
func spread(id scheduling.SourceID, d time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return time.Duration(h.Sum64() % uint64(max(d, 1)))
}

// Run works until ctx ends, and then as long as calls under way need to break
// off; those that do not are abandoned after Options.Grace. The error tells what
// was wrong with Deps or jobs; then nothing was started.
func (m *Manager) Run(ctx context.Context) error {
	if m.err != nil {
		return m.err
	}
	m.mu.Lock()
	m.life = ctx
	for _, w := range m.workers {
		m.start(w)
	}
	m.running.Go(func() { m.watch(ctx) })
	if roll, ok := m.deps.Leaser.(Roll); ok {
		m.running.Go(func() { m.divide(ctx, roll) })
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock() // whoever updates has started all, or will see that it is over
	workers := m.workers
	m.mu.Unlock()
	m.running.Wait()
	for _, w := range workers {
		m.metrics.forget(w.source)
	}
	return nil
}

// watch looks whether the store lost its data, for all sources at once.
func (m *Manager) watch(ctx context.Context) {
	ticker := time.NewTicker(m.deps.EpochEvery)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// An outage is not a loss; the loops meet it, and tell of it, themselves.
		epoch, err := m.epoch(ctx)
		if err != nil || epoch == "" || epoch == last {
			continue
		}
		last = epoch
		for _, w := range m.all() {
			w.inbox.tell(epoch)
		}
	}
}

func (m *Manager) epoch(ctx context.Context) (epoch string, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.deps.EpochEvery)
	defer cancel()
	err = safely(func() (err error) {
		epoch, err = m.deps.Writer.Epoch(ctx)
		return err
	})
	return epoch, err
}

// Trigger asks for a scope out of turn: soon, once however often it is asked
// for. It is false for a source that this manager does not work on now; the
// worker that does must be told.
func (m *Manager) Trigger(source scheduling.SourceID, scope scheduling.Scope) bool {
	m.mu.Lock()
	w := m.byID[source]
	m.mu.Unlock()
	if w == nil || !w.state().Leased {
		return false
	}
	w.inbox.trigger(scope)
	return true
}

// State is how this manager does with one source.
type State struct {
	Status scheduling.Status
	Leased bool // we are the one who works on it
	Raced  bool // we tried to be; false as long as the store does not answer
}

// States are the sources in the order of the jobs. The status of a source that
// another worker has is what we last knew of it.
func (m *Manager) States() []State {
	all := m.all()
	states := make([]State, 0, len(all))
	for _, w := range all {
		states = append(states, w.state())
	}
	return states
}

// Tried tells whether every source that we work on was asked at least once,
// with whatever result. It is false until we know which ones those are.
func (m *Manager) Tried() bool {
	return m.every(func(s scheduling.Status) bool { return !s.Tried.IsZero() || s.Failures > 0 })
}

// Loaded tells whether every source that we work on was loaded completely.
func (m *Manager) Loaded() bool {
	return m.every(func(s scheduling.Status) bool { return !s.Loaded.IsZero() })
}

func (m *Manager) every(is func(scheduling.Status) bool) bool {
	for _, state := range m.States() {
		if !state.Raced || state.Leased && !is(state.Status) {
			return false
		}
	}
	return true
}
