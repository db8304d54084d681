package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// Revalidator has windows looked at again at their sources. It must be safe for
// concurrent use.
type Revalidator interface {
	// May tells whether the source can be asked out of turn at all.
	May(source scheduling.SourceID) bool
	// Revalidate has the scope read again and waits until the Finder knows what
	// came of it for these windows, all of which lie in the scope. An error, or
	// the end of ctx: nobody knows more of them than before.
	Revalidate(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope, windows []scheduling.WindowKey) error
}

// windowAt is a window of a source.
type windowAt struct {
	source scheduling.SourceID
	scheduling.WindowKey
}

// flight is one revalidation under way; err counts once done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// over waits for the end of the flight, and is false where ctx ended before.
func (one *flight) over(ctx context.Context) bool {
	select {
	case <-one.done:
		return true
	default:
	}
	select {
	case <-one.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// How long a source is left alone after nothing came of asking it, so that who
// asks meanwhile need not wait to learn the same: after silence, and after it
// was refused to ask.
const (
	restSilent  = 5 * time.Second
	restRefused = time.Second
)

// flights are the revalidations under way, each window in one at most, whoever
// asked first. A caller who leaves ends none: others may wait for it, and the
// next one finds it done.
type flights struct {
	with  Revalidator
	limit time.Duration // of one
	now   func() time.Time

	mu     sync.Mutex
	under  map[windowAt]*flight
	rested map[scheduling.SourceID]time.Time // until when
}

func newFlights(with Revalidator, limit time.Duration, now func() time.Time) *flights {
	return &flights{
		with: with, limit: limit, now: now,
		under: map[windowAt]*flight{}, rested: map[scheduling.SourceID]time.Time{},
	}
}

// may tells whether a source in this state is asked now: one that is paused or
// down, or failed when it was last asked, is not.
func (f *flights) may(s scheduling.Freshness) bool {
	if s.State == scheduling.StateDown || s.State == scheduling.StatePaused || s.Status.Failures > 0 || !f.with.May(s.Source) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.now().Before(f.rested[s.Source])
}

// renew has windows looked at again and gives those that were, by the end of
// ctx at the latest. whole are those whose schedule cannot be asked for by
// itself.
func (f *flights) renew(ctx context.Context, windows []windowAt, whole map[windowAt]bool) map[windowAt]bool {
	joined := f.join(ctx, windows, whole)
	renewed := make(map[windowAt]bool, len(windows))
	for _, w := range windows {
		switch {
		case joined[w].over(ctx):
			renewed[w] = joined[w].err == nil
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			f.rest(w.source, restSilent)
		}
	}
	maps.DeleteFunc(renewed, func(_ windowAt, is bool) bool { return !is })
	return renewed
}

// rest leaves a source alone for a while.
func (f *flights) rest(source scheduling.SourceID, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	maps.DeleteFunc(f.rested, func(_ scheduling.SourceID, until time.Time) bool { return !now.Before(until) })
	f.rested[source] = now.Add(d)
}

// join finds the flight of each window, or starts it: one for all windows of a
// source on one day.
func (f *flights) join(ctx context.Context, windows []windowAt, whole map[windowAt]bool) map[windowAt]*flight {
	type date struct {
		source scheduling.SourceID
		day    scheduling.Day
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	joined := make(map[windowAt]*flight, len(windows))
	fresh := map[date][]windowAt{}
	for _, w := range windows {
		if under := f.under[w]; under != nil {
			joined[w] = under
			continue
		}
		at := date{w.source, w.Day}
		fresh[at] = append(fresh[at], w)
	}
	for at, some := range fresh {
		one := &flight{done: make(chan struct{})}
		scope := scheduling.Scope{Days: scheduling.Days{From: at.day, To: at.day + 1}}
		if !slices.ContainsFunc(some, func(w windowAt) bool { return whole[w] }) {
			for _, w := range some {
				scope.Schedules = append(scope.Schedules, w.Schedule)
			}
			slices.Sort(scope.Schedules)
		}
		for _, w := range some {
			f.under[w], joined[w] = one, one
		}
		go f.fly(context.WithoutCancel(ctx), one, scope, some)
	}
	return joined
}

// fly does one revalidation.
func (f *flights) fly(ctx context.Context, one *flight, scope scheduling.Scope, windows []windowAt) {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	source := windows[0].source
	keys := make([]scheduling.WindowKey, len(windows))
	for i, w := range windows {
		keys[i] = w.WindowKey
	}
	one.err = f.with.Revalidate(ctx, source, scope, keys)
	switch {
	case one.err != nil && ctx.Err() != nil:
		f.rest(source, restSilent)
	case one.err != nil:
		f.rest(source, restRefused)
	}
	f.mu.Lock()
	for _, w := range windows {
		delete(f.under, w)
	}
	f.mu.Unlock()
	close(one.done)
}
