package gateway

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// insurers are the coverages with answers of sources that a test sets.
type insurers struct {
	Coverages
	mu      sync.Mutex
	results []booking.CoverResult
	sent    []string
	fail    error // of giving
}

func (i *insurers) Cover(_ context.Context, _, id string) ([]booking.CoverResult, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sent = append(i.sent, id)
	return i.results, nil
}

func (i *insurers) GiveCoverage(ctx context.Context, principal string, c scheduling.Coverage, key string) (scheduling.Coverage, bool, error) {
	if i.fail != nil {
		return scheduling.Coverage{}, false, i.fail
	}
	return i.Coverages.GiveCoverage(ctx, principal, c, key)
}

// withCoverage is a gateway at which people register and give their coverage.
func withCoverage(t *testing.T, bend func(*Options, *Deps)) (*world, *insurers, *redis.Client) {
	t.Helper()
	at := &insurers{}
	w, address := withPatients(t, func(o *Options, d *Deps) {
		at.Coverages, d.Coverages = d.Coverages, at
		if bend != nil {
			bend(o, d)
		}
	})
	o, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return w, at, c
}

// aPatient registers somebody, and gives their id.
func (w *world) aPatient(number string, header ...string) string {
	w.t.Helper()
	r := w.post("/fhir/r4/Patient", strings.Replace(canaryJSON, "CANARY-77", number, 1), header...)
	if r.status != 201 {
		w.t.Fatalf("%d %s", r.status, r.body)
	}
	return w.patientOf(r, scheduling.R4).ID
}

// coverageOf reads a Coverage from an answer.
func (w *world) coverageOf(r reply, rel scheduling.Release) *model.Coverage {
	w.t.Helper()
	format, _ := fhir.FormatOf(r.header.Get("Content-Type"))
	res, err := fhir.Read(rel, format, []byte(r.body))
	c, ok := res.(*model.Coverage)
	if err != nil || !ok {
		w.t.Fatalf("%d, not a Coverage (%v): %s", r.status, err, r.body)
	}
	return c
}

// cardJSON is a coverage of a patient, in either release.
func cardJSON(patient, number string) string {
	return `{"resourceType":"Coverage","status":"active","beneficiary":{"reference":"Patient/` + patient + `"},"subscriberId":"` + number + `","payor":[{"display":"Canary Blue"}]}`
}

