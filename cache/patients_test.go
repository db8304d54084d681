package cache_test

import (
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
	"slotgate/scheduling"
)

func newPatients(t testing.TB, s *cache.Store, v *vault.Vault, bend ...func(*cache.PatientOptions)) *cache.Patients {
	t.Helper()
	var o cache.PatientOptions
	for _, b := range bend {
		b(&o)
	}
	p, err := s.Patients(v, o)
	must(t, err)
	return p
}

// canary is a person whose strings are looked for.
func canary(id string, bend ...func(*scheduling.Registration)) scheduling.Registration {
	r := scheduling.Registration{
		ID: id, Gender: "female", BirthDate: "1964-06-19",
		Names:       []scheduling.PersonName{{Family: "Canaryfamily", Given: []string{"Canarygiven", "Maria"}}},
		Identifiers: []scheduling.PersonIdentifier{{System: "urn:canary:mrn", Value: "CANARY-77"}},
		Release:     scheduling.R4, Resource: []byte(`{"resourceType":"Patient","name":[{"family":"Canaryfamily"}],"meta":{"a":"` + id + `"}}`),
		Created: noon,
	}
	for _, b := range bend {
		b(&r)
	}
	return r
}

// stranger shares nothing with the canary but what is bent so.
func stranger(id string, bend ...func(*scheduling.Registration)) scheduling.Registration {
	return canary(id, append([]func(*scheduling.Registration){func(r *scheduling.Registration) {
		r.Identifiers = nil
		r.Resource = []byte(`{"resourceType":"Patient","other":"` + id + `"}`)
	}}, bend...)...)
}

func add(t testing.TB, p *cache.Patients, principal string, r scheduling.Registration) (known scheduling.Registration, added bool) {
	t.Helper()
	known, added, err := p.Add(t.Context(), principal, r)
	must(t, err)
	return known, added
}

func codeOf(err error) scheduling.Code { return scheduling.CodeOf(err) }

func TestTheSamePersonIsOneOfTheSamePrincipal(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		if _, added := add(t, p, "alice", canary("p1")); !added {
			t.Fatal("the first one is known already")
		}
		for name, c := range map[string]struct {
			principal string
			r         scheduling.Registration
			known     string
		}{
			"the same resource":               {"alice", canary("n1", func(r *scheduling.Registration) { r.Identifiers = nil }), "p1"},
			"a shared identifier":             {"alice", stranger("n2", func(r *scheduling.Registration) { r.Identifiers = canary("").Identifiers }), "p1"},
			"equal name and birth date alone": {"alice", stranger("n3"), ""},
			"another principal's identifier":  {"bob", canary("n4"), ""},
			"the value in another system": {"alice", stranger("n5", func(r *scheduling.Registration) {
				r.Identifiers = []scheduling.PersonIdentifier{{System: "urn:x", Value: "CANARY-77"}}
			}), ""},
			"identifiers without any system": {"alice", stranger("n6", func(r *scheduling.Registration) { r.Identifiers = []scheduling.PersonIdentifier{{Value: "CANARY-77"}} }), ""},
		} {
			// Each for itself: what is told later of a person takes the place of the earlier.
			add(t, p, "alice of "+name, canary("p1"))
			known, added := add(t, p, c.principal+" of "+name, c.r)
			if want := c.known; added != (want == "") || want != "" && known.ID != want || want == "" && known.ID != c.r.ID {
				t.Errorf("%s: %s, added %v", name, known.ID, added)
			}
		}
		add(t, p, "alice", stranger("n5", func(r *scheduling.Registration) {
			r.Identifiers = []scheduling.PersonIdentifier{{System: "urn:x", Value: "CANARY-77"}}
		}))
		two := stranger("n7", func(r *scheduling.Registration) {
			r.Identifiers = []scheduling.PersonIdentifier{{System: "urn:canary:mrn", Value: "CANARY-77"}, {System: "urn:x", Value: "CANARY-77"}}
		})
		if _, _, err := p.Add(t.Context(), "alice", two); codeOf(err) != scheduling.NotAcceptable {
			t.Errorf("identifiers of two persons: %v", err)
		}
		if _, err := p.Person(t.Context(), "alice", "n7"); codeOf(err) != scheduling.UnknownID {
			t.Errorf("half of it was written: %v", err)
		}
	})
}

