package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

func TestLaw3OfManyWhoTakeOneSlotOneWins(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		v := vault.Ephemeral()
		gateways := []*cache.Books{newBooks(t, open(t, server.URL()), v), newBooks(t, open(t, server.URL()), v)}
		const slots = 50
		clients := 200
		if !server.Real() {
			clients = 20 // the stand-in is slow
		}
		var won [slots]atomic.Int32
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for i := range slots {
					slot := (i + c) % slots
					e := entryOf(scheduling.EntryBooking, fmt.Sprint("p", c), 0, fmt.Sprint("slot", slot))
					_, err := gateways[c%2].Save(t.Context(), taking(e))
					switch {
					case err == nil:
						won[slot].Add(1)
					case !errors.Is(err, scheduling.ErrStaleEntry) && scheduling.CodeOf(err) != scheduling.SlotTaken:
						t.Errorf("a loser is told %v", err)
					}
				}
			})
		}
		wg.Wait()
		for slot := range won {
			if n := won[slot].Load(); n != 1 {
				t.Errorf("slot %d was taken %d times", slot, n)
			}
		}
	})
}

// dump is every key and value of a Redis.
func dump(t testing.TB, c *redis.Client) string {
	t.Helper()
	var all strings.Builder
	for _, k := range c.Keys(t.Context(), "*").Val() {
		fmt.Fprintln(&all, k)
		switch kind := c.Type(t.Context(), k).Val(); kind {
		case "string":
			fmt.Fprintln(&all, c.Get(t.Context(), k).Val())
		case "hash":
			fmt.Fprintln(&all, c.HGetAll(t.Context(), k).Val())
		case "set":
			fmt.Fprintln(&all, c.SMembers(t.Context(), k).Val())
		case "zset":
			fmt.Fprintln(&all, c.ZRangeWithScores(t.Context(), k, 0, -1).Val())
		case "stream":
			fmt.Fprintln(&all, c.XRange(t.Context(), k, "-", "+").Val())
		default:
			t.Fatalf("a key of type %s", kind)
		}
	}
	return all.String()
}

func TestLaw10NoStringOfAPatientStandsInRedis(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, v := open(t, server.URL()), vault.Ephemeral()
		b := newBooks(t, s, v)
		canaries := []string{"CANARYours", "CANARYnative", "CANARYcomment", "CANARYwhy", "CANARYanswer", "CANARYkey"}
		e := entryOf(scheduling.EntryDoubt, "p1", 0, "slot1")
		e.Doubt = &scheduling.Doubt{Call: scheduling.CallBook}
		e.Private = scheduling.Private{Patients: []scheduling.PatientRef{{Asked: canaries[0], Native: canaries[1]}}, Comment: canaries[2]}
		e = save(t, b, taking(e))
		e.State, e.Doubt = scheduling.EntryBooked, nil
		e.Decision = &scheduling.Decision{By: "op", Reason: canaries[3]}
		save(t, b, scheduling.EntryChange{Entry: e})
		_, err := b.ByPatient(t.Context(), source, "p1", canaries[1])
		must(t, err)
		k := s.Keys(v)
		_, err = k.Begin(t.Context(), "p1", canaries[5], "d", e.ID, time.Minute)
		must(t, err)
		must(t, k.Finish(t.Context(), "p1", canaries[5], "d", []byte(canaries[4])))
		must(t, s.Holds().Take(t.Context(), "p1", e.ID, 3, time.Minute))
		text := dump(t, client(t, server.URL()))
		if !strings.Contains(text, e.ID) || !strings.Contains(text, "slot1") {
			t.Fatal("the dump does not show what is there: the test shows nothing")
		}
		for _, canary := range canaries {
			if strings.Contains(text, canary) {
				t.Errorf("%s stands in Redis", canary)
			}
		}
	})
}

