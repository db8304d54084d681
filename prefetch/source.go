package prefetch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"slotgate/scheduling"
)

// errLeaseLost ends the work on a source that is no longer ours.
var errLeaseLost = errors.New("prefetch: the lease is lost")

// source is one source and its loop. Everything but inbox and what mu guards
// belongs to the one goroutine of run.
type source struct {
	id       scheduling.SourceID
	opts     Options
	schedule cron.Schedule
	offset   time.Duration // of our ticks behind the cron's: spreads many sources
	fetcher  Fetcher
	deps     Deps
	log      *slog.Logger
	metrics  *metrics
	inbox    *inbox
	urgent   urgent

	plan     *plan
	nextTick time.Time
	trying   retry // of the source
	storing  retry // of the store
	streak   int   // streaks of failures so far
	calling  chan struct{}

	epoch   string
	resumed bool           // the status was read since we have the lease
	dropped scheduling.Day // windows before it were dropped

	dir     scheduling.Directory // all that we know
	found   scheduling.Directory // what fetches brought since the directory was read
	pending *scheduling.Directory

	doubts map[string]time.Time // slots that are kept though their records cannot be used, since when

	rationed Rationed // nil: any number of calls a day
	saved    uint64   // the tick at which the allowance was looked at last
	slower   uint64   // what came of it

	heard uint64         // the tick at which demand was asked for last
	night scheduling.Day // of the latest quiet hours

	redirected time.Time              // when the directory was last read for what the source told
	lately     map[scopeKey]time.Time // scopes that were looked at out of turn within the last second

	dirty  bool // the status is to be put
	status scheduling.Status

	subscriber   Subscriber                                   // nil: it is not asked to tell of changes
	notices      noticeBox                                    // what it told
	subscription atomic.Pointer[scheduling.SubscriptionState] // nil: none
	handed       atomic.Bool                                  // whoever takes our place keeps its Subscription

	crew   *crew
	ours   bool        // we had the lease last, as far as we know
	giving atomic.Bool // another worker is to have it

	mu     sync.Mutex
	given  time.Time // when it was given away last
	shown  scheduling.Status
	held   int // open slots, as shown
	leased bool
	raced  bool // the lease was tried for: we have it, or another does
}

func newSource(deps Deps, job Job, offset time.Duration, m *metrics) (*source, error) {
	opts := job.Options
	opts.SetDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	schedule, err := ParseCron(opts.Cron)
	if err != nil {
		return nil, err
	}
	id := opts.Source.ID
	return &source{
		id: id, opts: opts, schedule: schedule, offset: offset, fetcher: job.Fetcher,
		deps: deps, log: deps.Logger.With("source", string(id)), metrics: m, inbox: newInbox(),
		plan:   newPlan(opts),
		trying: newRetry(opts.Retry), storing: newRetry(storeRetry(opts.Retry)),
		dir: scheduling.NewDirectory(), found: scheduling.NewDirectory(),
		doubts: map[string]time.Time{},
		lately: map[scopeKey]time.Time{}, subscriber: subscriberOf(job.Fetcher), rationed: rationOf(job.Fetcher), slower: 1,
		status: scheduling.Status{Source: id}, shown: scheduling.Status{Source: id},
	}, nil
}

// storeRetry is for the store, which is ours: it is asked again sooner.
func storeRetry(r Retry) Retry {
	r.Max = max(r.First, min(r.Max, 5*time.Second))
	r.OldMax = 0
	return r
}

// run works on the source whenever it has the lease, until ctx ends.
func (s *source) run(ctx context.Context, delay time.Duration) {
	s.pause(ctx, delay)
	for ctx.Err() == nil {
		lease, ok, err := s.acquire(ctx)
		if err == nil && ok {
			s.storing.clear()
			s.hold(ctx, lease)
			s.pause(ctx, s.rest())
			continue
		}
		wait := s.retryLease()
		if err == nil {
			s.setLeased(false)
		} else if ctx.Err() == nil {
			wait = s.storeFailed(err)
		}
		s.pause(ctx, wait)
	}
}

// releaseTimeout is how long the store has to take a lease back.
const releaseTimeout = 2 * time.Second

