package cache_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
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

func TestLaw13PrincipalsNeverSeeEachOthersPatients(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		add(t, p, "alice", canary("p1"))
		must(t, p.SaveLink(t.Context(), "alice", source, "p1", scheduling.PatientLink{State: scheduling.LinkKnown, Native: "n"}))
		if _, err := p.Person(t.Context(), "bob", "p1"); codeOf(err) != scheduling.UnknownID {
			t.Errorf("read: %v", err)
		}
		if err := p.Forget(t.Context(), "bob", "p1"); codeOf(err) != scheduling.UnknownID {
			t.Errorf("forget: %v", err)
		}
		if got, err := p.SearchPatients(t.Context(), "bob", scheduling.PatientSearch{Family: "Canary"}); err != nil || len(got) != 0 {
			t.Errorf("search: %v %v", got, err)
		}
		if got, err := p.Links(t.Context(), "bob", "p1"); err != nil || len(got) != 0 {
			t.Errorf("links: %v %v", got, err)
		}
		if got, err := p.Person(t.Context(), "alice", "p1"); err != nil || got.BirthDate != "1964-06-19" {
			t.Errorf("her own: %v", err)
		}
	})
}

func TestLaw10NothingOfAPersonStandsInRedisInClear(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := client(t, server.URL())
	p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	must(t, p.SaveLink(t.Context(), "alice", source, "p1", scheduling.PatientLink{State: scheduling.LinkKnown, Native: "native-CANARY"}))
	_, ok, err := p.Lock(t.Context(), source, canary("p1"), time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	dump := dumpOf(t, c.Keys(t.Context(), "*").Val(), c.Dump(t.Context(), "slotgate:{p:alice}:person:p1").Val(),
		fmt.Sprint(c.HGetAll(t.Context(), "slotgate:{p:alice}:links:p1").Val()))
	for _, key := range c.Keys(t.Context(), "*").Val() {
		dump += c.Dump(t.Context(), key).Val()
	}
	for _, word := range []string{"anary", "CANARY", "1964-06", "female", "Maria", base64.StdEncoding.EncodeToString([]byte("Canary"))[:7]} {
		if strings.Contains(dump, word) {
			t.Errorf("%q is in Redis", word)
		}
	}
}

func dumpOf(t testing.TB, keys []string, more ...string) string {
	t.Helper()
	if len(keys) < 10 {
		t.Fatalf("there is nothing to look at: %v", keys)
	}
	return strings.Join(append(keys, more...), "\n")
}

func vaultOf(t testing.TB, ids ...string) *vault.Vault {
	t.Helper()
	var o vault.Options
	for _, id := range ids {
		o.Keys = append(o.Keys, vault.Key{ID: id, Key: config.NewSecret(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, 32)[:32])))})
	}
	v, err := vault.Open(o)
	must(t, err)
	return v
}

func TestARecordThatWasChangedIsNotRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, s := client(t, server.URL()), open(t, server.URL())
	p := newPatients(t, s, vaultOf(t, "a"))
	add(t, p, "alice", canary("p1"))
	add(t, p, "bob", canary("p1"))
	key, other := "slotgate:{p:alice}:person:p1", "slotgate:{p:bob}:person:p1"
	sealed := c.Get(t.Context(), key).Val()
	for name, text := range map[string]string{
		"a flipped bit":     sealed[:len(sealed)-10] + string(sealed[len(sealed)-10]^1) + sealed[len(sealed)-9:],
		"cut":               sealed[:len(sealed)/2],
		"of another person": c.Get(t.Context(), other).Val(),
		"in clear":          `{"id":"p1"}`,
	} {
		must(t, c.Set(t.Context(), key, text, time.Hour).Err())
		_, err := p.Person(t.Context(), "alice", "p1")
		if codeOf(err) != scheduling.Internal {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := p.SearchPatients(t.Context(), "alice", scheduling.PatientSearch{Family: "c"}); err != nil || len(got) != 0 {
			t.Errorf("%s, searched: %v %v", name, got, err)
		}
		if _, _, err := p.Add(t.Context(), "alice", canary("p9")); codeOf(err) != scheduling.Internal {
			t.Errorf("%s, added: %v", name, err)
		}
	}
	must(t, c.Set(t.Context(), key, sealed, time.Hour).Err())
	if _, err := newPatients(t, s, vaultOf(t, "b")).Person(t.Context(), "alice", "p1"); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("without its key: %v", err)
	}
	must(t, c.Set(t.Context(), key, "garbage", time.Hour).Err())
	must(t, p.Forget(t.Context(), "alice", "p1"))
}

func TestPersonsOutliveTheChangeOfKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	before := newPatients(t, s, vaultOf(t, "a"))
	add(t, before, "alice", canary("p1"))
	must(t, before.SaveLink(t.Context(), "alice", source, "p1", scheduling.PatientLink{State: scheduling.LinkKnown, Native: "n"}))
	if err := s.CheckVault(t.Context(), vaultOf(t, "b")); !errors.Is(err, cache.ErrVaultKey) {
		t.Errorf("a key in use was dropped: %v", err)
	}
	after := newPatients(t, s, vaultOf(t, "b", "a"))
	if known, added := add(t, after, "alice", canary("p2")); added || known.ID != "p1" {
		t.Errorf("%s, added %v", known.ID, added)
	}
	if got, err := after.SearchPatients(t.Context(), "alice", scheduling.PatientSearch{Family: "canary"}); err != nil || len(got) != 1 {
		t.Errorf("found %d, %v", len(got), err)
	}
	if _, ok, err := before.Lock(t.Context(), source, canary("p1"), time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, err := after.Lock(t.Context(), source, canary("p1"), time.Minute); err != nil || ok {
		t.Error("two gateways with two keys register at once", err)
	}
	_, err := after.Keep(t.Context(), "alice", "p1", 72*time.Hour)
	must(t, err)
	if got, err := newPatients(t, s, vaultOf(t, "b")).Person(t.Context(), "alice", "p1"); err != nil || got.ID != "p1" {
		t.Errorf("what is used is sealed with the new key: %v", err)
	}
	must(t, after.Forget(t.Context(), "alice", "p1"))
	if _, added := add(t, before, "alice", canary("p3")); !added {
		t.Error("what led to the forgotten one by the old key is still there")
	}
}

func TestWithoutRedisPatientsAreNotThere(t *testing.T) {
	t.Parallel()
	s := open(t, "redis://127.0.0.1:1")
	p := newPatients(t, s, vault.Ephemeral())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := p.Add(ctx, "alice", canary("p1"))
	if codeOf(err) != scheduling.Shedding {
		t.Errorf("add: %v", err)
	}
	if _, err := p.Person(ctx, "alice", "p1"); codeOf(err) != scheduling.Shedding {
		t.Errorf("read: %v", err)
	}
}