func TestCoverageIsGivenReadAndChangedAtBothBases(t *testing.T) {
	t.Parallel()
	w, at, _ := withCoverage(t, nil)
	for _, rel := range releases() {
		for _, format := range []fhir.Format{fhir.JSON, fhir.XML} {
			base, accept := "/fhir/"+string(rel), "Accept: "+format.ContentType()
			session := "X-Slotgate-Session: session-of-" + string(rel) + fmt.Sprint(format)
			patient := w.aPatient("C-1", session)
			number := "N-" + string(rel) + format.String()
			body := func(number string) string {
				if format == fhir.XML {
					return `<Coverage xmlns="http://hl7.org/fhir"><status value="active"/><subscriberId value="` + number + `"/><beneficiary><reference value="` + w.base + base + `/Patient/` + patient + `"/></beneficiary><payor><display value="Canary Blue"/></payor></Coverage>`
				}
				return cardJSON(patient, number)
			}
			send := func(method, path, body string, more ...string) reply {
				return w.ask(method, base+path, body, append([]string{siteKey, session, accept, "Content-Type: " + format.ContentType()}, more...)...)
			}
			made := send(http.MethodPost, "/Coverage", body(number))
			c := w.coverageOf(made, rel)
			place := w.base + base + "/Coverage/" + c.ID
			if made.status != 201 || made.header.Get("Location") != place || made.header.Get("ETag") != `W/"1"` || !scheduling.OwnCoverageID(c.ID) {
				t.Fatalf("%s %v: %d %v", rel, format, made.status, made.header)
			}
			again := send(http.MethodPost, "/Coverage", body(number))
			if again.status != 200 || w.coverageOf(again, rel).ID != c.ID || again.header.Get("Location") != place {
				t.Errorf("%s %v: again %d", rel, format, again.status)
			}
			for _, other := range releases() {
				read := w.get("/fhir/"+string(other)+"/Coverage/"+c.ID, siteKey, session, accept)
				if got := w.coverageOf(read, other); read.status != 200 || got.SubscriberID != number || got.Beneficiary.Reference != "Patient/"+patient || read.header.Get("ETag") != `W/"1"` {
					t.Errorf("%s %v: read at %s: %d %s", rel, format, other, read.status, read.body)
				}
			}
			if head := send(http.MethodHead, "/Coverage/"+c.ID, ""); head.status != 200 || head.body != "" || head.header.Get("ETag") != `W/"1"` {
				t.Errorf("%s %v: HEAD %d %q", rel, format, head.status, head.body)
			}
			put := send(http.MethodPut, "/Coverage/"+c.ID, body(number+"-2"), `If-Match: W/"1"`)
			if got := w.coverageOf(put, rel); put.status != 200 || got.SubscriberID != number+"-2" || got.ID != c.ID || put.header.Get("ETag") != `W/"2"` || got.Meta.VersionID != "2" {
				t.Errorf("%s %v: put %d %v", rel, format, put.status, put.header)
			}
			if stale := send(http.MethodPut, "/Coverage/"+c.ID, body(number+"-3"), `If-Match: W/"1"`); stale.status != 412 {
				t.Errorf("%s %v: stale %d", rel, format, stale.status)
			}
			if any := send(http.MethodPut, "/Coverage/"+c.ID, body(number+"-3"), "Prefer: return=minimal"); any.status != 200 || any.body != "" || any.header.Get("ETag") != `W/"3"` {
				t.Errorf("%s %v: any %d %s", rel, format, any.status, any.body)
			}
			if told := send(http.MethodPost, "/Coverage", body(number+"-4"), "Prefer: return=OperationOutcome"); told.status != 201 || !strings.Contains(told.body, "OperationOutcome") {
				t.Errorf("%s %v: told %d %s", rel, format, told.status, told.body)
			}
			if sent := strings.Join(at.sent, " "); strings.Count(sent, c.ID) != 4 {
				t.Errorf("%s %v: sent to sources: %s", rel, format, sent)
			}
			at.sent = nil
			// The patient takes their coverage along.
			if r := send(http.MethodDelete, "/Patient/"+patient, ""); r.status != 204 {
				t.Fatal(r.status, r.body)
			}
			if r := send(http.MethodGet, "/Coverage/"+c.ID, ""); r.status != 404 {
				t.Errorf("%s %v: after its patient: %d", rel, format, r.status)
			}
		}
	}
}

func TestTheGuidesCoveragesAreGivenHere(t *testing.T) {
	t.Parallel()
	dir := testenv.Shared(t, "argonaut/examples")
	w, _, _ := withCoverage(t, nil)
	text := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for n, patient := range map[string]string{"1": "1", "2": "2"} {
		made := w.post("/fhir/stu3/Patient", text("Patient-argo-sch-patient-"+patient+".json"))
		id := w.patientOf(made, scheduling.STU3).ID
		body := strings.ReplaceAll(text("Coverage-argo-sch-"+n+".json"), "Patient/argo-sch-patient-"+patient, "Patient/"+id)
		given := w.post("/fhir/stu3/Coverage", body)
		c := w.coverageOf(given, scheduling.STU3)
		if given.status != 201 || c.Class[0].Value != "1FZQ" || c.Text == nil {
			t.Fatalf("%s: %d %s", n, given.status, given.body)
		}
		r4 := w.coverageOf(w.get("/fhir/r4/Coverage/"+c.ID, siteKey, "Accept: application/fhir+xml"), scheduling.R4)
		if r4.Beneficiary.Reference != "Patient/"+id || r4.Relationship.Coding[0].System != "http://terminology.hl7.org/CodeSystem/subscriber-relationship" {
			t.Errorf("%s in R4: %+v", n, r4)
		}
	}
}

