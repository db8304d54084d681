package cache

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// Holds counts what each principal holds, over all sources. It bounds what one
// user can take from the others; whether an offer is held stands in its entry.
type Holds struct {
	store      *Store
	take, drop script
}

// takeSource counts an offer.
//
//	KEYS     1 holds
//	ARGV     1 offer, 2 limit, 3 lifetime in milliseconds
//	returns  1 counted; 0 so many others are
const takeSource = clock + `
local now = clock()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not mine and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(tonumber(last[2]) - now, 1)))
return 1
`

// dropSource stops counting an offer.
//
//	KEYS     1 holds
//	ARGV     1 offer
//	returns  how many were counted
const dropSource = `return redis.call('ZREM', KEYS[1], ARGV[1])`

// Holds gives the count of holds.
func (s *Store) Holds() *Holds {
	return &Holds{
		store: s,
		take:  script{"take", redis.NewScript(takeSource)},
		drop:  script{"drop", redis.NewScript(dropSource)},
	}
}

// Take counts the offer for the principal, for ttl at most. An offer that is
// counted already stays counted once, with the new ttl.
//
// Errors: hold-limit where limit others are counted; shedding.
func (h *Holds) Take(ctx context.Context, principal, offer string, limit int, ttl time.Duration) error {
	key := h.store.keys.principal(principal).holds()
	n, err := h.store.run(ctx, h.take, []string{key}, offer, limit, max(ttl, time.Millisecond).Milliseconds()).Int()
	if err != nil {
		return h.store.fault(err)
	}
	if n == 0 {
		return scheduling.Refuse(scheduling.HoldLimit, "", "you hold %d appointments already; release one, or book it", limit)
	}
	return nil
}

// Held are the offers that are counted now; whether one is held still stands in
// its entry.
//
// Errors: shedding.
func (h *Holds) Held(ctx context.Context, principal string) ([]string, error) {
	offers, err := h.store.client.ZRange(ctx, h.store.keys.principal(principal).holds(), 0, -1).Result()
	return offers, h.store.fault(err)
}

// Drop stops counting it. To drop what is not counted is no error.
func (h *Holds) Drop(ctx context.Context, principal, offer string) error {
	key := h.store.keys.principal(principal).holds()
	return h.store.fault(h.store.run(ctx, h.drop, []string{key}, offer).Err())
}
