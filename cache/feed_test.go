package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

func TestAFollowerIsToldOfEverythingThatChanges(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		// A poll that never comes: only wake-ups can bring the news.
		s := open(t, server.URL(), func(o *cache.Options) { o.FeedPoll = 10 * time.Minute })
		m := follow(t, s)
		eventually(t, "the first load", func() bool { return m.with(func(m *mirror) bool { return m.loads == 1 && !m.snapshot.Loaded }) })

		first := answer(scope(0, 1), "a", map[scheduling.WindowKey]int{key("s1", 0): 3})
		replace(t, s, first)
		agree(t, m, idsOf(first.Windows))
		eventually(t, "the check", func() bool { return m.with(func(m *mirror) bool { return len(m.checks) == 1 }) })
		m.with(func(m *mirror) bool {
			w := m.windows[key("s1", 0)]
			want := scheduling.Window{Key: w.Key, Slots: slots(w.Key, 3, "a"), Fetch: m.checks[0].Fetch, Checked: noon, Changed: noon}
			if diff := cmp.Diff(want, w); diff != "" {
				t.Error(diff)
			}
			return true
		})

		// Nothing new: the check alone.
		replace(t, s, first)
		eventually(t, "the second check", func() bool {
			return m.with(func(m *mirror) bool { return len(m.checks) == 2 && m.checks[1].Fetch > m.checks[0].Fetch })
		})

		dir := scheduling.NewDirectory()
		dir.Practitioners["p1"] = &scheduling.Practitioner{ID: "p1", Name: scheduling.HumanName{Family: "Curie"}}
		dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1"}
		must(t, s.PutDirectory(t.Context(), source, dir))
		eventually(t, "the directory", func() bool { return m.with(func(m *mirror) bool { return cmp.Equal(dir, m.directory) }) })

		load(t, s)
		eventually(t, "the status", func() bool { return m.with(func(m *mirror) bool { return !m.status.Loaded.IsZero() }) })
		must(t, s.DropBefore(t.Context(), source, day(1)))
		agree(t, m, nil)
		// Once with nothing, once when the source came into being.
		if m.with(func(m *mirror) bool { return m.loads > 2 }) {
			t.Error("the follower loaded the source again without need")
		}
	})
}

func TestAnEmptiedRedisDoesNotEmptyReplicas(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		old := answer(scope(0, 2), "old", map[scheduling.WindowKey]int{key("s1", 0): 3, key("s2", 1): 2})
		replace(t, s, old)
		load(t, s)
		m := follow(t, s)
		agree(t, m, idsOf(old.Windows))
		epoch, err := s.Epoch(t.Context())
		must(t, err)
		status, _, err := s.Status(t.Context(), source)
		must(t, err)

		must(t, server.Restart(t.Context()))
		eventually(t, "another epoch", func() bool { now, err := s.Epoch(t.Context()); return err == nil && now != epoch })

		// The worker has not noticed: what it says of the former life counts for nothing.
		replace(t, s, answer(scope(0, 1), "new", map[scheduling.WindowKey]int{key("s1", 0): 1}))
		status.Failures = 7
		must(t, s.PutStatus(t.Context(), status))
		eventually(t, "the status", func() bool { return m.with(func(m *mirror) bool { return m.status.Failures == 7 }) })
		if got, _, err := s.Status(t.Context(), source); err != nil || !got.Loaded.IsZero() {
			t.Fatalf("a loaded source in an emptied store: %+v, %v", got, err)
		}
		if diff := cmp.Diff(idsOf(old.Windows), m.ids()); diff != "" {
			t.Fatalf("the replica changed before the source was whole again:\n%s", diff)
		}

		// Now it has read everything again.
		whole := answer(scope(0, 2), "new", map[scheduling.WindowKey]int{key("s1", 0): 1, key("s2", 1): 4})
		replace(t, s, whole)
		load(t, s)
		agree(t, m, idsOf(whole.Windows))
		if m.with(func(m *mirror) bool { return m.loads != 2 || !m.snapshot.Loaded }) {
			t.Error("want one load more, of a source that is loaded")
		}
		// And it goes on.
		replace(t, s, answer(scope(0, 2), "", nil))
		agree(t, m, nil)
	})
}

