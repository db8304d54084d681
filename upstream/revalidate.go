package upstream

import (
	"cmp"
	"context"
	"math"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"slotgate/scheduling"
)

// defaultRevalidate is the part of a source's rate for those who wait for
// offers to be looked at again.
const defaultRevalidate = 0.2

// newSpare is the part of the rate that revalidating may take: less than two
// calls in a row would never finish a page and what it refers to.
func newSpare(limits Limits) *rate.Limiter {
	most := limits.Rate * cmp.Or(limits.Revalidate, defaultRevalidate)
	return rate.NewLimiter(rate.Limit(most), int(math.Max(2, math.Ceil(most))))
}

// laneKey is where a context keeps the lane of the fetch that it is for.
type laneKey struct{}

func inLane(ctx context.Context, l lane) context.Context { return context.WithValue(ctx, laneKey{}, l) }

// laneOf is the lane of a fetch, "" where nobody waits for it.
func laneOf(ctx context.Context) lane {
	l, _ := ctx.Value(laneKey{}).(lane)
	return l
}

// Revalidate is Fetch for somebody who waits for it: before prefetch, behind
// everything else, and never more than limits.revalidate of the rate.
//
// Errors: those of Fetch; and at once, with nothing asked, not-supported where
// the source publishes files, source-down where it is paused or not well
// (its breaker is open), throttled where it asked for a pause or the part
// of the rate is used up.
func (c *Client) Revalidate(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	if err := c.mayRevalidate(); err != nil {
		return scheduling.Fetched{Scope: scope}, err
	}
	return c.Fetch(inLane(ctx, laneRevalidate), scope)
}

func (c *Client) mayRevalidate() error {
	refuse := func(code scheduling.Code, message string) error {
		return scheduling.Blame(code, c.source.ID, nil, message)
	}
	_, files := c.dialect.(publisher)
	switch {
	case files:
		return refuse(scheduling.NotSupported, "the source publishes files, which say themselves when to ask again")
	case c.source.Paused:
		return refuse(scheduling.SourceDown, "the source is paused")
	case c.breakers[guardPrefetch].now.Load().State() == gobreaker.StateOpen: // half-open: this call is the probe
		return refuse(scheduling.SourceDown, "the source failed too often just now and is left alone for a moment")
	case c.budget.pauseLeft() > 0:
		return refuse(scheduling.Throttled, "the source asked us for a pause")
	case c.spare.TokensAt(time.Now()) < 1:
		return refuse(scheduling.Throttled, "the part of the budget for looking again is used up")
	default:
		return nil
	}
}
