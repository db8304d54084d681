package cache_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// newer is the canary with more to tell: another resource of the same number.
func newer(id string, bend ...func(*scheduling.Registration)) scheduling.Registration {
	return canary(id, append([]func(*scheduling.Registration){func(r *scheduling.Registration) {
		r.Resource = []byte(`{"resourceType":"Patient","telecom":[{"system":"phone","value":"555-1"}]}`)
	}}, bend...)...)
}

func byIdentifier(system, value string) scheduling.PatientSearch {
	return scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{System: system, Value: value}}}
}

func searched(t *testing.T, p *cache.Patients, s scheduling.PatientSearch) string {
	t.Helper()
	got, err := p.SearchPatients(t.Context(), "alice", s)
	must(t, err)
	var ids []string
	for _, r := range got {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func TestLaw12ASharedIdentifierMakesNoTwoPeopleOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		add(t, p, "alice", canary("p1", func(r *scheduling.Registration) {
			r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:ssn", Value: "1"})
		}))
		before, err := p.Person(t.Context(), "alice", "p1")
		must(t, err)
		for name, bend := range map[string]func(*scheduling.Registration){
			"born on another day":   func(r *scheduling.Registration) { r.BirthDate = "1964-06-20" },
			"of another gender":     func(r *scheduling.Registration) { r.Gender = "male" },
			"of another family":     func(r *scheduling.Registration) { r.Names[0].Family = "Robin" },
			"of another given name": func(r *scheduling.Registration) { r.Names[0].Given = []string{"Bob"} },
			"with another number besides": func(r *scheduling.Registration) {
				r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:ssn", Value: "2"})
			},
		} {
			_, _, err := p.Add(t.Context(), "alice", newer("n1", bend))
			if codeOf(err) != scheduling.NotAcceptable {
				t.Errorf("%s: %v", name, err)
			}
			if err := p.Judge(t.Context(), "alice", newer("n1", bend)); codeOf(err) != scheduling.NotAcceptable {
				t.Errorf("%s: judged before: %v", name, err)
			}
			if err := p.Judge(t.Context(), "bob", newer("n1", bend)); err != nil {
				t.Errorf("%s: judged for somebody else: %v", name, err)
			}
			for _, word := range []string{"anary", "CANARY", "1964", "p1", "Robin", "Bob"} {
				if strings.Contains(fmt.Sprint(err), word) {
					t.Errorf("%s: the refusal tells %q: %v", name, word, err)
				}
			}
			after, err := p.Person(t.Context(), "alice", "p1")
			if err != nil || string(after.Resource) != string(before.Resource) {
				t.Errorf("%s: the first one was changed: %v", name, err)
			}
			if _, err := p.Person(t.Context(), "alice", "n1"); codeOf(err) != scheduling.UnknownID {
				t.Errorf("%s: the second one was kept: %v", name, err)
			}
			if got := searched(t, p, byIdentifier("urn:ssn", "2")); got != "" {
				t.Errorf("%s: found by what was refused: %s", name, got)
			}
		}
	})
}