func TestPersonsAreFoundByTheirTerms(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral(), func(o *cache.PatientOptions) { o.MaxFound = 3 })
		add(t, p, "alice", canary("p1"))
		add(t, p, "alice", stranger("p2", func(r *scheduling.Registration) { r.Names[0].Family, r.Created = "Canyon", noon.Add(time.Hour) }))
		for query, c := range map[string]struct {
			s    scheduling.PatientSearch
			want string
		}{
			"identifier":       {scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{System: "urn:canary:mrn", Value: "CANARY-77"}}}, "p1"},
			"value alone":      {scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{Value: "CANARY-77"}, {Value: "x"}}}, "p1"},
			"day":              {scheduling.PatientSearch{BirthDate: "1964-06-19"}, "p1 p2"},
			"year":             {scheduling.PatientSearch{BirthDate: "1964"}, "p1 p2"},
			"family":           {scheduling.PatientSearch{Family: "canaryf"}, "p1"},
			"a letter":         {scheduling.PatientSearch{Family: "c"}, "p1 p2"},
			"family and birth": {scheduling.PatientSearch{Family: "canyon", BirthDate: "1964-06"}, "p2"},
			"given":            {scheduling.PatientSearch{Given: []string{"maria", "canaryg"}}, "p1 p2"},
			"gender":           {scheduling.PatientSearch{Gender: "female"}, "p1 p2"},
			"nobody":           {scheduling.PatientSearch{Family: "Canaryfamilyy"}, ""},
		} {
			got, err := p.SearchPatients(t.Context(), "alice", c.s)
			must(t, err)
			var ids []string
			for _, r := range got {
				ids = append(ids, r.ID)
			}
			if strings.Join(ids, " ") != c.want {
				t.Errorf("%s: %v, want %s", query, ids, c.want)
			}
		}
		if _, err := p.SearchPatients(t.Context(), "alice", scheduling.PatientSearch{}); codeOf(err) != scheduling.NotAcceptable {
			t.Errorf("a search for nothing: %v", err)
		}
		add(t, p, "alice", stranger("p3"))
		add(t, p, "alice", stranger("p4"))
		if _, err := p.SearchPatients(t.Context(), "alice", scheduling.PatientSearch{Gender: "female"}); codeOf(err) != scheduling.NotAcceptable {
			t.Errorf("a search that finds too many: %v", err)
		}
	})
}

func TestAForgottenPersonIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		c := client(t, server.URL())
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		add(t, p, "alice", canary("p1"))
		must(t, p.Forget(t.Context(), "alice", "p1"))
		if _, err := p.Person(t.Context(), "alice", "p1"); codeOf(err) != scheduling.UnknownID {
			t.Errorf("read: %v", err)
		}
		if err := p.Forget(t.Context(), "alice", "p1"); codeOf(err) != scheduling.UnknownID {
			t.Errorf("again: %v", err)
		}
		left, err := c.Keys(t.Context(), "*{p:alice}*").Result()
		if err != nil || len(left) != 0 {
			t.Errorf("left: %v %v", left, err)
		}
		if _, added := add(t, p, "alice", canary("p2")); !added {
			t.Error("a forgotten one is known")
		}
	})
}

func TestAPersonLivesADayAfterLastUse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := client(t, server.URL())
	p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	keys, err := c.Keys(t.Context(), "*{p:alice}*").Result()
	must(t, err)
	if len(keys) < 10 {
		t.Fatalf("keys: %v", keys)
	}
	for _, key := range keys {
		if left := c.PTTL(t.Context(), key).Val(); left <= 23*time.Hour || left > 24*time.Hour {
			t.Errorf("%s lives %v", key, left)
		}
		must(t, c.PExpire(t.Context(), key, time.Hour).Err())
	}
	_, err = p.Person(t.Context(), "alice", "p1")
	must(t, err)
	for _, key := range keys {
		if left := c.PTTL(t.Context(), key).Val(); left <= 23*time.Hour {
			t.Errorf("used, %s lives %v", key, left)
		}
	}
	_, err = p.Keep(t.Context(), "alice", "p1", 72*time.Hour)
	must(t, err)
	for _, key := range keys {
		if left := c.PTTL(t.Context(), key).Val(); left <= 71*time.Hour {
			t.Errorf("named, %s lives %v", key, left)
		}
	}
	// One who is gone while what leads there is not does not stand in the way.
	must(t, c.Del(t.Context(), "slotgate:{p:alice}:person:p1").Err())
	if known, added := add(t, p, "alice", canary("p2")); !added || known.ID != "p2" {
		t.Errorf("added %v as %s", added, known.ID)
	}
}

