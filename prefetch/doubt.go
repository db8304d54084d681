package prefetch

import (
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// Records that cannot be used say nothing of the slots that they are about:
// unusable is not deleted. A few of them keep what is known of their slots; an
// answer in which they are many is not put in place at all. Either ends when the
// offers are too old to be shown (Source.MaxAge), so that a source that stays
// spoilt is believed in the end.

// doubtShare is the part of the known slots of a scope from which the answer is
// withheld, doubtFloor the number up to which it never is for a part alone.
const (
	doubtShare = 0.1
	doubtFloor = 2
)

// many tells whether n of the known slots are too many to be kept one by one.
func many(n, known int) bool {
	return n > 0 && (n >= known || n > doubtFloor && float64(n) > doubtShare*float64(known))
}

// doubt looks at the unusable records of a complete answer. It puts the known
// slots of those that have an id into the answer, or tells that the answer is to
// be withheld.
func (s *source) doubt(ctx context.Context, it *item, got *answer) (kept int, withheld bool, err error) {
	s.trust(got)
	if len(got.Doubtful)+got.Nameless == 0 {
		return 0, false, nil
	}
	if s.tooOld(it.doubted, got.at) {
		s.log.Warn("what cannot be used of an answer has been so for too long; what is known goes")
		return 0, false, nil
	}
	stay, known, err := s.knownOf(ctx, got)
	if err != nil {
		return 0, false, err
	}
	for _, slots := range stay {
		kept += len(slots)
	}
	lost := known - got.Slots() - kept
	unnamed := got.Nameless - s.nameless(it)
	if many(kept, known) || many(lost, known) && 2*unnamed >= lost {
		if it.doubted.IsZero() {
			it.doubted = got.at
		}
		return 0, true, nil
	}
	return s.keep(got, stay), false, nil
}

// tooOld tells whether offers that were last confirmed then are not shown now.
func (s *source) tooOld(then, now time.Time) bool {
	return !then.IsZero() && s.opts.Source.MaxAge > 0 && now.Sub(then) > s.opts.Source.MaxAge
}

// trust takes what the answer holds in good order from its doubts and from ours.
func (s *source) trust(got *answer) {
	if len(got.Doubtful)+len(s.doubts) == 0 {
		return
	}
	good := map[string]bool{}
	for _, slots := range got.Windows {
		for i := range slots {
			good[slots[i].ID] = true
			delete(s.doubts, slots[i].ID)
		}
	}
	got.Doubtful = slices.DeleteFunc(slices.Clone(got.Doubtful), func(id string) bool { return good[id] })
}

// knownOf asks the store for the slots that an answer doubts, and for the number
// of all that its scope holds.
func (s *source) knownOf(ctx context.Context, got *answer) (stay map[scheduling.WindowKey][]scheduling.Slot, known int, err error) {
	err = s.store(ctx, func(ctx context.Context) (err error) {
		if known, err = s.deps.Writer.Known(ctx, s.id, got.Scope); err != nil || known == 0 {
			return err
		}
		stay, err = s.deps.Writer.KnownAmong(ctx, s.id, got.Scope, got.Doubtful)
		return err
	})
	return stay, known, err
}

// nameless is how many records without a name were unusable when the item was
// last put in place: those took nothing away.
func (s *source) nameless(it *item) int {
	if it.kind == aPart {
		return it.nameless
	}
	sum := 0
	for _, part := range s.plan.parts {
		sum += part.nameless
	}
	return sum
}

// maxDoubts bounds the slots whose doubts are timed; with more all begin anew.
const maxDoubts = 100_000

// keep puts known slots into the answer, each until its doubts are too old.
func (s *source) keep(got *answer, stay map[scheduling.WindowKey][]scheduling.Slot) (kept int) {
	if len(s.doubts) > maxDoubts {
		clear(s.doubts)
	}
	for key, slots := range stay {
		window := slices.Clone(got.Windows[key])
		for _, slot := range slots {
			since, known := s.doubts[slot.ID]
			switch {
			case !known:
				s.doubts[slot.ID] = got.at
			case s.tooOld(since, got.at):
				delete(s.doubts, slot.ID)
				continue
			}
			window = append(window, slot)
			kept++
		}
		slices.SortFunc(window, scheduling.CompareSlots)
		got.Windows[key] = window
	}
	return kept
}

// forgetDoubts drops the doubts of slots that went without a word.
func (s *source) forgetDoubts(now time.Time) {
	for id, since := range s.doubts {
		if s.tooOld(since, now.Add(-24*time.Hour)) {
			delete(s.doubts, id)
		}
	}
}
