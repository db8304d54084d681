package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

func TestMain(m *testing.M) {
	cache.LogClientTo(slog.New(slog.DiscardHandler))
	// The probe of go-redis for a server that is gone sleeps a second, also when its pool is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const source scheduling.SourceID = "napa"

var (
	today = scheduling.Date(2026, time.November, 23)
	noon  = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)
)

// onEach runs the test on a redis-server and on the stand-in.
func onEach(t *testing.T, test func(t *testing.T, server *embedded.Server)) {
	t.Helper()
	t.Run("redis-server", func(t *testing.T) { t.Parallel(); test(t, redistest.Start(t)) })
	t.Run("in process", func(t *testing.T) { t.Parallel(); test(t, redistest.StartInProcess(t)) })
}

func open(t testing.TB, url string, bend ...func(*cache.Options)) *cache.Store {
	t.Helper()
	o := cache.Options{URL: url, FeedPoll: 50 * time.Millisecond, PutBack: 10 * time.Millisecond}
	for _, b := range bend {
		b(&o)
	}
	s, err := cache.Open(t.Context(), o, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func day(offset int) scheduling.Day { return today + scheduling.Day(offset) }

func scope(from, to int, schedules ...string) scheduling.Scope {
	return scheduling.Scope{Days: scheduling.Days{From: day(from), To: day(to)}, Schedules: schedules}
}

func key(schedule string, offset int) scheduling.WindowKey {
	return scheduling.WindowKey{Schedule: schedule, Day: day(offset)}
}

var family = []scheduling.Concept{{Codings: []scheduling.Coding{{System: "http://snomed.info/sct", Code: "394814009", Display: "General practice"}}}}

// slots makes n slots of 20 minutes in the window; mark makes their ids differ.
func slots(k scheduling.WindowKey, n int, mark string) []scheduling.Slot {
	list := make([]scheduling.Slot, n)
	for i := range list {
		start := time.Unix(int64(k.Day)*86400, 0).UTC().Add(16*time.Hour + time.Duration(i)*20*time.Minute)
		list[i] = scheduling.Slot{
			ID: fmt.Sprintf("%s-%s-%d-%d", mark, k.Schedule, k.Day, i), Schedule: k.Schedule, Status: scheduling.SlotFree,
			Start: start, End: start.Add(20 * time.Minute), Specialty: family,
		}
	}
	return list
}

// answer is a complete answer with so many slots in each window.
func answer(s scheduling.Scope, mark string, counts map[scheduling.WindowKey]int) scheduling.Fetched {
	f := scheduling.Fetched{Scope: s, Complete: true, Windows: map[scheduling.WindowKey][]scheduling.Slot{}}
	for k, n := range counts {
		f.Windows[k] = slots(k, n, mark)
	}
	return f
}

// replace begins a fetch and puts its answer in place.
func replace(t testing.TB, s *cache.Store, f scheduling.Fetched) scheduling.Replaced {
	t.Helper()
	n, err := s.Begin(t.Context(), source)
	must(t, err)
	done, err := s.Replace(t.Context(), source, n, noon, f)
	must(t, err)
	return done
}

func load(t testing.TB, s *cache.Store) {
	t.Helper()
	must(t, s.PutStatus(t.Context(), scheduling.Status{Source: source, Loaded: time.Now().UTC(), LastSync: noon}))
}

// mirror is a sink that keeps what it is told.
type mirror struct {
	mu        sync.Mutex
	loads     int
	snapshot  scheduling.Snapshot
	windows   map[scheduling.WindowKey]scheduling.Window
	checks    []scheduling.Check
	directory scheduling.Directory
	status    scheduling.Status
	fewest    int // windows, after the first load
}

func (m *mirror) Load(_ scheduling.SourceID, s scheduling.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	m.snapshot, m.checks, m.directory, m.status = s, s.Checks, s.Directory, s.Status
	m.windows = map[scheduling.WindowKey]scheduling.Window{}
	for _, w := range s.Windows {
		m.windows[w.Key] = w
	}
	m.note()
}

func (m *mirror) Apply(_ scheduling.SourceID, c scheduling.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range c.Windows {
		if len(w.Slots) == 0 {
			delete(m.windows, w.Key)
		} else {
			m.windows[w.Key] = w
		}
	}
	if c.Check != nil {
		m.checks = append(m.checks, *c.Check)
	}
	if c.Directory != nil {
		m.directory = *c.Directory
	}
	if c.Status != nil {
		m.status = *c.Status
	}
	m.note()
}

func (m *mirror) note() {
	if m.loads == 1 || len(m.windows) < m.fewest {
		m.fewest = len(m.windows)
	}
}

// ids are all slot ids that the mirror holds, in order.
func (m *mirror) ids() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []string
	for _, w := range m.windows {
		for _, s := range w.Slots {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *mirror) with(look func(*mirror) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return look(m)
}

// follow keeps a mirror of the sources until the test ends.
func follow(t testing.TB, s *cache.Store, sources ...scheduling.SourceID) *mirror {
	t.Helper()
	if len(sources) == 0 {
		sources = []scheduling.SourceID{source}
	}
	m := &mirror{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Follow(ctx, sources, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ends with %v", err)
		}
	})
	return m
}

// eventually polls with a deadline.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// truth is what a fresh follower loads.
func truth(t testing.TB, s *cache.Store) []string {
	t.Helper()
	m := &mirror{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Follow(ctx, []scheduling.SourceID{source}, m) }()
	eventually(t, "a load", func() bool { return m.with(func(m *mirror) bool { return m.loads > 0 }) })
	cancel()
	<-ended
	return m.ids()
}

func idsOf(windows map[scheduling.WindowKey][]scheduling.Slot) []string {
	var ids []string
	for _, list := range windows {
		for _, s := range list {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func agree(t testing.TB, m *mirror, want []string) {
	t.Helper()
	eventually(t, "the mirror agrees", func() bool { return slices.Equal(m.ids(), want) })
}
