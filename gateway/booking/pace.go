package booking

import (
	"time"

	"slotgate/scheduling"
)

// pause is the time until the next try of something that began at since: half as
// long as it has gone on, so that tries become rarer and rarer.
func (d *Desk) pause(since time.Time) time.Duration {
	return min(max(d.now().Sub(since)/2, d.opts.LookEvery), d.opts.LookMax)
}

// nextLook is the time until the next read of what is in doubt. Once settle has
// passed the second read follows the first soon: they decide.
func (d *Desk) nextLook(doubt *scheduling.Doubt, can scheduling.Abilities) time.Duration {
	wait := d.pause(doubt.Since)
	if doubt.Looks == 1 {
		return d.opts.LookEvery
	}
	if left := doubt.Since.Add(can.Settle + can.Lag).Sub(d.now()); left > 0 {
		return min(wait, left)
	}
	return wait
}

// pastSettle tells whether what is in doubt could have been seen by now, had it
// been done (law 5).
func (d *Desk) pastSettle(doubt *scheduling.Doubt, can scheduling.Abilities) bool {
	return d.now().Sub(doubt.Since) >= can.Settle+can.Lag
}