func TestWhatIsToldLaterOfAPersonTakesThePlaceOfWhatWasToldBefore(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
		first := canary("p1", func(r *scheduling.Registration) {
			r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:old", Value: "9"})
		})
		add(t, p, "alice", first)
		must(t, p.SaveLink(t.Context(), "alice", source, "p1", scheduling.PatientLink{State: scheduling.LinkKnown, Native: "n"}))
		second := newer("n1", func(r *scheduling.Registration) {
			r.Names = append(r.Names, scheduling.PersonName{Family: "Married"})
			r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:new", Value: "3"})
			r.Created = noon.Add(time.Hour)
		})
		known, added := add(t, p, "alice", second)
		if added || known.ID != "p1" || string(known.Resource) != string(second.Resource) || !known.Created.Equal(noon) {
			t.Fatalf("%v, added %v: %s, made at %s", known, added, known.Resource, known.Created)
		}
		got, err := p.Person(t.Context(), "alice", "p1")
		if err != nil || string(got.Resource) != string(second.Resource) {
			t.Fatalf("what is kept: %s %v", got.Resource, err)
		}
		for name, c := range map[string]struct {
			s    scheduling.PatientSearch
			want string
		}{
			"the number in both":  {byIdentifier("urn:canary:mrn", "CANARY-77"), "p1"},
			"the new number":      {byIdentifier("urn:new", "3"), "p1"},
			"the new name":        {scheduling.PatientSearch{Family: "married"}, "p1"},
			"the number let go":   {byIdentifier("urn:old", "9"), ""},
			"the birth date":      {scheduling.PatientSearch{BirthDate: "1964-06"}, "p1"},
			"the value let alone": {byIdentifier("", "9"), ""},
		} {
			if got := searched(t, p, c.s); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
		if links, err := p.Links(t.Context(), "alice", "p1"); err != nil || links[source].Native != "n" {
			t.Errorf("the link: %v %v", links, err)
		}
		// The number that was let go names nobody any more.
		other := stranger("p2", func(r *scheduling.Registration) {
			r.BirthDate, r.Identifiers = "1999-01-01", []scheduling.PersonIdentifier{{System: "urn:old", Value: "9"}}
		})
		if _, added := add(t, p, "alice", other); !added {
			t.Error("somebody else cannot have the number that was let go")
		}
		must(t, p.Forget(t.Context(), "alice", "p1"))
		if _, added := add(t, p, "alice", newer("p3", func(r *scheduling.Registration) { r.BirthDate = "1964-06-20" })); !added {
			t.Error("whoever was forgotten is still in the way")
		}
	})
}

func TestManyCorrectionsAtOnceLeaveOneWholeRecord(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newPatients(t, open(t, server.URL()), vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	var all sync.WaitGroup
	for i := range 3 {
		for range 4 {
			all.Go(func() {
				known, _, err := p.Add(t.Context(), "alice", newer(fmt.Sprint("n", i), func(r *scheduling.Registration) {
					r.Resource = fmt.Appendf(nil, `{"resourceType":"Patient","telecom":[{"value":"%d"}]}`, i)
					r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: fmt.Sprint("urn:", i), Value: "1"})
				}))
				if err != nil && codeOf(err) != scheduling.Internal || err == nil && known.ID != "p1" {
					t.Errorf("%v %v", known, err)
				}
			})
		}
	}
	all.Wait()
	last, err := p.Person(t.Context(), "alice", "p1")
	must(t, err)
	for i := range 3 {
		system, want := fmt.Sprint("urn:", i), ""
		if last.Identifiers[1].System == system {
			want = "p1"
		}
		if got := searched(t, p, byIdentifier(system, "1")); got != want {
			t.Errorf("%s leads to %q, want %q", system, got, want)
		}
	}
}

func TestADamagedRecordHidesNobodyElse(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	s, err := cache.Open(t.Context(), cache.Options{URL: server.URL()}, cache.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil)), Registerer: reg})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	p := newPatients(t, s, vault.Ephemeral())
	add(t, p, "alice", canary("p1"))
	add(t, p, "alice", stranger("p2"))
	must(t, client(t, server.URL()).Set(t.Context(), "slotgate:{p:alice}:person:p1", "damaged", time.Hour).Err())
	if got := searched(t, p, scheduling.PatientSearch{Family: "canary"}); got != "p2" {
		t.Errorf("found: %q", got)
	}
	families, err := reg.Gather()
	must(t, err)
	counted := false
	for _, f := range families {
		counted = counted || f.GetName() == "slotgate_cache_damaged_total" && f.GetMetric()[0].GetCounter().GetValue() == 1
	}
	if !counted {
		t.Error("it was not counted")
	}
	if !strings.Contains(log.String(), "left out") || strings.Contains(log.String(), "p1") || strings.Contains(log.String(), "anary") {
		t.Errorf("log: %s", log.String())
	}
}