func TestWhoMayNotGiveWhichCoverage(t *testing.T) {
	t.Parallel()
	w, _, store := withCoverage(t, nil)
	alice, bob := "X-Slotgate-Session: session-of-alice", "X-Slotgate-Session: session-of-bob-b"
	mine, theirs := w.aPatient("C-1", alice), w.aPatient("C-2", bob)
	card := cardJSON(mine, "CANARY-9")
	with := func(old, replacement string) string { return strings.Replace(card, old, replacement, 1) }
	deep := strings.Repeat(`{"extension":[`, 200) + strings.Repeat(`]}`, 200)
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		code   string
	}{
		"another's patient":              {cardJSON(theirs, "CANARY-9"), nil, 404, "unknown-id"},
		"nobody's patient":               {cardJSON(scheduling.NewPatientID([26]byte{}), "CANARY-9"), nil, 404, "unknown-id"},
		"another's patient who pays":     {with(`{"display":"Canary Blue"}`, `{"reference":"Patient/`+theirs+`"}`), nil, 404, "unknown-id"},
		"another's patient, as a child":  {with(`"beneficiary"`, `"contained":[{"resourceType":"RelatedPerson","id":"r","patient":{"reference":"Patient/`+theirs+`"}}],"policyHolder":{"reference":"#r"},"beneficiary"`), nil, 404, "unknown-id"},
		"an EHR's patient":               {cardJSON("123", "CANARY-9"), nil, 422, "not-acceptable"},
		"nobody":                         {with(`"beneficiary":{"reference":"Patient/`+mine+`"},`, ""), nil, 422, "missing-data"},
		"nobody who pays":                {with(`,"payor":[{"display":"Canary Blue"}]`, ""), nil, 422, "missing-data"},
		"markup":                         {with("Canary Blue", "<b>Canary</b>"), nil, 422, "not-acceptable"},
		"an impossible date":             {with(`"payor"`, `"period":{"start":"2026-13-01"},"payor"`), nil, 422, "not-acceptable"},
		"deep":                           {with(`"payor"`, `"extension":[`+deep+`],"payor"`), nil, 400, "bad-request"},
		"5 MB":                           {with("Canary Blue", strings.Repeat("x", 5<<20)), nil, 413, "bad-request"},
		"a Patient":                      {canaryJSON, nil, 400, "bad-request"},
		"no JSON":                        {card[:40], nil, 400, "bad-request"},
		"nothing":                        {"", nil, 400, "bad-request"},
		"If-None-Exist":                  {card, []string{"If-None-Exist: identifier=CANARY-9"}, 422, "not-acceptable"},
		"a form":                         {card, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "not-supported"},
		"a key of blanks":                {card, []string{"Idempotency-Key: a b"}, 400, "bad-request"},
		"an element that is none in XML": {`<Coverage xmlns="http://hl7.org/fhir"><canary value="x"/></Coverage>`, []string{"Content-Type: application/fhir+xml", "Accept: application/fhir+json"}, 422, "not-acceptable"},
	} {
		for _, rel := range releases() {
			r := w.post("/fhir/"+string(rel)+"/Coverage", c.body, append([]string{alice}, c.header...)...)
			if r.status != c.status || w.code(r, rel) != c.code {
				t.Errorf("%s at %s: %d %.300s", name, rel, r.status, r.body)
			}
			if strings.Contains(r.body, "anary") || strings.Contains(r.body, "CANARY") || strings.Contains(r.body, theirs) {
				t.Errorf("%s: the answer repeats what was sent: %s", name, r.body)
			}
		}
	}
	if keys := store.Keys(t.Context(), "*cover*").Val(); len(keys) != 0 {
		t.Errorf("something was written: %v", keys)
	}
	if r := w.ask(http.MethodPost, "/fhir/r4/Coverage", card, asJSON); r.status != 401 {
		t.Errorf("without a key: %d", r.status)
	}
}

