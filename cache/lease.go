package cache

import (
	"context"
	"fmt"
	"time"

	"slotgate/scheduling"
)

// lease is one source's, for a while.
type lease struct {
	store *Store
	key   string
	token string
	ttl   time.Duration
}

// Lease gives the source to one worker for ttl. ok is false, without an error,
// when another has it.
func (s *Store) Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	return s.leaseOf(ctx, s.keys.source(source).lease(), ttl)
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
// When Redis does not answer, the lease may run out, so that is an error too.
func (l *lease) Renew(ctx context.Context) error {
	n, err := l.store.run(ctx, l.store.scripts.renew, []string{l.key}, l.token, l.ttl.Milliseconds()).Int()
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return l.store.fault(err)
}

// Release gives the lease back. Giving back what is not ours any more is no
// error: the other has it already.
func (l *lease) Release(ctx context.Context) error {
	return l.store.fault(l.store.run(ctx, l.store.scripts.release, []string{l.key}, l.token).Err())
}
