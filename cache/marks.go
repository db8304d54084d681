package cache

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
	spans := pipe.HMGet(ctx, t.keys.spans(), slots...)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nil, fmt.Errorf("marks: %w", err)
	}
	for i, slot := range slots {
		marks = append(marks, f.markOf(t, slot, textAt(claims.Val(), i) != "", textAt(fences.Val(), i), textAt(spans.Val(), i)))
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
func (f *follower) markOf(t *tracked, slot string, claimed bool, fence, span string) scheduling.Mark {
	m := scheduling.Mark{Slot: slot, Claimed: claimed}
	if !claimed && fence == "" {
		return m
	}
	var ok bool
	if m.Span, ok = readSpan(span); !ok {
		f.damaged(t, "span")
	}
	if claimed {
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

// readSpan reads "from to schedule"; "" is none.
func readSpan(text string) (scheduling.Span, bool) {
	if text == "" {
		return scheduling.Span{}, true
	}
	from, rest, _ := strings.Cut(text, " ")
	to, schedule, _ := strings.Cut(rest, " ")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if err1 != nil || err2 != nil || schedule == "" {
		return scheduling.Span{}, false
	}
	return scheduling.Span{Schedule: schedule, From: time.Unix(first, 0).UTC(), To: time.Unix(last, 0).UTC()}, true
}

// marks reads all claims and fences of the source, with their spans.
func (l *loading) marks(ctx context.Context) error {
	var read [3]map[string]string
	for i := range read {
		read[i] = map[string]string{}
	}
	keys := []string{l.t.keys.claims(), l.t.keys.fences(), l.t.keys.spans()}
	err := l.scan(ctx, keys, func(i int, slot, value string) { read[i][slot] = value })
	if err != nil {
		return err
	}
	claims, fences, spans := read[0], read[1], read[2]
	for slot := range claims {
		l.snap.Marks = append(l.snap.Marks, l.f.markOf(l.t, slot, true, "", spans[slot]))
	}
	for slot, fence := range fences {
		if claims[slot] == "" {
			l.snap.Marks = append(l.snap.Marks, l.f.markOf(l.t, slot, false, fence, spans[slot]))
		}
	}
	return nil
}
