package cache

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// ClientOf lets tests look at what a store sends.
func ClientOf(s *Store) redis.UniversalClient { return s.client }

// FlushAt writes down what was counted, as of an instant.
func (d *Demand) FlushAt(ctx context.Context, now time.Time) error { return d.flush(ctx, now) }

// WantedAt is Wanted as of an instant.
func (s *Store) WantedAt(ctx context.Context, source scheduling.SourceID, now time.Time) (scheduling.Demand, error) {
	return s.wanted(ctx, source, now)
}