func TestASealedPartThatWasMovedOrChangedIsNotBelieved(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b, c := newBooks(t, open(t, server.URL()), vault.Ephemeral()), client(t, server.URL())
	var ids []string
	for i, who := range []string{"Ada", "Bob"} {
		e := entryOf(scheduling.EntryBooked, "p1", 0, fmt.Sprint("slot", i))
		e.Private.Patients = []scheduling.PatientRef{{Native: who}}
		e = save(t, b, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake, Wake: time.Millisecond})
		ids = append(ids, e.ID)
	}
	at := func(i int) string { return "slotgate:{s:napa}:entry:" + ids[i] }
	must(t, c.HSet(t.Context(), at(1), "p", c.HGet(t.Context(), at(0), "p").Val()).Err())
	if _, err := b.Read(t.Context(), ids[1]); scheduling.CodeOf(err) != scheduling.Internal {
		t.Errorf("Bob's entry names Ada: %v", err)
	}
	if _, err := b.ByPatient(t.Context(), source, "p1", "Bob"); scheduling.CodeOf(err) != scheduling.Internal {
		t.Errorf("a list leaves out what it cannot read: %v", err)
	}
	// What cannot be read does not keep the rest from settling.
	eventually(t, "the other is due", func() bool {
		due, err := b.Due(t.Context(), source, 1)
		return err == nil && slices.Equal(idList(due), ids[:1])
	})
	must(t, c.HSet(t.Context(), at(0), "e", "{").Err())
	if _, err := b.Read(t.Context(), ids[0]); scheduling.CodeOf(err) != scheduling.Internal {
		t.Errorf("a damaged entry: %v", err)
	}
}

