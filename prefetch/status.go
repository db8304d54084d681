package prefetch

import (
	"context"
	"errors"

	"slotgate/scheduling"
)

// errEpoch keeps what we know of a store's former life out of its new one.
var errEpoch = errors.New("prefetch: the store lost its data")

// publish tells everyone how the source does. A store that has just lost its
// data must not be told that the source is loaded.
func (s *source) publish(ctx context.Context) error {
	status := s.judge()
	err := s.store(ctx, func(ctx context.Context) error {
		epoch, err := s.deps.Writer.Epoch(ctx)
		if err != nil {
			return err
		}
		if epoch != s.epoch {
			s.resumed = false
			return errEpoch
		}
		return s.deps.Writer.PutStatus(ctx, status)
	})
	s.show(status)
	if err == nil {
		s.dirty = false
	}
	return err
}

// judge completes the status with what the plan knows. The tallies of the worker
// before us stand until we have looked at everything ourselves.
func (s *source) judge() scheduling.Status {
	st := &s.status
	st.Incomplete, st.Emptied = false, s.emptied()
	for _, it := range s.plan.parts {
		st.Incomplete = st.Incomplete || it.unread || it.kept > 0
	}
	if st.Loaded.IsZero() || s.plan.all(func(it *item) bool { return it.seen }) {
		st.Unusable, st.Unmapped = s.plan.tallies()
	}
	status := *st
	status.Unusable, status.Unmapped = st.Unusable.Clone(), st.Unmapped.Clone()
	return status
}

func (s *source) show(status scheduling.Status) {
	s.mu.Lock()
	s.shown, s.held = status, s.slots()
	s.mu.Unlock()
	s.metrics.show(status, s.slots())
}

// state is the latest status, and who works on the source.
func (s *source) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return State{Status: s.shown, Leased: s.leased, Raced: s.raced}
}
