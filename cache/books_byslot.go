package cache

import (
	"cmp"
	"context"
	"strings"

	"slotgate/scheduling"
)

// claimsAtOnce is how many claims one look takes from Redis.
const claimsAtOnce = 1000

// BySlot gives the offer whose entry has this Slot of ours claimed. Our ids are
// digests: all claims of the source are gone through, so ask only where no open
// offer has the slot.
//
// Errors: unknown-id where nobody has it; shedding, also while the books are lost
// or being put back: who has it may be what was lost.
func (b *Books) BySlot(ctx context.Context, slot string) (offer string, err error) {
	tag, _, _ := strings.Cut(slot, "-")
	source, ok := (*b.tags.Load())[tag]
	if !ok || !scheduling.ValidID(slot) {
		return "", errUnknown()
	}
	before, err := b.whether(ctx, source)
	if err != nil {
		return "", err
	}
	claims, cursor := b.store.keys.source(source).claims(), uint64(0)
	for {
		var page []string
		if page, cursor, err = b.store.client.HScan(ctx, claims, cursor, "", claimsAtOnce).Result(); err != nil {
			return "", b.store.fault(err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			if scheduling.ResourceID(source, scheduling.KindSlot, page[i]) == slot {
				return page[i+1], nil
			}
		}
		if cursor == 0 {
			return "", cmp.Or(b.unchanged(ctx, source, before), errUnknown())
		}
	}
}
