package cache_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

var _ booking.Coverages = (*cache.Patients)(nil)

// card is a coverage of a patient.
func card(id, patient string, bend ...func(*scheduling.Coverage)) scheduling.Coverage {
	c := scheduling.Coverage{
		ID: id, Version: 1, Patient: patient, Release: scheduling.STU3, Created: noon, Updated: noon,
		Resource: []byte(`{"resourceType":"Coverage","subscriberId":"CANARY-DZW","payor":[{"display":"Canary Blue"}],"text":{"div":"` + id + `"}}`),
	}
	for _, b := range bend {
		b(&c)
	}
	return c
}

// number bends the number on the card.
func number(n int) func(*scheduling.Coverage) {
	return func(c *scheduling.Coverage) {
		c.Resource = fmt.Appendf(nil, `{"resourceType":"Coverage","subscriberId":"N-%d"}`, n)
	}
}

func give(t testing.TB, p *cache.Patients, principal string, c scheduling.Coverage) (known scheduling.Coverage, added bool) {
	t.Helper()
	known, added, err := p.AddCoverage(t.Context(), principal, c)
	must(t, err)
	return known, added
}

func TestTheSameCoverageIsOneOfTheSamePatient(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		add(t, p, "alice", canary("p1"))
		add(t, p, "alice", stranger("p2"))
		add(t, p, "bob", canary("p1"))
		first, added := give(t, p, "alice", card("c1", "p1"))
		if diff := cmp.Diff(card("c1", "p1"), first); diff != "" || !added {
			t.Fatal(added, diff)
		}
		if again, added := give(t, p, "alice", card("c2", "p1")); added || again.ID != "c1" {
			t.Errorf("the same one: %s, added %v", again.ID, added)
		}
		for name, c := range map[string]struct {
			principal string
			card      scheduling.Coverage
		}{
			"another patient's": {"alice", card("c3", "p2")}, "another number": {"alice", card("c4", "p1", number(4))}, "another principal's": {"bob", card("c5", "p1")},
			"in another release": {"alice", card("c6", "p1", func(c *scheduling.Coverage) { c.Release = scheduling.R4 })},
		} {
			if known, added := give(t, p, c.principal, c.card); !added || known.ID != c.card.ID {
				t.Errorf("%s: %s, added %v", name, known.ID, added)
			}
		}
		_, _, err := p.AddCoverage(t.Context(), "alice", card("c7", "nobody"))
		if codeOf(err) != scheduling.UnknownID {
			t.Errorf("of nobody: %v", err)
		}
		if all, err := p.CoveragesOf(t.Context(), "alice", "p1"); err != nil || len(all) != 3 || all[0].ID != "c1" {
			t.Errorf("of p1: %v %v", all, err)
		}
		for _, id := range []string{"c1", "c3"} {
			if _, err := p.Coverage(t.Context(), "bob", id); codeOf(err) != scheduling.UnknownID {
				t.Errorf("bob reads alice's: %v", err)
			}
		}
		if all, err := p.CoveragesOf(t.Context(), "bob", "p2"); err != nil || len(all) != 0 {
			t.Errorf("bob lists alice's: %v %v", all, err)
		}
	})
}

