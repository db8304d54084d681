package replica

import (
	"math"

	"slotgate/scheduling"
)

// coverage says when each day was last confirmed by a complete fetch: stretches
// in order of day, none overlapping. It is immutable.
type coverage []stretch

type stretch struct {
	days scheduling.Days
	at   int64 // nanoseconds since 1970
}

// at is when the day was last confirmed, 0 for never.
func (c coverage) at(day scheduling.Day) int64 {
	low, high := 0, len(c)
	for low < high {
		mid := (low + high) / 2
		if c[mid].days.To <= day {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(c) && c[low].days.From <= day {
		return c[low].at
	}
	return 0
}

// floor is the oldest confirmation of the days, 0 if one has none.
func (c coverage) floor(days scheduling.Days) int64 {
	oldest, next := int64(math.MaxInt64), days.From
	for _, s := range c {
		if s.days.To <= next {
			continue
		}
		if s.days.From > next || next >= days.To {
			break
		}
		oldest, next = min(oldest, s.at), s.days.To
	}
	if next < days.To {
		return 0
	}
	return oldest
}

// with is the coverage after one more confirmation; of two for one day the
// later holds, so that their order does not matter. Days before keep fall away.
func (c coverage) with(days scheduling.Days, at int64, keep scheduling.Day) coverage {
	next := make(coverage, 0, len(c)+2)
	from := max(days.From, keep)
	for _, s := range c {
		if s.days.To <= keep {
			continue
		}
		s.days.From = max(s.days.From, keep)
		if s.days.From >= days.To || s.days.To <= days.From {
			if s.days.From >= days.To {
				next = next.put(from, days.To, at)
				from = days.To
			}
			next = next.put(s.days.From, s.days.To, s.at)
			continue
		}
		next = next.put(from, min(s.days.From, days.To), at)
		next = next.put(s.days.From, min(s.days.To, from), s.at)
		low, high := max(s.days.From, from), min(s.days.To, days.To)
		next = next.put(low, high, max(at, s.at))
		next = next.put(high, s.days.To, s.at)
		from = max(from, high)
	}
	return next.put(from, days.To, at)
}

// put appends a stretch, joined to the last one where it goes on alike.
func (c coverage) put(from, to scheduling.Day, at int64) coverage {
	if from >= to {
		return c
	}
	if n := len(c); n > 0 && c[n-1].days.To == from && c[n-1].at == at {
		c[n-1].days.To = to
		return c
	}
	return append(c, stretch{scheduling.Days{From: from, To: to}, at})
}
