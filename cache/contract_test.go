package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/vault"
	"slotgate/gateway/booking/bookingtest"
)

func TestTheBooksKeepTheContractOfStores(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		for i, c := range bookingtest.Contract() {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				s := open(t, server.URL(), func(o *cache.Options) { o.Prefix = fmt.Sprint("case", i) })
				v := vault.Ephemeral()
				b := newBooks(t, s, v)
				c.Run(t, bookingtest.Fixture{
					Books: b, Holds: s.Holds(), Keys: s.Keys(v), Leases: b, Source: source,
					Advance: func(d time.Duration) { pass(server, d) },
					Lose:    func() { must(t, forgetSource(t, cache.ClientOf(s), fmt.Sprint("case", i))) },
					Recover: func() { settled(t, b) },
				})
			})
		}
	})
}

// pass lets time pass by the server's clock. That of the stand-in ticks.
func pass(server *embedded.Server, d time.Duration) {
	if d > 0 && !server.Real() {
		d += 600 * time.Millisecond
	}
	time.Sleep(d)
}

// forgetSource removes all keys of the source under a prefix.
func forgetSource(t *testing.T, c redis.UniversalClient, prefix string) error {
	t.Helper()
	keys, err := c.Keys(t.Context(), prefix+":{s:"+string(source)+"}:*").Result()
	if err != nil || len(keys) == 0 {
		return err
	}
	return c.Del(t.Context(), keys...).Err()
}
