package replica

import (
	"math"

	"slotgate/scheduling"
)

// coverage says when each day was last confirmed by a complete fetch, and the
// number of the latest one: stretches in order of day, none overlapping. It is
// immutable.
type coverage []stretch

type stretch struct {
	days  scheduling.Days
	at    int64 // nanoseconds since 1970
	fetch uint64
	valid int64 // the source's own time of its answer, as at; 0: it told none
}

// at is when the day was last confirmed, 0 for never.
func (c coverage) at(day scheduling.Day) int64 { return c.of(day).at }

// fetch is the highest number of a fetch that confirmed the day, 0 for none.
func (c coverage) fetch(day scheduling.Day) uint64 { return c.of(day).fetch }

// of is the stretch that the day lies in; one of nothing where there is none.
func (c coverage) of(day scheduling.Day) stretch {
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
		return c[low]
	}
	return stretch{}
}

// unnumbered is the coverage without the numbers of fetches.
func (c coverage) unnumbered() coverage {
	var next coverage
	for _, s := range c {
		s.fetch = 0
		next = next.put(s)
	}
	return next
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
func (c coverage) with(more stretch, keep scheduling.Day) coverage {
	next := make(coverage, 0, len(c)+2)
	to := more.days.To
	more.days.From = max(more.days.From, keep)
	if more.days.From >= to {
		more.days.From = to // it confirms nothing; what has gone by falls away all the same
	}
	for _, s := range c {
		if s.days.To <= keep {
			continue
		}
		s.days.From = max(s.days.From, keep)
		if s.days.From >= to || s.days.To <= more.days.From {
			if s.days.From >= to {
				next = next.put(more)
				more.days.From = to
			}
			next = next.put(s)
			continue
		}
		next = next.put(more.cut(more.days.From, min(s.days.From, to)))
		next = next.put(s.cut(s.days.From, min(s.days.To, more.days.From)))
		low, high := max(s.days.From, more.days.From), min(s.days.To, to)
		next = next.put(more.over(s).cut(low, high))
		next = next.put(s.cut(high, s.days.To))
		more.days.From = max(more.days.From, high)
	}
	return next.put(more)
}

// over is what two confirmations of the same days tell together.
func (s stretch) over(other stretch) stretch {
	switch {
	case other.at > s.at:
		s.valid = other.valid
	case other.at == s.at:
		s.valid = max(s.valid, other.valid)
	}
	s.at, s.fetch = max(s.at, other.at), max(s.fetch, other.fetch)
	return s
}

// cut is the stretch with other days.
func (s stretch) cut(from, to scheduling.Day) stretch {
	s.days = scheduling.Days{From: from, To: to}
	return s
}

// check is the confirmation as it came, of all schedules or of one.
func (s stretch) check(schedules ...string) scheduling.Check {
	return scheduling.Check{Scope: scheduling.Scope{Days: s.days, Schedules: schedules}, Fetch: s.fetch, At: instant(s.at), Valid: instant(s.valid)}
}

// put appends a stretch, joined to the last one where it goes on alike.
func (c coverage) put(s stretch) coverage {
	if s.days.From >= s.days.To {
		return c
	}
	if n := len(c); n > 0 && c[n-1].cut(s.days.From, s.days.To) == s && c[n-1].days.To == s.days.From {
		c[n-1].days.To = s.days.To
		return c
	}
	return append(c, s)
}
