package prefetch

import (
	"context"
	"errors"
	"fmt"
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
	Now        func() time.Time      // default: time.Now
	Jitter     func() float64        // in [0,1), safe for concurrent use; default: rand.Float64

	// EpochEvery is how often we look whether the store lost its data. Default:
	// 5s.
	EpochEvery time.Duration
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
	sources []*source
	byID    map[scheduling.SourceID]*source
	err     error
}

// NewManager prepares the work on these sources. What is wrong with them is told
// by Run.
func NewManager(deps Deps, jobs []Job) *Manager {
	deps.defaults()
	m := &Manager{deps: deps, byID: map[scheduling.SourceID]*source{}}
	if deps.Writer == nil || deps.Leaser == nil {
		m.err = errors.New("prefetch: a Writer and a Leaser are needed")
		return m
	}
	m.metrics, m.err = newMetrics(deps)
	for _, job := range jobs {
		if err := m.add(job, len(jobs) > deps.Crowd); err != nil {
			m.err = errors.Join(m.err, fmt.Errorf("prefetch: source %q: %w", job.Source.ID, err))
		}
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
	def(&d.Crowd, 16)
	def(&d.Spread, 10*time.Second)
}

func (m *Manager) add(job Job, crowd bool) error {
	id := job.Source.ID
	switch {
	case id == "":
		return errors.New("it has no id")
	case job.Fetcher == nil:
		return errors.New("it has no Fetcher")
	case m.byID[id] != nil:
		return errors.New("it is there twice")
	}
	var offset time.Duration
	if crowd {
		offset = spread(id, m.deps.Spread)
	}
	s, err := newSource(m.deps, job, offset, m.metrics)
	if err != nil {
		return err
	}
	if crowd {
		s.offset = min(offset, interval(s.schedule, m.deps.Now())/2)
	}
	m.sources = append(m.sources, s)
	m.byID[id] = s
	return nil
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
	var running sync.WaitGroup
	for _, s := range m.sources {
		var delay time.Duration
		if len(m.sources) > m.deps.Crowd {
			delay = spread(s.id, m.deps.Spread)
		}
		running.Go(func() { s.run(ctx, delay) })
	}
	running.Go(func() { m.watch(ctx) })
	running.Wait()
	m.metrics.forget(m.sources)
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
		for _, s := range m.sources {
			s.inbox.tell(epoch)
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
	s := m.byID[source]
	if s == nil || !s.state().Leased {
		return false
	}
	s.inbox.trigger(scope)
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
	states := make([]State, 0, len(m.sources))
	for _, s := range m.sources {
		states = append(states, s.state())
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
