package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// Due gives at most limit entries whose wake has passed by Redis' clock, the
// longest overdue first. They stay due until they are saved. One that cannot be
// read is counted and put off, so that it does not keep the others from
// settling. While the books are being put back nothing is due: it may be settled
// already.
func (b *Books) Due(ctx context.Context, source scheduling.SourceID, limit int) ([]scheduling.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	b.tidy(ctx, source)
	k := b.store.keys.source(source)
	ids, err := b.store.run(ctx, b.scripts.dueBooks, append(k.standing(), k.wakes()), b.feel(source), limit).StringSlice()
	if err != nil {
		return nil, b.store.fault(err)
	}
	entries, bad, err := b.readAll(ctx, source, ids)
	for _, id := range bad {
		_ = b.store.run(ctx, b.scripts.later, []string{k.wakes()}, id, time.Minute.Milliseconds()).Err()
	}
	return entries, err
}

// ByPatient gives the entries of a principal that name this patient, as asked
// or by its native id, of any state but free, in order of start and then id.
//
// Errors: shedding, also while the books are lost or being put back: a list may
// lack the rest.
func (b *Books) ByPatient(
	ctx context.Context, source scheduling.SourceID, principal, patient string,
) ([]scheduling.Entry, error) {
	before, err := b.whether(ctx, source)
	if err != nil {
		return nil, err
	}
	entries, err := b.named(ctx, source, principal, patient)
	if err != nil {
		return nil, err
	}
	if err := b.unchanged(ctx, source, before); err != nil {
		return nil, err
	}
	return entries, nil
}

// unchanged wants the books to be whole still, and not to have been lost and put
// back while they were read.
func (b *Books) unchanged(ctx context.Context, source scheduling.SourceID, before string) error {
	after, err := b.whether(ctx, source)
	if err == nil && after != before {
		err = refusePutBack(source)
	}
	return err
}

// whether wants the books to be whole, and tells which loss was the latest.
func (b *Books) whether(ctx context.Context, source scheduling.SourceID) (round string, err error) {
	s, err := b.beat(ctx, source)
	switch {
	case err != nil:
		return "", b.store.fault(err)
	case !s.whole:
		return "", refusePutBack(source)
	case !s.books:
		return "", refuseLost(source)
	default:
		return s.round, nil
	}
}

// named reads what ByPatient gives.
func (b *Books) named(ctx context.Context, source scheduling.SourceID, principal, patient string) ([]scheduling.Entry, error) {
	key := b.store.keys.source(source).patients()
	pipe := b.store.client.Pipeline()
	var asked []*redis.StringSliceCmd
	for _, d := range b.vault.Digests(digestPatient, string(source), principal, patient) {
		// Members are digest/id, and '0' is the character after '/'.
		asked = append(asked, pipe.ZRangeByLex(ctx, key, &redis.ZRangeBy{Min: "[" + d + "/", Max: "(" + d + "0"}))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, b.store.fault(err)
	}
	var ids []string
	for _, cmd := range asked {
		for _, member := range cmd.Val() {
			_, id, _ := strings.Cut(member, "/")
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	entries, err := b.whole(ctx, source, slices.Compact(ids))
	entries = slices.DeleteFunc(entries, func(e scheduling.Entry) bool {
		return e.Principal != principal || e.State == scheduling.EntryFree
	})
	slices.SortFunc(entries, func(a, b scheduling.Entry) int {
		return cmp.Or(a.Offer.Start().Compare(b.Offer.Start()), cmp.Compare(a.ID, b.ID))
	})
	return entries, err
}

// Unsettled gives every entry of the source of which nobody knows yet whether
// the EHR booked or cancelled it, in order of id.
func (b *Books) Unsettled(ctx context.Context, source scheduling.SourceID) ([]scheduling.Entry, error) {
	ids, err := b.store.client.SMembers(ctx, b.store.keys.source(source).unsettled()).Result()
	if err != nil {
		return nil, b.store.fault(err)
	}
	slices.Sort(ids)
	return b.whole(ctx, source, ids)
}

// whole reads entries, all of them or an error.
func (b *Books) whole(ctx context.Context, source scheduling.SourceID, ids []string) ([]scheduling.Entry, error) {
	entries, bad, err := b.readAll(ctx, source, ids)
	if err == nil && len(bad) > 0 {
		err = b.store.fault(errDamaged)
	}
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// readAll reads entries in the order asked; bad are those that cannot be read.
func (b *Books) readAll(
	ctx context.Context, source scheduling.SourceID, ids []string,
) (entries []scheduling.Entry, bad []string, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	k := b.store.keys.source(source)
	pipe := b.store.client.Pipeline()
	asked := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		asked[i] = pipe.HMGet(ctx, k.entry(id), recordFields()...)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, nil, b.store.fault(err)
	}
	for i, id := range ids {
		e, err := b.decode(k.entry(id), asked[i].Val())
		if err != nil {
			b.store.metrics.damaged.WithLabelValues(string(source), "entry").Inc()
			b.store.log.Error("an entry cannot be read", "source", source, "offer", id, "error", err)
			bad = append(bad, id)
			continue
		}
		entries = append(entries, e)
	}
	return entries, bad, nil
}
