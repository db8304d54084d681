package prefetch

import (
	"math"
	"time"

	"slotgate/scheduling"
)

// Rationed is a Fetcher whose source may be asked so often a day, and no more.
type Rationed interface {
	// Allowance is what is left of the day.
	Allowance() scheduling.Allowance
}

// rationOf is nil for a Fetcher that is not.
func rationOf(f Fetcher) Rationed {
	r, _ := f.(Rationed)
	return r
}

// ration puts looks off so that what is left of the day lasts until its end,
// whatever was spent of it by whom. All parts are put off by as much: the nearest
// days stay the freshest.
func (p *plan) ration(left scheduling.Allowance, now time.Time, tick time.Duration) (slower uint64) {
	slower = 1
	if left.Limited && tick > 0 {
		ticks := math.Max(1, float64(left.Until.Sub(now))/float64(tick))
		need := p.calls() * ticks
		slower = uint64(math.Min(math.Ceil(math.Max(1, need/math.Max(1, float64(left.Left)))), ticks+1))
	}
	for _, it := range p.parts {
		it.slower = slower
		if it.seen && it.due > p.tick+it.pace() {
			it.due = p.tick + it.pace()
		}
	}
	return slower
}

// calls is how many calls a tick costs when nothing is put off, by what the parts
// cost when they were last looked at.
func (p *plan) calls() float64 {
	sum := 0.0
	for _, it := range p.parts {
		sum += float64(it.cost) / float64(it.wish())
	}
	return sum
}

// save looks once a tick how much is left of the day.
func (s *source) save(now time.Time) {
	if s.rationed == nil || s.saved == s.plan.tick {
		return
	}
	s.saved = s.plan.tick
	slower := s.plan.ration(s.rationed.Allowance(), now, interval(s.schedule, now))
	if s.slower != slower {
		s.log.Info("the calls of the day: looks come more rarely, so that they last", "times", slower)
		s.slower = slower
	}
	s.metrics.slower.WithLabelValues(string(s.id)).Set(float64(slower))
}

// made is how many calls were made to the source until now.
func (s *source) made() uint64 {
	if s.rationed == nil {
		return 0
	}
	return s.rationed.Allowance().Made
}

// meter counts what a look at a part costs, which may take several turns.
func (s *source) meter(it *item) (stop func(done bool)) {
	before := s.made()
	return func(done bool) {
		it.paid += s.made() - before
		if done {
			it.cost, it.paid = it.paid, 0
		}
	}
}
