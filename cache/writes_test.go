package cache_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// writesOf counts the commands that changed something, by name, as the server
// counted them; those within scripts too.
func writesOf(t *testing.T, c *redis.Client, do func()) map[string]int {
	t.Helper()
	must(t, c.ConfigResetStat(t.Context()).Err())
	do()
	counts := map[string]int{}
	for line := range strings.Lines(c.Info(t.Context(), "commandstats").Val()) {
		rest, ok := strings.CutPrefix(line, "cmdstat_")
		if !ok {
			continue
		}
		name, stats, _ := strings.Cut(rest, ":")
		switch name {
		case "hset", "hdel", "hincrby", "hsetnx", "xadd", "sadd", "srem", "set", "del", "unlink", "publish":
			var calls int
			_, err := fmt.Sscanf(stats, "calls=%d", &calls)
			must(t, err)
			counts[name] = calls
		}
	}
	return counts
}

func TestOnlyDifferencesAreWritten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	c := client(t, server.URL())
	counts := map[scheduling.WindowKey]int{}
	for i := range 100 {
		counts[key(fmt.Sprint("s", i%20), i/20)] = 5
	}
	first := answer(scope(0, 5), "a", counts)
	replace(t, s, first)
	again := func(f scheduling.Fetched) func() { return func() { replace(t, s, f) } }

	// hset: the check, the revision and the feed's nonce. hincrby: the number of the fetch, the feed's.
	small := map[string]int{"hset": 3, "hincrby": 2, "hsetnx": 1, "xadd": 1, "publish": 1}
	if diff := cmp.Diff(small, writesOf(t, c, again(first))); diff != "" {
		t.Errorf("a refresh without news: %s", diff)
	}

	// One window changed: its head and content besides.
	first.Windows[key("s1", 1)] = slots(key("s1", 1), 4, "b")
	one := map[string]int{"hset": 5, "hincrby": 2, "hsetnx": 1, "xadd": 1, "publish": 1, "sadd": 1}
	if diff := cmp.Diff(one, writesOf(t, c, again(first))); diff != "" {
		t.Errorf("a refresh with one window changed: %s", diff)
	}

	// One window gone.
	delete(first.Windows, key("s1", 1))
	gone := map[string]int{"hset": 3, "hdel": 2, "hincrby": 2, "hsetnx": 1, "xadd": 1, "publish": 1, "sadd": 1}
	if diff := cmp.Diff(gone, writesOf(t, c, again(first))); diff != "" {
		t.Errorf("a refresh with one window gone: %s", diff)
	}
}

func TestTheSameDirectoryAndStatusAreNotWrittenTwice(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	c := client(t, server.URL())
	dir := scheduling.NewDirectory()
	for i := range 20 {
		id := fmt.Sprint("p", i)
		dir.Practitioners[id] = &scheduling.Practitioner{ID: id}
	}
	status := scheduling.Status{Source: source, Tried: noon, LastSync: noon, Unusable: scheduling.Tally{scheduling.NoZone: 3}}
	put := func() {
		must(t, s.PutDirectory(t.Context(), source, dir))
		must(t, s.MergeDirectory(t.Context(), source, dir))
		must(t, s.PutStatus(t.Context(), status))
	}
	put()
	if got := writesOf(t, c, put); len(got) > 0 {
		t.Errorf("nothing changed, and yet: %v", got)
	}
	status.Tried, status.LastSync = noon.Add(time.Second/2), noon.Add(time.Second/2)
	if got := writesOf(t, c, put); len(got) > 0 {
		t.Errorf("half a second passed, and yet: %v", got)
	}
	for what, change := range map[string]func(){
		"a second":            func() { status.Tried = status.Tried.Add(time.Second) },
		"a failure":           func() { status.Failures++ },
		"a tally":             func() { status.Unusable = scheduling.Tally{scheduling.NoZone: 4} },
		"another tally":       func() { status.Unmapped = scheduling.Tally{"specialty": 1} },
		"an error of its own": func() { status.ErrorAt, status.ErrorCode = noon, scheduling.SourceDown },
	} {
		change()
		if got := writesOf(t, c, put); got["set"] != 1 || got["xadd"] != 1 {
			t.Errorf("%s: %v", what, got)
		}
	}
	dir.Practitioners["p3"] = &scheduling.Practitioner{ID: "p3", Gender: "female"}
	delete(dir.Practitioners, "p4")
	if got := writesOf(t, c, put); got["hset"] != 3 || got["hdel"] != 2 || got["xadd"] != 1 {
		t.Errorf("one record changed, one gone: %v", got)
	}
}

