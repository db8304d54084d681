package prefetch

import (
	"context"

	"slotgate/scheduling"
)

// empties tells how many slots the scope of a complete answer holds now, and
// whether the answer takes away so many that it is to be asked for again (law
// 8): more than the share of all that the source has, counting what this and
// other parts lost just before, or of a scope that is not small.
func (s *source) empties(ctx context.Context, it *item, got answer) (before int, again bool, err error) {
	err = s.store(ctx, func(ctx context.Context) (err error) {
		before, err = s.deps.Writer.Known(ctx, s.id, got.Scope)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	lost := before - got.Slots()
	if lost <= 0 {
		return before, false, nil
	}
	share := s.opts.EmptiedShare
	if before >= s.opts.EmptiedFloor && float64(lost) > share*float64(before) {
		return before, true, nil
	}
	total, gone := s.balance(it)
	r := it.reading
	gone += r.before - r.after + lost
	return before, float64(gone) > share*float64(max(total, before)), nil
}

// balance sums what the parts held before their latest look and what they lost
// by it; of the part except only the former.
func (s *source) balance(except *item) (total, gone int) {
	for _, it := range s.plan.parts {
		total += it.was
		if it != except {
			gone += it.was - it.now
		}
	}
	return total, gone
}

// recount takes what a look out of turn changed into the parts of the plan that
// share days with it: it may have emptied the source as well as theirs.
func (s *source) recount(ctx context.Context, days scheduling.Days) error {
	for _, it := range s.plan.parts {
		scope := s.plan.scopeOf(it)
		if scope.Days.From >= days.To || days.From >= scope.Days.To || !it.seen {
			continue
		}
		err := s.store(ctx, func(ctx context.Context) error {
			n, err := s.deps.Writer.Known(ctx, s.id, scope)
			if err == nil {
				it.settle(it.now, n, s.opts.EmptiedShare)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// emptied tells whether the latest looks together took more than the share. It
// stays so until the slots are back or the day turns.
func (s *source) emptied() bool {
	total, gone := s.balance(nil)
	return gone > 0 && float64(gone) > s.opts.EmptiedShare*float64(total)
}

// slots is the number of open slots of all parts.
func (s *source) slots() int {
	total, gone := s.balance(nil)
	return total - gone
}

// settle takes in the result of a complete look at a part. What a part held
// before it was emptied is remembered until as much is back.
func (it *item) settle(before, after int, share float64) {
	if float64(it.now) >= (1-share)*float64(it.was) {
		it.was = before
	}
	it.now = after
	it.was = max(it.was, after)
}

// tallies sums what could not be used at the latest look at each item.
func (p *plan) tallies() (unusable, unmapped scheduling.Tally) {
	unusable, unmapped = scheduling.Tally{}, scheduling.Tally{}
	for it := range p.items {
		unusable.Merge(it.unusable)
		unmapped.Merge(it.unmapped)
	}
	return unusable, unmapped
}
