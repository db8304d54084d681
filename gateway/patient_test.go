package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
			People: people, Named: nowhere{}, Keys: store.Keys(v), Clock: clockFunc(d.Now), Log: d.Logger, Secret: []byte("0123456789abcdef"),
			At:        func(scheduling.SourceID) (booking.Registry, bool) { return nil, false },
			Coverages: people,
		}, booking.DefaultRegisterOptions())
		if err != nil {
			t.Fatal(err)
		}
		d.Patients, d.Coverages, d.PrincipalKey = r, r, []byte("the key of all principals")
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
		// R4 has another address for the table of the identifier's type.
		want := strings.Replace(string(data), "http://hl7.org/fhir/v2/0203", "http://terminology.hl7.org/CodeSystem/v2-0203", 1)
		wanted, err := fhir.ReadPatient(scheduling.R4, fhir.JSON, []byte(want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := fhir.ReadPatient(scheduling.R4, fhir.XML, []byte(w.get("/fhir/r4/Patient/"+id, siteKey, "Accept: application/fhir+xml").body))
		if err != nil || len(got.Resource) != len(wanted.Resource) {
			t.Errorf("%s: %v, %d of %d bytes", name, err, len(got.Resource), len(wanted.Resource))
		}
		if again := w.post("/fhir/r4/Patient", string(data)); again.status != 200 {
			t.Errorf("%s at the other base: %d", name, again.status)
		}
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
