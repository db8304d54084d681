package cache

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// How often what was shown is written down, and for how long it counts.
const (
	flushDemand = 5 * time.Second
	keepDemand  = 3 * time.Hour
)

// Demand counts what answers show, so that the prefetch looks sooner where
// people look. It knows sources and days, and nothing of who asks. What is
// counted and not yet written is lost with the process: it is a hint. It is safe
// for concurrent use.
type Demand struct {
	store *Store
	every time.Duration

	mu    sync.Mutex
	shown map[scheduling.SourceID]scheduling.Demand
}

// Demand makes a counter. Run writes down what it counts.
func (s *Store) Demand() *Demand {
	return &Demand{store: s, every: flushDemand, shown: map[scheduling.SourceID]scheduling.Demand{}}
}

// Shown counts the offers of an answer.
func (d *Demand) Shown(offers []scheduling.Hit) {
	if len(offers) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range offers {
		o := &offers[i]
		source := o.Setting.Source
		days := d.shown[source]
		if days == nil {
			days = scheduling.Demand{}
			d.shown[source] = days
		}
		days[scheduling.DayOf(o.Start(), o.Setting.Zone)]++
	}
}

// Run writes down what was counted until ctx ends; it gives the error of ctx.
func (d *Demand) Run(ctx context.Context) error {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := d.flush(ctx, time.Now()); err != nil && ctx.Err() == nil {
			d.store.log.Debug("what answers showed cannot be counted now", "error", err)
		}
	}
}

// flush adds what was counted to what others counted. Where Redis is away it is
// forgotten: it would tell of another hour.
func (d *Demand) flush(ctx context.Context, now time.Time) error {
	d.mu.Lock()
	shown := d.shown
	d.shown = map[scheduling.SourceID]scheduling.Demand{}
	d.mu.Unlock()
	if len(shown) == 0 {
		return nil
	}
	_, err := d.store.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for source, days := range shown {
			key := d.store.keys.source(source).shown(hourOf(now))
			for day, n := range days {
				pipe.HIncrBy(ctx, key, dayText(day), int64(n))
			}
			pipe.Expire(ctx, key, keepDemand)
		}
		return nil
	})
	return d.store.fault(err)
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// Wanted is what answers showed of a source in this hour and the one before, on
// all nodes.
//
// Errors: shedding.
func (s *Store) Wanted(ctx context.Context, source scheduling.SourceID) (scheduling.Demand, error) {
	return s.wanted(ctx, source, time.Now())
}

func (s *Store) wanted(ctx context.Context, source scheduling.SourceID, now time.Time) (scheduling.Demand, error) {
	k := s.keys.source(source)
	pipe := s.client.Pipeline()
	hours := []*redis.MapStringStringCmd{pipe.HGetAll(ctx, k.shown(hourOf(now))), pipe.HGetAll(ctx, k.shown(hourOf(now)-1))}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, s.fault(err)
	}
	out := scheduling.Demand{}
	for _, hour := range hours {
		for day, text := range hour.Val() {
			at, err := strconv.Atoi(day)
			n, other := strconv.Atoi(text)
			if err == nil && other == nil && n > 0 {
				out[scheduling.Day(at)] += n
			}
		}
	}
	return out, nil
}
