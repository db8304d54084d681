package cache_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// counted is what Redis counted of a command since its counts were reset: calls,
// rejected_calls.
func counted(t *testing.T, c *redis.Client, command, what string) int {
	t.Helper()
	_, rest, _ := strings.Cut(c.Info(t.Context(), "commandstats").Val(), "cmdstat_"+command+":")
	line, _, _ := strings.Cut(rest, "\r\n")
	for field := range strings.SplitSeq(line, ",") {
		if name, value, _ := strings.Cut(field, "="); name == what {
			n, err := strconv.Atoi(value)
			must(t, err)
			return n
		}
	}
	return 0
}

// manySources are so many sources, and among them the one of all tests.
func manySources(n int) []scheduling.SourceID {
	sources := []scheduling.SourceID{source}
	for i := 1; i < n; i++ {
		sources = append(sources, scheduling.SourceID(fmt.Sprint("clinic-", i)))
	}
	return sources
}

func openAll(t *testing.T, b *cache.Books, sources []scheduling.SourceID) {
	t.Helper()
	for _, id := range sources {
		must(t, b.Open(t.Context(), id))
	}
}

func TestSourcesAtRestDoNotAskRedisWhoItIsEachByItself(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, sources := client(t, server.URL()), manySources(100)
	b := open(t, server.URL()).Books(vault.Ephemeral(), sources)
	openAll(t, b, sources)
	beats(t, b)
	must(t, c.ConfigResetStat(t.Context()).Err())
	beats(t, b)
	// Four scripts; a Redis before 7 is asked three times by each. What is not
	// answered in time is sent again.
	if n := counted(t, c, "info", "calls"); n == 0 || n > len(sources)/2 {
		t.Errorf("a round of beats at %d sources asked %d times who answers", len(sources), n)
	}
	if n := counted(t, c, "hincrby", "calls"); n < len(sources) {
		t.Errorf("a round of beats at %d sources were %d beats", len(sources), n)
	}
	must(t, c.ConfigResetStat(t.Context()).Err())
	for _, id := range sources {
		if lost, err := b.Lost(t.Context(), id); err != nil || lost {
			t.Errorf("%s is lost: %v, %v", id, lost, err)
		}
		if due, err := b.Due(t.Context(), id, 9); err != nil || len(due) > 0 {
			t.Errorf("due at %s: %v, %v", id, idList(due), err)
		}
	}
	if n := counted(t, c, "info", "calls"); n != 0 {
		t.Errorf("where nothing is due it was asked %d times who answers", n)
	}
}

func TestBooksAreNotedUnderTheProcessAndTheHistoryOfTheirRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, b := client(t, server.URL()), newBooks(t, open(t, server.URL()), vault.Ephemeral())
	beats(t, b)
	want := ""
	for _, part := range []string{"server", "replication"} {
		for line := range strings.Lines(c.Info(t.Context(), part).Val()) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name == "run_id" || name == "master_replid" {
				want += value
			}
		}
	}
	got := c.HGetAll(t.Context(), "slotgate:{s:napa}:vouched").Val()
	if len(want) != 80 || got["run"] != want || got["open"] != "1" {
		t.Errorf("noted under %q, want %q", got["run"], want)
	}
}

func TestLaw4ALossIsFoundOutAtEverySourceOfOneBeat(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		c, sources := client(t, server.URL()), manySources(7)
		b := open(t, server.URL(), func(o *cache.Options) { o.PutBack = time.Minute }).Books(vault.Ephemeral(), sources)
		openAll(t, b, sources)
		beats(t, b)
		// One source of all lacks a beat that was confirmed.
		const gone = scheduling.SourceID("clinic-3")
		must(t, c.Del(t.Context(), "slotgate:{s:"+string(gone)+"}:beats").Err())
		beats(t, b)
		for _, id := range sources {
			want := "1"
			if id == gone {
				want = ""
			}
			if got := c.HGet(t.Context(), "slotgate:{s:"+string(id)+"}:vouched", "open").Val(); got != want {
				t.Errorf("%s: open is %q, want %q", id, got, want)
			}
		}
	})
}

