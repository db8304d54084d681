package cache_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

func recordElsewhere(native string) scheduling.ElsewhereRecord {
	return scheduling.ElsewhereRecord{Source: "napa", Native: native, Patient: "canary-patient"}
}

func TestLaw13WhatAnIdLeadsToIsEachPrincipalsOwn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, ctx := open(t, server.URL()), t.Context()
		m := s.Elsewhere(vault.Ephemeral())
		records := map[string]scheduling.ElsewhereRecord{"id-1": recordElsewhere("n1"), "id-2": recordElsewhere("n2")}
		undoing, err := m.Remember(ctx, "ann", records, time.Hour)
		must(t, err)
		if len(undoing) != 0 {
			t.Fatalf("in doubt: %v", undoing)
		}
		for id, want := range records {
			got, left, err := m.Recall(ctx, "ann", id)
			must(t, err)
			if got != want || left != 0 {
				t.Fatalf("%s: %+v %s", id, got, left)
			}
		}
		for _, c := range [][2]string{{"bob", "id-1"}, {"ann", "id-3"}, {"", "id-1"}} {
			if _, _, err := m.Recall(ctx, c[0], c[1]); scheduling.CodeOf(err) != scheduling.UnknownID {
				t.Fatalf("%v: %v", c, err)
			}
		}
		for _, key := range client(t, server.URL()).Keys(ctx, "*").Val() {
			dump := key + client(t, server.URL()).Dump(ctx, key).Val()
			if strings.Contains(dump, "canary-patient") {
				t.Fatalf("in clear in %s", key)
			}
		}
		// Sealed for another principal it opens nothing.
		c := client(t, server.URL())
		from, to := "", ""
		for _, key := range c.Keys(ctx, "*elsewhere:id-1").Val() {
			from, to = key, strings.Replace(key, "{p:ann}", "{p:bob}", 1)
		}
		must(t, c.Set(ctx, to, c.Get(ctx, from).Val(), time.Hour).Err())
		if _, _, err := m.Recall(ctx, "bob", "id-1"); scheduling.CodeOf(err) != scheduling.Internal {
			t.Fatalf("moved to another: %v", err)
		}
		if ttl := c.PTTL(ctx, from).Val(); ttl <= 0 || ttl > time.Hour {
			t.Fatalf("it is kept for %s", ttl)
		}
	})
}

func TestLaw5OneCancelAtATimeIsWrittenDown(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, ctx := open(t, server.URL()), t.Context()
		m, other := s.Elsewhere(vault.Ephemeral()), open(t, server.URL()).Elsewhere(vault.Ephemeral())
		var began atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				at := []*cache.Elsewhere{m, other}[i%2]
				ok, err := at.BeginUndo(ctx, "ann", "id-1", time.Minute)
				if err != nil {
					t.Error(err)
				}
				if ok {
					began.Add(1)
				}
			})
		}
		wg.Wait()
		if began.Load() != 1 {
			t.Fatalf("%d began", began.Load())
		}
		undoing, err := m.Remember(ctx, "ann", map[string]scheduling.ElsewhereRecord{"id-1": recordElsewhere("n1"), "id-2": recordElsewhere("n2")}, time.Hour)
		must(t, err)
		if undoing["id-1"] <= 0 || undoing["id-1"] > time.Minute || len(undoing) != 1 {
			t.Fatalf("in doubt: %v", undoing)
		}
		_, left, err := m.Recall(ctx, "ann", "id-1")
		must(t, err)
		if left <= 0 {
			t.Fatal("not in doubt")
		}
		if ok, err := m.BeginUndo(ctx, "bob", "id-1", time.Minute); !ok || err != nil {
			t.Fatalf("another principal's: %v %v", ok, err)
		}
		must(t, m.EndUndo(ctx, "ann", "id-1"))
		must(t, m.EndUndo(ctx, "ann", "id-9"))
		if ok, err := m.BeginUndo(ctx, "ann", "id-1", time.Minute); !ok || err != nil {
			t.Fatalf("once it has ended: %v %v", ok, err)
		}
	})
}

func TestWithoutRedisNothingIsKnownOfWhatWasMadeElsewhere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, ctx := open(t, server.URL()), t.Context()
		m := s.Elsewhere(vault.Ephemeral())
		must(t, s.Close())
		_, err := m.Remember(ctx, "ann", map[string]scheduling.ElsewhereRecord{"id-1": recordElsewhere("n1")}, time.Hour)
		_, _, err2 := m.Recall(ctx, "ann", "id-1")
		_, err3 := m.BeginUndo(ctx, "ann", "id-1", time.Minute)
		for i, err := range []error{err, err2, err3, m.EndUndo(ctx, "ann", "id-1")} {
			if scheduling.CodeOf(err) != scheduling.Shedding {
				t.Errorf("%d: %v", i, err)
			}
			if strings.Contains(fmt.Sprint(err), "canary-patient") {
				t.Error("a patient in an error")
			}
		}
	})
}

func TestLaw5ACancelWaitsForReplicas(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		m := open(t, server.URL(), func(o *cache.Options) { o.WaitReplicas, o.WaitTimeout = 1, 50*time.Millisecond }).Elsewhere(vault.Ephemeral())
		for range 2 { // nothing was sent, and nothing is in doubt
			if ok, err := m.BeginUndo(t.Context(), "ann", "id-1", time.Minute); ok || scheduling.CodeOf(err) != scheduling.Shedding {
				t.Fatalf("%v %v", ok, err)
			}
		}
	})
}
