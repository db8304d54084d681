package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/scheduling"
)

// What prefetch and cache/replica ask of a store, as they write it.
type (
	writer interface {
		Begin(ctx context.Context, source scheduling.SourceID) (fetch uint64, err error)
		Known(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (slots int, err error)
		Replace(ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, fetched scheduling.Fetched) (scheduling.Replaced, error)
		DropBefore(ctx context.Context, source scheduling.SourceID, day scheduling.Day) error
		PutDirectory(ctx context.Context, source scheduling.SourceID, dir scheduling.Directory) error
		MergeDirectory(ctx context.Context, source scheduling.SourceID, found scheduling.Directory) error
		Status(ctx context.Context, source scheduling.SourceID) (scheduling.Status, bool, error)
		PutStatus(ctx context.Context, status scheduling.Status) error
		Epoch(ctx context.Context) (string, error)
	}
	feed interface {
		Follow(ctx context.Context, sources []scheduling.SourceID, sink interface {
			Load(source scheduling.SourceID, snapshot scheduling.Snapshot)
			Apply(source scheduling.SourceID, change scheduling.Change)
		}) error
	}
	leaser interface {
		Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (lease scheduling.Lease, ok bool, err error)
	}
)

var (
	_ writer = (*cache.Store)(nil)
	_ leaser = (*cache.Store)(nil)
	_ feed   = (*cache.Store)(nil)
)

func TestAnAnswerReplacesItsScopeAndNothingElse(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		m := follow(t, s)
		first := answer(scope(0, 3), "a", map[scheduling.WindowKey]int{key("s1", 0): 3, key("s1", 2): 2, key("s2", 1): 4})
		got := replace(t, s, first)
		if diff := cmp.Diff(scheduling.Replaced{Written: 3, Slots: 9}, got); diff != "" {
			t.Fatal(diff)
		}
		agree(t, m, idsOf(first.Windows))

		// Day 2 lies outside: it stays. s2 is not named any more: it goes.
		got = replace(t, s, answer(scope(0, 2), "b", map[scheduling.WindowKey]int{key("s1", 0): 1}))
		if diff := cmp.Diff(scheduling.Replaced{Written: 1, Removed: 1, Slots: 1}, got); diff != "" {
			t.Fatal(diff)
		}
		want := idsOf(map[scheduling.WindowKey][]scheduling.Slot{
			key("s1", 0): slots(key("s1", 0), 1, "b"), key("s1", 2): slots(key("s1", 2), 2, "a"),
		})
		agree(t, m, want)
		if known, err := s.Known(t.Context(), source, scope(0, 3)); err != nil || known != 3 {
			t.Fatalf("want 3 known slots, got %d, %v", known, err)
		}

		// Of one schedule alone.
		replace(t, s, answer(scope(0, 3, "s1"), "", nil))
		agree(t, m, nil)
	})
}

func TestAnEarlierFetchNeverOverwritesALaterOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		early, err := s.Begin(t.Context(), source)
		must(t, err)
		late, err := s.Begin(t.Context(), source)
		must(t, err)
		if early >= late {
			t.Fatalf("numbers do not grow: %d, %d", early, late)
		}
		// The later one confirmed one window, and said of the other that it is gone.
		newer := answer(scope(0, 2), "new", map[scheduling.WindowKey]int{key("s1", 0): 1})
		_, err = s.Replace(t.Context(), source, late, noon, newer)
		must(t, err)
		got, err := s.Replace(t.Context(), source, early, noon,
			answer(scope(0, 3), "old", map[scheduling.WindowKey]int{key("s1", 0): 2, key("s1", 1): 5, key("s1", 2): 3}))
		must(t, err)
		if diff := cmp.Diff(scheduling.Replaced{Written: 1, Refused: 2, Slots: 4}, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAnIncompleteAnswerReplacesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		full := answer(scope(0, 1), "a", map[scheduling.WindowKey]int{key("s1", 0): 2})
		replace(t, s, full)
		n, err := s.Begin(t.Context(), source)
		must(t, err)
		_, err = s.Replace(t.Context(), source, n, noon, scheduling.Fetched{Scope: scope(0, 1)})
		if !errors.Is(err, cache.ErrIncomplete) {
			t.Fatalf("want ErrIncomplete, got %v", err)
		}
		if diff := cmp.Diff(idsOf(full.Windows), truth(t, s)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func isLost(err error) bool {
	return errors.Is(err, cache.ErrDataLost) && scheduling.CodeOf(err) == scheduling.Internal
}
