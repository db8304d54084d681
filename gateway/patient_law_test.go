package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

func TestWhoMayNotBeRegistered(t *testing.T) {
	t.Parallel()
	w, address := withPatients(t, nil)
	with := func(old, replacement string) string { return strings.Replace(canaryJSON, old, replacement, 1) }
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		code   string
		words  string
	}{
		"no name":                       {with(`"name":[{"family":"Canaryfamily","given":["Canarygiven"]}],`, ""), nil, 422, "missing-data", "Patient.name"},
		"no birth date":                 {with(`,"birthDate":"1964-06-19"`, ""), nil, 422, "missing-data", "Patient.birthDate"},
		"an impossible date":            {with("06-19", "02-30"), nil, 422, "not-acceptable", "Patient.birthDate"},
		"a date to come":                {with("1964", "2064"), nil, 422, "not-acceptable", "Patient.birthDate"},
		"300 names":                     {with(`"name":[`, `"name":[`+strings.Repeat(`{"family":"Canary"},`, 300)), nil, 422, "not-acceptable", "Patient.name"},
		"markup in a name":              {with("Canarygiven", "<script>Canary</script>"), nil, 422, "not-acceptable", "Patient.name"},
		"a control character":           {with("Canarygiven", `Canary\u0000`), nil, 422, "not-acceptable", "Patient.name"},
		"two identifiers of one system": {with(`"identifier":[`, `"identifier":[{"system":"urn:canary:mrn","value":"2"},`), nil, 422, "not-acceptable", "Patient.identifier"},
		"another type":                  {`{"resourceType":"Practitioner"}`, nil, 400, "bad-request", ""},
		"no JSON":                       {`{"resourceType":"Patient","name":"Canary`, nil, 400, "bad-request", ""},
		"nothing":                       {"", nil, 400, "bad-request", ""},
		"two of a name":                 {with(`"gender"`, `"gender":"male","gender"`), nil, 400, "bad-request", ""},
		"If-None-Exist":                 {canaryJSON, []string{"If-None-Exist: identifier=CANARY-77"}, 422, "not-acceptable", "If-None-Exist"},
		"a form":                        {canaryJSON, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "not-supported", ""},
		"a key of blanks":               {canaryJSON, []string{"Idempotency-Key: a b"}, 400, "bad-request", "Idempotency-Key"},
		"5 MB":                          {with("Canarygiven", strings.Repeat("x", 5<<20)), nil, 413, "bad-request", ""},
		"nested without end":            {with(`"gender"`, `"extension":[`+strings.Repeat(`{"extension":[`, 200)+strings.Repeat(`]}`, 200)+`],"gender"`), nil, 400, "bad-request", ""},
		"too large":                     {with("Canarygiven", strings.Repeat("x", 2<<20)), nil, 413, "bad-request", ""},
		"large":                         {with(`"gender"`, `"maritalStatus":{"text":"`+strings.Repeat("x", 100<<10)+`"},"gender"`), nil, 422, "not-acceptable", ""},
	} {
		for _, rel := range []string{"r4", "stu3"} {
			r := w.post("/fhir/"+rel+"/Patient", c.body, c.header...)
			if r.status != c.status || !strings.Contains(r.body, `"`+c.code+`"`) || !strings.Contains(r.body, c.words) {
				t.Errorf("%s at %s: %d %.300s", name, rel, r.status, r.body)
			}
			if strings.Contains(r.body, "anary") || strings.Contains(r.body, "1964") || strings.Contains(r.body, "script") {
				t.Errorf("%s: the answer repeats the patient: %s", name, r.body)
			}
		}
	}
	o, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	if keys := c.Keys(t.Context(), "*person*").Val(); len(keys) != 0 {
		t.Errorf("something was written: %v", keys)
	}
}

