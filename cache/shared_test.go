package cache_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/config"
	"slotgate/scheduling"
)

func TestOneWorkerHasALease(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := open(t, server.URL()), open(t, server.URL())
		first, ok, err := a.Lease(t.Context(), source, time.Minute)
		must(t, err)
		if !ok {
			t.Fatal("a free lease is refused")
		}
		if _, ok, err = b.Lease(t.Context(), source, time.Minute); err != nil || ok {
			t.Fatalf("two have the lease: %v, %v", ok, err)
		}
		if _, ok, err = b.Lease(t.Context(), "elsewhere", time.Minute); err != nil || !ok {
			t.Fatalf("another source's lease: %v, %v", ok, err)
		}
		must(t, first.Renew(t.Context()))
		must(t, first.Release(t.Context()))
		second, ok, err := b.Lease(t.Context(), source, 20*time.Millisecond)
		must(t, err)
		if !ok {
			t.Fatal("a lease that was given back is refused")
		}
		must(t, first.Release(t.Context())) // is nobody's any more: takes nothing away
		if err := first.Renew(t.Context()); !errors.Is(err, cache.ErrLeaseLost) {
			t.Fatalf("want ErrLeaseLost, got %v", err)
		}
		var third scheduling.Lease
		eventually(t, "the lease runs out", func() bool {
			third, ok, err = a.Lease(t.Context(), source, time.Minute)
			return err == nil && ok
		})
		if err := second.Renew(t.Context()); !errors.Is(err, cache.ErrLeaseLost) {
			t.Fatalf("want ErrLeaseLost, got %v", err)
		}
		must(t, third.Renew(t.Context()))
		for _, ttl := range []time.Duration{0, -time.Second, time.Microsecond} {
			if _, _, err := a.Lease(t.Context(), "third", ttl); err == nil {
				t.Errorf("a lease of %v is given", ttl)
			}
		}
	})
}

func TestSecretsAndEpochAreSharedUntilTheStoreIsEmptied(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := open(t, server.URL()), open(t, server.URL())
		read := func(s *cache.Store) (string, []byte, []byte) {
			epoch, err := s.Epoch(t.Context())
			must(t, err)
			cursor, err := s.Secret(t.Context(), "cursor")
			must(t, err)
			other, err := s.Secret(t.Context(), "other")
			must(t, err)
			return epoch, cursor, other
		}
		epoch, cursor, other := read(a)
		if len(epoch) == 0 || len(cursor) != 32 || len(other) != 32 || bytes.Equal(cursor, other) {
			t.Fatalf("epoch %q, secrets %x and %x", epoch, cursor, other)
		}
		if e, c, o := read(b); e != epoch || !bytes.Equal(c, cursor) || !bytes.Equal(o, other) {
			t.Fatal("two gateways see two things")
		}
		must(t, server.Restart(t.Context()))
		eventually(t, "Redis is back", func() bool { return a.Ping(t.Context()) == nil })
		if e, c, _ := read(a); e == epoch || bytes.Equal(c, cursor) {
			t.Fatal("an emptied store still knows")
		}
	})
}

func TestADamagedSecretIsAnError(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	must(t, client(t, server.URL()).Set(t.Context(), "slotgate:secret:cursor", "short", 0).Err())
	if _, err := s.Secret(t.Context(), "cursor"); scheduling.CodeOf(err) != scheduling.Internal {
		t.Fatalf("want an internal error, got %v", err)
	}
}

func TestADirectoryIsMergedAndReplaced(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL(), func(o *cache.Options) { o.Batch = 2 })
		m := follow(t, s)
		whole := func(want scheduling.Directory) {
			t.Helper()
			eventually(t, "the directory", func() bool { return m.with(func(m *mirror) bool { return cmp.Equal(want, m.directory) }) })
		}
		dir := scheduling.NewDirectory()
		dir.Practitioners["p1"] = &scheduling.Practitioner{ID: "p1", Name: scheduling.HumanName{Family: "Curie", Given: []string{"Marie"}}}
		dir.Roles["r/1"] = &scheduling.Role{ID: "r/1", Practitioner: "p1", Specialty: family}
		dir.Locations["l1"] = &scheduling.Location{ID: "l1", Zone: "America/Los_Angeles", Position: &scheduling.Position{Latitude: 38.3, Longitude: -122.3}}
		dir.Organizations["o1"] = &scheduling.Organization{ID: "o1", Name: "Napa"}
		dir.Services["h1"] = &scheduling.Service{ID: "h1", Type: family}
		dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1", Virtual: true, Actors: []scheduling.Actor{{Kind: scheduling.KindRole, ID: "r/1"}}}
		must(t, s.PutDirectory(t.Context(), source, dir))
		whole(dir)

		more := scheduling.NewDirectory()
		more.Schedules["s2"] = &scheduling.Schedule{ID: "s2"}
		more.Practitioners["p1"] = &scheduling.Practitioner{ID: "p1", Inactive: true}
		must(t, s.MergeDirectory(t.Context(), source, more))
		must(t, s.MergeDirectory(t.Context(), source, scheduling.Directory{}))
		dir.Merge(more)
		whole(dir)

		must(t, s.PutDirectory(t.Context(), source, more))
		whole(more)
	})
}

