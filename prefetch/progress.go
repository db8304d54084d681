package prefetch

import (
	"context"
	"errors"
	"math"
	"time"

	"slotgate/scheduling"
)

// resume takes over what the store holds of the source. Another epoch than the
// one we knew means that nothing can be relied on: everything is due at once.
func (s *source) resume(ctx context.Context) error {
	if s.resumed {
		return nil
	}
	var epoch string
	var status scheduling.Status
	var ok bool
	err := s.store(ctx, func(ctx context.Context) (err error) {
		if epoch, err = s.deps.Writer.Epoch(ctx); err != nil {
			return err
		}
		status, ok, err = s.deps.Writer.Status(ctx, s.id)
		return err
	})
	if err != nil {
		return err
	}
	if ok {
		status.Source = s.id
		s.status = status
	}
	if epoch != s.epoch {
		s.startOver(ok)
		s.epoch = epoch
	}
	if err := s.count(ctx); err != nil {
		return err
	}
	s.resumed = true
	return nil
}

// startOver makes everything due. kept tells whether the store knows the source;
// what we may have told a store that had just lost its data does not count.
func (s *source) startOver(kept bool) {
	if s.epoch != "" {
		s.log.Warn("the store has lost its data; everything is loaded again")
	}
	s.plan.reset()
	s.trying.clear()
	s.found, s.pending, s.dropped = scheduling.NewDirectory(), nil, 0
	if !kept || s.epoch != "" {
		s.status.Loaded = time.Time{}
	}
	s.dirty = true
}

// count asks the store how many slots each part of the plan holds: that against
// which an emptying answer is measured.
func (s *source) count(ctx context.Context) error {
	s.plan.from = s.today(s.deps.Now())
	return s.store(ctx, func(ctx context.Context) error {
		for _, it := range s.plan.parts {
			n, err := s.deps.Writer.Known(ctx, s.id, s.plan.scopeOf(it))
			if err != nil {
				return err
			}
			it.was, it.now = n, n
		}
		return nil
	})
}

// newDay moves the plan on when the day turns and drops the days gone by.
func (s *source) newDay(ctx context.Context, now time.Time) error {
	today := s.today(now)
	if today != s.plan.from {
		s.plan.from = today
		s.forgetDoubts(now)
		for _, it := range s.plan.parts {
			it.reading, it.was = nil, it.now
		}
	}
	if s.dropped == today {
		return nil
	}
	before := today
	if s.opts.Source.Live {
		before = math.MaxInt32 // what was kept once may be kept no longer
	}
	err := s.store(ctx, func(ctx context.Context) error {
		return s.deps.Writer.DropBefore(ctx, s.id, before)
	})
	if err == nil {
		s.dropped = today
	}
	return err
}

// farthestWest is the zone that is last to see a day end.
const farthestWest = -12 * time.Hour

// today is the day at the place of the source that is last to see it begin. As
// long as no zone is known it is the last on earth.
func (s *source) today(now time.Time) scheduling.Day {
	zones := s.dir.Zones(s.opts.Source.Zone)
	if len(zones) == 0 {
		return scheduling.DayOf(now.Add(farthestWest), time.UTC)
	}
	day := scheduling.DayOf(now, zones[0])
	for _, zone := range zones[1:] {
		day = min(day, scheduling.DayOf(now, zone))
	}
	return day
}

// extra puts a scope that was asked for out of turn on the plan, as far as it
// lies within the horizon.
func (s *source) extra(scope scheduling.Scope) {
	all := s.plan.days()
	scope.Days.From, scope.Days.To = max(scope.Days.From, all.From), min(scope.Days.To, all.To)
	if scope.Days.Len() == 0 {
		return
	}
	for _, it := range s.plan.extras {
		if it.reading == nil && within(scope, it.scope) {
			return
		}
	}
	if len(s.plan.extras) >= maxTriggers { // The source is down, and others go on asking.
		scope = hull(append(s.plan.scopes(s.plan.extras), scope))
		s.plan.extras = nil
	}
	s.plan.extras = append(s.plan.extras, &item{kind: anExtra, scope: scope, try: newRetry(s.opts.Retry)})
}

