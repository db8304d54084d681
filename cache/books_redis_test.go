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

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config"
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

func TestANewStoreIsRebuiltAndALostOneIsNoticed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		b := s.Books(vault.Ephemeral(), []scheduling.SourceID{source})
		lost := func(want bool) {
			t.Helper()
			if got, err := b.Lost(t.Context(), source); err != nil || got != want {
				t.Fatalf("lost: %v, %v", got, err)
			}
		}
		refused := func() {
			t.Helper()
			_, err := b.Save(t.Context(), taking(entryOf(scheduling.EntryHeld, "p1", 0, "slot1")))
			if scheduling.CodeOf(err) != scheduling.Shedding {
				t.Fatalf("want shedding, got %v", err)
			}
		}
		lost(true)
		refused()
		restore := taking(entryOf(scheduling.EntryBooked, "p1", 0, "slot0"))
		restore.Restore = true
		save(t, b, restore)
		must(t, b.Rebuilt(t.Context(), source))
		lost(false)
		putBack(t, b)
		e := save(t, b, taking(entryOf(scheduling.EntryHeld, "p1", 0, "slot1")))
		must(t, server.Restart(t.Context()))
		eventually(t, "Redis is back", func() bool { return s.Ping(t.Context()) == nil })
		lost(true)
		e.State = scheduling.EntryBooking
		if _, err := b.Save(t.Context(), scheduling.EntryChange{Entry: e}); scheduling.CodeOf(err) != scheduling.Shedding {
			t.Fatalf("want shedding, got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		eventually(t, "Run puts the entries back", func() bool {
			got, err := b.Read(t.Context(), e.ID)
			return err == nil && got.State == scheduling.EntryHeld && got.Version == 1
		})
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		lost(true) // what others had is still missing
		must(t, b.Rebuilt(t.Context(), source))
		putBack(t, b)
		save(t, b, scheduling.EntryChange{Entry: e})
	})
}

func TestTheHighestVersionWinsWhenGatewaysPutBackWhatTheyKnow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	v, c := vault.Ephemeral(), client(t, server.URL())
	a, b := newBooks(t, open(t, server.URL()), v), newBooks(t, open(t, server.URL()), v)
	e := entryOf(scheduling.EntryBooking, "p1", 0, "slot1")
	e.Private.Comment = "Ada"
	e = save(t, a, taking(e))
	e.State, e.Used = scheduling.EntryBooked, true
	e = save(t, b, scheduling.EntryChange{Entry: e})
	must(t, c.FlushAll(t.Context()).Err())
	for _, books := range []*cache.Books{b, a, b} {
		_, err := books.Reassert(t.Context())
		must(t, err)
	}
	must(t, a.Rebuilt(t.Context(), source))
	putBack(t, a, b)
	got, err := a.Read(t.Context(), e.ID)
	must(t, err)
	if diff := cmp.Diff(e, got); diff != "" {
		t.Error(diff)
	}
	if c.HGet(t.Context(), "slotgate:vault", v.KeyIDs()[0]).Val() == "" {
		t.Error("the key that sealed it is not said to be in use any more")
	}
	if n := c.HGet(t.Context(), "slotgate:{s:napa}:generations", "slot1").Val(); n != "1" {
		t.Errorf("generation %s", n)
	}
	if by := c.HGet(t.Context(), "slotgate:{s:napa}:claims", "slot1").Val(); by != e.ID {
		t.Errorf("claimed by %q", by)
	}
	for _, books := range []*cache.Books{a, b} {
		if n, err := books.Reassert(t.Context()); err != nil || n != 0 {
			t.Errorf("put back %d more, %v", n, err)
		}
	}
}

func TestPatientsAreForgottenAndEntriesStay(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := newBooks(t, open(t, server.URL(), func(o *cache.Options) { o.KeepPatients = time.Hour }), vault.Ephemeral())
		past := func(slot string, state scheduling.EntryState) scheduling.Entry {
			e := entryOf(state, "p1", 0, slot)
			e.Private = scheduling.Private{Patients: []scheduling.PatientRef{{Native: "Ada"}}, Comment: "x"}
			e.Offer.Slots[0].Start = time.Now().Add(-30 * 24 * time.Hour)
			e.Offer.Slots[0].End = e.Offer.Slots[0].Start.Add(time.Hour)
			return e
		}
		over := save(t, b, taking(past("over", scheduling.EntryBooked)))
		doubt := past("doubt", scheduling.EntryDoubt)
		doubt.Doubt = &scheduling.Doubt{}
		doubt = save(t, b, taking(doubt))
		ahead := past("ahead", scheduling.EntryBooked)
		ahead.Offer.Slots[0].End = time.Now().Add(24 * time.Hour)
		ahead = save(t, b, taking(ahead))
		must(t, b.Tidy(t.Context(), source))
		for _, c := range []struct {
			e    scheduling.Entry
			want string
		}{{over, ""}, {doubt, "x"}, {ahead, "x"}} {
			got, err := b.Read(t.Context(), c.e.ID)
			if err != nil || got.Private.Comment != c.want || got.State != c.e.State || (len(got.Private.Patients) > 0) != (c.want != "") {
				t.Errorf("%s: %+v, %v", c.e.Offer.Slots[0].ID, got.Private, err)
			}
		}
		list, err := b.ByPatient(t.Context(), source, "p1", "Ada")
		must(t, err)
		if len(list) != 2 {
			t.Errorf("%d entries of Ada", len(list))
		}
		claims := client(t, server.URL()).HGetAll(t.Context(), "slotgate:{s:napa}:claims").Val()
		if want := map[string]string{"doubt": doubt.ID, "ahead": ahead.ID}; !cmp.Equal(claims, want) {
			t.Errorf("claims %v", claims)
		}
	})
}

