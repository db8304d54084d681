package cache_test

import (
	"strings"
	"testing"
	"time"

	"slotgate/cache/embedded"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

func TestWhereAnIdLeadsIsSealedAndForgotten(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, ctx, v := open(t, server.URL()), t.Context(), vault.Ephemeral()
		leads := s.Leads(v, false)
		want := scheduling.Lead{Schedule: "canary-schedule", Days: scheduling.Days{From: 20000, To: 20001}}
		must(t, leads.Remember(ctx, "napa", map[string]scheduling.Lead{"id-1": want}, time.Hour))
		// Another gateway of the same key.
		got, known, err := open(t, server.URL()).Leads(v, false).Recall(ctx, "napa", "id-1")
		if err != nil || !known || got != want {
			t.Fatalf("%+v %v %v", got, known, err)
		}
		for _, c := range [][2]string{{"napa", "id-2"}, {"other", "id-1"}, {"napa", ""}, {"napa", "id-1\r\nDEL x"}} {
			if _, known, err := leads.Recall(ctx, scheduling.SourceID(c[0]), c[1]); known || err != nil {
				t.Fatalf("%v: %v %v", c, known, err)
			}
		}
		c := client(t, server.URL())
		for _, key := range c.Keys(ctx, "*").Val() {
			if strings.Contains(key+c.Dump(ctx, key).Val(), "canary-schedule") {
				t.Fatalf("in clear in %s", key)
			}
			if strings.Contains(key, "lead:") {
				if ttl := c.PTTL(ctx, key).Val(); ttl <= 0 || ttl > time.Hour {
					t.Fatalf("it is kept for %v", ttl)
				}
			}
		}
		// Whoever has no key, or puts it elsewhere, learns nothing.
		if _, known, err := s.Leads(vault.Ephemeral(), true).Recall(ctx, "napa", "id-1"); known || err != nil {
			t.Fatalf("without the key: %v %v", known, err)
		}
		for _, key := range c.Keys(ctx, "*lead:id-1").Val() {
			must(t, c.Set(ctx, strings.Replace(key, "id-1", "id-3", 1), c.Get(ctx, key).Val(), time.Hour).Err())
		}
		if _, known, err := leads.Recall(ctx, "napa", "id-3"); known || err != nil {
			t.Fatalf("moved to another id: %v %v", known, err)
		}
	})
}

func TestWithoutRedisNobodyKnowsWhereAnIdLeads(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s, ctx := open(t, server.URL()), t.Context()
		leads := s.Leads(vault.Ephemeral(), true)
		must(t, s.Close())
		_, _, err := leads.Recall(ctx, "napa", "id-1")
		for _, err := range []error{err, leads.Remember(ctx, "napa", map[string]scheduling.Lead{"id-1": {}}, time.Hour)} {
			if scheduling.CodeOf(err) != scheduling.Shedding {
				t.Error(err)
			}
		}
	})
}