func TestAFetchOfAFormerLifeIsRefused(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		before, err := s.Begin(t.Context(), source)
		must(t, err)
		must(t, server.Restart(t.Context()))
		full := answer(scope(0, 1), "old", map[scheduling.WindowKey]int{key("s1", 0): 3})
		for _, began := range []bool{false, true} {
			if began {
				// Numbers of a life begin at the server's milliseconds: lives of one
				// millisecond are not what servers have.
				time.Sleep(5 * time.Millisecond)
				after, err := s.Begin(t.Context(), source)
				must(t, err)
				if after <= before {
					t.Fatalf("numbers of another life do not grow: %d, %d", before, after)
				}
			}
			for _, f := range []scheduling.Fetched{full, {Scope: scope(0, 1), Complete: true}} {
				if _, err := s.Replace(t.Context(), source, before, noon, f); !isLost(err) {
					t.Fatalf("began %v: want ErrDataLost, got %v", began, err)
				}
			}
		}
		if got := truth(t, s); len(got) > 0 {
			t.Fatalf("slots of a former life: %v", got)
		}
	})
}

func TestAFollowerThatFellBehindLoadsAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL(), func(o *cache.Options) { o.FeedLength = 1 })
	c := client(t, server.URL())
	m := follow(t, s)
	eventually(t, "the first load", func() bool { return m.with(func(m *mirror) bool { return m.loads == 1 }) })
	// Entries vanish faster than the follower reads: whatever it saw, it ends at the truth.
	for i := range 50 {
		replace(t, s, answer(scope(0, 5), fmt.Sprint(i), map[scheduling.WindowKey]int{key("s1", i%5): 1 + i%3}))
		must(t, c.XTrimMaxLen(t.Context(), "slotgate:{s:napa}:feed", 0).Err())
	}
	agree(t, m, truth(t, s))
	if m.with(func(m *mirror) bool { return m.loads < 2 }) {
		t.Error("no load after the feed was trimmed: the test shows nothing")
	}
}

// image is all keys of the source at one moment.
type image map[string]string

func take(t *testing.T, c *redis.Client) image {
	t.Helper()
	dumps := image{}
	for _, k := range c.Keys(t.Context(), "slotgate:{s:napa}:*").Val() {
		dumps[k] = c.Dump(t.Context(), k).Val()
	}
	return dumps
}

// put makes the source what it was, at once, and wakes the followers.
func (i image) put(t *testing.T, c *redis.Client) {
	t.Helper()
	pipe := c.TxPipeline()
	for _, k := range c.Keys(t.Context(), "slotgate:{s:napa}:*").Val() {
		pipe.Del(t.Context(), k)
	}
	for k, dump := range i {
		pipe.Restore(t.Context(), k, 0, dump)
	}
	pipe.Publish(t.Context(), "slotgate:wake", string(source))
	_, err := pipe.Exec(t.Context())
	must(t, err)
}

