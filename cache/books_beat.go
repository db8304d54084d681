package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// sourcesABeat is at how many sources one script beats: who answers is asked once
// for all of them, and Redis is held up for less than a millisecond.
const sourcesABeat = 25

// beat is a sign of life, and tells how the books stand.
func (b *Books) beat(ctx context.Context, source scheduling.SourceID) (stand, error) {
	stands, err := b.beatTogether(ctx, []scheduling.SourceID{source})
	if err != nil {
		return stand{}, err
	}
	return stands[0], nil
}

// beatTogether beats at some sources in one step.
func (b *Books) beatTogether(ctx context.Context, sources []scheduling.SourceID) ([]stand, error) {
	var keys []string
	args := []any{forgetAfter.Milliseconds()}
	for _, source := range sources {
		keys = append(keys, b.store.keys.source(source).standing()...)
		args = append(args, b.feel(source))
	}
	answers, err := b.store.run(ctx, b.scripts.beat, keys, args...).Slice()
	if err != nil {
		return nil, err
	}
	stands := make([]stand, len(sources))
	for i, source := range sources {
		got, _ := answers[i].([]any)
		b.heard(source, got[3], got[4])
		stands[i] = stand{whole: numberAt(got, 0) == 1, round: textAt(got, 1), books: numberAt(got, 2) == 1}
	}
	return stands, nil
}

// groups are the sources at which one script may beat: in a cluster each by
// itself, since each is at a node of its own.
func (b *Books) groups() [][]scheduling.SourceID {
	var sources []scheduling.SourceID
	for _, source := range *b.tags.Load() {
		sources = append(sources, source)
	}
	size := sourcesABeat
	if _, cluster := b.store.client.(*redis.ClusterClient); cluster || b.apart.Load() {
		size = 1
	}
	return slices.Collect(slices.Chunk(sources, size))
}

// beatGroup beats at all of them. What Redis refuses for one must not keep it
// from the others: then each has a beat of its own. Not where Redis as a whole is
// not ready: it is asked again in the next round.
func (b *Books) beatGroup(ctx context.Context, sources []scheduling.SourceID) (stands []stand, errs []error) {
	stands, err := b.beatTogether(ctx, sources)
	var refused redis.Error
	errs = make([]error, len(sources))
	switch {
	case err == nil:
	case len(sources) > 1 && errors.As(err, &refused) && !isAway(err):
		if redis.HasErrorPrefix(err, "CROSSSLOT") {
			b.apart.Store(true)
		}
		stands = make([]stand, len(sources))
		for i, source := range sources {
			stands[i], errs[i] = b.beat(ctx, source)
		}
	default:
		stands = make([]stand, len(sources))
		for i := range errs {
			errs[i] = err
		}
	}
	return stands, errs
}

// round beats at every source, and looks at those that lost something, or at
// all.
func (b *Books) round(ctx context.Context, all bool) (restored int, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	gate := make(chan struct{}, sourcesAtOnce)
	for _, group := range b.groups() {
		gate <- struct{}{}
		wg.Go(func() {
			stands, errs := b.beatGroup(ctx, group)
			<-gate
			for i, source := range group {
				gate <- struct{}{}
				wg.Go(func() {
					defer func() { <-gate }()
					n, failed := 0, errs[i]
					if failed == nil {
						n, failed = b.look(ctx, source, stands[i], all)
					}
					mu.Lock()
					defer mu.Unlock()
					restored, err = restored+n, cmp.Or(err, failed)
				})
			}
		})
	}
	wg.Wait()
	return restored, err
}

// attend beats at one source, and looks at it.
func (b *Books) attend(ctx context.Context, source scheduling.SourceID) (restored int, err error) {
	s, err := b.beat(ctx, source)
	if err != nil {
		return 0, err
	}
	return b.look(ctx, source, s, true)
}

// look puts back what is missing at a source that lost something, or at any.
// That all of it is there is vouched for where it is waited for.
func (b *Books) look(ctx context.Context, source scheduling.SourceID, s stand, all bool) (restored int, err error) {
	if s.whole && !all {
		return 0, nil
	}
	b.notice(source, s)
	restored, err = b.reassert(ctx, source)
	if err != nil || s.whole {
		return restored, err
	}
	k := b.store.keys.source(source)
	return restored, b.store.run(ctx, b.scripts.vouch, []string{k.vouched(), k.awaited()}, b.gateway, s.round).Err()
}
