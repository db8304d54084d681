package cache

import (
	"context"
	"time"
)

// attendRoll enters a worker on the roll, or takes it off.
//
//	KEYS     1 workers
//	ARGV     1 worker, 2 lifetime in milliseconds; 0: it leaves
//	returns  how many are on the roll
const attendRoll = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[2] == '0' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  redis.call('EXPIRE', KEYS[1], 86400)
end
return redis.call('ZCARD', KEYS[1])
`

// Attend enters a worker on the roll of those that share the sources, for ttl,
// and counts who is on it.
func (s *Store) Attend(ctx context.Context, worker string, ttl time.Duration) (workers int, err error) {
	workers, err = s.run(ctx, s.scripts.attend, []string{s.keys.workers()}, worker, max(ttl.Milliseconds(), 1)).Int()
	return workers, s.fault(err)
}

// Depart takes a worker off the roll.
func (s *Store) Depart(ctx context.Context, worker string) error {
	return s.fault(s.run(ctx, s.scripts.attend, []string{s.keys.workers()}, worker, 0).Err())
}