// conclude draws the consequences of a look.
func (s *source) conclude(ctx context.Context, it *item, done bool, err error) {
	if err != nil && ctx.Err() != nil {
		return // We were told to stop: nobody's fault.
	}
	s.dirty = true
	var store *storeError
	switch {
	case errors.As(err, &store):
		s.storeFailed(err)
		return
	case err != nil:
		s.failed(it, err)
	case done:
		it.try.clear()
		it.streaks = 0
	}
	if err := s.publish(ctx); err != nil && ctx.Err() == nil {
		s.storeFailed(err)
	}
}

// answered notes that the source is well. What failed only while it was not is
// forgiven, and asked for at once.
func (s *source) answered() {
	s.storing.clear()
	s.status.Failures = 0
	if s.trying.failures == 0 {
		return
	}
	s.log.Info("the source answers again", "failures", s.trying.failures)
	s.trying.clear()
	for it := range s.plan.items {
		if it.streaks <= 1 {
			it.try.clear()
		}
	}
}

// failed counts a failure of the source.
func (s *source) failed(it *item, err error) {
	now := s.deps.Now()
	e := scheduling.AsError(err)
	every := interval(s.schedule, now)
	if s.trying.failures == 0 {
		s.streak++
	}
	if it.streak != s.streak {
		it.streak = s.streak
		it.streaks++
	}
	it.try.fail(now, s.pace(it, every), 0, s.deps.Jitter)
	it.unread = it.kind == aPart
	delay := s.trying.fail(now, every, e.RetryAfter, s.deps.Jitter)
	s.status.Failures = s.trying.failures
	s.status.ErrorCode, s.status.ErrorAt = codeOf(err, e.Code), now
	if it.kind == anExtra && it.try.failures >= maxExtraFailures {
		s.removeExtra(it) // The plan comes round to it.
	}
	if worthTelling(s.trying.failures) {
		s.logFailure(e, delay)
	}
}

// codeOf is the code of a failure. A call that was not made, as too many failed
// just before, has theirs: that is what is wrong with the source.
func codeOf(err error, code scheduling.Code) scheduling.Code {
	var refused interface{ Because() scheduling.Code }
	if errors.As(err, &refused) && refused.Because() != "" {
		return refused.Because()
	}
	return code
}

// pace is how often the item comes when all is well, every being a tick.
func (s *source) pace(it *item, every time.Duration) time.Duration {
	if it.kind == aDirectory {
		return s.opts.DirectoryEvery
	}
	return every * time.Duration(max(it.every, 1))
}

// maxExtraFailures is how often something is tried out of turn.
const maxExtraFailures = 3

func (s *source) logFailure(e *scheduling.Error, delay time.Duration) {
	args := []any{"code", string(e.Code), "failures", s.trying.failures, "again_in", delay.String(), "error", e}
	var p *panicked
	if errors.As(e, &p) {
		args = append(args, "stack", string(p.stack))
	}
	s.log.Warn("the source could not be read", args...)
}

// storeFailed counts a failure of the store and gives the delay.
func (s *source) storeFailed(err error) time.Duration {
	if errors.Is(err, errEpoch) {
		return 0 // It is there, and gets everything again.
	}
	delay := s.storing.fail(s.deps.Now(), 0, 0, s.deps.Jitter)
	s.metrics.storeFailed(s.id)
	if worthTelling(s.storing.failures) {
		s.log.Warn("the store does not answer; the source waits for it",
			"failures", s.storing.failures, "again_in", delay.String(), "error", err)
	}
	return delay
}

// worthTelling keeps a long outage from filling the log: 1, 2, 4, 8 ...
func worthTelling(n int) bool { return n&(n-1) == 0 }

func (s *source) removeExtra(it *item) {
	for i, extra := range s.plan.extras {
		if extra == it {
			s.plan.extras = append(s.plan.extras[:i:i], s.plan.extras[i+1:]...)
			return
		}
	}
}