func TestManyWhoRegisterOnePersonAtOnceGetOne(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	v := vault.Ephemeral()
	nodes := []*cache.Patients{newPatients(t, open(t, server.URL()), v), newPatients(t, open(t, server.URL()), v)}
	ids := make([]string, 20)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			known, _, err := nodes[i%2].Add(t.Context(), "alice", canary(fmt.Sprint("p", i)))
			if err != nil {
				t.Error(err)
			}
			ids[i] = known.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several: %v", ids)
		}
	}
}

func TestLinksAreKeptBySource(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		c := client(t, server.URL())
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		want := map[scheduling.SourceID]scheduling.PatientLink{
			source:  {State: scheduling.LinkKnown, Native: "native-1", Made: true, Created: noon},
			"other": {State: scheduling.LinkSending, Identifier: "ours", SentAt: noon},
		}
		for s, l := range want {
			must(t, p.SaveLink(t.Context(), "alice", s, "p1", l))
		}
		must(t, c.PExpire(t.Context(), "slotgate:{p:alice}:links:p1", time.Hour).Err())
		for range 2 {
			got, err := p.Links(t.Context(), "alice", "p1")
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		if left := c.PTTL(t.Context(), "slotgate:{p:alice}:links:p1").Val(); left > time.Hour {
			t.Errorf("a look prolongs it to %v", left)
		}
		day := 24 * time.Hour
		for _, step := range []struct{ end, least time.Duration }{{0, 30 * day}, {50 * day, 80 * day}, {day, 80 * day}} {
			must(t, p.KeepLinks(t.Context(), "alice", "p1", time.Now().Add(step.end)))
			if left := c.PTTL(t.Context(), "slotgate:{p:alice}:links:p1").Val(); left < step.least-time.Minute || left > step.least+2*time.Hour {
				t.Errorf("an appointment ends in %v, and it lives %v", step.end, left)
			}
			if got, err := p.Links(t.Context(), "alice", "p1"); err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("prolonged: %v %v", got, err)
			}
		}
		must(t, p.KeepLinks(t.Context(), "alice", "nobody", time.Now()))
		must(t, p.SaveLink(t.Context(), "alice", source, "p1", scheduling.PatientLink{}))
		must(t, p.SaveLink(t.Context(), "alice", "other", "p1", scheduling.PatientLink{}))
		if n := c.Exists(t.Context(), "slotgate:{p:alice}:links:p1").Val(); n != 0 {
			t.Error("links that were dropped are there")
		}
	})
}

func TestOnlyOneRegistersAPersonAtATime(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		lock := func(s scheduling.SourceID, r scheduling.Registration) scheduling.Lease {
			l, ok, err := p.Lock(t.Context(), s, r, time.Minute)
			must(t, err)
			if !ok {
				return nil
			}
			return l
		}
		first := lock(source, canary("p1"))
		if first == nil {
			t.Fatal("a free lock is not given")
		}
		must(t, first.Renew(t.Context()))
		byID := stranger("x", func(r *scheduling.Registration) {
			r.Identifiers, r.BirthDate = canary("").Identifiers, "2000"
		})
		for name, r := range map[string]scheduling.Registration{"the same": canary("p2"), "an identifier": byID, "name and birth date": stranger("y")} {
			if lock(source, r) != nil {
				t.Errorf("%s: given twice", name)
			}
		}
		if lock("elsewhere", canary("p1")) == nil {
			t.Error("another source is locked too")
		}
		if lock(source, stranger("z", func(r *scheduling.Registration) { r.BirthDate = "1970" })) == nil {
			t.Error("another person is locked too")
		}
		must(t, first.Release(t.Context()))
		if err := first.Renew(t.Context()); err != nil {
			t.Errorf("a free lock is taken again: %v", err)
		}
		must(t, first.Release(t.Context()))
		second := lock(source, byID)
		if second == nil {
			t.Fatal("not given back")
		}
		must(t, first.Release(t.Context())) // not ours any more
		if err := first.Renew(t.Context()); !errors.Is(err, cache.ErrLeaseLost) {
			t.Errorf("a lost lock: %v", err)
		}
	})
}
