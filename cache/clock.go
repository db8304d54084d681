package cache

import (
	"context"
	"sync"
	"time"
)

// How often the clock is compared with Redis', and how many times in one go:
// the quickest answer says most.
const (
	clockEvery = 10 * time.Second
	clockLooks = 3
)

// Clock tells the time by Redis' clock, so that all gateways agree. Until Redis
// has answered, and while it is away, it goes by this machine's with the
// difference that was seen last. It never goes backwards: when Redis' clock
// does, it stands still until that has caught up.
type Clock struct {
	store *Store

	mu     sync.Mutex
	offset time.Duration
	base   time.Time // a reading of this machine's clock, with its monotonic part
	last   time.Time
}

// Clock makes a clock. Run keeps it right.
func (s *Store) Clock() *Clock { return &Clock{store: s, base: time.Now()} }

// Now is the time, UTC. It asks nobody.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Since goes by the monotonic clock: whoever sets this machine's does not
	// set ours.
	now := c.base.Round(0).Add(time.Since(c.base) + c.offset).UTC()
	if now.Before(c.last) {
		return c.last
	}
	c.last = now
	return now
}

// Sync compares with Redis once.
func (c *Clock) Sync(ctx context.Context) error {
	best := time.Duration(-1)
	var offset time.Duration
	for range clockLooks {
		began := time.Since(c.base)
		theirs, err := c.store.client.Time(ctx).Result()
		if err != nil {
			return c.store.fault(err)
		}
		took := time.Since(c.base) - began
		if best < 0 || took < best {
			best, offset = took, theirs.Sub(c.base.Round(0).Add(began+took/2))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = offset
	return nil
}

// Run compares again and again until ctx ends; it gives the error of ctx.
func (c *Clock) Run(ctx context.Context) error {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		if err := c.Sync(ctx); err != nil && ctx.Err() == nil {
			c.store.log.Debug("Redis' clock cannot be read now", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