func TestBooksWorkInACluster(t *testing.T) {
	t.Parallel()
	url := redistest.StartCluster(t)
	c := client(t, url)
	must(t, c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	eventually(t, "the cluster is up", func() bool {
		return strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	s, v := open(t, url, func(o *cache.Options) { o.Cluster = true }), vault.Ephemeral()
	b := newBooks(t, s, v)
	e := entryOf(scheduling.EntryDoubt, "p1", 0, "slot1", "slot2")
	e.Private.Patients = []scheduling.PatientRef{{Native: "Ada"}}
	e.Doubt = &scheduling.Doubt{}
	e = save(t, b, taking(e))
	e.State, e.Used, e.Doubt = scheduling.EntryCancelled, true, nil
	save(t, b, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence, Wake: time.Millisecond})
	eventually(t, "it is due", func() bool {
		due, err := b.Due(t.Context(), source, 9)
		must(t, err)
		return len(due) == 1
	})
	list, err := b.ByPatient(t.Context(), source, "p1", "Ada")
	must(t, err)
	if len(list) != 1 {
		t.Errorf("%d entries of Ada", len(list))
	}
	must(t, c.Del(t.Context(), "slotgate:{s:napa}:entry:"+e.ID).Err())
	if n, err := b.Reassert(t.Context()); err != nil || n != 1 {
		t.Errorf("put back %d, %v", n, err)
	}
	// As if all were long over.
	now := float64(time.Now().UnixMilli())
	must(t, c.ZAdd(t.Context(), "slotgate:{s:napa}:forget", redis.Z{Score: now - 1, Member: e.ID}).Err())
	must(t, c.ZAdd(t.Context(), "slotgate:{s:napa}:ends", redis.Z{Score: now - 1, Member: "slot1"}).Err())
	must(t, b.Tidy(t.Context(), source))
	lease, ok, err := b.Settling(t.Context(), source, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	must(t, lease.Release(t.Context()))
	must(t, s.Holds().Take(t.Context(), "p1", e.ID, 3, time.Minute))
	must(t, s.Holds().Drop(t.Context(), "p1", e.ID))
	k := s.Keys(v)
	_, err = k.Begin(t.Context(), "p1", "k", "d", e.ID, time.Minute)
	must(t, err)
	must(t, k.Finish(t.Context(), "p1", "k", "d", nil))
	must(t, k.Abandon(t.Context(), "p1", "k", "d"))
	must(t, s.Clock().Sync(t.Context()))
	must(t, s.CheckVault(t.Context(), v))
	// WAIT goes to the node that has the source.
	waiting := newBooks(t, open(t, url, func(o *cache.Options) {
		o.Cluster, o.WaitReplicas, o.WaitTimeout = true, 1, 50*time.Millisecond
	}), v)
	intent := taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot3"))
	intent.Intent = true
	if _, err := waiting.Save(t.Context(), intent); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Errorf("no replica has the intent, and it passes: %v", err)
	}
}

func TestAnIntentThatTooFewReplicasHaveIsShed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	wait := func(n int) *cache.Books {
		return newBooks(t, open(t, server.URL(), func(o *cache.Options) { o.WaitReplicas, o.WaitTimeout = n, 50*time.Millisecond }), vault.Ephemeral())
	}
	b := wait(1)
	change := taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot1"))
	change.Intent, change.Wake = true, time.Millisecond
	_, err := b.Save(t.Context(), change)
	var ours *scheduling.Error
	if !errors.As(err, &ours) || ours.Code != scheduling.Shedding || ours.RetryAfter <= 0 {
		t.Fatalf("want shedding, got %v", err)
	}
	eventually(t, "the wake leads the settler to it", func() bool {
		due, err := b.Due(t.Context(), source, 9)
		return err == nil && len(due) == 1 && due[0].Version == 1
	})
	change = taking(entryOf(scheduling.EntryHeld, "p1", 0, "slot2"))
	save(t, b, change) // no call follows: nobody waits
	change = taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot3"))
	change.Intent = true
	save(t, wait(0), change)
}

func TestAnIntentThatAReplicaHasIsSaved(t *testing.T) {
	t.Parallel()
	redistest.Start(t) // skips where there is none
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	must(t, l.Close())
	run := func(args ...string) *embedded.Server {
		s, err := embedded.Start(t.Context(), embedded.Options{Args: args})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	master := run("--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
	follower := run("--replicaof", "127.0.0.1", port)
	b := newBooks(t, open(t, master.URL(), func(o *cache.Options) { o.WaitReplicas, o.WaitTimeout = 1, 4*time.Second }), vault.Ephemeral())
	c := client(t, follower.URL())
	eventually(t, "the replica follows", func() bool {
		return strings.Contains(c.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	putBack(t, b) // its first replica gives a server another history
	for i := range 20 {
		change := taking(entryOf(scheduling.EntryBooking, "p1", 0, fmt.Sprint("slot", i)))
		change.Intent = true
		e := save(t, b, change)
		if v := c.HGet(t.Context(), "slotgate:{s:napa}:entry:"+e.ID, "v").Val(); v != "1" {
			t.Fatalf("intent %d: the replica has version %q", i, v)
		}
	}
}

// cut is a hook that loses the first answer of each script with many keys,
// after Redis has run it.
type cut struct {
	recorder
	lost atomic.Int32
}

func (c *cut) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && strings.HasPrefix(fmt.Sprint(args[0]), "evalsha") && c.lost.Add(1) == 1 {
			return next(ctx, cmd) // what go-redis does after a lost answer: the same command again
		}
		return err
	}
}

func TestAScriptThatIsRepeatedAfterALostAnswerFindsItsOwnWork(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, v := open(t, server.URL()), vault.Ephemeral()
		b := newBooks(t, s, v)
		save(t, b, taking(entryOf(scheduling.EntryHeld, "p1", 0, "slot0"))) // the server knows the scripts now
		_, err := s.Keys(v).Begin(t.Context(), "p1", "k0", "d", "o", time.Minute)
		must(t, err)
		hook := &cut{}
		cache.ClientOf(s).AddHook(hook)
		e := save(t, b, taking(entryOf(scheduling.EntryHeld, "p1", 0, "slot1")))
		if got, err := b.Read(t.Context(), e.ID); err != nil || got.Version != 1 {
			t.Errorf("version %d, %v", got.Version, err)
		}
		if hook.lost.Load() == 0 {
			t.Fatal("no answer was lost: the test shows nothing")
		}
		hook.lost.Store(0)
		if r, err := s.Keys(v).Begin(t.Context(), "p1", "k1", "d", "o", time.Minute); err != nil || r.State != scheduling.KeyFresh {
			t.Errorf("key %v, %v", r.State, err)
		}
	})
}
