package cache_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

func TestLaw4AfterAFailoverThatLostTheEndOfAClaim(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, c := open(t, server.URL()), client(t, server.URL())
	b := newBooks(t, s, vault.Ephemeral())
	begin := func() uint64 {
		n, err := s.Begin(t.Context(), source)
		must(t, err)
		return n
	}
	begin()
	before := take(t, c)
	underWay := begin() // its number is lost too, and is given again
	ended := save(t, b, taking(entryOf(scheduling.EntryHolding, "p1", 0, "ended")))
	ended.State = scheduling.EntryFree
	save(t, b, scheduling.EntryChange{Entry: ended, Claims: scheduling.ClaimsFence})
	again := save(t, b, taking(entryOf(scheduling.EntryHolding, "p1", 0, "again")))
	again.State = scheduling.EntryFree
	again = save(t, b, scheduling.EntryChange{Entry: again, Claims: scheduling.ClaimsFence})
	again.State = scheduling.EntryHolding
	save(t, b, taking(again))
	before.put(t, c)
	if n, err := b.Reassert(t.Context()); err != nil || n != 2 {
		t.Fatalf("put back %d, %v", n, err)
	}
	for _, slot := range []string{"ended", "again"} {
		fence, err := strconv.ParseUint(c.HGet(t.Context(), "slotgate:{s:napa}:fences", slot).Val(), 10, 64)
		if err != nil || fence < underWay {
			t.Errorf("%s: fence %d, fetch under way %d, %v", slot, fence, underWay, err)
		}
		if next := begin(); next <= fence {
			t.Errorf("%s: the fence %d hides it from the fetch %d that begins now", slot, fence, next)
		}
	}
}

func TestGenerationsGrowOnceForEachUsedEntryInWhateverOrderTheyAreRestored(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b, c := newBooks(t, open(t, server.URL()), vault.Ephemeral()), client(t, server.URL())
	want := func(slot, generation string) {
		t.Helper()
		if n := c.HGet(t.Context(), "slotgate:{s:napa}:generations", slot).Val(); n != generation {
			t.Errorf("%s: generation %s, want %s", slot, n, generation)
		}
	}
	for _, generation := range []uint32{2, 0, 1} {
		e := entryOf(scheduling.EntryCancelled, "p1", generation, "slot1")
		e.Used = true
		save(t, b, scheduling.EntryChange{Entry: e, Restore: true})
		want("slot1", "3")
	}
	// An id that is not made of its slots: one more than now, once.
	for i, id := range []string{"one", "two"} {
		e := entryOf(scheduling.EntryBooked, "p1", 0, "slot2")
		e.ID, e.Used = id, true
		e = save(t, b, scheduling.EntryChange{Entry: e})
		save(t, b, scheduling.EntryChange{Entry: e})
		want("slot2", strconv.Itoa(i+1))
	}
}

// after is a hook that does something once, after the first pipeline.
type after struct {
	recorder
	once sync.Once
	do   func()
}

func (a *after) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		a.once.Do(a.do)
		return err
	}
}

func TestWhatIsSavedWhileItIsPutBackStays(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, v, c := open(t, server.URL()), vault.Ephemeral(), client(t, server.URL())
	a, other := newBooks(t, s, v), newBooks(t, open(t, server.URL()), v)
	e := save(t, a, taking(entryOf(scheduling.EntryHolding, "p1", 0, "slot1")))
	must(t, c.Del(t.Context(), "slotgate:{s:napa}:entry:"+e.ID).Err())
	cache.ClientOf(s).AddHook(&after{do: func() {
		// Another gateway restored it, and went on.
		restored := e
		restored.Version = 0
		restored = save(t, other, scheduling.EntryChange{Entry: restored, Restore: true})
		restored.State = scheduling.EntryHeld
		save(t, other, scheduling.EntryChange{Entry: restored})
	}})
	if n, err := a.Reassert(t.Context()); err != nil || n != 0 {
		t.Errorf("put back %d, %v", n, err)
	}
	if got, err := a.Read(t.Context(), e.ID); err != nil || got.Version != 2 || got.State != scheduling.EntryHeld {
		t.Errorf("%s of version %d, %v", got.State, got.Version, err)
	}
}
