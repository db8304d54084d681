package booking

import (
	"time"

	"slotgate/scheduling"
)

// learn tells what became of an offer when its EHR was asked for it. Only a yes
// and "taken" say something of the slot, and only of an offer that was free to
// us: what was held was asked for before.
func (d *Desk) learn(f found, asked time.Time, got bool, err error) {
	taken := is(err, scheduling.SlotTaken)
	if d.Learned == nil || f.confirmed.IsZero() || !got && !taken {
		return
	}
	d.Learned.Learn(f.entry.Source, max(0, asked.Sub(f.confirmed)), taken)
}
