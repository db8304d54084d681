package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"slotgate/scheduling"
)

// Deps are the parts that an Asker joins.
type Deps struct {
	Index   Index
	Sources Sources
	Store   Store
	Leads   Leads
	// Live are the sources whose slots are not kept.
	Live []scheduling.Source
	// Life is of the questions: no caller's end ends one, its end ends all.
	Life context.Context //nolint:containedctx // questions outlive who asks them
	Now  func() time.Time

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Asker asks the sources whose slots are not kept. It is safe for concurrent
// use.
type Asker struct {
	opts    Options
	deps    Deps
	sources map[scheduling.SourceID]*source
	ids     []scheduling.SourceID // in order
	byTag   map[string]scheduling.SourceID
	flights singleflight.Group
	metrics *metrics
}

// source is one of them, and how it did.
type source struct {
	scheduling.Source
	// places are taken by the questions under way: no number of finds keeps
	// somebody from holding or booking (law 6).
	places map[purpose]chan struct{}

	mu     sync.Mutex
	status scheduling.Status
}

// New makes an Asker of valid options.
func New(opts Options, deps Deps) (*Asker, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("live.%w", err)
	}
	if deps.Index == nil || deps.Sources == nil || deps.Store == nil || deps.Leads == nil ||
		deps.Life == nil || deps.Now == nil || deps.Logger == nil {
		return nil, errors.New("ask: an index, sources, a store, leads, a life, a clock and a logger are needed")
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	a := &Asker{
		opts: opts, deps: deps, metrics: m,
		sources: map[scheduling.SourceID]*source{}, byTag: map[string]scheduling.SourceID{},
	}
	for _, s := range deps.Live {
		places := map[purpose]chan struct{}{toFind: make(chan struct{}, opts.AtOnce), toCheck: make(chan struct{}, opts.AtOnce)}
		a.sources[s.ID] = &source{Source: s, places: places, status: scheduling.Status{Source: s.ID}}
		a.byTag[scheduling.SourceTag(s.ID)] = s.ID
		a.ids = append(a.ids, s.ID)
	}
	slices.Sort(a.ids)
	return a, nil
}

// Concerns tells whether the query asks one of them.
func (a *Asker) Concerns(q scheduling.Query) bool {
	return slices.ContainsFunc(a.ids, func(id scheduling.SourceID) bool {
		return len(q.Sources) == 0 || slices.Contains(q.Sources, id)
	})
}

// Live tells whether the slots of the source are not kept.
func (a *Asker) Live(id scheduling.SourceID) bool { return a.sources[id] != nil }

// Status is how a source did in the last questions of this process; false: none
// was asked.
func (a *Asker) Status(id scheduling.SourceID) (scheduling.Status, bool) {
	s := a.sources[id]
	if s == nil {
		return scheduling.Status{}, false
	}
	st := s.standing()
	return st, !st.Tried.IsZero()
}

func (s *source) standing() scheduling.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// went notes how a question went. A refusal of our own making says nothing of
// the source.
func (s *source) went(at time.Time, got scheduling.Fetched, err error) scheduling.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Tried = at
	switch {
	case err != nil:
		e := scheduling.AsError(err)
		s.status.Failures++
		s.status.ErrorCode, s.status.ErrorAt = e.Code, at
	default:
		s.status.Failures, s.status.LastSync = 0, at
		s.status.Loaded = cmp.Or(s.status.Loaded, at)
		s.status.Incomplete = !got.Complete
		s.status.Unusable, s.status.Unmapped = got.Unusable, got.Unmapped
	}
	return s.status
}
