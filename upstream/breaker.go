package upstream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"

	"slotgate/scheduling"
)

// breaker is a circuit breaker that a successful probe closes.
type breaker struct {
	fresh func() *gobreaker.CircuitBreaker[*answer]
	told  func(open bool)
	now   atomic.Pointer[gobreaker.CircuitBreaker[*answer]]
	cause atomic.Value // scheduling.Code of the latest failure that counted
}

// newBreaker makes a closed one. It opens on failures in a row: one bad query
// among good ones must not close a source.
func newBreaker(source scheduling.SourceID, g guard, limits Limits, changed func(open bool)) *breaker {
	b := &breaker{told: changed}
	b.fresh = func() *gobreaker.CircuitBreaker[*answer] {
		return gobreaker.NewCircuitBreaker[*answer](gobreaker.Settings{
			Name:    string(source) + "/" + string(g),
			Timeout: limits.BreakerOpen.Std(),
			ReadyToTrip: func(counts gobreaker.Counts) bool {
				return counts.ConsecutiveFailures >= uint32(limits.BreakerFailures) //nolint:gosec // validated
			},
			IsSuccessful:  healthy,
			IsExcluded:    neutral,
			OnStateChange: func(_ string, _, to gobreaker.State) { changed(to != gobreaker.StateClosed) },
		})
	}
	b.now.Store(b.fresh())
	return b
}

func (b *breaker) state() string { return b.now.Load().State().String() }

// because is why the breaker is open.
func (b *breaker) because() scheduling.Code {
	code, _ := b.cause.Load().(scheduling.Code)
	return code
}

// note remembers what a try died of.
func (b *breaker) note(a *answer, err error) (*answer, error) {
	if !healthy(err) {
		b.cause.Store(scheduling.CodeOf(err))
	}
	return a, err
}

// run makes a try, unless the breaker is open. A probe is made in any case; when
// it shows that the source is well, the breaker is closed for everybody.
func (b *breaker) run(probe bool, try func() (*answer, error)) (*answer, error) {
	current := b.now.Load()
	a, err := current.Execute(try)
	if !probe || !refusedByBreaker(err) {
		return a, err
	}
	a, err = try()
	if healthy(err) && !neutral(err) && b.now.CompareAndSwap(current, b.fresh()) {
		b.told(false)
	}
	return a, err
}

func refusedByBreaker(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// healthy: the source answered, were it with a refusal.
func healthy(err error) bool { return err == nil || !faultOf(err).hurt }

// neutral says nothing of the source's health: a caller who went away, and
// throttling, which is pressure and not failure.
func neutral(err error) bool {
	return errors.Is(err, context.Canceled) || scheduling.CodeOf(err) == scheduling.Throttled ||
		errors.Is(err, context.DeadlineExceeded) && !faultOf(err).hurt
}

// broken refuses calls while their breaker is open, but for probes.
func (s *stack) broken(next sender) sender {
	return func(ctx context.Context, c *call) (*answer, error) {
		b := s.breakers[c.guard()]
		if _, user := userOf(ctx); user && b.now.Load().State() == gobreaker.StateClosed {
			return next(ctx, c) // what a source makes of a user's token says nothing of its health
		}
		a, err := b.run(c.probe, func() (*answer, error) { return b.note(next(ctx, c)) })
		if refusedByBreaker(err) {
			e := scheduling.Blame(scheduling.SourceDown, s.source, &fault{cause: err, because: b.because()}, "the source failed too often just now and is left alone for a moment")
			e.RetryAfter = s.limits.BreakerOpen.Std()
			return nil, e
		}
		return a, err
	}
}

// firstWait is before the first repeat; it doubles, with jitter.
const firstWait = 200 * time.Millisecond

// retried repeats a safe call that failed in passing. A wait that the source
// asks for is honoured, or the call given up where that is too long.
func (s *stack) retried(next sender) sender {
	return func(ctx context.Context, c *call) (*answer, error) {
		waits := backoff.NewExponentialBackOff()
		waits.InitialInterval, waits.Multiplier = min(firstWait, s.limits.RetryWait.Std()), 2
		waits.MaxInterval = s.limits.RetryWait.Std()
		for try := 0; ; try++ {
			a, err := next(ctx, c)
			if err == nil || c.write || !faultOf(err).again || try >= *s.limits.Retries {
				return a, err
			}
			wait := max(waits.NextBackOff(), scheduling.AsError(err).RetryAfter)
			if wait > 2*s.limits.RetryWait.Std() || !sleep(ctx, wait) {
				return a, err
			}
			s.metrics.retries.Inc()
		}
	}
}

// sleep waits, and is false when ctx ended before.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