func TestManyGiveTheSameCoverageAndOneIsKept(t *testing.T) {
	t.Parallel()
	p := newPatients(t, open(t, redistest.Start(t).URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for i := range 20 {
		all.Go(func() {
			known, added, err := p.AddCoverage(t.Context(), "alice", card(fmt.Sprint("c", i), "p1"))
			mu.Lock()
			defer mu.Unlock()
			seen[known.ID]++
			if added {
				seen["added"]++
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(seen) != 2 || seen["added"] != 1 {
		t.Errorf("%v", seen)
	}
}

func TestACoverageIsReplacedByWhoSawIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		add(t, p, "alice", canary("p1"))
		add(t, p, "alice", stranger("p2"))
		give(t, p, "alice", card("c1", "p1"))
		later := noon.Add(time.Hour)
		got, err := p.ReplaceCoverage(t.Context(), "alice", card("c1", "p1", number(2), func(c *scheduling.Coverage) { c.Created, c.Updated = later, later }), 1)
		if err != nil || got.Version != 2 || !got.Created.Equal(noon) || !got.Updated.Equal(later) {
			t.Fatal(got.Version, got.Created, err)
		}
		if read, err := p.Coverage(t.Context(), "alice", "c1"); err != nil || cmp.Diff(got, read) != "" {
			t.Errorf("read: %v %s", err, cmp.Diff(got, read))
		}
		if _, err = p.ReplaceCoverage(t.Context(), "alice", card("c1", "p1", number(3)), 1); !errors.Is(err, scheduling.ErrStaleEntry) {
			t.Errorf("of an old version: %v", err)
		}
		if _, err = p.ReplaceCoverage(t.Context(), "alice", card("c1", "p2", number(3)), 0); codeOf(err) != scheduling.NotAcceptable {
			t.Errorf("of another patient: %v", err)
		}
		for principal, id := range map[string]string{"alice": "c9", "bob": "c1"} {
			if _, err = p.ReplaceCoverage(t.Context(), principal, card(id, "p1"), 0); codeOf(err) != scheduling.UnknownID {
				t.Errorf("%s replaces %s: %v", principal, id, err)
			}
		}
		if _, err = p.ReplaceCoverage(t.Context(), "alice", card("c1", "p1", number(4)), 0); err != nil {
			t.Errorf("of any version: %v", err)
		}
		if known, added := give(t, p, "alice", card("c5", "p1", number(4))); added || known.ID != "c1" {
			t.Errorf("the same as the new one: %s %v", known.ID, added)
		}
		if known, added := give(t, p, "alice", card("c6", "p1")); !added || known.ID != "c6" {
			t.Errorf("the same as the old one: %s %v", known.ID, added)
		}
	})
}

func TestConcurrentReplacesOfOneVersionHaveOneWinner(t *testing.T) {
	t.Parallel()
	p := newPatients(t, open(t, redistest.Start(t).URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	give(t, p, "alice", card("c1", "p1"))
	won := make(chan uint64, 10)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			c, err := p.ReplaceCoverage(t.Context(), "alice", card("c1", "p1", number(i)), 1)
			switch {
			case err == nil:
				won <- c.Version
			case !errors.Is(err, scheduling.ErrStaleEntry):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 || <-won != 2 {
		t.Errorf("%d won", len(won)+1)
	}
}

// lives is how long a key is kept yet.
func lives(t *testing.T, url, key string) time.Duration {
	t.Helper()
	return client(t, url).PTTL(t.Context(), "slotgate:{p:alice}:"+key).Val()
}

func TestACoverageIsKeptAsLongAsItsPatient(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := client(t, server.URL())
	p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	give(t, p, "alice", card("c1", "p1"))
	if left := lives(t, server.URL(), "coverage:c1"); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("at first: %v", left)
	}
	_, err := p.Keep(t.Context(), "alice", "p1", 72*time.Hour) // a journey names the patient
	must(t, err)
	give(t, p, "alice", card("c2", "p1", number(2)))
	for _, key := range []string{"coverage:c1", "coverage:c2", "coverages:p1"} {
		if left := lives(t, server.URL(), key); left < 71*time.Hour {
			t.Errorf("%s ends before its patient: %v", key, left)
		}
	}
	must(t, c.PExpire(t.Context(), "slotgate:{p:alice}:coverage:c1", time.Hour).Err())
	must(t, c.PExpire(t.Context(), "slotgate:{p:alice}:person:p1", time.Hour).Err())
	if _, err := p.Coverage(t.Context(), "alice", "c1"); err != nil || lives(t, server.URL(), "coverage:c1") < 23*time.Hour {
		t.Errorf("after a look: %v, %v", lives(t, server.URL(), "coverage:c1"), err)
	}
	must(t, c.Del(t.Context(), "slotgate:{p:alice}:coverage:c1").Err())
	if all, err := p.CoveragesOf(t.Context(), "alice", "p1"); err != nil || len(all) != 1 || all[0].ID != "c2" {
		t.Errorf("one is gone: %v %v", all, err)
	}
	if n := c.ZCard(t.Context(), "slotgate:{p:alice}:coverages:p1").Val(); n != 1 {
		t.Errorf("%d are listed", n)
	}
	if known, added := give(t, p, "alice", card("c3", "p1")); !added || known.ID != "c3" {
		t.Errorf("the same as the one that is gone: %s %v", known.ID, added)
	}
}

func TestAPatientHasNotAnyNumberOfCoverages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	for i := range 50 {
		give(t, p, "alice", card(fmt.Sprint("c", i), "p1", number(i)))
	}
	_, _, err := p.AddCoverage(t.Context(), "alice", card("more", "p1", number(50)))
	if codeOf(err) != scheduling.NotAcceptable {
		t.Errorf("one more: %v", err)
	}
	if known, added := give(t, p, "alice", card("again", "p1", number(7))); added || known.ID != "c7" {
		t.Errorf("a known one: %s %v", known.ID, added)
	}
	must(t, client(t, server.URL()).Del(t.Context(), "slotgate:{p:alice}:coverage:c7").Err())
	if _, added := give(t, p, "alice", card("more", "p1", number(50))); !added {
		t.Error("there is no room though one is gone")
	}
}

func TestForgottenCoveragesLeaveNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		add(t, p, "alice", canary("p1"))
		give(t, p, "alice", card("c1", "p1"))
		give(t, p, "alice", card("c2", "p1", number(2)))
		must(t, p.SaveCoverageLink(t.Context(), "alice", source, "c1", scheduling.CoverageLink{State: scheduling.LinkKnown, Native: "n"}))
		must(t, p.Forget(t.Context(), "alice", "p1"))
		must(t, p.ForgetCoverages(t.Context(), "alice", "p1"))
		must(t, p.ForgetCoverages(t.Context(), "alice", "p1"))
		for _, key := range client(t, server.URL()).Keys(t.Context(), "*cover*").Val() {
			t.Errorf("%s is left", key)
		}
		if _, err := p.Coverage(t.Context(), "alice", "c1"); codeOf(err) != scheduling.UnknownID {
			t.Errorf("read: %v", err)
		}
	})
}

func TestWhatSourcesHaveOfACoverage(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		link := scheduling.CoverageLink{State: scheduling.LinkSending, Identifier: "ours", SentAt: noon, Version: 2}
		must(t, p.SaveCoverageLink(t.Context(), "alice", "a", "c1", link))
		must(t, p.SaveCoverageLink(t.Context(), "alice", "b", "c1", scheduling.CoverageLink{Refused: 2}))
		got, err := p.CoverageLinks(t.Context(), "alice", "c1")
		if diff := cmp.Diff(map[scheduling.SourceID]scheduling.CoverageLink{"a": link, "b": {Refused: 2}}, got); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
		must(t, p.SaveCoverageLink(t.Context(), "alice", "a", "c1", scheduling.CoverageLink{}))
		must(t, p.SaveCoverageLink(t.Context(), "alice", "b", "c1", scheduling.CoverageLink{}))
		for _, principal := range []string{"alice", "bob"} {
			if got, err := p.CoverageLinks(t.Context(), principal, "c1"); err != nil || len(got) != 0 {
				t.Errorf("%s: %v %v", principal, got, err)
			}
		}
	})
}

func TestACoverageThatWasChangedIsNotRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, s := client(t, server.URL()), open(t, server.URL())
	p := newPatients(t, s, vaultOf(t, "a"))
	add(t, p, "alice", canary("p1"))
	give(t, p, "alice", card("c1", "p1"))
	give(t, p, "alice", card("c2", "p1", number(2)))
	must(t, p.SaveCoverageLink(t.Context(), "alice", source, "c1", scheduling.CoverageLink{State: scheduling.LinkKnown, Native: "n"}))
	key, links := "slotgate:{p:alice}:coverage:c1", "slotgate:{p:alice}:coverlinks:c1"
	sealed, link := c.Get(t.Context(), key).Val(), c.HGet(t.Context(), links, string(source)).Val()
	for name, text := range map[string]string{
		"a flipped bit": sealed[:len(sealed)-10] + string(sealed[len(sealed)-10]^1) + sealed[len(sealed)-9:], "cut": sealed[:len(sealed)/2],
		"another one": c.Get(t.Context(), "slotgate:{p:alice}:coverage:c2").Val(), "a link": link, "in clear": `{"id":"c1"}`,
	} {
		must(t, c.Set(t.Context(), key, text, time.Hour).Err())
		_, _, addErr := p.AddCoverage(t.Context(), "alice", card("c9", "p1"))
		_, readErr := p.Coverage(t.Context(), "alice", "c1")
		_, listErr := p.CoveragesOf(t.Context(), "alice", "p1")
		_, putErr := p.ReplaceCoverage(t.Context(), "alice", card("c1", "p1"), 0)
		for what, err := range map[string]error{"added": addErr, "read": readErr, "listed": listErr, "replaced": putErr} {
			if codeOf(err) != scheduling.Internal || strings.Contains(err.Error(), "anary") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	must(t, c.HSet(t.Context(), links, string(source), link[:len(link)-2]).Err())
	if _, err := p.CoverageLinks(t.Context(), "alice", "c1"); codeOf(err) != scheduling.Internal {
		t.Errorf("a link: %v", err)
	}
	must(t, p.ForgetCoverages(t.Context(), "alice", "p1"))
	give(t, p, "alice", card("c3", "p1", number(3)))
	if _, err := newPatients(t, s, vaultOf(t, "b")).Coverage(t.Context(), "alice", "c3"); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("without its key: %v", err)
	}
}