func TestLaw13PatientsAreTheirPrincipalsOwn(t *testing.T) {
	t.Parallel()
	w, _ := withPatients(t, nil)
	alice, bob := "X-Slotgate-Session: session-of-alice", "X-Slotgate-Session: session-of-bob-b"
	made := w.post("/fhir/r4/Patient", canaryJSON, alice)
	id := w.patientOf(made, scheduling.R4).ID
	for name, r := range map[string]reply{
		"read":           w.get("/fhir/r4/Patient/"+id, siteKey, bob),
		"delete":         w.ask(http.MethodDelete, "/fhir/r4/Patient/"+id, "", siteKey, bob),
		"no session":     w.get("/fhir/r4/Patient/"+id, siteKey),
		"an EHR's":       w.get("/fhir/r4/Patient/pat-1", siteKey, alice),
		"no id":          w.get("/fhir/r4/Patient/a_b", siteKey, alice),
		"a key of Redis": w.get("/fhir/r4/Patient/"+url.PathEscape("}:x{"), siteKey, alice),
	} {
		if r.status != 404 || !strings.Contains(r.body, "unknown-id") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if b := w.bundle(w.get("/fhir/r4/Patient?family=Canary", siteKey, bob), scheduling.R4); *b.Total != 0 {
		t.Errorf("bob finds %d", *b.Total)
	}
	if other := w.post("/fhir/r4/Patient", canaryJSON, bob); other.status != 201 || w.patientOf(other, scheduling.R4).ID == id {
		t.Errorf("bob registers: %d", other.status)
	}
	for header, status := range map[string]int{"X-Nothing: x": 401, "Authorization: Bearer book-key": 403, "Authorization: Bearer wrong": 401} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			if r := w.ask(method, "/fhir/r4/Patient/"+id, "", header); r.status != status {
				t.Errorf("%s: %d, want %d", header, r.status, status)
			}
		}
		if r := w.ask(http.MethodPost, "/fhir/r4/Patient", canaryJSON, header, asJSON); r.status != status {
			t.Errorf("register, %s: %d, want %d", header, r.status, status)
		}
	}
	if got := w.get("/fhir/r4/Patient/"+id, siteKey, alice); got.status != 200 {
		t.Errorf("her own: %d", got.status)
	}
}

// TestLaw10TheCanaryLeavesNoTraceAtTheGateway looks in the log, the metrics and
// Redis after every route was walked, with Redis gone too.
func TestLaw10TheCanaryLeavesNoTraceAtTheGateway(t *testing.T) {
	t.Parallel()
	w, address := withPatients(t, nil)
	made := w.post("/fhir/r4/Patient", canaryJSON, "Idempotency-Key: CANARY-key")
	id := w.patientOf(made, scheduling.R4).ID
	w.get("/fhir/r4/Patient?family=Canaryfamily&birthdate=1964-06-19&Canaryfamily=x", siteKey)
	w.get("/fhir/r4/Patient/Canaryfamily", siteKey)
	w.ask(http.MethodPost, "/fhir/r4/Patient/_search", "family=Canaryfamily", siteKey, "Content-Type: application/x-www-form-urlencoded")
	w.post("/fhir/r4/Patient", strings.Replace(canaryJSON, "06-19", "06-66", 1))
	w.post("/fhir/r4/Patient", strings.Replace(canaryJSON, `"gender"`, `"gender":{},"x"`, 1))
	o, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	var dump strings.Builder
	for _, key := range c.Keys(t.Context(), "*").Val() {
		fmt.Fprintln(&dump, key, c.Dump(t.Context(), key).Val(), c.Get(t.Context(), key).Val(), c.HGetAll(t.Context(), key).Val())
	}
	damaged := c.Keys(t.Context(), "*person:"+id).Val()
	if len(damaged) != 1 || c.Set(t.Context(), damaged[0], "v1|x|y|Canary", time.Hour).Err() != nil {
		t.Fatal(damaged)
	}
	if r := w.get("/fhir/r4/Patient/"+id, siteKey); r.status != 500 || strings.Contains(r.body, "anary") {
		t.Errorf("a damaged record: %d %s", r.status, r.body)
	}
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := w.log.String() + fmt.Sprint(families) + dump.String()
	for _, word := range []string{"anary", "CANARY", "1964-06"} {
		if at := strings.Index(told, word); at >= 0 {
			t.Errorf("%q is told: %q", word, told[max(0, at-200):min(len(told), at+50)])
		}
	}
	if !strings.Contains(w.log.String(), "/fhir/r4/Patient/:id") {
		t.Error("nothing was logged")
	}
}