func TestNothingIsPutWhereWeGaveNoID(t *testing.T) {
	t.Parallel()
	w, _, _ := withCoverage(t, nil)
	alice, bob := "X-Slotgate-Session: session-of-alice", "X-Slotgate-Session: session-of-bob-b"
	mine, other, theirs := w.aPatient("C-1", alice), w.aPatient("C-3", alice), w.aPatient("C-2", bob)
	id := w.coverageOf(w.post("/fhir/r4/Coverage", cardJSON(mine, "1"), alice), scheduling.R4).ID
	bobs := w.coverageOf(w.post("/fhir/r4/Coverage", cardJSON(theirs, "1"), bob), scheduling.R4).ID
	put := func(id, body string, header ...string) reply {
		return w.ask(http.MethodPut, "/fhir/r4/Coverage/"+id, body, append([]string{siteKey, asJSON, alice}, header...)...)
	}
	for _, strange := range []string{"mine", bobs, scheduling.NewCoverageID([26]byte{}), "a_b"} {
		if r := put(strange, cardJSON(mine, "2")); r.status != 405 || w.code(r, scheduling.R4) != "not-supported" || r.header.Get("Allow") == "" {
			t.Errorf("%s: %d %v %s", strange, r.status, r.header, r.body)
		}
	}
	for name, c := range map[string]struct {
		body, match string
		status      int
	}{
		"another id":           {strings.Replace(cardJSON(mine, "2"), `"status"`, `"id":"`+bobs+`","status"`, 1), "", 400},
		"another patient":      {cardJSON(other, "2"), "", 422},
		"another's patient":    {cardJSON(theirs, "2"), "", 422},
		"no version":           {cardJSON(mine, "2"), "x", 400},
		"a version to come":    {cardJSON(mine, "2"), `W/"9"`, 412},
		"something else":       {canaryJSON, "", 400},
		"its own id, unquoted": {strings.Replace(cardJSON(mine, "2"), `"status"`, `"id":"`+id+`","status"`, 1), `W/"1"`, 200},
	} {
		if r := put(id, c.body, "If-Match: "+c.match); r.status != c.status {
			t.Errorf("%s: %d, want %d: %s", name, r.status, c.status, r.body)
		}
	}
	if r := w.get("/fhir/r4/Coverage/"+id, siteKey, bob); r.status != 404 {
		t.Errorf("bob reads alice's: %d", r.status)
	}
	for _, method := range []string{http.MethodDelete, http.MethodPatch} {
		if r := w.ask(method, "/fhir/r4/Coverage/"+id, "", siteKey, alice); r.status != 405 || !strings.Contains(r.header.Get("Allow"), "PUT") {
			t.Errorf("%s: %d %s", method, r.status, r.header.Get("Allow"))
		}
	}
	if r := w.get("/fhir/r4/Coverage", siteKey); r.status != 405 {
		t.Errorf("a search: %d", r.status)
	}
}

func TestACoverageUnderAKey(t *testing.T) {
	t.Parallel()
	w, _, _ := withCoverage(t, nil)
	mine := w.aPatient("C-1")
	const key = "Idempotency-Key: key-1"
	first := w.post("/fhir/r4/Coverage", cardJSON(mine, "1"), key)
	again := w.post("/fhir/r4/Coverage", cardJSON(mine, "1"), key)
	if first.status != 201 || again.status != 201 || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("%d %d", first.status, again.status)
	}
	if other := w.post("/fhir/r4/Coverage", cardJSON(mine, "2"), key); other.status != 422 {
		t.Errorf("another body: %d", other.status)
	}
	for range 2 {
		if refused := w.post("/fhir/r4/Coverage", cardJSON(scheduling.NewPatientID([26]byte{}), "2"), "Idempotency-Key: key-2"); refused.status != 404 {
			t.Errorf("refused: %d", refused.status)
		}
	}
	ids := make([]string, 20)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			r := w.post("/fhir/r4/Coverage", cardJSON(mine, "many"), fmt.Sprint("Idempotency-Key: k", i/2))
			_, ids[i], _ = strings.Cut(r.header.Get("Location"), "/Coverage/")
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("several: %v", ids)
		}
	}
}

