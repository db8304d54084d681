package cache

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// KnownAmong are the open slots of the scope that have one of these ids, by
// window: what stays known of slots whose records came and could not be used.
func (s *Store) KnownAmong(
	ctx context.Context, source scheduling.SourceID, scope scheduling.Scope, ids []string,
) (map[scheduling.WindowKey][]scheduling.Slot, error) {
	found := map[scheduling.WindowKey][]scheduling.Slot{}
	if len(ids) == 0 {
		return found, nil
	}
	v, err := s.view(ctx, source, scope)
	if err != nil {
		return nil, s.fault(err)
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	byDay := byDays(v)
	for _, day := range slices.Sorted(maps.Keys(byDay)) {
		for some := range slices.Chunk(byDay[day], scanCount) {
			if err := s.among(ctx, source, day, some, wanted, found); err != nil {
				return nil, s.fault(err)
			}
		}
	}
	return found, nil
}

// among looks through windows of one day. One that cannot be read, or went
// meanwhile, holds nothing.
func (s *Store) among(
	ctx context.Context, source scheduling.SourceID, day scheduling.Day, schedules []string,
	wanted map[string]bool, found map[scheduling.WindowKey][]scheduling.Slot,
) error {
	values, err := s.client.HMGet(ctx, s.keys.source(source).windows(day), schedules...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	reads := newDecoder()
	for i, schedule := range schedules {
		key := scheduling.WindowKey{Schedule: schedule, Day: day}
		w, err := reads.decode(key, textAt(values, i))
		if err != nil {
			continue
		}
		for _, slot := range w.Slots {
			if wanted[slot.ID] {
				found[key] = append(found[key], slot)
			}
		}
	}
	return nil
}