func TestErrorsAreOursAndKeepTheirCause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	must(t, client(t, server.URL()).Set(t.Context(), "slotgate:{s:napa}:meta", "no hash", 0).Err())
	_, err := s.Begin(t.Context(), source)
	var ours *scheduling.Error
	if !errors.As(err, &ours) || ours.Code != scheduling.Internal || strings.Contains(ours.Message, "WRONGTYPE") {
		t.Fatalf("want an internal error without Redis' text, got %v", err)
	}
	if !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("the operator does not learn the cause: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = s.Epoch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
	must(t, server.Kill())
	_, err = s.Epoch(t.Context())
	if !errors.As(err, &ours) || ours.Code != scheduling.Shedding || ours.RetryAfter <= 0 || strings.Contains(ours.Message, "sock") {
		t.Errorf("want shedding with a time to try again, got %v", err)
	}
}

func TestASlotInTheWrongWindowIsRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	n, err := s.Begin(t.Context(), source)
	must(t, err)
	f := answer(scope(0, 1), "a", nil)
	f.Windows[key("s1", 0)] = slots(key("s2", 0), 1, "a")
	if _, err := s.Replace(t.Context(), source, n, noon, f); !errors.Is(err, cache.ErrBadWindow) {
		t.Fatalf("want ErrBadWindow, got %v", err)
	}
}

func TestDamageInRedisIsCountedAndSpoilsNothingElse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	reg := prometheus.NewRegistry()
	s, err := cache.Open(t.Context(), cache.Options{URL: server.URL()}, cache.Deps{Registerer: reg})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	f := answer(scope(0, 1), "a", map[scheduling.WindowKey]int{key("s1", 0): 2})
	replace(t, s, f)
	c := client(t, server.URL())
	tag := "slotgate:{s:napa}:"
	days := c.SMembers(t.Context(), tag+"days").Val()
	must(t, c.HSet(t.Context(), tag+"windows:"+days[0], "bad", "\x63 from the future").Err())
	must(t, c.HSet(t.Context(), tag+"heads:"+days[0], "bad", "short").Err())
	must(t, c.HSet(t.Context(), tag+"checks", "bad", "{").Err())
	must(t, c.HSet(t.Context(), tag+"directory", "Martian/1", "{}", "Schedule/2", "[").Err())
	must(t, c.HSet(t.Context(), tag+"generations", "slot", "many", "slot2", "3").Err())
	must(t, c.Set(t.Context(), tag+"status", "?", 0).Err())
	must(t, c.SAdd(t.Context(), tag+"days", "someday").Err())
	m := follow(t, s)
	agree(t, m, idsOf(f.Windows))
	if !m.with(func(m *mirror) bool {
		return len(m.checks) == 1 && cmp.Equal(m.snapshot.Generations, map[string]uint32{"slot2": 3})
	}) {
		t.Error("what is sound was lost")
	}
	families, err := reg.Gather()
	must(t, err)
	kinds := 0
	for _, family := range families {
		if family.GetName() == "slotgate_cache_damaged_total" {
			kinds = len(family.GetMetric())
		}
	}
	if kinds != 5 {
		t.Errorf("want five kinds of damage counted, got %d", kinds)
	}
	// The next fetch removes what the source does not have.
	if got := replace(t, s, f); got.Removed != 1 {
		t.Errorf("want the damaged window removed, got %+v", got)
	}
	must(t, s.PutStatus(t.Context(), scheduling.Status{Source: source, Failures: 2}))
	eventually(t, "a sound status", func() bool { return m.with(func(m *mirror) bool { return m.status.Failures == 2 }) })
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*cache.Options)
		want string // "" is right
	}{
		"a plain address":            {func(o *cache.Options) { o.URL = "redis://127.0.0.1:6379/0" }, ""},
		"TLS, a user, a password":    {func(o *cache.Options) { o.URL = "rediss://u:p@redis.example.org/2" }, ""},
		"embedded":                   {func(o *cache.Options) { o.Embedded, o.Dir = true, "/var/lib/slotgate" }, ""},
		"a cluster":                  {func(o *cache.Options) { o.URL, o.Cluster, o.Nodes = "redis://a:1", true, []string{"b:2"} }, ""},
		"Sentinels":                  {func(o *cache.Options) { o.URL, o.SentinelMaster, o.Nodes = "redis://a:1", "m", []string{"b:2"} }, ""},
		"nothing":                    {func(*cache.Options) {}, "url: is missing"},
		"both":                       {func(o *cache.Options) { o.URL, o.Embedded = "redis://a:1", true }, "embedded: does not go together"},
		"another scheme":             {func(o *cache.Options) { o.URL = "http://u:geheim@a" }, "url: is no address of a Redis"},
		"a folder without embedded":  {func(o *cache.Options) { o.URL, o.Dir = "redis://a:1", config.Path("d") }, "dir: is for an embedded Redis"},
		"nodes of nothing":           {func(o *cache.Options) { o.URL, o.Nodes = "redis://a:1", []string{"b:2"} }, "nodes: needs cluster"},
		"a node without a port":      {func(o *cache.Options) { o.URL, o.Cluster, o.Nodes = "redis://a:1", true, []string{"b"} }, "nodes: must be host:port"},
		"a cluster of Sentinels":     {func(o *cache.Options) { o.URL, o.Cluster, o.SentinelMaster = "redis://a:1", true, "m" }, "cluster: does not go together"},
		"a prefix with a tag":        {func(o *cache.Options) { o.URL, o.Prefix = "redis://a:1", "a{b}" }, "prefix: must be a word"},
		"a timeout below zero":       {func(o *cache.Options) { o.URL, o.ReadTimeout = "redis://a:1", -1 }, "read_timeout: must be from"},
		"a poll that never comes":    {func(o *cache.Options) { o.URL, o.FeedPoll = "redis://a:1", 24*time.Hour }, "feed_poll: must be from"},
		"a batch that blocks Redis":  {func(o *cache.Options) { o.URL, o.Batch = "redis://a:1", 1_000_000 }, "batch: must be from 1 to 10000"},
		"a feed without any entries": {func(o *cache.Options) { o.URL, o.FeedLength = "redis://a:1", -1 }, "feed_length: must be from"},
	} {
		var o cache.Options
		o.SetDefaults()
		c.bend(&o)
		err := o.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: want %q, got %v", name, c.want, err)
		case err != nil && strings.Contains(err.Error(), "geheim"):
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

func TestOpeningNeedsAnAddressAndNoRedis(t *testing.T) {
	t.Parallel()
	if _, err := cache.Open(t.Context(), cache.Options{Embedded: true}, cache.Deps{}); err == nil {
		t.Error("an embedded Redis that nobody started passes")
	}
	s, err := cache.Open(t.Context(), cache.Options{URL: "unix://" + filepath.Join(t.TempDir(), "none.sock")}, cache.Deps{})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Ping(t.Context()); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Errorf("want shedding, got %v", err)
	}
	reg := prometheus.NewRegistry()
	for i := range 2 {
		s, err := cache.Open(t.Context(), cache.Options{URL: "redis://127.0.0.1:1"}, cache.Deps{Registerer: reg})
		if i == 0 {
			must(t, err)
			_ = s.Close()
		} else if err == nil {
			t.Error("metrics are registered twice without a word")
		}
	}
}

