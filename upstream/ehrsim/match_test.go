package ehrsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// ask is the Parameters of $match.
func ask(patient string, certain bool) string {
	return fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":%s},{"name":"onlyCertainMatches","valueBoolean":%v},{"name":"count","valueInteger":3}]}`, patient, certain)
}

// graded are the grades and scores of an answer, in their order.
func graded(bundle map[string]any) string {
	var out []string
	entries, _ := bundle["entry"].([]any)
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%s %v", digString(e, "search", "extension", 0, "valueCode"), dig(e, "search", "score")))
	}
	return strings.Join(out, ", ")
}

func TestPatientsAreMatchedWithGrades(t *testing.T) {
	t.Parallel()
	// pat-1 is Ada Winters, born on 1964-06-19, of the number 1001, telephone 555-0110.
	person := func(given, birth, more string) string {
		return `{"resourceType":"Patient","name":[{"family":"winters","given":["` + given + `"]}],"birthDate":"` + birth + `"` + more + `}`
	}
	for name, c := range map[string]struct {
		asked        string
		all, certain string
	}{
		"by number":          {`{"resourceType":"Patient","identifier":[{"system":"urn:ehrsim:mrn","value":"1001"}]}`, "certain 1", "certain 1"},
		"by telephone":       {person("Ada", "1964-06-19", `,"telecom":[{"value":"555-0110"}]`), "certain 1", "certain 1"},
		"name and birth":     {person("Ada", "1964-06-19", ""), "probable 0.8", ""},
		"family and birth":   {person("Eve", "1964-06-19", ""), "possible 0.5", ""},
		"another birth date": {person("Ada", "1999-01-01", ""), "certainly-not 0.01", ""},
		"nobody":             {newPatient, "", ""},
	} {
		for _, version := range []FHIR{STU3, R4} {
			w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
			for certain, want := range map[bool]string{false: c.all, true: c.certain} {
				if a := w.post("/Patient/$match", ask(c.asked, certain)); a.StatusCode != 200 || graded(a.json(t)) != want {
					t.Errorf("%s %s %v: %d %s", version, name, certain, a.StatusCode, a.text)
				}
			}
			if !strings.Contains(w.get("/metadata").text, "Patient-match") {
				t.Errorf("%s: it is not told of", version)
			}
		}
	}
}

func TestSeveralCertainMatchesAreKeptQuietWhereOneIsAskedFor(t *testing.T) {
	t.Parallel()
	for tells, want := range map[bool]string{false: "", true: "certain 1, certain 1"} {
		w := plainServer(t, func(o *Options) { o.MatchTellsSeveral = tells })
		w.post("/Patient", newPatient)
		w.post("/Patient", newPatient)
		if got := graded(w.post("/Patient/$match", ask(newPatient, true)).json(t)); got != want {
			t.Errorf("one is asked for, told %v: %q", tells, got)
		}
		if got := graded(w.post("/Patient/$match", ask(newPatient, false)).json(t)); got != "certain 1, certain 1" {
			t.Errorf("all are asked for: %q", got)
		}
	}
}

func TestMatchingAsOtherServersDo(t *testing.T) {
	t.Parallel()
	const known = `{"resourceType":"Patient","identifier":[{"system":"urn:ehrsim:mrn","value":"1001"}]}`
	w := start(t, smallWith(func(o *Options) { o.MatchUngraded = true }))
	if a := w.post("/Patient/$match", ask(known, false)).json(t); graded(a) != " 1" {
		t.Errorf("without grades: %v", a)
	}
	w = start(t, smallWith(func(o *Options) { o.MatchCertainOnly = true }))
	if a := w.post("/Patient/$match", ask(known, false)); a.StatusCode != 400 {
		t.Errorf("certain ones only: %d", a.StatusCode)
	}
	w = start(t, smallWith(func(o *Options) { o.NoMatch = true }))
	if a := w.post("/Patient/$match", ask(known, true)); a.StatusCode != 404 || strings.Contains(w.get("/metadata").text, "Patient-match") {
		t.Errorf("not served: %d", a.StatusCode)
	}
	w = start(t, small)
	for name, body := range map[string]string{"no Parameters": known, "nobody": `{"resourceType":"Parameters"}`, "no body": ""} {
		if a := w.post("/Patient/$match", body); a.StatusCode != 422 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	w.fault(Fault{Kind: FaultStatus, On: "match"})
	if a := w.post("/Patient/$match", ask(known, true)); a.StatusCode != 500 {
		t.Errorf("a fault: %d", a.StatusCode)
	}
	if a := w.get("/Patient?_id=pat-1"); a.StatusCode != http.StatusOK {
		t.Errorf("and nothing else: %d", a.StatusCode)
	}
}
