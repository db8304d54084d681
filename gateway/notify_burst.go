package gateway

import (
	"context"
	"math"
	"time"

	"golang.org/x/time/rate"

	"slotgate/scheduling"
)

// mergeEvery is the least time between two notices into which a source's
// notifications over its rate are merged.
const mergeEvery = time.Second

// pace is how much a source tells.
type pace struct {
	limit  *rate.Limiter
	merged time.Time // when something over the rate was handed on last
	due    bool      // somebody waits to hand on what comes meanwhile
	owed   bool      // what was merged could not be handed on
}

// of is the pace of a source that is known; n.mu is held.
func (n *notified) of(source scheduling.SourceID) *pace {
	p := n.paces[source]
	if p == nil {
		p = &pace{limit: rate.NewLimiter(rate.Limit(n.opts.Rate), int(math.Ceil(2*n.opts.Rate)))}
		n.paces[source] = p
	}
	return p
}

// fits tells whether one more is within the source's rate.
func (n *notified) fits(source scheduling.SourceID, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of(source).limit.AllowN(now, 1)
}

// owes tells whether something was taken of the source and not handed on.
func (n *notified) owes(source scheduling.SourceID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of(source).owed
}

// turn tells whether it is the caller who hands on, after that wait. If not,
// somebody else is about to, and has not begun.
func (n *notified) turn(source scheduling.SourceID, now time.Time) (wait time.Duration, mine bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.of(source)
	if p.due {
		return 0, false
	}
	p.due = true
	return min(mergeEvery, p.merged.Add(mergeEvery).Sub(now)), true
}

// begin ends the wait: what comes from now on needs another turn. What was owed
// is paid by this one, unless it fails.
func (n *notified) begin(source scheduling.SourceID, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.of(source)
	p.due, p.owed, p.merged = false, false, now
}

// owe remembers that others were promised what failed.
func (n *notified) owe(source scheduling.SourceID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of(source).owed = true
}

// merge takes a notification unread: that something has changed is told of all
// such together, once a second, after the last of them came. Which change it was
// is for prefetch to find.
func (x *exchange) merge(source scheduling.SourceID) (outcome string, err error) {
	n := x.s.notified
	wait, mine := n.turn(source, x.s.deps.Now())
	if !mine {
		return "throttled", nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.ctx.Done(): // others count on it
	}
	n.begin(source, x.s.deps.Now())
	if err := x.s.deps.Notify.Notices.Tell(context.WithoutCancel(x.ctx), source, scheduling.Notice{}); err != nil {
		n.owe(source)
		return "failed", err
	}
	x.heard(source)
	return "throttled", nil
}