func TestCoveragesOutliveTheChangeOfKeys(t *testing.T) {
	t.Parallel()
	s := open(t, redistest.Start(t).URL())
	before := newPatients(t, s, vaultOf(t, "a"))
	add(t, before, "alice", canary("p1"))
	give(t, before, "alice", card("c1", "p1"))
	must(t, before.SaveCoverageLink(t.Context(), "alice", source, "c1", scheduling.CoverageLink{State: scheduling.LinkKnown, Native: "n"}))
	if err := s.CheckVault(t.Context(), vaultOf(t, "b")); !errors.Is(err, cache.ErrVaultKey) {
		t.Errorf("a key in use was dropped: %v", err)
	}
	after := newPatients(t, s, vaultOf(t, "b", "a"))
	if known, added := give(t, after, "alice", card("c2", "p1")); added || known.ID != "c1" {
		t.Errorf("%s, added %v", known.ID, added)
	}
	_, err := after.Keep(t.Context(), "alice", "p1", 72*time.Hour)
	must(t, err)
	if got, err := newPatients(t, s, vaultOf(t, "b")).Coverage(t.Context(), "alice", "c1"); err != nil || got.ID != "c1" {
		t.Errorf("what is used is sealed with the new key: %v", err)
	}
	if links, err := after.CoverageLinks(t.Context(), "alice", "c1"); err != nil || links[source].Native != "n" {
		t.Errorf("links: %v %v", links, err)
	}
}

func TestLaw10NothingOfACoverageStandsInRedisInClear(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := client(t, server.URL())
	p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	give(t, p, "alice", card("c1", "p1"))
	must(t, p.SaveCoverageLink(t.Context(), "alice", source, "c1", scheduling.CoverageLink{State: scheduling.LinkKnown, Native: "native-CANARY", Identifier: "ours-CANARY"}))
	_, err := p.ReplaceCoverage(t.Context(), "alice", card("c1", "p1", func(c *scheduling.Coverage) { c.Resource = []byte(`{"subscriberId":"CANARY-2"}`) }), 0)
	must(t, err)
	dump := dumpOf(t, c.Keys(t.Context(), "*").Val(), fmt.Sprint(c.HGetAll(t.Context(), "slotgate:{p:alice}:coverlinks:c1").Val()))
	for _, key := range c.Keys(t.Context(), "*").Val() {
		dump += c.Dump(t.Context(), key).Val()
	}
	if strings.Count(dump, "cover") < 4 {
		t.Fatal("there is nothing to look at")
	}
	for _, word := range []string{"anary", "CANARY", "DZW", "Blue", base64.StdEncoding.EncodeToString([]byte("Canary"))[:7]} {
		if strings.Contains(dump, word) {
			t.Errorf("%q is in Redis", word)
		}
	}
}

func TestWithoutRedisCoverageIsNotThere(t *testing.T) {
	t.Parallel()
	p := newPatients(t, open(t, "redis://127.0.0.1:1"), vault.Ephemeral())
	ctx := t.Context()
	_, _, addErr := p.AddCoverage(ctx, "alice", card("c1", "p1"))
	_, readErr := p.Coverage(ctx, "alice", "c1")
	_, listErr := p.CoveragesOf(ctx, "alice", "p1")
	for _, err := range []error{addErr, readErr, listErr, p.ForgetCoverages(ctx, "alice", "p1"), p.SaveCoverageLink(ctx, "alice", source, "c1", scheduling.CoverageLink{State: scheduling.LinkSending})} {
		if codeOf(err) != scheduling.Shedding {
			t.Errorf("%v", err)
		}
	}
}