// recorder keeps the commands that a client sends.
type recorder struct {
	mu   sync.Mutex
	sent [][]any
}

func (r *recorder) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.mu.Lock()
		r.sent = append(r.sent, cmd.Args())
		r.mu.Unlock()
		return next(ctx, cmd)
	}
}

func (r *recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestNoScriptLeavesItsHashTag(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		r := &recorder{}
		cache.ClientOf(s).AddHook(r)
		journey(t, s)
		scripts := map[string]bool{}
		for _, args := range r.sent {
			name := fmt.Sprint(args[0])
			if name != "eval" && name != "evalsha" {
				continue
			}
			var n int
			_, err := fmt.Sscan(fmt.Sprint(args[2]), &n)
			must(t, err)
			scripts[fmt.Sprint(args[1])] = true
			for _, k := range args[3 : 3+n] {
				if !strings.HasPrefix(fmt.Sprint(k), "slotgate:{s:napa}:") {
					t.Errorf("a script has the key %v", k)
				}
			}
		}
		if len(scripts) < 7 {
			t.Errorf("want all seven scripts to run, saw %d", len(scripts))
		}
	})
}

// journey does everything that a worker does.
func journey(t *testing.T, s *cache.Store) {
	t.Helper()
	lease, ok, err := s.Lease(t.Context(), source, time.Minute)
	must(t, err)
	if !ok {
		t.Fatal("nobody has the lease, and we do not get it")
	}
	must(t, lease.Renew(t.Context()))
	dir := scheduling.NewDirectory()
	dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1"}
	must(t, s.PutDirectory(t.Context(), source, dir))
	m := follow(t, s)
	f := answer(scope(0, 4), "a", map[scheduling.WindowKey]int{key("s1", 0): 3, key("s2", 1): 1, key("s1", 2): 9})
	replace(t, s, f)
	load(t, s)
	agree(t, m, idsOf(f.Windows))
	must(t, s.DropBefore(t.Context(), source, day(2)))
	agree(t, m, idsOf(map[scheduling.WindowKey][]scheduling.Slot{key("s1", 2): f.Windows[key("s1", 2)]}))
	_, err = s.Epoch(t.Context())
	must(t, err)
	_, err = s.Secret(t.Context(), "cursor")
	must(t, err)
	must(t, lease.Release(t.Context()))
}

func TestAClusterServesAllOfIt(t *testing.T) {
	t.Parallel()
	url := redistest.StartCluster(t)
	c := client(t, url)
	must(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	eventually(t, "the cluster is up", func() bool {
		return strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	s := open(t, url, func(o *cache.Options) { o.Cluster = true })
	journey(t, s)
	// A key under another tag would be refused here: the test can fail.
	err := cache.ClientOf(s).Eval(t.Context(), "return 1", []string{"a", "b"}).Err()
	if err == nil || !strings.Contains(err.Error(), "slot") {
		t.Errorf("the cluster takes keys of two tags: %v", err)
	}
}

// between is a hook that does something once, after the first script that wrote
// windows: a script with more than four keys.
type between struct {
	recorder
	once sync.Once
	do   func()
}

func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && len(args) > 3 && fmt.Sprint(args[0]) == "evalsha" && fmt.Sprint(args[2]) > "4" {
			b.once.Do(b.do)
		}
		return err
	}
}

func TestAnEarlierFetchIsRefusedWhileALaterOneIsHalfWritten(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, other := open(t, server.URL(), func(o *cache.Options) { o.Batch = 1 }), open(t, server.URL())
		counts := map[scheduling.WindowKey]int{key("s1", 0): 1, key("s2", 0): 1, key("s3", 0): 1}
		replace(t, s, answer(scope(0, 1), "a", counts)) // the server knows the script now
		early, err := s.Begin(t.Context(), source)
		must(t, err)
		late, err := s.Begin(t.Context(), source)
		must(t, err)
		var meanwhile scheduling.Replaced
		cache.ClientOf(s).AddHook(&between{do: func() {
			meanwhile, err = other.Replace(t.Context(), source, early, noon, answer(scope(0, 1), "early", counts))
		}})
		got, lateErr := s.Replace(t.Context(), source, late, noon, answer(scope(0, 1), "late", counts))
		must(t, lateErr)
		must(t, err)
		if diff := cmp.Diff(scheduling.Replaced{Refused: 3, Slots: 3}, meanwhile); diff != "" {
			t.Errorf("the earlier fetch, in the middle of the later one: %s", diff)
		}
		if diff := cmp.Diff(scheduling.Replaced{Written: 3, Slots: 3}, got); diff != "" {
			t.Errorf("the later fetch: %s", diff)
		}
	})
}
