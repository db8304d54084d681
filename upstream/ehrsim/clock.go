package ehrsim

import "time"

// clock runs from origin at scale times the speed of the real one. Its first
// instant is fixed when it is made, so two servers with one Start agree.
type clock struct {
	real   func() time.Time
	begun  time.Time // of the real clock
	origin time.Time // of the simulated clock
	scale  float64
}

func newClock(o Options) clock {
	begun := o.Now()
	c := clock{real: o.Now, begun: begun, origin: begun, scale: o.TimeScale}
	if !o.Start.IsZero() {
		c.origin = o.Start
	}
	return c
}

func (c clock) now() time.Time {
	passed := float64(c.real().Sub(c.begun)) * c.scale
	return c.origin.Add(time.Duration(passed)).UTC()
}
