package prefetch

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"slotgate/scheduling"
)

// Roll counts the workers that share the sources, so that each takes its part. A
// Leaser that is one as well is asked.
type Roll interface {
	// Attend enters a worker for ttl and counts who is there.
	Attend(ctx context.Context, worker string, ttl time.Duration) (workers int, err error)
	// Depart takes it off at once.
	Depart(ctx context.Context, worker string) error
}

// errGiven ends the work on a source that another worker is to have.
var errGiven = errors.New("prefetch: the source is given to another worker")

// crew is what the sources of a manager know together of the other workers, and
// of the store whose leases they share.
type crew struct {
	sources atomic.Int64
	leased  atomic.Int64
	workers atomic.Int64 // on the roll; 0: nobody counts them

	mu    sync.Mutex
	epoch string    // of the store, as last seen
	lost  time.Time // when another one was seen first
}

// share is how many sources are this worker's part. Parts are rounded up, so
// that together they are enough.
func (c *crew) share() int {
	sources, workers := c.sources.Load(), c.workers.Load()
	if workers < 1 {
		return int(sources)
	}
	return int((sources + workers - 1) / workers)
}

// full: it has its part.
func (c *crew) full() bool { return int(c.leased.Load()) >= c.share() }

// reserved tells whether the leases of a store that just lost its data are left
// to those who had them, and still work: for half a lease.
func (c *crew) reserved(epoch string, now time.Time, ttl time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch != "" && epoch != c.epoch {
		c.lost = now
	}
	c.epoch = epoch
	return !c.lost.IsZero() && now.Sub(c.lost) < ttl/2
}

// acquire tries to get the source's lease.
func (s *source) acquire(ctx context.Context) (lease scheduling.Lease, ok bool, err error) {
	err = s.store(ctx, func(ctx context.Context) error {
		epoch, err := s.deps.Writer.Epoch(ctx)
		if err != nil {
			return err
		}
		if reserved := s.crew.reserved(epoch, s.deps.Now(), s.opts.LeaseTTL); reserved && !s.ours {
			return nil
		}
		lease, ok, err = s.deps.Leaser.Lease(ctx, s.id, s.opts.LeaseTTL)
		return err
	})
	ok = ok && lease != nil
	s.ours = s.ours && err != nil || ok
	return lease, ok, err
}

// retryLease is how long to wait after another worker was found to have the
// source. Who has its part already leaves what becomes free to others for a
// while, and no longer: nothing is to be without a worker.
func (s *source) retryLease() time.Duration {
	if s.crew.full() {
		return s.vary(s.opts.LeaseTTL)
	}
	return s.vary(s.opts.LeaseTTL / 3)
}

// rest is how long to wait once the work under a lease has ended.
func (s *source) rest() time.Duration {
	if s.giving.Swap(false) {
		s.ours = false
		return s.vary(s.opts.LeaseTTL)
	}
	return s.vary(time.Second)
}

// giveFor is how long a source is kept that was given away and taken by nobody.
const giveFor = 10 * time.Minute

// give has the loop end its work on the source after what it is doing now. It is
// false where there is none, or where nobody wanted the source lately.
func (s *source) give(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.leased || s.giving.Load() || !s.given.IsZero() && now.Sub(s.given) < giveFor {
		return false
	}
	s.given = now
	s.giving.Store(true)
	s.inbox.rouse()
	return true
}

// divide keeps this worker on the roll, and gives away what is more than its
// part, until ctx ends.
func (m *Manager) divide(ctx context.Context, roll Roll) {
	name := strconv.FormatUint(rand.Uint64(), 36)
	ttl := m.leaseTTL()
	ticker := time.NewTicker(ttl / 3)
	defer ticker.Stop()
	for {
		m.attend(ctx, roll, name, ttl)
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
			defer cancel()
			_ = safely(func() error { return roll.Depart(ctx, name) }) // it ends by itself
			return
		case <-ticker.C:
		}
	}
}

// leaseTTL is the longest lease of a source.
func (m *Manager) leaseTTL() time.Duration {
	longest := time.Second
	for _, w := range m.all() {
		longest = max(longest, w.opts.LeaseTTL)
	}
	return longest
}

// attend is one beat. A store that does not answer changes nothing.
func (m *Manager) attend(ctx context.Context, roll Roll, name string, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, ttl/3)
	defer cancel()
	workers := 0
	err := safely(func() (err error) {
		workers, err = roll.Attend(ctx, name, ttl)
		return err
	})
	if err != nil {
		return
	}
	m.crew.workers.Store(int64(workers))
	surplus := int(m.crew.leased.Load()) - m.crew.share()
	for _, w := range m.all() {
		if surplus > 0 && w.give(m.deps.Now()) {
			surplus--
		}
	}
}
