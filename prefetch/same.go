package prefetch

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// Comparer is a Fetcher that knows an answer again. It is told of which answer
// the store's windows are, and need not read what is still that one: then the
// answer is Unchanged.
type Comparer interface {
	FetchSince(ctx context.Context, scope scheduling.Scope, basis scheduling.Basis) (scheduling.Fetched, error)
}

// Confirmer is a Writer that knows of which answer the windows of a scope are.
type Confirmer interface {
	// Basis is that answer, and what it takes to tell that it is still the same.
	Basis(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (scheduling.Basis, error)
	// Confirm moves the freshness of the windows of a scope whose answer is
	// Unchanged. It is false where they are not of that answer alone any more.
	Confirm(ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, same scheduling.Fetched) (bool, error)
	// Merge puts what changed since the answer that changes.Basis names over its
	// windows. It is false where they are not of that answer alone any more.
	Merge(ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, changes scheduling.Fetched) (scheduling.Replaced, bool, error)
}

// compares tells whether an item's answers are compared with the ones before.
// What is asked out of turn is read: somebody told that something changed.
func (s *source) compares(it *item) (Comparer, Confirmer, bool) {
	fetcher, can := s.fetcher.(Comparer)
	writer, knows := s.deps.Writer.(Confirmer)
	return fetcher, writer, can && knows && it.kind == aPart
}

// way is how one scope is asked for.
type way func(context.Context) (scheduling.Fetched, error)

// whole has the answer read in any case.
func (s *source) whole(scope scheduling.Scope) way {
	return func(ctx context.Context) (scheduling.Fetched, error) { return s.fetcher.Fetch(ctx, scope) }
}

// asks is how an item's scope is asked for. It is called when the fetch has its
// number: what a claim that ends later leaves behind is above that (law 4). Until
// every part was read since the directory was, answers are read: they bring along
// what the directory holds beside its lists (see settleDirectory).
func (s *source) asks(ctx context.Context, it *item, scope scheduling.Scope) (way, error) {
	fetcher, writer, compared := s.compares(it)
	if !compared {
		return s.whole(scope), nil
	}
	var basis scheduling.Basis
	if it.seen && (s.pending == nil || it.fresh) {
		err := s.store(ctx, func(ctx context.Context) (err error) {
			basis, err = writer.Basis(ctx, s.id, scope)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (scheduling.Fetched, error) { return fetcher.FetchSince(ctx, scope, basis) }, nil
}

// fetchChanged is fetch, but for an answer that is the same as before, or tells
// only what changed: then that is put in place, and ok is false. Where the windows
// turn out to be of another answer meanwhile, or more would go than is believed at
// once (law 8), the scope is asked for once more, and read.
func (s *source) fetchChanged(ctx context.Context, it *item, scope scheduling.Scope) (got answer, ok bool, err error) {
	got, err = s.fetch(ctx, scope, func(ctx context.Context) (way, error) { return s.asks(ctx, it, scope) })
	if err != nil || !got.Unchanged && got.Basis == "" {
		return got, err == nil, err
	}
	before, lost, err := s.countHeld(ctx, it, got)
	if err != nil {
		return got, false, err
	}
	var put scheduling.Replaced
	done := false
	if !lost {
		if put, done, err = s.putChanged(ctx, it, got, before); err != nil {
			return got, false, err
		}
	}
	s.metrics.same(s.id, got.Unchanged, done)
	if done {
		s.status.LastSync = got.at
		s.metrics.replaced(s.id, put)
		got.Windows, got.Held = nil, put.Slots
		it.reading.took(got.Fetched, before)
		return got, false, nil
	}
	got, err = s.fetchWhole(ctx, scope)
	return got, err == nil, err
}

// countHeld is how many slots the store holds of the answer's scope. Where the
// answer tells their number as well, they are counted only now and then: a store
// that lost windows, and not what it knows of their answer, would stay without
// them for as long as the source tells the same. Such windows are lost, and must
// be read.
func (s *source) countHeld(ctx context.Context, it *item, got answer) (slots int, lost bool, err error) {
	tells, now := got.Unchanged && got.Held >= 0, s.deps.Now()
	if tells && now.Sub(it.counted).Abs() < s.deps.CountEvery {
		return got.Held, false, nil
	}
	err = s.store(ctx, func(ctx context.Context) (err error) {
		slots, err = s.deps.Writer.Known(ctx, s.id, got.Scope)
		return err
	})
	if err != nil || !tells {
		return slots, false, err
	}
	if it.reading.last() {
		it.counted = now
	}
	if lost = slots != got.Held; lost {
		s.log.Warn("the store holds another number of slots than the answer that it knows; it is read again",
			"from", got.Scope.Days.From.String(), "to", got.Scope.Days.To.String(), "held", slots, "answered", got.Held)
	}
	return slots, lost, nil
}

// putChanged confirms what is the same, or merges what changed.
func (s *source) putChanged(ctx context.Context, it *item, got answer, before int) (put scheduling.Replaced, done bool, err error) {
	_, writer, _ := s.compares(it)
	put.Slots = before
	if got.Basis != "" && float64(len(got.Touched)) > s.opts.EmptiedShare*float64(before) {
		return put, false, nil
	}
	err = s.store(ctx, func(ctx context.Context) (err error) {
		if got.Unchanged {
			done, err = writer.Confirm(ctx, s.id, got.number, got.at, got.Fetched)
		} else {
			put, done, err = writer.Merge(ctx, s.id, got.number, got.at, got.Fetched)
		}
		return err
	})
	return put, done, err
}

// fetchWhole asks for the scope and has the answer read.
func (s *source) fetchWhole(ctx context.Context, scope scheduling.Scope) (answer, error) {
	return s.fetch(ctx, scope, func(context.Context) (way, error) { return s.whole(scope), nil })
}