// hold works under the lease and gives it back in the end.
func (s *source) hold(ctx context.Context, lease scheduling.Lease) {
	s.setLeased(true)
	defer s.setLeased(false)
	s.resumed = false
	working, stop := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { s.renew(working, stop, lease) })
	subscription := s.keepSubscribed(working, &renewing)
	s.urgent.open(working)
	for working.Err() == nil && !s.giving.Load() {
		err := safely(func() error { s.turn(working); return nil })
		if err != nil {
			s.storeFailed(err)
		}
	}
	stop(errGiven) // unless it ended already
	s.urgent.close()
	renewing.Wait()
	switch context.Cause(working) {
	case errLeaseLost:
		s.log.Warn("the lease of the source is lost; another worker may have it")
	case errGiven:
		s.log.Info("the source is given to another worker, which has less to do")
	default:
		s.letGo(ctx, subscription)
	}
	// ctx may be over, and the lease is to be free at once all the same. But
	// whoever was told to stop does not wait for a store that hangs.
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	err := s.store(releasing, lease.Release)
	if err != nil {
		s.log.Info("the lease of the source could not be given back; it ends by itself", "error", err)
	}
}

// renew prolongs the lease while the work goes on, and ends the work with it.
func (s *source) renew(ctx context.Context, stop context.CancelCauseFunc, lease scheduling.Lease) {
	ticker := time.NewTicker(s.opts.LeaseTTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := safely(func() error {
			ctx, cancel := context.WithTimeout(ctx, s.opts.LeaseTTL/3)
			defer cancel()
			return lease.Renew(ctx)
		})
		if err != nil && ctx.Err() == nil {
			stop(errLeaseLost)
			return
		}
	}
}

// turn does one thing, or waits until there is one to do.
func (s *source) turn(ctx context.Context) {
	now := s.deps.Now()
	if s.storing.waits(now) {
		s.pause(ctx, s.storing.notBefore.Sub(now))
		return
	}
	if err := safely(func() error { return s.prepare(ctx, now) }); err != nil {
		if ctx.Err() == nil {
			s.storeFailed(err)
		}
		return
	}
	s.advance(now)
	s.quiet(now)
	s.hear(ctx)
	s.save(now)
	var it *item
	if !s.trying.waits(now) {
		it = s.plan.pick(now)
	}
	if it == nil {
		s.idle(ctx, now)
		return
	}
	done, err := false, error(nil)
	err = safely(func() (err error) {
		done, err = s.look(ctx, it)
		return err
	})
	s.conclude(ctx, it, done, err)
}

// prepare does what must be done before anything is asked: take over what the
// last worker left, hear what others have to say, drop the days gone by.
func (s *source) prepare(ctx context.Context, now time.Time) error {
	if err := s.resume(ctx); err != nil {
		return err
	}
	scopes, epoch := s.inbox.take()
	if epoch != "" && epoch != s.epoch {
		s.resumed = false
		return s.resume(ctx)
	}
	for _, scope := range scopes {
		s.extra(scope)
	}
	s.subscribed()
	if err := s.newDay(ctx, now); err != nil {
		return err
	}
	s.attend(now)
	if err := s.takeAside(ctx); err != nil {
		return err
	}
	if s.dirty {
		return s.publish(ctx)
	}
	return nil
}

// advance counts a tick if its time has come. Ticks that passed while the loop
// was at work are dropped.
func (s *source) advance(now time.Time) {
	if now.Before(s.nextTick) {
		return
	}
	if !s.nextTick.IsZero() {
		s.plan.tick++
	}
	// Seen from the cron's own time: @every counts from now, and the offset would
	// be added to each of its intervals.
	s.nextTick = s.schedule.Next(now.Add(-s.offset)).Add(s.offset)
}

// idle waits for the next tick, the next retry, or a word from others.
func (s *source) idle(ctx context.Context, now time.Time) {
	until := s.plan.wake(now, s.nextTick)
	if until.Before(s.trying.notBefore) {
		until = s.trying.notBefore
	}
	// Below a millisecond nothing is worth a timer, and nothing may spin.
	timer := time.NewTimer(max(until.Sub(now), time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-s.inbox.wake:
	}
}

// pause waits for d, or until ctx ends.
func (s *source) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// vary is d with a quarter of jitter to both sides.
func (s *source) vary(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + 0.5*s.deps.Jitter()))
}

func (s *source) setLeased(leased bool) {
	s.mu.Lock()
	if leased != s.leased {
		s.crew.leased.Add(map[bool]int64{true: 1, false: -1}[leased])
	}
	s.leased, s.raced = leased, true
	s.mu.Unlock()
	s.metrics.lease(s.id, leased)
}