func TestASourceWhoseKeysAreDamagedKeepsNoOtherFromBeingPutBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		c, sources := client(t, server.URL()), manySources(7)
		b := open(t, server.URL()).Books(vault.Ephemeral(), sources)
		openAll(t, b, sources)
		e := save(t, b, taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot1")))
		for _, id := range sources[1:3] {
			must(t, c.Set(t.Context(), "slotgate:{s:"+string(id)+"}:alive", "x", 0).Err())
		}
		must(t, c.Del(t.Context(), "slotgate:{s:napa}:entry:"+e.ID).Err())
		if n, err := b.Reassert(t.Context()); err == nil || n != 1 {
			t.Errorf("put back %d, %v, want one, and what is wrong with the others", n, err)
		}
	})
}

func TestARedisThatTakesNoWritesIsNotAskedAgainForEachSource(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, sources := client(t, server.URL()), manySources(100)
	b := open(t, server.URL()).Books(vault.Ephemeral(), sources)
	openAll(t, b, sources)
	beats(t, b)
	must(t, c.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	must(t, c.ConfigResetStat(t.Context()).Err())
	if _, err := b.Reassert(t.Context()); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Errorf("%v, want shedding", err)
	}
	// Four scripts, each tried four times.
	if n := counted(t, c, "evalsha", "calls"); n == 0 || n > 16 {
		t.Errorf("it was asked %d times", n)
	}
	must(t, c.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	beats(t, b)
}

// TestOneNodeOfAClusterThatIsTakenForAServerByItself: it has all slots, but no
// script may have keys of two.
func TestOneNodeOfAClusterThatIsTakenForAServerByItself(t *testing.T) {
	t.Parallel()
	url := redistest.StartCluster(t)
	c, sources := client(t, url), manySources(7)
	must(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	eventually(t, "the cluster is up", func() bool {
		return strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	b := open(t, url).Books(vault.Ephemeral(), sources)
	openAll(t, b, sources)
	e := save(t, b, taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot1")))
	must(t, c.Del(t.Context(), "slotgate:{s:napa}:entry:"+e.ID).Err())
	if n, err := b.Reassert(t.Context()); err != nil || n != 1 {
		t.Errorf("put back %d, %v", n, err)
	}
	must(t, c.ConfigResetStat(t.Context()).Err())
	beats(t, b)
	if n := counted(t, c, "evalsha", "rejected_calls"); n != 0 {
		t.Errorf("it is tried again %d times with the keys of many sources", n)
	}
}

// TestLaw4WhatIsDueIsNotSettledByARedisThatWentBack: it may be settled already.
func TestLaw4WhatIsDueIsNotSettledByARedisThatWentBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := gateways(t, server.URL(), time.Minute)
	c := client(t, server.URL())
	beats(t, a, b)
	held := entryOf(scheduling.EntryHeld, "p1", 0, "slot1")
	held = save(t, b, scheduling.EntryChange{Entry: held, Claims: scheduling.ClaimsTake, Wake: time.Millisecond})
	eventually(t, "it is due", func() bool {
		due, err := a.Due(t.Context(), source, 9)
		must(t, err)
		return len(due) == 1
	})
	before := take(t, c)
	held.State = scheduling.EntryFree
	save(t, b, scheduling.EntryChange{Entry: held, Claims: scheduling.ClaimsFence})
	before.put(t, c)
	if due, err := b.Due(t.Context(), source, 9); err != nil || len(due) > 0 {
		t.Errorf("due are %v, %v", idList(due), err)
	}
	if due, err := a.Due(t.Context(), source, 9); err != nil || len(due) > 0 {
		t.Errorf("due at another gateway are %v, %v", idList(due), err)
	}
}
