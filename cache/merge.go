package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// errOtherAnswer says that the windows of a scope are not of the answer any more from
// which changes are told.
var errOtherAnswer = errors.New("cache: what stands is of another answer")

// Merge puts what changed since the answer that changes.Basis names over the
// windows that are of it: slots that are Touched go, and those of Windows come. at
// is the end of the fetch. It is false, and nothing is promised, where the windows
// are not of that answer alone; then the whole must be read and put in place.
//
// Errors: those of Replace.
func (s *Store) Merge(
	ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, changes scheduling.Fetched,
) (scheduling.Replaced, bool, error) {
	if !changes.Complete || changes.Unchanged || !tokens.MatchString(changes.Basis) {
		return scheduling.Replaced{}, false, s.fault(ErrIncomplete)
	}
	all, ok, err := s.windows(ctx, source, changes.Scope)
	if err != nil || !ok {
		return scheduling.Replaced{}, false, s.fault(err)
	}
	whole := changes
	whole.Windows = merged(all, changes)
	done, err := s.replace(ctx, source, fetch, at, whole)
	if errors.Is(err, errOtherAnswer) {
		return done, false, nil
	}
	return done, err == nil, s.fault(err)
}

// merged is what is known with what changed.
func merged(all map[scheduling.WindowKey][]scheduling.Slot, changes scheduling.Fetched) map[scheduling.WindowKey][]scheduling.Slot {
	touched := make(map[string]bool, len(changes.Touched))
	for _, id := range changes.Touched {
		touched[id] = true
	}
	for key, slots := range all {
		all[key] = slices.DeleteFunc(slots, func(s scheduling.Slot) bool { return touched[s.ID] })
	}
	for key, slots := range changes.Windows {
		all[key] = append(all[key], slots...)
	}
	return all
}

// windows reads the slots of a scope. ok is false where one of its windows went
// meanwhile, or cannot be read.
func (s *Store) windows(
	ctx context.Context, source scheduling.SourceID, scope scheduling.Scope,
) (all map[scheduling.WindowKey][]scheduling.Slot, ok bool, err error) {
	v, err := s.view(ctx, source, scope)
	if err != nil {
		return nil, false, err
	}
	all = make(map[scheduling.WindowKey][]scheduling.Slot, len(v.heads))
	reads, k := newDecoder(), s.keys.source(source)
	for day, schedules := range byDays(v) {
		for some := range slices.Chunk(schedules, scanCount) {
			values, err := s.client.HMGet(ctx, k.windows(day), some...).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				return nil, false, err
			}
			for i, schedule := range some {
				key := scheduling.WindowKey{Schedule: schedule, Day: day}
				w, err := reads.decode(key, textAt(values, i))
				if err != nil {
					return nil, false, nil
				}
				all[key] = w.Slots
			}
		}
	}
	return all, true, nil
}

func byDays(v *view) map[scheduling.Day][]string {
	days := map[scheduling.Day][]string{}
	for key := range v.heads {
		days[key.Day] = append(days[key.Day], key.Schedule)
	}
	return days
}

// stands makes sure, where only what changed is put in place, that the windows are
// still of the answer that it changed. It is asked after the view was taken: what
// is written later gives another revision.
func (r *replacement) stands(ctx context.Context) error {
	if r.basis == "" {
		return nil
	}
	text, err := r.store.client.HGet(ctx, r.keys.stands(), r.check.field).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("stand: %w", err)
	}
	if token, _ := readStand(text); token != r.basis {
		return errOtherAnswer
	}
	return nil
}
