package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// entry is one create of a transaction.
func entry(fullURL, kind, resource string) string {
	return `{"fullUrl":"` + fullURL + `","resource":` + resource + `,"request":{"method":"POST","url":"` + kind + `"}}`
}

func transactionOf(entries ...string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
}

const (
	kid = `{"resourceType":"Patient","name":[{"family":"Canarykid","given":["Kim"]}],"birthDate":"2016-10-21"}`
	mum = `{"resourceType":"RelatedPerson","patient":{"reference":"urn:uuid:kid"},"name":[{"family":"Canarymum"}],"birthDate":"1964-06-19"}`
	// plan is subscribed by the RelatedPerson.
	plan = `{"resourceType":"Coverage","status":"active","subscriber":{"reference":"urn:uuid:mum"},"subscriberId":"CANARY-1","payor":[{"display":"Canary Blue"}],` +
		`"relationship":{"coding":[{"system":"http://hl7.org/fhir/policyholder-relationship","code":"child"}]}}`
)

// theThree are the guide's third way to name a subscriber, the Coverage first.
func theThree() string {
	return transactionOf(entry("urn:uuid:plan", "Coverage", plan), entry("urn:uuid:mum", "RelatedPerson", mum), entry("urn:uuid:kid", "Patient", kid))
}

// answered reads a transaction-response.
func (w *world) answered(r reply, rel scheduling.Release, entries int) *model.Bundle {
	w.t.Helper()
	b := w.bundle(r, rel)
	if r.status != 200 || b.Type != "transaction-response" || len(b.Entry) != entries {
		w.t.Fatalf("%d, %d entries: %s", r.status, len(b.Entry), r.body)
	}
	return b
}

func TestAPatientARelatedPersonAndTheirCoverageComeInOneTransaction(t *testing.T) {
	t.Parallel()
	w, at, _ := withCoverage(t, nil)
	for _, rel := range releases() {
		for _, path := range []string{"", "/"} {
			session := "X-Slotgate-Session: session-of-" + string(rel) + strings.Replace(path+".....", "/", "slash", 1)
			format := map[string]fhir.Format{"": fhir.JSON, "/": fhir.XML}[path]
			body := []byte(theThree())
			if format == fhir.XML {
				var err error
				if body, _, err = fhir.ToXML(rel, body); err != nil {
					t.Fatal(err)
				}
			}
			at.sent = nil
			ask := func(header ...string) reply {
				return w.ask(http.MethodPost, "/fhir/"+string(rel)+path, string(body), append([]string{siteKey, session, "Content-Type: " + format.ContentType()}, header...)...)
			}
			b := w.answered(ask(), rel, 3)
			c, p := b.Entry[0].Resource.(*model.Coverage), b.Entry[2].Resource.(*model.Patient)
			for i, want := range []string{"201 Created", "200 OK", "201 Created"} {
				if got := b.Entry[i].Response.Status; got != want {
					t.Errorf("%s: entry %d: %s", rel, i, got)
				}
			}
			base := w.base + "/fhir/" + string(rel)
			if b.Entry[0].Response.Location != base+"/Coverage/"+c.ID || b.Entry[0].Response.Etag != `W/"1"` || b.Entry[2].Response.Location != base+"/Patient/"+p.ID {
				t.Errorf("%s: %+v %+v", rel, b.Entry[0].Response, b.Entry[2].Response)
			}
			read := w.coverageOf(w.get("/fhir/"+string(rel)+"/Coverage/"+c.ID, siteKey, session), rel)
			person, ok := read.Contained[0].(*model.RelatedPerson)
			if !ok || read.Subscriber.Reference != "#"+person.ID || person.Patient.Reference != "Patient/"+p.ID || person.Name[0].Family != "Canarymum" {
				t.Errorf("%s: kept as %+v", rel, read)
			}
			again := w.answered(ask("Prefer: return=minimal"), rel, 3)
			if e := again.Entry[0]; e.Response.Status != "200 OK" || e.Response.Location != b.Entry[0].Response.Location || e.Resource != nil || again.Entry[2].Response.Status != "200 OK" {
				t.Errorf("%s: again %+v", rel, e)
			}
			if len(at.sent) != 2 || at.sent[0] != c.ID {
				t.Errorf("%s: sent %v", rel, at.sent)
			}
		}
	}
}

