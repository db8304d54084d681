package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/auth"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// nowhere: no appointment names a patient.
type nowhere struct{}

func (nowhere) ByPatient(context.Context, scheduling.SourceID, string, string) ([]scheduling.Entry, error) {
	return nil, nil
}

// clockFunc is a clock of a function.
type clockFunc func() time.Time

func (f clockFunc) Now() time.Time { return f() }

// withPatients is a gateway at which people register, with a real store, and the
// address of its Redis.
func withPatients(t *testing.T, bend func(*Options, *Deps)) (*world, string) {
	t.Helper()
	server := redistest.Start(t)
	store, err := cache.Open(t.Context(), cache.Options{URL: server.URL()}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	v := vault.Ephemeral()
	people, err := store.Patients(v, cache.PatientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, func(o *Options, d *Deps) {
		r, err := booking.NewRegistrar(booking.RegistrarDeps{
			People: people, Named: nowhere{}, Keys: store.Keys(v), Clock: clockFunc(d.Now), Log: d.Logger,
			At: func(scheduling.SourceID) (booking.Registry, bool) { return nil, false },
		}, booking.DefaultRegisterOptions())
		if err != nil {
			t.Fatal(err)
		}
		d.Patients, d.PrincipalKey = r, []byte("the key of all principals")
		if bend != nil {
			bend(o, d)
		}
	}), server.URL()
}

const canaryJSON = `{"resourceType":"Patient","id":"theirs","identifier":[{"system":"urn:canary:mrn","value":"CANARY-77"}],
	"name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"gender":"female","birthDate":"1964-06-19"}`

const asJSON = "Content-Type: application/fhir+json"

func (w *world) post(path, body string, header ...string) reply {
	w.t.Helper()
	return w.ask(http.MethodPost, path, body, append([]string{siteKey, asJSON}, header...)...)
}

// patientOf reads a Patient from an answer.
func (w *world) patientOf(r reply, rel scheduling.Release) *model.Patient {
	w.t.Helper()
	format, _ := fhir.FormatOf(r.header.Get("Content-Type"))
	res, err := fhir.Read(rel, format, []byte(r.body))
	p, ok := res.(*model.Patient)
	if err != nil || !ok {
		w.t.Fatalf("%d, not a Patient (%v): %s", r.status, err, r.body)
	}
	return p
}

func TestAPersonIsRegisteredReadFoundAndDeletedAtBothBases(t *testing.T) {
	t.Parallel()
	w, _ := withPatients(t, nil)
	for _, rel := range []scheduling.Release{scheduling.R4, scheduling.STU3} {
		for _, format := range []fhir.Format{fhir.JSON, fhir.XML} {
			base, accept := "/fhir/"+string(rel), "Accept: "+format.ContentType()
			session := "X-Slotgate-Session: session-of-" + string(rel) + fmt.Sprint(format)
			body := canaryJSON
			if format == fhir.XML {
				body = `<Patient xmlns="http://hl7.org/fhir"><identifier><system value="urn:canary:mrn"/><value value="CANARY-77"/></identifier><name><family value="Canaryfamily"/><given value="Canarygiven"/></name><gender value="female"/><birthDate value="1964-06-19"/></Patient>`
			}
			send := func(path, body, kind string) reply {
				return w.ask(http.MethodPost, base+path, body, siteKey, session, accept, "Content-Type: "+kind)
			}
			made := send("/Patient", body, format.ContentType())
			p := w.patientOf(made, rel)
			if made.status != 201 || made.header.Get("Location") != w.base+base+"/Patient/"+p.ID || p.ID == "theirs" || !scheduling.ValidID(p.ID) {
				t.Fatalf("%s %v: %d %s", rel, format, made.status, made.header.Get("Location"))
			}
			again := send("/Patient", body, format.ContentType())
			if again.status != 200 || w.patientOf(again, rel).ID != p.ID || again.header.Get("Location") != made.header.Get("Location") {
				t.Errorf("%s %v: again %d", rel, format, again.status)
			}
			for _, other := range []scheduling.Release{scheduling.R4, scheduling.STU3} {
				read := w.get("/fhir/"+string(other)+"/Patient/"+p.ID, siteKey, session, accept)
				if got := w.patientOf(read, other); read.status != 200 || got.BirthDate != "1964-06-19" || got.Identifier[0].Value != "CANARY-77" {
					t.Errorf("%s %v: read at %s: %d", rel, format, other, read.status)
				}
			}
			const form = "application/x-www-form-urlencoded"
			for query, n := range map[string]int{
				"identifier=urn:canary:mrn|CANARY-77": 1, "family=canary&given=canaryg&gender=female&birthdate=1964-06-19": 1,
				"birthdate=1964": 1, "family=Nobody": 0, "identifier=urn:canary:mrn|x": 0,
			} {
				found := w.bundle(w.get(base+"/Patient?"+strings.ReplaceAll(query, "|", "%7C"), siteKey, session, accept), rel)
				posted := w.bundle(send("/Patient/_search", query, form), rel)
				if *found.Total != n || *posted.Total != n || len(found.Entry) != n {
					t.Errorf("%s %v: %s: %d %d, want %d", rel, format, query, *found.Total, *posted.Total, n)
				}
				if n == 1 && (found.Entry[0].Resource.Common().ID != p.ID || found.Entry[0].FullURL != made.header.Get("Location")) {
					t.Errorf("%s: %+v", query, found.Entry[0].FullURL)
				}
				if link := posted.LinkURL("self"); strings.Contains(link, "anary") || strings.Contains(link, "1964") {
					t.Errorf("what was posted stands in an address: %s", link)
				}
			}
			if gone := w.ask(http.MethodDelete, base+"/Patient/"+p.ID, "", siteKey, session, accept); gone.status != 204 || gone.body != "" {
				t.Errorf("%s %v: deleted %d %s", rel, format, gone.status, gone.body)
			}
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				if r := w.ask(method, base+"/Patient/"+p.ID, "", siteKey, session, accept); r.status != 404 || !strings.Contains(r.body, "unknown-id") {
					t.Errorf("%s %v: %s after: %d", rel, format, method, r.status)
				}
			}
			if r := send("/Patient", body, format.ContentType()); r.status != 201 || w.patientOf(r, rel).ID == p.ID {
				t.Errorf("%s %v: after all: %d", rel, format, r.status)
			}
		}
	}
}

