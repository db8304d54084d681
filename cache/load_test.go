package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// many is a source of 40 days, 18 slots in each window.
func many(schedules int) scheduling.Fetched {
	counts := map[scheduling.WindowKey]int{}
	for s := range schedules {
		for d := range 40 {
			counts[key(fmt.Sprintf("6c1f7d2e-0000-4000-8000-%012d", s), d)] = 18
		}
	}
	return answer(scope(0, 40), "slot", counts)
}

func TestALoadWhileOthersWriteEndsAtTheTruth(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		replace(t, s, many(20))
		ended := make(chan error, 1)
		go func() {
			for i := range 30 {
				n, err := s.Begin(t.Context(), source)
				if err == nil {
					f := answer(scope(0, 40, "s1"), fmt.Sprint(i), map[scheduling.WindowKey]int{key("s1", i%3): 2, key("s1", 30): i})
					_, err = s.Replace(t.Context(), source, n, noon, f)
				}
				if err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
		mirrors := make([]*mirror, 5)
		for i := range mirrors {
			mirrors[i] = follow(t, s)
			eventually(t, "a load", func() bool { return mirrors[i].with(func(m *mirror) bool { return m.loads > 0 }) })
		}
		must(t, <-ended)
		want := truth(t, s)
		for _, m := range mirrors {
			agree(t, m, want)
		}
	})
}

func TestAColdFollowerLearnsHowFreshEachWindowIs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		put := func(at time.Time, f scheduling.Fetched) {
			n, err := s.Begin(t.Context(), source)
			must(t, err)
			_, err = s.Replace(t.Context(), source, n, at, f)
			must(t, err)
		}
		all := answer(scope(0, 3), "a", map[scheduling.WindowKey]int{key("s1", 0): 1, key("s1", 1): 1, key("s2", 1): 1, key("s1", 2): 1})
		put(noon, all)
		part := func(from, to int, schedules ...string) scheduling.Fetched {
			f := answer(scope(from, to, schedules...), "a", nil)
			for k, list := range all.Windows {
				if f.Scope.Covers(k) {
					f.Windows[k] = list
				}
			}
			return f
		}
		put(noon.Add(time.Minute), part(0, 2))
		put(noon.Add(2*time.Minute), part(1, 3, "s2"))
		put(noon.Add(3*time.Minute), part(0, 1))
		m := follow(t, s)
		eventually(t, "the load", func() bool { return m.with(func(m *mirror) bool { return m.loads > 0 }) })
		got := map[string]int{}
		for k, w := range m.windows {
			if !w.Changed.Equal(noon) {
				t.Errorf("%v changed at %v", k, w.Changed)
			}
			got[fmt.Sprint(k.Schedule, "+", int(k.Day-today))] = int(w.Checked.Sub(noon).Minutes())
		}
		if diff := cmp.Diff(map[string]int{"s1+0": 3, "s1+1": 1, "s2+1": 2, "s1+2": 0}, got); diff != "" {
			t.Error(diff)
		}
		// Nothing is left of a check that a later one covers whole.
		put(noon.Add(4*time.Minute), part(0, 3))
		fresh := follow(t, s)
		eventually(t, "the load", func() bool { return fresh.with(func(m *mirror) bool { return m.loads > 0 }) })
		if len(fresh.snapshot.Checks) != 1 {
			t.Errorf("want one check, got %v", fresh.snapshot.Checks)
		}
		must(t, s.DropBefore(t.Context(), source, day(3)))
		last := follow(t, s)
		eventually(t, "the load", func() bool { return last.with(func(m *mirror) bool { return m.loads > 0 }) })
		if len(last.snapshot.Checks)+len(last.snapshot.Windows) != 0 {
			t.Errorf("days gone by leave something: %v", last.snapshot)
		}
	})
}

// BenchmarkLoad tells how fast a cold follower has 144,000 slots, and what a
// slot takes in Redis.
func BenchmarkLoad(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, server.URL())
	c := client(b, server.URL())
	used := func() int64 {
		var n int64
		for _, k := range c.Keys(b.Context(), "*").Val() {
			n += c.MemoryUsage(b.Context(), k, 0).Val()
		}
		return n
	}
	f := many(200)
	began := time.Now()
	replace(b, s, f)
	wrote := time.Since(began)
	began = time.Now()
	replace(b, s, f)
	again := time.Since(began)
	for b.Loop() {
		m := &mirror{}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Follow(ctx, []scheduling.SourceID{source}, m) }()
		for !m.with(func(m *mirror) bool { return m.loads > 0 }) {
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-ended
	}
	n := float64(f.Slots())
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "loaded-slots/s")
	b.ReportMetric(n/wrote.Seconds(), "written-slots/s")
	b.ReportMetric(n/again.Seconds(), "unchanged-slots/s")
	b.ReportMetric(float64(used())/n, "redis-B/slot")
}

// BenchmarkPropagation is the time from the call of Replace to the sink.
func BenchmarkPropagation(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, server.URL(), func(o *cache.Options) { o.FeedPoll = time.Minute })
	got := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Follow(ctx, []scheduling.SourceID{source}, signal(got)) }()
	<-got
	i := 0
	for b.Loop() {
		i++
		replace(b, s, answer(scope(0, 1), fmt.Sprint(i), map[scheduling.WindowKey]int{key("s1", 0): 18}))
		<-got
	}
	cancel()
	<-ended
}

// signal is a sink that tells that it was called.
type signal chan struct{}

func (s signal) Load(scheduling.SourceID, scheduling.Snapshot) { s <- struct{}{} }
func (s signal) Apply(scheduling.SourceID, scheduling.Change)  { s <- struct{}{} }
