package cache_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// named is the answer under a token.
func named(f scheduling.Fetched, token string) scheduling.Fetched {
	f.Token = token
	return f
}

// same says that the scope's answer is the one of the token.
func same(s scheduling.Scope, token string) scheduling.Fetched {
	return scheduling.Fetched{Scope: s, Complete: true, Unchanged: true, Token: token, Proved: true}
}

func begin(t testing.TB, s *cache.Store) uint64 {
	t.Helper()
	n, err := s.Begin(t.Context(), source)
	must(t, err)
	return n
}

// confirm begins a fetch that brings the same answer once more.
func confirm(t testing.TB, s *cache.Store, f scheduling.Fetched, at time.Time) bool {
	t.Helper()
	ok, err := s.Confirm(t.Context(), source, begin(t, s), at, f)
	must(t, err)
	return ok
}

var week = scope(0, 7)

// weekly is an answer of three windows.
func weekly(mark, token string) scheduling.Fetched {
	return named(answer(week, mark, map[scheduling.WindowKey]int{key("a", 0): 3, key("b", 1): 3, key("a", 6): 3}), token)
}

func standing(t *testing.T, s *cache.Store, sc scheduling.Scope) string {
	t.Helper()
	b, err := s.Basis(t.Context(), source, sc)
	must(t, err)
	return b.Token
}

func TestTheSameAnswerMovesTheFreshnessAlone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, c := open(t, server.URL()), client(t, server.URL())
	replace(t, s, weekly("x", "t1"))
	load(t, s)
	m := follow(t, s)
	want := idsOf(weekly("x", "").Windows)
	agree(t, m, want)

	later := noon.Add(time.Hour)
	got := writesOf(t, c, func() {
		if !confirm(t, s, same(week, "t1"), later) {
			t.Error("the same answer was not taken")
		}
	})
	// hset: check, stand, revision and the feed's nonce.
	if diff := cmp.Diff(map[string]int{"hset": 4, "hincrby": 2, "hsetnx": 1, "xadd": 1, "publish": 1}, got); diff != "" {
		t.Error(diff)
	}
	eventually(t, "followers hear of it", func() bool {
		return m.with(func(m *mirror) bool {
			n := len(m.checks)
			return n > 0 && m.checks[n-1].At.Equal(later) && m.checks[n-1].Scope.Days == week.Days
		})
	})
	agree(t, m, want)
	for _, w := range m.windows {
		if !w.Changed.Equal(noon) {
			t.Errorf("changed %v, want %v", w.Changed, noon)
		}
	}
	fresh := follow(t, s)
	agree(t, fresh, want)
	for _, w := range fresh.windows {
		if !w.Checked.Equal(later) || !w.Changed.Equal(noon) {
			t.Errorf("a follower that comes later: checked %v, changed %v", w.Checked, w.Changed)
		}
	}
}

func TestLaw8AnAnswerIsTheSameOnlyWhereAllOfItStands(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		between func(t *testing.T, s *cache.Store, server *embedded.Server)
		want    bool
	}{
		"nothing happened": {func(*testing.T, *cache.Store, *embedded.Server) {}, true},
		"a narrower look found the same": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, answer(scope(0, 1, "a"), "x", map[scheduling.WindowKey]int{key("a", 0): 3}))
		}, true},
		"a look at other days found something": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, answer(scope(7, 14), "y", map[scheduling.WindowKey]int{key("a", 9): 3}))
		}, true},
		"a narrower look found another slot": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, answer(scope(0, 1, "a"), "y", map[scheduling.WindowKey]int{key("a", 0): 3}))
		}, false},
		"a narrower look found nothing": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, answer(scope(0, 1, "a"), "", nil))
		}, false},
		"a wider look took its place": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			f := weekly("x", "")
			f.Scope = scope(0, 9)
			replace(t, s, f)
		}, false},
		"another worker put another answer": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, weekly("y", "t2"))
		}, false},
		"another worker put the same under its own token": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, weekly("x", "t2"))
		}, false},
		"an answer without a token was put": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			replace(t, s, weekly("x", ""))
		}, false},
		"the day turned": {func(t *testing.T, s *cache.Store, _ *embedded.Server) {
			must(t, s.DropBefore(t.Context(), source, day(1)))
		}, false},
		"Redis was emptied": {func(t *testing.T, s *cache.Store, server *embedded.Server) {
			must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, server *embedded.Server) {
				s := open(t, server.URL())
				replace(t, s, weekly("x", "t1"))
				tc.between(t, s, server)
				if ok := confirm(t, s, same(week, "t1"), noon.Add(time.Hour)); ok != tc.want {
					t.Errorf("taken as the same: %v, want %v; stands %q", ok, tc.want, standing(t, s, week))
				}
			})
		})
	}
}

func TestAConfirmationNeverGoesBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		replace(t, s, weekly("x", "t1"))
		early := begin(t, s)
		if !confirm(t, s, same(week, "t1"), noon.Add(2*time.Hour)) {
			t.Fatal("the later one was not taken")
		}
		ok, err := s.Confirm(t.Context(), source, early, noon.Add(time.Hour), same(week, "t1"))
		must(t, err)
		m := follow(t, s)
		eventually(t, "a load", func() bool { return m.with(func(m *mirror) bool { return m.loads > 0 }) })
		if !ok || len(m.checks) != 1 || !m.checks[0].At.Equal(noon.Add(2*time.Hour)) {
			t.Errorf("taken %v, checks %+v", ok, m.checks)
		}
	})
}

func TestWhatBeganInAnEarlierLifeConfirmsNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		replace(t, s, weekly("x", "t1"))
		n := begin(t, s)
		must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
		time.Sleep(2 * time.Millisecond) // numbers begin at the server's clock
		replace(t, s, weekly("x", "t1"))
		if _, err := s.Confirm(t.Context(), source, n, noon, same(week, "t1")); !errors.Is(err, cache.ErrDataLost) {
			t.Errorf("%v", err)
		}
	})
}

func TestWhatIsNotSaidToBeTheSameIsNotConfirmed(t *testing.T) {
	t.Parallel()
	s := open(t, redistest.StartInProcess(t).URL())
	replace(t, s, weekly("x", "t1"))
	for name, f := range map[string]scheduling.Fetched{
		"cut":             {Scope: week, Unchanged: true, Token: "t1"},
		"a full answer":   weekly("x", "t1"),
		"without a token": {Scope: week, Unchanged: true, Complete: true},
		"a foreign token": same(week, "t1 1 1"),
	} {
		if ok, err := s.Confirm(t.Context(), source, begin(t, s), noon, f); ok || !errors.Is(err, cache.ErrIncomplete) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	if _, err := s.Replace(t.Context(), source, begin(t, s), noon, same(week, "t1")); !errors.Is(err, cache.ErrIncomplete) {
		t.Errorf("an unchanged answer has no windows to put: %v", err)
	}
	if standing(t, s, week) != "t1" {
		t.Error("what stands fell")
	}
}

// Law 4: a claim that ended is proved over only by an answer that was read.
func TestLaw4AfterAClaimAnAnswerMustBeRead(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, c := open(t, server.URL()), client(t, server.URL())
		proof := func() bool {
			b, err := s.Basis(t.Context(), source, week)
			must(t, err)
			return b.Proof
		}
		replace(t, s, weekly("x", "t1"))
		if proof() {
			t.Error("nobody claimed anything")
		}
		fence := begin(t, s)
		must(t, c.HSet(t.Context(), "slotgate:{s:napa}:fences", "x-a-1-0", strconv.FormatUint(fence, 10)).Err())
		if !proof() {
			t.Error("a claim ended: its slot must be seen")
		}
		word := same(week, "t1")
		word.Proved = false
		if !confirm(t, s, word, noon.Add(time.Hour)) || !proof() {
			t.Error("the source's word alone proves nothing")
		}
		if !confirm(t, s, same(week, "t1"), noon.Add(2*time.Hour)) || proof() {
			t.Error("it was read after the claim's end")
		}
		must(t, c.HSet(t.Context(), "slotgate:{s:napa}:fences", "x-a-1-0", "nonsense").Err())
		if !proof() {
			t.Error("a fence that cannot be read is never passed")
		}
	})
}

func TestADamagedStandStandsForNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, c := open(t, server.URL()), client(t, server.URL())
		replace(t, s, weekly("x", "t1"))
		field := c.HKeys(t.Context(), "slotgate:{s:napa}:stands").Val()
		if len(field) != 1 {
			t.Fatalf("stands %v", field)
		}
		for _, text := range []string{"", "t1", "t1 1", "t1 1 x", "t1 x 1", " t1 1 1", "t1 1 1 1", "\x00\xff"} {
			must(t, c.HSet(t.Context(), "slotgate:{s:napa}:stands", field[0], text).Err())
			if confirm(t, s, same(week, "t1"), noon.Add(time.Hour)) {
				t.Errorf("%q was taken", text)
			}
		}
		replace(t, s, weekly("x", "t2"))
		if !confirm(t, s, same(week, "t2"), noon.Add(time.Hour)) {
			t.Error("the next full answer mends it")
		}
	})
}
