package cache_test

import (
	"context"
	"errors"
	"strings"
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

func TestANewStoreIsRebuiltAndALostOneIsNoticed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		b := s.Books(vault.Ephemeral(), []scheduling.SourceID{source})
		lost := func(want bool) {
			t.Helper()
			if want {
				settled(t, b)
			}
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
		if ready, err := b.Ready(t.Context(), source); err != nil || ready {
			t.Fatalf("ready: %v, %v", ready, err)
		}
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
