package upstream

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"slotgate/scheduling"
)

// budget is how much we may ask of one source: calls a second, calls at once,
// and nothing at all while it asked for a pause.
type budget struct {
	source   scheduling.SourceID
	limiter  *rate.Limiter
	places   chan struct{}
	patience time.Duration // a longer pause is an error at once

	mu    sync.Mutex
	until time.Time // end of the pause
}

func newBudget(source scheduling.SourceID, limits Limits) *budget {
	burst := max(limits.Concurrency, int(math.Ceil(limits.Rate/10)))
	return &budget{
		source:   source,
		limiter:  rate.NewLimiter(rate.Limit(limits.Rate), burst),
		places:   make(chan struct{}, limits.Concurrency),
		patience: limits.RetryWait.Std(),
	}
}

// enter waits for a place and for its turn. After nil, leave must follow.
func (b *budget) enter(ctx context.Context, now time.Time) error {
	if err := b.waitPause(ctx, now); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ended(ctx, b.source)
	case b.places <- struct{}{}:
	}
	err := b.limiter.Wait(ctx)
	if err == nil {
		return nil
	}
	b.leave()
	if ctx.Err() != nil {
		return ended(ctx, b.source)
	}
	// The turn would come after the caller's deadline.
	return b.throttled(0, err)
}

func (b *budget) leave() { <-b.places }

// pause stops calls until then. A shorter pause does not end a longer one.
func (b *budget) pause(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.until) {
		b.until = until
	}
}

func (b *budget) waitPause(ctx context.Context, now time.Time) error {
	b.mu.Lock()
	wait := b.until.Sub(now)
	b.mu.Unlock()
	switch {
	case wait <= 0:
		return nil
	case wait > b.patience:
		return b.throttled(wait, &fault{cause: errPaused})
	case !sleep(ctx, wait):
		return ended(ctx, b.source)
	default:
		return nil
	}
}

func (b *budget) throttled(wait time.Duration, cause error) error {
	e := scheduling.Blame(scheduling.Throttled, b.source, cause, "our calls to the source are limited, and the limit is reached")
	e.RetryAfter = wait
	return e
}
