package cache

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// How often a source's books are tidied, and how much of them at once.
const (
	tidyEvery = time.Minute
	tidyLimit = 100
)

// tidy forgets what nobody needs any more: patients of appointments long ago,
// claims and fences of slots long over. It is done beside the settling, by who
// settles. Whatever fails is tried again the next time.
func (b *Books) tidy(ctx context.Context, source scheduling.SourceID) {
	b.mu.Lock()
	due := time.Since(b.tidied[source]) >= tidyEvery
	if due {
		b.tidied[source] = time.Now()
	}
	b.mu.Unlock()
	if !due {
		return
	}
	b.indexAgain(ctx, source)
	if err := b.Tidy(ctx, source); err != nil {
		b.store.log.Debug("the books cannot be tidied now", "source", source, "error", err)
	}
}

// indexAgain sees from time to time that all claims are in the index.
func (b *Books) indexAgain(ctx context.Context, source scheduling.SourceID) {
	b.mu.Lock()
	due := time.Since(b.indexed[source]) >= indexEvery
	b.mu.Unlock()
	if !due {
		return
	}
	if err := b.index(ctx, source); err != nil {
		b.store.log.Debug("claims cannot be indexed now", "source", source, "error", err)
		return
	}
	b.mu.Lock()
	b.indexed[source] = time.Now()
	b.mu.Unlock()
}

// Tidy forgets the patients of appointments that ended Options.KeepPatients ago,
// and the claims and fences of slots that are over since a week, a hundred each.
func (b *Books) Tidy(ctx context.Context, source scheduling.SourceID) error {
	k, day := b.store.keys.source(source), (24 * time.Hour).Milliseconds()
	ids, err := b.store.run(ctx, b.scripts.due, []string{k.forget()}, tidyLimit, 0).StringSlice()
	if err != nil {
		return b.store.fault(err)
	}
	for _, id := range ids {
		keys := []string{k.entry(id), k.patients(), k.forget(), k.unsettled()}
		if err := b.store.run(ctx, b.scripts.forget, keys, id, day).Err(); err != nil {
			return b.store.fault(err)
		}
	}
	slots, err := b.store.run(ctx, b.scripts.due, []string{k.ends()}, tidyLimit, 0).StringSlice()
	if err != nil || len(slots) == 0 {
		return b.store.fault(err)
	}
	keys := []string{k.meta(), k.feed(), k.claims(), k.fences(), k.ends(), k.unsettled(), k.spans(), k.byslot()}
	args := []any{nonce(), nonce(), b.store.options.FeedLength, b.store.keys.wake(), string(source), packTexts(slots), day}
	for _, slot := range slots {
		args = append(args, slot, scheduling.ResourceID(source, scheduling.KindSlot, slot))
	}
	return b.store.fault(b.store.run(ctx, b.scripts.clear, keys, args...).Err())
}
