package cache

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"slotgate/scheduling"
)

// marks reads the present state of these slots in the books.
func (f *follower) marks(
	ctx context.Context, t *tracked, named map[string]bool,
) (marks []scheduling.Mark, generations map[string]uint32, err error) {
	if len(named) == 0 {
		return nil, nil, nil
	}
	slots := slices.Sorted(maps.Keys(named))
	pipe := f.store.client.Pipeline()
	claims := pipe.HMGet(ctx, t.keys.claims(), slots...)
	fences := pipe.HMGet(ctx, t.keys.fences(), slots...)
	raised := pipe.HMGet(ctx, t.keys.generations(), slots...)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nil, fmt.Errorf("marks: %w", err)
	}
	for i, slot := range slots {
		marks = append(marks, f.markOf(t, slot, textAt(claims.Val(), i) != "", textAt(fences.Val(), i)))
		n, err := strconv.ParseUint(textAt(raised.Val(), i), 10, 32)
		if err != nil || n == 0 {
			continue // none, or damaged: a load counts that
		}
		if generations == nil {
			generations = map[string]uint32{}
		}
		generations[slot] = uint32(n)
	}
	return marks, generations, nil
}

// markOf makes the mark. A fence that cannot be read hides the slot for good:
// the safe side.
func (f *follower) markOf(t *tracked, slot string, claimed bool, fence string) scheduling.Mark {
	m := scheduling.Mark{Slot: slot, Claimed: claimed}
	if claimed || fence == "" {
		return m
	}
	n, err := strconv.ParseUint(fence, 10, 64)
	if err != nil {
		f.damaged(t, "fence")
		m.Claimed = true
		return m
	}
	m.Fence = n
	return m
}

// marks reads all claims and fences of the source.
func (l *loading) marks(ctx context.Context) error {
	claims, fences := map[string]bool{}, map[string]string{}
	err := l.scan(ctx, []string{l.t.keys.claims(), l.t.keys.fences()}, func(i int, slot, value string) {
		if i == 0 {
			claims[slot] = true
		} else {
			fences[slot] = value
		}
	})
	if err != nil {
		return err
	}
	for slot := range claims {
		l.snap.Marks = append(l.snap.Marks, scheduling.Mark{Slot: slot, Claimed: true})
	}
	for slot, fence := range fences {
		if !claims[slot] {
			l.snap.Marks = append(l.snap.Marks, l.f.markOf(l.t, slot, false, fence))
		}
	}
	return nil
}