func TestReferencesWithinATransactionAreUnderstood(t *testing.T) {
	t.Parallel()
	w, _, _ := withCoverage(t, nil)
	mine := w.aPatient("C-1")
	card := func(patient string) string {
		return `{"resourceType":"Coverage","status":"active","subscriber":{"reference":"` + patient + `"},"payor":[{"display":"x"}]}`
	}
	named := strings.Replace(kid, `"name"`, `"id":"kim","name"`, 1)
	for name, c := range map[string]struct {
		body string
		ours bool
	}{
		"by a urn":                       {transactionOf(entry("urn:uuid:kid", "Patient", kid), entry("", "Coverage", card("urn:uuid:kid"))), false},
		"by its id":                      {transactionOf(entry("urn:uuid:1", "Patient", named), entry("", "Coverage", card("Patient/kim"))), false},
		"by the address that it had":     {transactionOf(entry("https://site.example.org/Patient/kim", "/Patient", kid), entry("", "Coverage", card("https://site.example.org/Patient/kim"))), false},
		"relative to the address it had": {transactionOf(entry("https://site.example.org/Patient/kim", "Patient", kid), entry("", "Coverage", card("Patient/kim"))), false},
		"below our base":                 {transactionOf(entry("", w.base+"/fhir/r4/Coverage", card("Patient/"+mine)), entry("", "Patient", strings.Replace(kid, "Kim", "Kit", 1))), true},
	} {
		r := w.post("/fhir/r4", c.body)
		b := w.answered(r, scheduling.R4, 2)
		patient := mine
		for _, e := range b.Entry {
			if p, ok := e.Resource.(*model.Patient); ok && !c.ours {
				patient = p.ID
			}
		}
		for _, e := range b.Entry {
			if got, ok := e.Resource.(*model.Coverage); ok && got.Subscriber.Reference != "Patient/"+patient {
				t.Errorf("%s: %s", name, got.Subscriber.Reference)
			}
		}
	}
}

func TestATransactionIsTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	w, at, store := withCoverage(t, nil)
	theirs := w.aPatient("C-2", "X-Slotgate-Session: session-of-bob-b")
	three := theThree()
	with := func(old, replacement string) string { return strings.Replace(three, old, replacement, 1) }
	before := len(store.Keys(t.Context(), "*").Val())
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"anything else":                  {strings.Replace(three, `"entry":[`, `"entry":[`+entry("", "Slot", `{"resourceType":"Slot"}`)+`,`, 1), 422, "not-acceptable"},
		"an unknown type":                {strings.Replace(three, `"entry":[`, `"entry":[`+entry("", "Spaceship", `{"resourceType":"Spaceship"}`)+`,`, 1), 422, "not-acceptable"},
		"a bundle within":                {transactionOf(entry("", "Bundle", three)), 422, "not-acceptable"},
		"a batch":                        {with(`"transaction"`, `"batch"`), 422, "not-acceptable"},
		"a collection":                   {with(`"transaction"`, `"collection"`), 422, "not-acceptable"},
		"an empty one":                   {transactionOf(), 422, "not-acceptable"},
		"no resource":                    {transactionOf(`{"request":{"method":"POST","url":"Patient"}}`), 422, "not-acceptable"},
		"no request":                     {transactionOf(`{"resource":` + kid + `}`), 422, "not-acceptable"},
		"an update":                      {with(`"method":"POST","url":"Coverage"`, `"method":"PUT","url":"Coverage/cv-1"`), 422, "not-acceptable"},
		"a search":                       {with(`"method":"POST"`, `"method":"GET"`), 422, "not-acceptable"},
		"another address":                {with(`"url":"Patient"`, `"url":"Coverage"`), 422, "not-acceptable"},
		"a conditional create":           {with(`"url":"Patient"`, `"url":"Patient","ifNoneExist":"identifier=CANARY"`), 422, "not-acceptable"},
		"a condition":                    {with(`"url":"Patient"`, `"url":"Patient","ifMatch":"W/\"1\""`), 422, "not-acceptable"},
		"one fullUrl twice":              {with("urn:uuid:kid", "urn:uuid:mum"), 422, "not-acceptable"},
		"a reference to nothing":         {with(`"subscriber":{"reference":"urn:uuid:mum"}`, `"subscriber":{"reference":"urn:uuid:dad"}`), 422, "not-acceptable"},
		"a related person for nothing":   {with(`"subscriber":{"reference":"urn:uuid:mum"}`, `"subscriber":{"reference":"urn:uuid:kid"},"beneficiary":{"reference":"urn:uuid:kid"}`), 422, "not-acceptable"},
		"a related person of nobody":     {with(`"patient":{"reference":"urn:uuid:kid"},`, ""), 422, "missing-data"},
		"a related person of another's":  {with(`"patient":{"reference":"urn:uuid:kid"}`, `"patient":{"reference":"Patient/`+theirs+`"}`), 404, "unknown-id"},
		"another's patient":              {with(`"subscriber":{"reference":"urn:uuid:mum"}`, `"subscriber":{"reference":"urn:uuid:mum"},"policyHolder":{"reference":"Patient/`+theirs+`"}`), 404, "unknown-id"},
		"a patient without a birth date": {with(`,"birthDate":"2016-10-21"`, ""), 422, "missing-data"},
		"a patient with markup":          {with("Canarykid", "<b>Canary</b>"), 422, "not-acceptable"},
		"a second patient with 300 names": {transactionOf(entry("urn:uuid:kid", "Patient", kid), entry("urn:uuid:2", "Patient",
			strings.Replace(kid, `"name":[`, `"name":[`+strings.Repeat(`{"family":"Canary"},`, 300), 1))), 422, "not-acceptable"},
		"a coverage that nobody pays": {with(`,"payor":[{"display":"Canary Blue"}]`, ""), 422, "missing-data"},
		"too many":                    {transactionOf(strings.Split(strings.Repeat(entry("", "Patient", kid)+"\n", 300), "\n")[:300]...), 422, "not-acceptable"},
		"a Patient":                   {kid, 400, "bad-request"},
		"no JSON":                     {three[:99], 400, "bad-request"},
		"5 MB":                        {with("Canarykid", strings.Repeat("x", 5<<20)), 413, "bad-request"},
	} {
		for _, rel := range releases() {
			r := w.post("/fhir/"+string(rel), c.body)
			if r.status != c.status || w.code(r, rel) != c.code {
				t.Errorf("%s at %s: %d %.300s", name, rel, r.status, r.body)
			}
			if strings.Contains(r.body, "anary") || strings.Contains(r.body, "CANARY") || strings.Contains(r.body, "1964") {
				t.Errorf("%s: the answer repeats what was sent: %s", name, r.body)
			}
		}
	}
	if after := store.Keys(t.Context(), "*").Val(); len(after) != before {
		t.Errorf("something was written: %v", after)
	}
	// What fails once the patient is kept: they are forgotten again.
	at.fail = scheduling.Fault(scheduling.Shedding, nil, "the store is away")
	if r := w.post("/fhir/r4", three); r.status != 503 {
		t.Errorf("half way: %d %s", r.status, r.body)
	}
	at.fail = nil
	if people := store.Keys(t.Context(), "*person*").Val(); len(people) != 1 {
		t.Errorf("somebody is left: %v", people)
	}
	if r := w.post("/fhir/r4", three); !strings.Contains(r.body, "201 Created") {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	if r := w.ask(http.MethodPost, "/fhir/r4", three, siteKey, "Content-Type: text/plain"); r.status != 415 {
		t.Errorf("another type: %d", r.status)
	}
	if r := w.ask(http.MethodPost, "/fhir/r4", three, asJSON); r.status != 401 {
		t.Errorf("without a key: %d", r.status)
	}
	for _, path := range []string{"/fhir/r4", "/fhir/r4/"} {
		if r := w.get(path, siteKey); r.status != 405 || r.header.Get("Allow") != "POST" {
			t.Errorf("GET %s: %d %v", path, r.status, r.header)
		}
	}
}

// TestAKnownPatientSurvivesATransactionThatFails: what was there before is not
// undone.
func TestAKnownPatientSurvivesATransactionThatFails(t *testing.T) {
	t.Parallel()
	w, at, _ := withCoverage(t, nil)
	made := w.post("/fhir/r4/Patient", kid)
	at.fail = scheduling.Fault(scheduling.Shedding, nil, "the store is away")
	if r := w.post("/fhir/r4", theThree()); r.status != 503 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.get("/fhir/r4/Patient/"+w.patientOf(made, scheduling.R4).ID, siteKey); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestWhatASourceSaysToATransactionStandsBesideIt(t *testing.T) {
	t.Parallel()
	w, at, _ := withCoverage(t, nil)
	at.results = []booking.CoverResult{{Source: "napa", Err: scheduling.Blame(scheduling.NotAcceptable, "napa", nil, "the plan is not accepted here")}}
	for _, rel := range releases() {
		b := w.answered(w.post("/fhir/"+string(rel), theThree(), fmt.Sprint("X-Slotgate-Session: session-of-somebody-", rel)), rel, 3)
		outcome, ok := b.Entry[0].Response.Outcome.(*model.OperationOutcome)
		if !ok || b.Entry[0].Response.Status != "201 Created" || outcome.Issue[0].Severity != "warning" || !strings.Contains(outcome.Issue[0].Diagnostics, "the plan is not accepted here") {
			t.Errorf("%s: %+v", rel, b.Entry[0].Response)
		}
	}
}
