package prefetch

import (
	"context"
	"math/bits"
	"time"

	"slotgate/scheduling"
)

// Demand tells what people look for.
type Demand interface {
	// Wanted is how often offers of each day of the source were shown of late.
	Wanted(ctx context.Context, source scheduling.SourceID) (scheduling.Demand, error)
}

// enoughShown is how many offers must have been shown until that says anything.
const enoughShown = 20

// wanted lets the parts come sooner that more is shown of than of others: twice
// as often for twice its share, and so on up to every tick. The rest keep their
// pace: demand takes nothing from anybody.
func (p *plan) wanted(shown scheduling.Demand) {
	total := shown.Total()
	for _, it := range p.parts {
		it.haste = 0
		if total < enoughShown {
			continue
		}
		fair := max(1, total/len(p.parts))
		it.haste = max(0, bits.Len(uint(shown.Of(p.scopeOf(it).Days)/fair))-1)
		if it.seen {
			it.due = min(it.due, p.tick+it.pace())
		}
	}
}

// wish is how many ticks would lie between two looks at the part.
func (it *item) wish() uint64 { return max(1, it.every>>min(it.haste, 63)) }

// pace is how many do, where the calls of the day must last.
func (it *item) pace() uint64 { return it.wish() * max(1, it.slower) }

// hear asks what people look for, once a tick. Without an answer all is as it
// was.
func (s *source) hear(ctx context.Context) {
	if s.deps.Demand == nil || s.heard == s.plan.tick {
		return
	}
	s.heard = s.plan.tick
	var shown scheduling.Demand
	err := s.store(ctx, func(ctx context.Context) (err error) {
		shown, err = s.deps.Demand.Wanted(ctx, s.id)
		return err
	})
	if err != nil {
		s.log.Debug("what people look for is not known now", "error", err)
		return
	}
	s.plan.wanted(shown)
}

// quiet makes everything due once in the source's quiet hours: what is looked at
// seldom is read then, when nobody minds.
func (s *source) quiet(now time.Time) {
	if s.opts.Quiet.Empty() {
		return
	}
	zone := time.UTC
	if zones := s.dir.Zones(s.opts.Source.Zone); len(zones) > 0 {
		zone = zones[0]
	}
	night, within := s.opts.Quiet.night(now, zone)
	if !within || night == s.night {
		return
	}
	s.night = night
	for _, it := range s.plan.parts {
		it.due = min(it.due, s.plan.tick)
	}
}
