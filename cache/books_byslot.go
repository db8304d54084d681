package cache

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// claimsAtOnce is how many claims one look takes from Redis.
const claimsAtOnce = 1000

// allIndexed is the field of byslot that says that every claim is in it.
const allIndexed = ""

// BySlot gives the offer whose entry has this Slot of ours claimed. Our ids are
// digests: they are found by an index. Until the claims of an earlier version are
// in it, all claims of the source are gone through.
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
	k := b.store.keys.source(source)
	got, err := b.store.client.HMGet(ctx, k.byslot(), slot, allIndexed).Result()
	if err != nil {
		return "", b.store.fault(err)
	}
	if offer, native, found := strings.Cut(textAt(got, 0), " "); found {
		by, err := b.store.client.HMGet(ctx, k.claims(), native).Result()
		if err != nil {
			return "", b.store.fault(err)
		}
		if textAt(by, 0) == offer {
			return offer, nil
		}
	}
	if textAt(got, 1) == "" {
		err = b.eachClaim(ctx, source, func(native, by string) {
			if scheduling.ResourceID(source, scheduling.KindSlot, native) == slot {
				offer = by
			}
		})
	}
	if err != nil || offer != "" {
		return offer, b.store.fault(err)
	}
	return "", cmp.Or(b.unchanged(ctx, source, before), errUnknown())
}

// eachClaim goes through all claims of a source.
func (b *Books) eachClaim(ctx context.Context, source scheduling.SourceID, visit func(slot, offer string)) error {
	claims, cursor := b.store.keys.source(source).claims(), uint64(0)
	for {
		page, next, err := b.store.client.HScan(ctx, claims, cursor, "", claimsAtOnce).Result()
		if err != nil {
			return err //nolint:wrapcheck // the caller does
		}
		for i := 0; i+1 < len(page); i += 2 {
			visit(page[i], page[i+1])
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// indexEvery is how often it is seen whether all claims are in the index: while
// versions are changed one by one, an earlier one makes claims without it.
const indexEvery = time.Hour

// index puts claims that an earlier version made into byslot, with their spans.
// It is done beside the settling, by who settles.
func (b *Books) index(ctx context.Context, source scheduling.SourceID) error {
	missing := map[string]bool{}
	k := b.store.keys.source(source)
	known, err := b.store.client.HKeys(ctx, k.byslot()).Result()
	if err != nil {
		return err //nolint:wrapcheck // told by the caller
	}
	slices.Sort(known)
	err = b.eachClaim(ctx, source, func(slot, offer string) {
		ours := scheduling.ResourceID(source, scheduling.KindSlot, slot)
		if _, ok := slices.BinarySearch(known, ours); !ok {
			missing[offer] = true
		}
	})
	if err != nil {
		return err
	}
	for offer := range missing {
		e, err := b.Read(ctx, offer)
		if scheduling.CodeOf(err) == scheduling.UnknownID {
			continue // a claim without an entry
		}
		if err != nil {
			return err
		}
		if err := b.indexEntry(ctx, e); err != nil {
			return err
		}
	}
	return b.store.client.HSet(ctx, k.byslot(), allIndexed, "1").Err() //nolint:wrapcheck // told by the caller
}

// indexEntry indexes the slots of one entry. One that is from before offers had
// spans gets them where its doctor cannot be in two places.
func (b *Books) indexEntry(ctx context.Context, e scheduling.Entry) error {
	e.Offer.Alone = e.Offer.Alone || slices.ContainsFunc(e.Offer.Actors, func(a scheduling.Actor) bool {
		return a.Kind == scheduling.KindPractitioner || a.Kind == scheduling.KindRole
	})
	k, schedule := b.store.keys.source(e.Source), ""
	args := []any{e.ID, ""}
	for _, slot := range e.Offer.Slots {
		s := entrySlot(e, slot)
		args = append(args, s.id, s.ours, s.from, s.to)
		if span := e.Offer.Span(slot); span.Schedule != "" {
			schedule = span.Schedule
		}
	}
	args[1] = schedule
	return b.store.run(ctx, b.scripts.index, []string{k.claims(), k.spans(), k.byslot(), k.taken(schedule)}, args...).Err()
}