func TestTheGuidesPatientsAreRegisteredHere(t *testing.T) {
	t.Parallel()
	dir := testenv.Shared(t, "argonaut/examples")
	w, _ := withPatients(t, nil)
	for _, name := range []string{"Patient-argo-sch-patient-1.json", "Patient-argo-sch-patient-2.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		made := w.post("/fhir/stu3/Patient", string(data))
		if made.status != 201 {
			t.Fatalf("%s: %d %s", name, made.status, made.body)
		}
		id := w.patientOf(made, scheduling.STU3).ID
		want, _ := fhir.ReadPatient(scheduling.STU3, fhir.JSON, data)
		got, err := fhir.ReadPatient(scheduling.R4, fhir.XML, []byte(w.get("/fhir/r4/Patient/"+id, siteKey, "Accept: application/fhir+xml").body))
		if err != nil || len(got.Resource) != len(want.Resource) {
			t.Errorf("%s: %v, %d of %d bytes", name, err, len(got.Resource), len(want.Resource))
		}
		if again := w.post("/fhir/r4/Patient", string(data)); again.status != 200 {
			t.Errorf("%s at the other base: %d", name, again.status)
		}
	}
}

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

func TestPatientsAreFoundInPages(t *testing.T) {
	t.Parallel()
	w, _ := withPatients(t, nil)
	for i := range 5 {
		body := strings.Replace(canaryJSON, "CANARY-77", fmt.Sprint("C-", i), 1)
		if r := w.post("/fhir/r4/Patient", body); r.status != 201 {
			t.Fatal(r.body)
		}
	}
	seen := map[string]bool{}
	path := "/fhir/r4/Patient?family=canary&_count=2"
	for n := 0; path != "" && n < 10; n++ {
		b := w.bundle(w.get(path, siteKey), scheduling.R4)
		if *b.Total != 5 || len(b.Entry) > 2 {
			t.Fatalf("%d entries of %d", len(b.Entry), *b.Total)
		}
		for _, e := range b.Entry {
			seen[e.Resource.Common().ID] = true
		}
		path = strings.TrimPrefix(b.LinkURL("next"), w.base)
	}
	if len(seen) != 5 {
		t.Errorf("%d seen", len(seen))
	}
	posted := w.ask(http.MethodPost, "/fhir/r4/Patient/_search", "family=canary&_count=2", siteKey, "Content-Type: application/x-www-form-urlencoded")
	if b := w.bundle(posted, scheduling.R4); b.LinkURL("next") != "" || len(b.Entry) != 3 || !strings.Contains(posted.body, "larger _count") {
		t.Errorf("posted: %s", posted.body)
	}
	for query, status := range map[string]int{
		"": 422, "_count=3": 422, "email=x": 422, "family=a,b": 400, "birthdate=ge1964": 400, "family=x&_count=-1": 400, "family=x&_cursor=x": 400,
	} {
		if r := w.get("/fhir/r4/Patient?"+query, siteKey); r.status != status {
			t.Errorf("%q: %d, want %d: %s", query, r.status, status, r.body)
		}
	}
	if r := w.get("/fhir/r4/Patient?family=canary&email=x&_id=y", siteKey); r.status != 200 || !strings.Contains(r.body, "parameter email") || !strings.Contains(r.body, "parameter _id") {
		t.Errorf("unknown ones are told: %d %s", r.status, r.body)
	}
	if r := w.get("/fhir/r4/Patient?family=canary&email=x", siteKey, "Prefer: handling=strict"); r.status != 400 {
		t.Errorf("strict: %d", r.status)
	}
}

