package cache_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/scheduling"
)

// model says what the store must hold: of each window what the latest fetch
// that covered it found, whatever the order in which the answers arrived.
type model struct {
	windows map[scheduling.WindowKey]modelWindow
}

type modelWindow struct {
	fetch uint64
	slots []scheduling.Slot
}

func (m model) replace(fetch uint64, f scheduling.Fetched) {
	for _, s := range modelSchedules {
		for d := range 4 {
			k := key(s, d)
			if f.Scope.Covers(k) && m.windows[k].fetch <= fetch {
				m.windows[k] = modelWindow{fetch, f.Windows[k]}
			}
		}
	}
}

func (m model) dropBefore(d scheduling.Day) {
	for k, w := range m.windows {
		if k.Day < d {
			m.windows[k] = modelWindow{fetch: w.fetch}
		}
	}
}

func (m model) ids() []string {
	all := map[scheduling.WindowKey][]scheduling.Slot{}
	for k, w := range m.windows {
		all[k] = w.slots
	}
	return idsOf(all)
}

var modelSchedules = []string{"s1", "s2", "s3"}

type begun struct {
	number uint64
	scope  scheduling.Scope
}

// drawScope gives any scope over three schedules and four days.
func drawScope(t *rapid.T) scheduling.Scope {
	from := rapid.IntRange(0, 3).Draw(t, "from")
	s := scope(from, rapid.IntRange(from+1, 4).Draw(t, "to"))
	if rapid.Bool().Draw(t, "named") {
		s.Schedules = rapid.SliceOfNDistinct(rapid.SampledFrom(modelSchedules), 1, 3, rapid.ID[string]).Draw(t, "schedules")
	}
	return s
}

func drawAnswer(t *rapid.T, s scheduling.Scope) scheduling.Fetched {
	f := scheduling.Fetched{Scope: s, Complete: true, Windows: map[scheduling.WindowKey][]scheduling.Slot{}}
	for _, schedule := range modelSchedules {
		for d := range 4 {
			k := key(schedule, d)
			if n := rapid.IntRange(0, 2).Draw(t, "slots"); n > 0 && s.Covers(k) {
				f.Windows[k] = slots(k, n, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "mark"))
			}
		}
	}
	return f
}

func TestWhateverTheOrderOfAnswersTheLatestFetchWins(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		c := client(t, server.URL())
		// Batches of two: most answers take several scripts. Two writers.
		small := func(o *cache.Options) { o.Batch = 2 }
		stores := []*cache.Store{open(t, server.URL(), small), open(t, server.URL(), small)}
		m := follow(t, stores[0])
		rapid.Check(t, func(rt *rapid.T) {
			must(t, c.FlushAll(t.Context()).Err())
			want := model{map[scheduling.WindowKey]modelWindow{}}
			var open []begun
			store := func() *cache.Store { return stores[rapid.IntRange(0, 1).Draw(rt, "store")] }
			rt.Repeat(map[string]func(*rapid.T){
				"begin": func(rt *rapid.T) {
					n, err := store().Begin(t.Context(), source)
					must(t, err)
					open = append(open, begun{n, drawScope(rt)})
				},
				"answer": func(rt *rapid.T) {
					if len(open) == 0 {
						return
					}
					i := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
					b := open[i]
					open = slices.Delete(open, i, i+1)
					f := drawAnswer(rt, b.scope)
					want.replace(b.number, f)
					done, err := store().Replace(t.Context(), source, b.number, noon, f)
					must(t, err)
					known, err := store().Known(t.Context(), source, b.scope)
					must(t, err)
					if known != done.Slots {
						rt.Fatalf("the store knows %d slots and told %d", known, done.Slots)
					}
				},
				"drop": func(rt *rapid.T) {
					// Only when nothing is under way: an answer for a day gone by is
					// written, and goes with the next drop.
					if len(open) > 0 {
						return
					}
					d := day(rapid.IntRange(0, 2).Draw(rt, "day"))
					want.dropBefore(d)
					must(t, store().DropBefore(t.Context(), source, d))
				},
				"lose the scripts": func(*rapid.T) { must(t, c.ScriptFlush(t.Context()).Err()) },
				"trim the feed": func(*rapid.T) {
					must(t, c.XTrimMaxLen(t.Context(), "slotgate:{s:napa}:feed", 1).Err())
				},
			})
			load(t, stores[0])
			if diff := cmp.Diff(want.ids(), truth(t, stores[1])); diff != "" {
				rt.Fatal(diff)
			}
			agree(t, m, want.ids())
		})
	})
}

func TestTwoWritersAtOnceEndWithTheLatestFetch(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		small := func(o *cache.Options) { o.Batch = 3 }
		stores := []*cache.Store{open(t, server.URL(), small), open(t, server.URL(), small)}
		m := follow(t, stores[0])
		for round := range 15 {
			numbers := make([]uint64, 2)
			for i, s := range stores {
				var err error
				numbers[i], err = s.Begin(t.Context(), source)
				must(t, err)
			}
			answers := make([]scheduling.Fetched, 2)
			for i := range answers {
				counts := map[scheduling.WindowKey]int{}
				for k := range 12 {
					counts[key(fmt.Sprint("s", k), k%3)] = (k*(i+3) + round) % 4
				}
				answers[i] = answer(scope(0, 3), fmt.Sprint("w", i, "r", round), counts)
			}
			ended := make(chan error, 2)
			for i, s := range stores {
				go func() {
					_, err := s.Replace(t.Context(), source, numbers[i], noon, answers[i])
					ended <- err
				}()
			}
			for range stores {
				must(t, <-ended)
			}
			want := idsOf(answers[1].Windows)
			if diff := cmp.Diff(want, truth(t, stores[0])); diff != "" {
				t.Fatalf("round %d: %s", round, diff)
			}
			agree(t, m, want)
		}
	})
}
