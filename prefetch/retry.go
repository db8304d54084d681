package prefetch

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry says when something that failed may be tried again: soon at first, so
// that a short outage ends with the outage, then ever more rarely.
type retry struct {
	opts      Retry
	failures  int       // in a row
	since     time.Time // of the first of them
	notBefore time.Time
	growth    backoff.ExponentialBackOff
}

func newRetry(opts Retry) retry {
	return retry{opts: opts, growth: backoff.ExponentialBackOff{
		InitialInterval: opts.First,
		Multiplier:      opts.Multiplier,
	}}
}

// fail counts a failure and gives the delay. interval is the cap of failures
// that are not young any more; after is what the source itself asked for.
func (r *retry) fail(now time.Time, interval, after time.Duration, jitter func() float64) time.Duration {
	if r.failures == 0 {
		r.since = now
		r.growth.Reset()
	}
	r.failures++
	limit := r.opts.Max
	if now.Sub(r.since) >= r.opts.Young {
		limit = max(limit, min(interval, r.opts.OldMax))
	}
	r.growth.MaxInterval = limit
	delay := min(r.growth.NextBackOff(), limit)
	spread := 1 - r.opts.Jitter + 2*r.opts.Jitter*jitter()
	delay = min(time.Duration(float64(delay)*spread), limit)
	delay = max(delay, min(after, r.opts.AfterMax))
	r.notBefore = now.Add(delay)
	return delay
}

// clear forgets the failures.
func (r *retry) clear() {
	r.failures, r.since, r.notBefore = 0, time.Time{}, time.Time{}
}

// waits tells whether it is too early to try.
func (r *retry) waits(now time.Time) bool { return now.Before(r.notBefore) }
