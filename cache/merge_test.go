package cache_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// changes are what changed of the week since the answer of the token.
func changes(basis, token string, touched []string, come ...scheduling.Slot) scheduling.Fetched {
	f := scheduling.Fetched{Scope: week, Complete: true, Basis: basis, Token: token, Touched: touched, Windows: map[scheduling.WindowKey][]scheduling.Slot{}}
	for _, slot := range come {
		k := scheduling.WindowKey{Schedule: slot.Schedule, Day: scheduling.DayOf(slot.Start, time.UTC)}
		f.Windows[k] = append(f.Windows[k], slot)
		f.Touched = append(f.Touched, slot.ID)
	}
	return f
}

func merge(t testing.TB, s *cache.Store, f scheduling.Fetched) (scheduling.Replaced, bool) {
	t.Helper()
	done, ok, err := s.Merge(t.Context(), source, begin(t, s), noon.Add(time.Hour), f)
	must(t, err)
	return done, ok
}

func TestWhatChangedIsMergedIntoWhatStands(t *testing.T) {
	t.Parallel()
	moved := slots(key("b", 1), 1, "x")[0] // stands on day 1
	moved.Start, moved.End = moved.Start.AddDate(0, 0, 2), moved.End.AddDate(0, 0, 2)
	fresh := slots(key("c", 4), 1, "y")[0]
	all := idsOf(weekly("x", "").Windows)
	without := func(ids ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return slices.Contains(ids, id) })
	}
	a0 := slots(key("a", 0), 3, "x")
	for name, tc := range map[string]struct {
		f       scheduling.Fetched
		want    []string
		written int
		removed int
	}{
		"nothing of this scope":    {changes("t1", "t2", []string{"elsewhere"}), all, 0, 0},
		"one gone":                 {changes("t1", "t2", []string{a0[0].ID}), without(a0[0].ID), 1, 0},
		"a whole window gone":      {changes("t1", "t2", []string{a0[0].ID, a0[1].ID, a0[2].ID}), without(a0[0].ID, a0[1].ID, a0[2].ID), 0, 1},
		"one moved to another day": {changes("t1", "t2", nil, moved), all, 2, 0},
		"one new":                  {changes("t1", "t2", nil, fresh), append(slices.Clone(all), fresh.ID), 1, 0},
		"one told as it stands":    {changes("t1", "t2", nil, a0[1]), all, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, server *embedded.Server) {
				s := open(t, server.URL())
				replace(t, s, weekly("x", "t1"))
				load(t, s)
				m := follow(t, s)
				done, ok := merge(t, s, tc.f)
				if !ok || done.Written != tc.written || done.Removed != tc.removed || done.Slots != len(tc.want) {
					t.Errorf("merged %v: %+v, want %d written, %d removed, %d slots", ok, done, tc.written, tc.removed, len(tc.want))
				}
				slices.Sort(tc.want)
				agree(t, m, tc.want)
				if got := standing(t, s, week); got != "t2" {
					t.Errorf("what stands is %q", got)
				}
			})
		})
	}
}

// Law 8: changes say something only of the answer that they follow.
func TestLaw8ChangesAreNotMergedIntoAnythingElse(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		replace(t, s, weekly("x", "t1"))
		gone := changes("t1", "t2", []string{slots(key("a", 0), 1, "x")[0].ID})
		for name, spoil := range map[string]func(){
			"a narrower look found something else": func() {
				replace(t, s, answer(scope(0, 1, "b"), "y", map[scheduling.WindowKey]int{key("b", 0): 1}))
			},
			"another worker put its own":  func() { replace(t, s, weekly("z", "t9")) },
			"changes were merged already": func() { replace(t, s, weekly("x", "t1")); merge(t, s, gone) },
			"Redis was emptied":           func() { must(t, client(t, server.URL()).FlushAll(t.Context()).Err()) },
		} {
			spoil()
			if _, ok := merge(t, s, gone); ok {
				t.Errorf("%s, and the changes were merged", name)
			}
		}
	})
}

func TestWhatIsNoChangeIsNotMerged(t *testing.T) {
	t.Parallel()
	s := open(t, redistest.StartInProcess(t).URL())
	replace(t, s, weekly("x", "t1"))
	cut, unchanged := changes("t1", "t2", nil), changes("t1", "t2", nil)
	cut.Complete, unchanged.Unchanged = false, true
	for name, f := range map[string]scheduling.Fetched{"cut": cut, "unchanged": unchanged, "a whole answer": weekly("x", "t2")} {
		if _, ok, err := s.Merge(t.Context(), source, begin(t, s), noon, f); ok || !errors.Is(err, cache.ErrIncomplete) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if _, err := s.Replace(t.Context(), source, begin(t, s), noon, changes("t1", "t2", nil)); !errors.Is(err, cache.ErrIncomplete) {
		t.Errorf("changes put in place of the whole: %v", err)
	}
}