func TestAKeyOfTheVaultThatIsInUseCannotGo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		open := func(keys ...string) *vault.Vault {
			t.Helper()
			var o vault.Options
			for _, k := range keys {
				id, fill, _ := strings.Cut(k, "=")
				o.Keys = append(o.Keys, vault.Key{ID: id, Key: config.NewSecret(strings.Repeat(fill, 64))})
			}
			v, err := vault.Open(o)
			must(t, err)
			return v
		}
		must(t, s.CheckVault(t.Context(), open("new=a"))) // nothing is sealed yet
		e := entryOf(scheduling.EntryBooked, "p1", 0, "slot1")
		e.Private.Patients = []scheduling.PatientRef{{Native: "Ada"}}
		e = save(t, newBooks(t, s, open("k1=b")), taking(e))
		k := s.Keys(open("k1=b"))
		_, err := k.Begin(t.Context(), "p1", "key", "d", "o", time.Minute)
		must(t, err)
		must(t, k.Finish(t.Context(), "p1", "key", "d", []byte("told")))
		for name, c := range map[string]struct {
			v    *vault.Vault
			want string
		}{
			"the same":               {open("k1=b"), ""},
			"a new one in front":     {open("k2=c", "k1=b"), ""},
			"dropped":                {open("k2=c"), "k1"},
			"another of the same id": {open("k1=c"), "another key was given the id k1"},
			"a random one":           {vault.Ephemeral(), "k1"},
		} {
			err := s.CheckVault(t.Context(), c.v)
			if (c.want == "") != (err == nil) || err != nil && (!errors.Is(err, cache.ErrVaultKey) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// After the rotation all is found and read.
		rotated := open("k2=c", "k1=b")
		list, err := newBooks(t, s, rotated).ByPatient(t.Context(), source, "p1", "Ada")
		if err != nil || len(list) != 1 || list[0].Private.Patients[0].Native != "Ada" {
			t.Errorf("%v, %v", list, err)
		}
		r, err := s.Keys(rotated).Begin(t.Context(), "p1", "key", "d", "o", time.Minute)
		if err != nil || string(r.Answer) != "told" {
			t.Errorf("%v, %v", r, err)
		}
		c := client(t, server.URL())
		print, _, _ := strings.Cut(c.HGet(t.Context(), "slotgate:vault", "k1").Val(), " ")
		must(t, c.HSet(t.Context(), "slotgate:vault", "k1", print+" 1").Err())
		must(t, s.CheckVault(t.Context(), open("k2=c"))) // all that it sealed is gone
		if _, err := newBooks(t, s, open("k2=c")).Read(t.Context(), e.ID); !errors.Is(err, vault.ErrNoKey) || scheduling.CodeOf(err) != scheduling.Internal {
			t.Errorf("an entry without its key: %v", err)
		}
	})
}

func TestTheClockFollowsRedisAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	server := redistest.StartInProcess(t)
	s := open(t, server.URL())
	clock := s.Clock()
	must(t, clock.Sync(t.Context()))
	if off := time.Until(clock.Now()).Abs(); off > 5*time.Second {
		t.Errorf("off by %v", off)
	}
	ahead := &shifted{by: time.Hour}
	cache.ClientOf(s).AddHook(ahead)
	must(t, clock.Sync(t.Context()))
	there := clock.Now()
	if off := time.Until(there); off < 59*time.Minute || off > 61*time.Minute {
		t.Errorf("the clock does not follow: %v", off)
	}
	ahead.by = -time.Hour
	must(t, clock.Sync(t.Context()))
	for range 3 {
		if now := clock.Now(); now.Before(there) {
			t.Fatalf("it goes back by %v", there.Sub(now))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := clock.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// shifted is a Redis whose clock is another.
type shifted struct {
	recorder
	by time.Duration
}

func (s *shifted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if told, ok := cmd.(*redis.TimeCmd); ok && err == nil {
			told.SetVal(told.Val().Add(s.by))
		}
		return err
	}
}
