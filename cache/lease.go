package cache

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"slotgate/scheduling"
)

// lease is one source's, for a while.
type lease struct {
	store *Store
	key   string
	token string
	ttl   time.Duration

	retake bool        // where nobody has it, renewing takes it again
	gone   atomic.Bool // it was given back
}

// Lease gives the source to one worker for ttl. ok is false, without an error,
// when another has it.
func (s *Store) Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	given, ok, err := s.leaseOf(ctx, s.keys.source(source).lease(), ttl)
	if l, is := given.(*lease); is {
		l.retake = true // a store that was emptied stops nobody's work
	}
	return given, ok, err
}

func (s *Store) leaseOf(ctx context.Context, key string, ttl time.Duration) (scheduling.Lease, bool, error) {
	if ttl < time.Millisecond {
		return nil, false, s.fault(fmt.Errorf("cache: a lease of %v is too short", ttl))
	}
	l := &lease{store: s, key: key, token: nonce(), ttl: ttl}
	n, err := s.run(ctx, s.scripts.lease, []string{l.key}, l.token, ttl.Milliseconds()).Int()
	if err != nil {
		return nil, false, s.fault(err)
	}
	if n == 0 {
		return nil, false, nil
	}
	return l, true, nil
}

// Renew prolongs the lease to its full length from now. Errors: ErrLeaseLost.
// A source's lease that ran out, or was lost with the store's data, and is
// nobody's, is taken again. When Redis does not answer, the lease may run out, so that is an error too.
func (l *lease) Renew(ctx context.Context) error {
	if l.gone.Load() {
		return l.store.fault(ErrLeaseLost)
	}
	prolong := l.store.scripts.renew
	if l.retake {
		prolong = l.store.scripts.lease
	}
	n, err := l.store.run(ctx, prolong, []string{l.key}, l.token, l.ttl.Milliseconds()).Int()
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return l.store.fault(err)
}

// Release gives the lease back. Giving back what is not ours any more is no
// error: the other has it already.
func (l *lease) Release(ctx context.Context) error {
	l.gone.Store(true)
	return l.store.fault(l.store.run(ctx, l.store.scripts.release, []string{l.key}, l.token).Err())
}