// A store that was emptied forgot who works on what. Whoever does goes on, unless
// somebody else was quicker.
func TestALeaseThatTheStoreForgotIsTakenAgainAsItIsRenewed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := open(t, server.URL()), open(t, server.URL())
		mine, ok, err := a.Lease(t.Context(), source, time.Minute)
		must(t, err)
		other, and, err := a.Lease(t.Context(), "elsewhere", time.Minute)
		must(t, err)
		if !ok || !and {
			t.Fatal("a free lease is refused")
		}
		must(t, server.Restart(t.Context()))
		must(t, mine.Renew(t.Context()))
		if _, ok, err := b.Lease(t.Context(), source, time.Minute); err != nil || ok {
			t.Fatalf("two have the lease: %v, %v", ok, err)
		}
		if _, ok, err := b.Lease(t.Context(), "elsewhere", time.Minute); err != nil || !ok {
			t.Fatalf("a lease that nobody has: %v, %v", ok, err)
		}
		if err := other.Renew(t.Context()); !errors.Is(err, cache.ErrLeaseLost) {
			t.Fatalf("want ErrLeaseLost, got %v", err)
		}
	})
}

func TestTheRollCountsWhoAttends(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		attend := func(worker string, ttl time.Duration, want int) {
			t.Helper()
			if n, err := s.Attend(t.Context(), worker, ttl); err != nil || n != want {
				t.Fatalf("%s: %d workers, want %d: %v", worker, n, want, err)
			}
		}
		attend("a", time.Minute, 1)
		attend("b", time.Minute, 2)
		attend("a", time.Minute, 2)
		must(t, s.Depart(t.Context(), "b"))
		must(t, s.Depart(t.Context(), "nobody"))
		attend("a", time.Minute, 1)
		attend("c", 10*time.Millisecond, 2)
		eventually(t, "one that stays away is not counted", func() bool {
			n, err := s.Attend(t.Context(), "a", time.Minute)
			return err == nil && n == 1
		})
	})
}