// TestEntriesThatAFailoverReplacedAreNoticed: a replica of Redis that has not
// seen the last write takes over; others write, under the same numbers.
func TestEntriesThatAFailoverReplacedAreNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL(), func(o *cache.Options) { o.FeedPoll = 10 * time.Minute })
	c := client(t, server.URL())
	write := func(schedule string) {
		replace(t, s, answer(scope(0, 1, schedule), "a", map[scheduling.WindowKey]int{key(schedule, 0): 1}))
	}
	held := func(schedules ...string) []string {
		all := map[scheduling.WindowKey][]scheduling.Slot{}
		for _, name := range schedules {
			all[key(name, 0)] = slots(key(name, 0), 1, "a")
		}
		return idsOf(all)
	}
	write("s1")
	before := take(t, c)
	write("s3")
	other := take(t, c)
	write("s4")
	others := take(t, c)
	for name, then := range map[string]struct {
		image image
		want  []string
	}{
		"behind what the follower has seen": {before, held("s1")},
		"another under the same number":     {other, held("s1", "s3")},
		"others, one of the same number":    {others, held("s1", "s3", "s4")},
	} {
		t.Run(name, func(t *testing.T) {
			before.put(t, c)
			m := follow(t, s)
			agree(t, m, held("s1"))
			write("lost")
			agree(t, m, held("s1", "lost"))
			then.image.put(t, c)
			agree(t, m, then.want)
		})
	}
}

func TestAFeedThatWasTrimmedBeforeItsFirstEntryWasReadIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL(), func(o *cache.Options) { o.FeedPoll = 10 * time.Minute })
	c := client(t, server.URL())
	_, err := s.Begin(t.Context(), source)
	must(t, err)
	empty := take(t, c)
	for _, schedule := range []string{"s1", "s2"} {
		replace(t, s, answer(scope(0, 1, schedule), "a", map[scheduling.WindowKey]int{key(schedule, 0): 1}))
	}
	must(t, c.XTrimMaxLen(t.Context(), "slotgate:{s:napa}:feed", 1).Err())
	trimmed := take(t, c)
	want := truth(t, s)
	empty.put(t, c)
	m := follow(t, s)
	eventually(t, "the load", func() bool { return m.with(func(m *mirror) bool { return m.loads == 1 }) })
	trimmed.put(t, c)
	agree(t, m, want)
}

func TestALostSubscriptionLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	c := client(t, server.URL())
	m := follow(t, s)
	for i := range 10 {
		must(t, c.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err())
		f := answer(scope(0, 1), fmt.Sprint(i), map[scheduling.WindowKey]int{key("s1", 0): 1 + i})
		replace(t, s, f)
		agree(t, m, idsOf(f.Windows))
	}
}

func TestAnOutageEndsByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	redistest.Start(t) // skips where there is none
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Args: []string{"--appendfsync", "always"}})
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	s := open(t, server.URL())
	must(t, server.Kill())
	m := follow(t, s) // begins while Redis is away
	if err := s.Ping(t.Context()); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Fatalf("want shedding, got %v", err)
	}
	must(t, server.Restart(t.Context()))
	f := answer(scope(0, 1), "a", map[scheduling.WindowKey]int{key("s1", 0): 4})
	eventually(t, "writes", func() bool { _, err := s.Begin(t.Context(), source); return err == nil })
	replace(t, s, f)
	agree(t, m, idsOf(f.Windows))
	// A Redis that kept its data is no loss.
	must(t, server.Restart(t.Context()))
	eventually(t, "writes", func() bool { _, err := s.Begin(t.Context(), source); return err == nil })
	g := answer(scope(0, 1), "b", map[scheduling.WindowKey]int{key("s1", 0): 2})
	replace(t, s, g)
	agree(t, m, idsOf(g.Windows))
}

func TestManySourcesAreFollowedByAFewGoroutines(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		sources := make([]scheduling.SourceID, 300)
		for i := range sources {
			sources[i] = scheduling.SourceID(fmt.Sprintf("source-%d", i))
		}
		sources = append(sources, sources[0]) // named twice, followed once
		m := follow(t, s, sources...)
		eventually(t, "300 loads", func() bool { return m.with(func(m *mirror) bool { return m.loads == 300 }) })
		for _, id := range sources[:20] {
			must(t, s.PutStatus(t.Context(), scheduling.Status{Source: id, Failures: 1}))
			eventually(t, "its status", func() bool { return m.with(func(m *mirror) bool { return m.status.Source == id }) })
		}
	})
}