func TestARegistrationUnderAKey(t *testing.T) {
	t.Parallel()
	w, _ := withPatients(t, nil)
	const key = "Idempotency-Key: key-1"
	first := w.post("/fhir/r4/Patient", canaryJSON, key)
	again := w.post("/fhir/r4/Patient", canaryJSON, key)
	if first.status != 201 || again.status != 201 || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("%d %d", first.status, again.status)
	}
	if other := w.post("/fhir/r4/Patient", strings.Replace(canaryJSON, "1964", "1965", 1), key); other.status != 422 {
		t.Errorf("another body: %d", other.status)
	}
	minimal := w.post("/fhir/r4/Patient", canaryJSON, "Prefer: return=minimal")
	if minimal.status != 200 || minimal.body != "" || minimal.header.Get("Location") == "" {
		t.Errorf("minimal: %d %s", minimal.status, minimal.body)
	}
	if outcome := w.post("/fhir/r4/Patient", canaryJSON, "Prefer: return=OperationOutcome"); !strings.Contains(outcome.body, "OperationOutcome") {
		t.Errorf("outcome: %s", outcome.body)
	}
	ids := make([]string, 20)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			r := w.post("/fhir/"+[]string{"r4", "stu3"}[i%2]+"/Patient", canaryJSON, "X-Slotgate-Session: the-session-of-many")
			_, ids[i], _ = strings.Cut(r.header.Get("Location"), "/Patient/")
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("several: %v", ids)
		}
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

func TestPatientsAreToldWhereTheyAreServed(t *testing.T) {
	t.Parallel()
	w, _ := withPatients(t, nil)
	if r := w.get("/fhir/r4/metadata"); !strings.Contains(r.body, `"type":"Patient"`) || !strings.Contains(r.body, `"code":"create"`) || !strings.Contains(r.body, `"name":"birthdate"`) {
		t.Errorf("metadata: %s", r.body)
	}
	plain := start(t, nil)
	if r := plain.get("/fhir/r4/metadata"); strings.Contains(r.body, `"type":"Patient"`) {
		t.Error("metadata tells of patients where there are none")
	}
	if r := plain.get("/fhir/r4/Patient/x", siteKey); r.status != 404 {
		t.Errorf("%d", r.status)
	}
	if r := w.ask(http.MethodPut, "/fhir/r4/Patient/x", canaryJSON, siteKey, asJSON); r.status != 405 {
		t.Errorf("PUT: %d %v", r.status, r.header)
	}
	_, err := New(DefaultOptions(), Deps{
		Finder: w.replica, Auth: &auth.Authenticator{}, Logger: slog.New(slog.DiscardHandler), Registerer: w.metrics, Now: time.Now,
		Secret: []byte("0123456789abcdef"), Patients: w.server.deps.Patients, PrincipalKey: []byte("short"),
	})
	if err == nil {
		t.Error("principals without a key")
	}
}
