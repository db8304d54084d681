package booking_test

import (
	"fmt"
	"strings"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestLaw13NobodyRegistersOrNamesAnothersPatient(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, nil)
	id := w.come("alice", canaryPatient)
	native, err := w.native("alice", id)
	if err != nil {
		t.Fatal(err)
	}
	for name, asked := range map[string]string{
		"another principal's": id, "the EHR's own": native, "a seeded one": "pat-1", "no id": "../x", "empty": "",
	} {
		if got, err := w.native("mallory", asked); scheduling.CodeOf(err) != scheduling.UnknownID || got != "" {
			t.Errorf("%s: %q %v", name, got, err)
		}
		if _, err := w.Patient(t.Context(), "mallory", asked); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("%s, read: %v", name, err)
		}
		if err := w.Forget(t.Context(), "mallory", asked); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("%s, deleted: %v", name, err)
		}
	}
	if w.made() != 1 {
		t.Errorf("the EHR has %d new patients", w.made())
	}
}

// TestLaw13OneTextForWhoeverIsNotCertain: a caller must not learn whom the
// source knows.
func TestLaw13OneTextForWhoeverIsNotCertain(t *testing.T) {
	t.Parallel()
	twins := func(t *testing.T, w *clinicWorld) {
		at, _ := w.deps.At(clinic)
		for range 2 {
			if _, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, canaryPatient)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	one := func(body string) func(*testing.T, *clinicWorld) {
		return func(t *testing.T, w *clinicWorld) {
			at, _ := w.deps.At(clinic)
			if _, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, body)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := strings.Replace(canaryPatient, "1964-06-19", "1999-01-01", 1)
	texts := map[string]bool{}
	for name, c := range map[string]struct {
		way  scheduling.RegisterWay
		have func(*testing.T, *clinicWorld)
		body string
	}{
		"several by If-None-Exist":               {scheduling.RegisterIfNoneExist, twins, canaryPatient},
		"several by search":                      {scheduling.RegisterSearch, twins, canaryPatient},
		"name and birth date alone":              {scheduling.RegisterSearch, one(withoutIdentifier("")), withoutIdentifier(`,"active":true`)},
		"name and birth date, other number":      {scheduling.RegisterSearch, one(strings.Replace(canaryPatient, "CANARY-77", "x", 1)), canaryPatient},
		"the number, and another birth date":     {scheduling.RegisterSearch, one(other), canaryPatient},
		"the number, another birth date, by 200": {scheduling.RegisterIfNoneExist, one(other), canaryPatient},
		"the server's guess":                     {scheduling.RegisterPost, one(other), canaryPatient},
		"several by match":                       {scheduling.RegisterMatch, twins, canaryPatient},
		"a probable match":                       {scheduling.RegisterMatch, one(withoutIdentifier("")), withoutIdentifier(`,"active":true`)},
		"a possible match":                       {scheduling.RegisterMatch, one(strings.Replace(withoutIdentifier(""), "Canarygiven", "x", 1)), canaryPatient},
		"a certain match, another birth date":    {scheduling.RegisterMatch, one(other), canaryPatient},
	} {
		w := newClinic(t, c.way, nil)
		c.have(t, w)
		before := w.made()
		id := w.come("alice", c.body)
		native, err := w.native("alice", id)
		e := scheduling.AsError(err)
		if e == nil || e.Code != scheduling.NeedsClinic || native != "" {
			t.Errorf("%s: %q %v", name, native, err)
			continue
		}
		texts[fmt.Sprint(e.Message, e.Param, e.Who, e.RetryAfter)] = true
		if w.made() != before {
			t.Errorf("%s: %d were made", name, w.made()-before)
		}
		if links, err := w.people.Links(t.Context(), "alice", id); err != nil || len(links) != 0 {
			t.Errorf("%s: something was kept: %v %v", name, links, err)
		}
	}
	if len(texts) != 1 {
		t.Errorf("%d texts: %v", len(texts), texts)
	}
}

// TestLaw10ACanaryIsSeenNowhere walks every way, refusal and fault with a person
// whose strings are then looked for.
func TestLaw10ACanaryIsSeenNowhere(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	for _, way := range ways {
		w := newClinic(t, way, func(o *ehrsim.Options) { o.PatientRequires = []string{"telecom"} })
		note := func(err error) {
			if err == nil {
				return
			}
			e := scheduling.AsError(err)
			fmt.Fprintln(&told, err, e.Message, e.Param)
			w.deps.Log.ErrorContext(t.Context(), "x", "error", err)
		}
		_, err := w.native("alice", w.come("alice", withoutIdentifier("")))
		note(err)
		for i, kind := range []ehrsim.FaultKind{ehrsim.FaultStatus, ehrsim.FaultCommitLost, ehrsim.FaultHTML, ehrsim.FaultRefuse, ehrsim.FaultReset, ehrsim.FaultCutJSON} {
			w.fault(ehrsim.Fault{Kind: kind, Path: "/Patient", Count: 3})
			principal := fmt.Sprint("user", i)
			id := w.come(principal, canaryPatient)
			for range 3 {
				_, err := w.native(principal, id)
				note(err)
			}
		}
		id := w.come("carol", canaryPatient)
		_, err = w.native("carol", id)
		note(err)
		_, _, err = w.Register(t.Context(), "carol", patientFrom(t, strings.Replace(canaryPatient, "1964-06-19", "1964-06-66", 1)), "")
		note(err)
		_, err = w.SearchPatients(t.Context(), "carol", scheduling.PatientSearch{Family: "Canary"})
		note(err)
		for _, r := range w.sim.Requests(0) {
			fmt.Fprintln(&told, r.Path, r.Query)
		}
		families, err := w.metric.Gather()
		if err != nil || len(families) == 0 {
			t.Fatal(err)
		}
		fmt.Fprintln(&told, families, w.log.String(), dump(t, w.redis))
	}
	if told.Len() < 10_000 || !strings.Contains(told.String(), "pt-") {
		t.Fatal("there is nothing to look at")
	}
	for _, word := range []string{"anary", "CANARY", "1964-06", "555-c"} {
		if at := strings.Index(told.String(), word); at >= 0 {
			t.Errorf("%q is told: %.200q", word, told.String()[max(0, at-100):])
		}
	}
}
