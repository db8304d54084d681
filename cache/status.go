package cache

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// quiet is how much the times of a status may differ from those in Redis
// without a write.
const quiet = time.Second

// Status is what the workers said last of the source; ok is false when they said
// nothing since the store was last empty.
func (s *Store) Status(ctx context.Context, source scheduling.SourceID) (status scheduling.Status, ok bool, err error) {
	k := s.keys.source(source)
	pipe := s.client.Pipeline()
	life, text := pipe.HGet(ctx, k.meta(), "life"), pipe.Get(ctx, k.status())
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return status, false, s.fault(err)
	}
	if errors.Is(text.Err(), redis.Nil) {
		return status, false, nil
	}
	if err := text.Err(); err != nil {
		return status, false, s.fault(err)
	}
	if err := json.Unmarshal([]byte(text.Val()), &status); err != nil {
		s.metrics.damaged.WithLabelValues(string(source), "status").Inc()
		return scheduling.Status{}, false, nil
	}
	s.remember(source, status.Loaded, life.Val())
	return status, true, nil
}

// PutStatus tells everybody how the source is. A status that differs from the
// last one by less than a second in its times alone is not written.
//
// A Loaded that is not zero says that the source is filled, in the life in which
// this value was first seen. In another life, it is taken for zero: the worker
// has not noticed yet that the store was emptied.
func (s *Store) PutStatus(ctx context.Context, status scheduling.Status) error {
	known, ok, err := s.Status(ctx, status.Source)
	if err != nil {
		return err
	}
	if ok && sameStatus(known, status) {
		return nil
	}
	text, err := json.Marshal(status)
	if err != nil {
		return s.fault(err)
	}
	unloaded := status
	unloaded.Loaded = time.Time{}
	without, err := json.Marshal(unloaded)
	if err != nil {
		return s.fault(err)
	}
	k := s.keys.source(status.Source)
	life, err := s.run(ctx, s.scripts.status, []string{k.meta(), k.status(), k.feed()},
		nonce(), nonce(), s.options.FeedLength, s.keys.wake(), string(status.Source),
		text, without, s.lifeOf(status.Source, status.Loaded)).Text()
	if err != nil {
		return s.fault(err)
	}
	s.remember(status.Source, status.Loaded, life)
	return nil
}

// remember keeps the life in which this value of Loaded was first seen.
func (s *Store) remember(source scheduling.SourceID, loaded time.Time, life string) {
	if loaded.IsZero() || life == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded[source].at.Equal(loaded) {
		s.loaded[source] = loadedIn{loaded, life}
	}
}

// lifeOf is the life that remember kept, "" for a value that is new.
func (s *Store) lifeOf(source scheduling.SourceID, loaded time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.loaded[source]; !loaded.IsZero() && known.at.Equal(loaded) {
		return known.life
	}
	return ""
}

// sameStatus tells whether b is not worth a write after a.
func sameStatus(a, b scheduling.Status) bool {
	if b.Tried.Sub(a.Tried).Abs() >= quiet || b.LastSync.Sub(a.LastSync).Abs() >= quiet {
		return false
	}
	if !a.Loaded.Equal(b.Loaded) || !a.ErrorAt.Equal(b.ErrorAt) {
		return false
	}
	if len(a.Unusable) != len(b.Unusable) || len(a.Unmapped) != len(b.Unmapped) {
		return false
	}
	for _, s := range []*scheduling.Status{&a, &b} {
		s.Tried, s.LastSync, s.Loaded, s.ErrorAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if len(s.Unusable) == 0 {
			s.Unusable = nil
		}
		if len(s.Unmapped) == 0 {
			s.Unmapped = nil
		}
	}
	return reflect.DeepEqual(a, b)
}