// TestWhatSourcesSayToACoverage: it is kept whatever they say, and its Location
// is told.
func TestWhatSourcesSayToACoverage(t *testing.T) {
	t.Parallel()
	w, at, _ := withCoverage(t, nil)
	mine := w.aPatient("C-1")
	said := func(code scheduling.Code, words string) booking.CoverResult {
		return booking.CoverResult{Source: "napa", Err: scheduling.Blame(code, "napa", nil, words)}
	}
	for i, c := range []struct {
		name    string
		results []booking.CoverResult
		status  int
		words   string
	}{
		{"taken", []booking.CoverResult{{Source: "napa"}}, 201, ""},
		{"takes none", []booking.CoverResult{{Source: "napa", NotSent: true}}, 201, ""},
		{"has no such interaction", []booking.CoverResult{said(scheduling.NotSupported, "no")}, 201, ""},
		{"refused", []booking.CoverResult{said(scheduling.NotAcceptable, "the plan is not accepted here")}, 422, "the plan is not accepted here"},
		{"lacks something", []booking.CoverResult{said(scheduling.MissingData, "Coverage.type")}, 422, "Coverage.type"},
		{"refused without a reason", []booking.CoverResult{said(scheduling.SourceRefused, "the source refused it")}, 422, "refused"},
		{"refused by one of two", []booking.CoverResult{said(scheduling.SourceDown, "down"), said(scheduling.NotAcceptable, "the plan is not accepted here"), {Source: "york"}}, 422, "the plan is not accepted here"},
		{"not known yet", []booking.CoverResult{said(scheduling.InDoubt, "not known yet")}, 202, "not known yet"},
		{"down", []booking.CoverResult{said(scheduling.SourceDown, "the source is down")}, 503, "down"},
	} {
		at.results = c.results
		body := cardJSON(mine, fmt.Sprint("N-", i))
		r := w.post("/fhir/r4/Coverage", body)
		place := r.header.Get("Location")
		if r.status != c.status || !strings.Contains(r.body, c.words) || place == "" {
			t.Errorf("%s: %d %s at %q", c.name, r.status, r.body, place)
		}
		path := strings.TrimPrefix(place, w.base)
		if got := w.get(path, siteKey); got.status != 200 {
			t.Errorf("%s: it is not kept: %d", c.name, got.status)
		}
		want := c.status
		if want == 201 {
			want = 200
		}
		if put := w.ask(http.MethodPut, path, cardJSON(mine, fmt.Sprint("M-", i)), siteKey, asJSON); put.status != want {
			t.Errorf("%s: put %d, want %d", c.name, put.status, want)
		}
	}
}

func TestCoverageIsToldWhereItIsServed(t *testing.T) {
	t.Parallel()
	w, _, _ := withCoverage(t, nil)
	for _, rel := range releases() {
		r := w.get("/fhir/" + string(rel) + "/metadata")
		for _, want := range []string{`{"type":"Coverage","interaction":[{"code":"read"},{"code":"create"},{"code":"update"}]}`, `"interaction":[{"code":"transaction"}]`} {
			if !strings.Contains(r.body, want) {
				t.Errorf("%s: %s is not told: %s", rel, want, r.body)
			}
		}
	}
	plain := start(t, nil)
	if r := plain.get("/fhir/r4/metadata"); strings.Contains(r.body, `"Coverage","interaction"`) || strings.Contains(r.body, `"transaction"`) {
		t.Error("metadata tells of coverage where there is none")
	}
	if r := plain.ask(http.MethodPost, "/fhir/r4", "{}", siteKey, asJSON); r.status != 404 {
		t.Errorf("a transaction where there is none: %d", r.status)
	}
	d := w.server.deps
	d.Patients = nil
	if d.check() == nil {
		t.Error("coverage without patients")
	}
}
