package prefetch

import (
	"context"
	"maps"
	"slices"
	"time"

	"slotgate/scheduling"
)

// look asks the source for one item of the plan. It is not done when others
// should have their turn before it goes on.
func (s *source) look(ctx context.Context, it *item) (done bool, err error) {
	if it.kind == aDirectory {
		return true, s.lookAtDirectory(ctx, it)
	}
	if it.reading == nil {
		if it.kind == anExtra {
			s.began(it.scope)
		}
		it.reading = newReading(s.plan.scopeOf(it), it.patience(s.opts.MaxHopeless))
	}
	r, stop := it.reading, s.meter(it)
	defer func() { stop(done) }()
	for range s.opts.MaxFetches {
		if r.over() {
			break
		}
		if err := s.ask(ctx, it, r.rest[0]); err != nil {
			return false, err
		}
	}
	if !r.over() {
		return false, nil
	}
	it.reading = nil
	s.finish(it, r)
	if it.kind == anExtra && r.before != r.after {
		if err := s.recount(ctx, it.scope.Days); err != nil {
			return false, err
		}
	}
	return true, s.settleDirectory(ctx)
}

// ask fetches one piece of a reading and puts the answer in place, or splits it.
func (s *source) ask(ctx context.Context, it *item, scope scheduling.Scope) error {
	got, changed, err := s.fetchChanged(ctx, it, scope)
	if err != nil {
		it.reading.postpone(scheduling.CodeOf(err) == scheduling.SourceSlow)
		return err
	}
	if !changed {
		return nil
	}
	kept, ok, err := s.believe(ctx, it, &got)
	if err != nil || !ok {
		return err
	}
	before, again, err := s.empties(ctx, it, got)
	if err != nil {
		return err
	}
	if again {
		s.log.Warn("an answer would empty more than its share; it is asked for again",
			"from", scope.Days.From.String(), "to", scope.Days.To.String(), "known", before, "answered", got.Slots())
		if got, err = s.fetchWhole(ctx, scope); err != nil {
			return err
		}
		if kept, ok, err = s.believe(ctx, it, &got); err != nil || !ok {
			return err
		}
	}
	if it.reading.kept += kept; kept > 0 {
		got.Token = "" // what is put in place is more than the answer
	}
	return s.replace(ctx, it, got, before)
}

// believe tells whether an answer may be put in place (law 8), and how many
// known slots are kept in it. One that was cut is split; one in which too much
// cannot be used is not: its parts would be no better.
func (s *source) believe(ctx context.Context, it *item, got *answer) (kept int, ok bool, err error) {
	r, why := it.reading, ""
	if got.Complete {
		var withheld bool
		if kept, withheld, err = s.doubt(ctx, it, got); err != nil || !withheld {
			return kept, err == nil, err
		}
		got.Complete, got.Cut = false, cutUnusable
		why = r.giveUp(got.Fetched)
	} else {
		why = r.cut(got.Fetched, s.schedules)
	}
	if why != "" {
		days := got.Scope.Days
		s.log.Warn("an answer cannot be put in place; what is known stays",
			"from", days.From.String(), "to", days.To.String(), "why", why)
	}
	return 0, false, nil
}

// cutUnusable says why an answer was withheld of which nothing was cut.
const cutUnusable = "unusable"

// answer is what a fetch brought, with its number and its end.
type answer struct {
	scheduling.Fetched
	number uint64
	at     time.Time
}

// fetch asks the source for one scope, once, in the way that how gives. What the answer brings along for
// the directory is kept in any case: it only adds.
func (s *source) fetch(ctx context.Context, scope scheduling.Scope, how func(context.Context) (way, error)) (answer, error) {
	var number uint64
	err := s.store(ctx, func(ctx context.Context) (err error) {
		number, err = s.deps.Writer.Begin(ctx, s.id)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	ask, err := how(ctx)
	if err != nil {
		return answer{}, err
	}
	began := s.deps.Now()
	got, err := call(ctx, s, s.opts.FetchTimeout, ask)
	at := s.deps.Now()
	s.metrics.fetched(s.id, got.Complete, err, at.Sub(began))
	if ctx.Err() == nil {
		s.status.Tried = at
	}
	if err != nil {
		return answer{}, err
	}
	s.answered()
	tidy(&got, scope)
	if !got.AsOf.IsZero() && got.AsOf.Before(at) {
		at = got.AsOf // what is not new is not told as new (law 7)
	}
	return answer{got, number, at}, s.learn(ctx, got.Found)
}

// tidy holds the answer to what was asked. A window outside of the scope may be
// known in part only: it is not ours to replace.
func tidy(got *scheduling.Fetched, scope scheduling.Scope) {
	got.Scope, got.Found = scope, sound(got.Found)
	wanted := make(map[string]bool, len(scope.Schedules))
	for _, id := range scope.Schedules {
		wanted[id] = true
	}
	maps.DeleteFunc(got.Windows, func(key scheduling.WindowKey, _ []scheduling.Slot) bool {
		return !scope.Days.Has(key.Day) || len(wanted) > 0 && !wanted[key.Schedule]
	})
}

// replace puts a complete answer in place.
func (s *source) replace(ctx context.Context, it *item, got answer, before int) error {
	var put scheduling.Replaced
	err := s.store(ctx, func(ctx context.Context) (err error) {
		put, err = s.deps.Writer.Replace(ctx, s.id, got.number, got.at, got.Fetched)
		return err
	})
	if err != nil {
		return err
	}
	s.status.LastSync = got.at
	s.metrics.replaced(s.id, put)
	it.reading.took(got.Fetched, before)
	return nil
}

// finish draws the sum of a reading that came to its end.
func (s *source) finish(it *item, r *reading) {
	if it.kind == anExtra {
		s.removeExtra(it)
		return
	}
	complete := r.cuts == 0
	it.unusable, it.unmapped = r.unusable, r.unmapped
	it.kept = r.kept
	if complete {
		it.nameless, it.doubted = r.nameless, time.Time{}
		it.settle(r.before, r.after, s.opts.EmptiedShare)
	}
	s.plan.done(it, complete)
	loaded := s.plan.all(func(it *item) bool { return it.seen })
	if loaded && s.status.Loaded.IsZero() {
		s.status.Loaded = s.deps.Now()
		s.log.Info("the source is loaded", "slots", s.slots())
	}
}

// schedules are the ids by which a scope may be split, in order. There are none
// where some schedules are of our own making: the source could not be asked for
// them, and their windows would never be replaced.
func (s *source) schedules() []string {
	ids := make([]string, 0, len(s.dir.Schedules))
	for id, schedule := range s.dir.Schedules {
		if schedule.Virtual {
			return nil
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
