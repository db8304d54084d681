package cache_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/scheduling"
)

func ringOf(t *testing.T, ids ...string) *vault.Vault {
	t.Helper()
	var o vault.Options
	for _, id := range ids {
		o.Keys = append(o.Keys, vault.Key{ID: id, Key: config.NewSecret(strings.Repeat(id[:1], 43) + "=")})
	}
	v, err := vault.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestATokenIsSharedAndSealed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := open(t, server.URL()).Tokens(ringOf(t, "A"), source), open(t, server.URL()).Tokens(ringOf(t, "A"), source)
		if record, _, err := a.Load(t.Context()); record != nil || err != nil {
			t.Fatalf("at first: %q, %v", record, err)
		}
		must(t, a.Save(t.Context(), "s3cret-token", []byte("the s3cret-token"), time.Minute))
		record, left, err := b.Load(t.Context())
		if string(record) != "the s3cret-token" || err != nil || left <= 50*time.Second || left > time.Minute {
			t.Errorf("%q for %v, %v", record, left, err)
		}
		raw := client(t, server.URL())
		for _, key := range raw.Keys(t.Context(), "*").Val() {
			for name, value := range raw.HGetAll(t.Context(), key).Val() {
				if strings.Contains(key+name+value, "s3cret") {
					t.Errorf("%s %s is in clear: %s", key, name, value)
				}
			}
		}
		// What is copied to another source cannot be opened there.
		key := "slotgate:{s:" + string(source) + "}:token"
		other := "slotgate:{s:other}:token"
		must(t, raw.HSet(t.Context(), other, "e", raw.HGet(t.Context(), key, "e").Val()).Err())
		must(t, raw.Expire(t.Context(), other, time.Minute).Err())
		if record, _, err := open(t, server.URL()).Tokens(ringOf(t, "A"), "other").Load(t.Context()); record != nil || err != nil {
			t.Errorf("copied elsewhere: %q, %v", record, err)
		}
		if record, _, err := open(t, server.URL()).Tokens(ringOf(t, "B"), source).Load(t.Context()); record != nil || err != nil {
			t.Errorf("without the key: %q, %v", record, err)
		}
		must(t, b.Save(t.Context(), "next", []byte("next"), time.Second))
		if record, left, _ := a.Load(t.Context()); !bytes.Equal(record, []byte("next")) || left > time.Second {
			t.Errorf("%q for %v", record, left)
		}
	})
}

func TestARefusedTokenIsDroppedOnceInAWhile(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := open(t, server.URL()).Tokens(ringOf(t, "A"), source), open(t, server.URL()).Tokens(ringOf(t, "B", "A"), source)
		refuse := func(at *cache.Tokens, token string, want bool) {
			t.Helper()
			if got, err := at.Refuse(t.Context(), token, time.Minute); err != nil || got != want {
				t.Errorf("%s: %v, %v", token, got, err)
			}
		}
		must(t, a.Save(t.Context(), "one", []byte("1"), time.Minute))
		refuse(a, "older", true)
		if record, _, _ := a.Load(t.Context()); string(record) != "1" {
			t.Fatalf("an older one's refusal dropped %q", record)
		}
		refuse(b, "one", true) // by a node whose newest key is another
		if record, _, _ := a.Load(t.Context()); record != nil {
			t.Fatalf("still there: %q", record)
		}
		refuse(a, "one", true)
		must(t, b.Save(t.Context(), "two", []byte("2"), time.Minute))
		refuse(b, "two", false)
		refuse(b, "two", false)
		if record, _, _ := b.Load(t.Context()); string(record) != "2" {
			t.Errorf("dropped again: %q", record)
		}
		must(t, client(t, server.URL()).Del(t.Context(), "slotgate:{s:"+string(source)+"}:refused").Err())
		refuse(b, "two", true)
	})
}

func TestOneNodeAsksForAToken(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := open(t, server.URL()).Tokens(ringOf(t, "A"), source), open(t, server.URL()).Tokens(ringOf(t, "A"), source)
		release, ok, err := a.Lease(t.Context(), time.Minute)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, ok, err := b.Lease(t.Context(), time.Minute); ok || err != nil {
			t.Fatal(ok, err)
		}
		left := func() time.Duration {
			return client(t, server.URL()).PTTL(t.Context(), "slotgate:{s:"+string(source)+"}:login").Val()
		}
		least := left()
		if least > 3*time.Second {
			t.Errorf("a node that dies keeps others waiting for %v", least)
		}
		eventually(t, "who still asks keeps its lease", func() bool {
			now := left()
			renewed := now > least
			least = now
			return renewed
		})
		must(t, release(t.Context()))
		release, ok, err = b.Lease(t.Context(), time.Minute)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		must(t, release(t.Context()))
	})
}

func TestLaw11TheTokenEndpointOfABaseIsPinned(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		store := open(t, server.URL())
		pin := func(keys, base, origin, want string) {
			t.Helper()
			got, err := store.Tokens(ringOf(t, strings.Fields(keys)...), source).Pin(t.Context(), base, origin)
			if got != want || err != nil {
				t.Errorf("%s: %s, %v, want %s", origin, got, err, want)
			}
		}
		pin("A", "https://ehr/a", "https://one", "https://one")
		pin("A", "https://ehr/a", "https://two", "https://one")
		pin("B A", "https://ehr/a", "https://two", "https://one")
		pin("B A", "https://ehr/a", "https://one", "https://one") // from now on it needs the key A no more
		pin("B", "https://ehr/a", "https://two", "https://one")
		pin("B", "https://ehr/b", "https://two", "https://two") // another base is another EHR
		pin("B", "https://ehr/b", "https://one", "https://two")
		pin("C", "https://ehr/b", "https://three", "https://three") // nobody can tell any more
	})
}

func TestWhenTheStoreDoesNotAnswerForTokensItIsAnError(t *testing.T) {
	t.Parallel()
	tokens := open(t, redistest.Start(t).URL()).Tokens(ringOf(t, "A"), source)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, load := tokens.Load(ctx)
	_, refuse := tokens.Refuse(ctx, "x", time.Second)
	_, _, lease := tokens.Lease(ctx, time.Second)
	_, pin := tokens.Pin(ctx, "a", "b")
	for name, err := range map[string]error{
		"load": load, "save": tokens.Save(ctx, "x", nil, time.Second), "refuse": refuse, "lease": lease, "pin": pin,
	} {
		if scheduling.CodeOf(err) != scheduling.Shedding {
			t.Errorf("%s: %v", name, err)
		}
	}
}
