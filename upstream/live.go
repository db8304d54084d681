package upstream

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"slotgate/scheduling"
)

// defaultLive is the part of a source's rate for finds where its slots are not
// kept: nobody prefetches them, and bookings go first in any case.
const defaultLive = 0.8

// live tells that the source's slots may not be kept (store: false).
func (o *Options) live() bool { return o.Store != nil && !*o.Store }

// checkStore refuses what makes no sense where no slots are kept.
func (o *Options) checkStore() error {
	switch {
	case !o.live():
		return nil
	case o.Dialect == Links:
		return errors.New("store: must be true for dialect links: files are read to be kept; leave it out")
	case o.Subscribe != SubscribeNever && o.Subscribe != "":
		return errors.New("subscribe: must be false where store is false: nothing is kept that a notification could renew")
	default:
		return nil
	}
}

// Listed takes in who and what the source has from somebody who has read it:
// else the first fetch would read it all.
func (c *Client) Listed(dir scheduling.Directory) {
	c.known.learn(dir)
	c.loaded.Store(true)
}

// Live is Revalidate for a find at a source whose slots are not kept. It never
// reads the directory: nobody can wait for that.
//
// Errors: those of Revalidate; source-down as long as nobody has read the
// directory.
func (c *Client) Live(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	if !c.loaded.Load() {
		return scheduling.Fetched{Scope: scope}, c.unlisted()
	}
	return c.Revalidate(ctx, scope)
}

// Again is Fetch for somebody who is about to hold, book or read an offer of
// such a source: in the lane of reads, and not out of the part for finds.
//
// Errors: those of Fetch; source-down as long as nobody has read the directory.
func (c *Client) Again(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error) {
	if !c.loaded.Load() {
		return scheduling.Fetched{Scope: scope}, c.unlisted()
	}
	return c.Fetch(inLane(ctx, laneRead), scope)
}

func (c *Client) unlisted() error {
	return scheduling.Blame(scheduling.SourceDown, c.source.ID, nil, "who and what the source has was not read yet")
}

// forbids watches for answers with slots that say Cache-Control: no-store at a
// source whose slots are kept. Nothing else is done about it: servers put the
// header on everything, and what was agreed with the clinic stands in the
// configuration.
type forbids struct{ told atomic.Bool }

// noted counts such an answer, and tells of the first.
func (c *Client) noted(op string, a *answer) {
	if c.opts.live() || a == nil || !slotAnswer(op) || !noStore(a.header) {
		return
	}
	c.metrics.noStore()
	if c.forbids.told.CompareAndSwap(false, true) {
		c.log.Warn("the source says no-store with its slots, and they are kept: if that is meant, write store: false", "source", c.source.ID)
	}
}

func slotAnswer(op string) bool { return op == "slots" || op == "prefetch" || op == "find" }

// noStore reads Cache-Control (RFC 9111, 5.2): names without regard to case.
func noStore(h http.Header) bool {
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), "no-store") {
				return true
			}
		}
	}
	return false
}
