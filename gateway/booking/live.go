package booking

import (
	"context"

	"slotgate/scheduling"
)

// Offers of sources whose slots are not kept are asked for at the source, by
// where their ids lead, each time that one is to be held, booked or shown.

// offer gives the open offer of an id. What is known of it in the books counts
// where its source has it no longer: it may be the caller's own, just released.
//
// Errors: those of Live.
func (d *Desk) offer(ctx context.Context, id string, known bool) (hit scheduling.Hit, ok bool, err error) {
	if hit, ok = d.Offers.Offer(id); ok || d.Live == nil {
		return hit, ok, nil
	}
	hit, ok, err = d.Live.Offer(ctx, id)
	if known && is(err, scheduling.SlotTaken) {
		return scheduling.Hit{}, false, nil
	}
	return hit, ok, err
}

// liveBySlots gives the offer of these Slots where its source does not have it
// kept. The error counts where nobody has claimed them.
func (d *Desk) liveBySlots(ctx context.Context, slots []string) (hit scheduling.Hit, ok bool, err error) {
	if d.Live == nil {
		return hit, false, nil
	}
	return d.Live.BySlots(ctx, slots)
}
