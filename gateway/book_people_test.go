package gateway

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// withEverything is a gateway with a desk, at which people register and give
// their coverage.
func withEverything(t *testing.T) (*world, *fakeDesk, *insurers, *redis.Client) {
	t.Helper()
	desk := &fakeDesk{tb: t, entries: map[string]scheduling.Entry{}}
	w, at, store := withCoverage(t, func(_ *Options, d *Deps) {
		desk.finder, desk.now, d.Desk = d.Finder, d.Now, desk
	})
	return w, desk, at, store
}

// asks is a Parameters of these.
func asks(params ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(params, ",") + `]}`
}

func withResource(name, resource string) string {
	return `{"name":"` + name + `","resource":` + resource + `}`
}

func withValue(name, value string) string {
	return `{"name":"` + name + `","valueReference":{"reference":"` + value + `"}}`
}

// newcomer is canaryJSON with the insurance of theirs, which names them by the
// id that the caller gave.
var newcomer = []string{
	withResource("patient-resource", canaryJSON),
	withResource("coverage", `{"resourceType":"Coverage","status":"active","subscriber":{"reference":"Patient/theirs"},"payor":[{"display":"Canary Blue"}]}`),
}

func TestABookingMayBringThePatientAndTheCoverageAlong(t *testing.T) {
	t.Parallel()
	w, desk, _, _ := withEverything(t)
	for i, rel := range releases() {
		for j, format := range []fhir.Format{fhir.JSON, fhir.XML} {
			session := "X-Slotgate-Session: session-of-" + string(rel) + "-" + format.String()
			hit := w.anOffer("napa", 2*i+j)
			body := []byte(asks(newcomer...))
			if format == fhir.XML {
				var err error
				if body, _, err = fhir.ToXML(rel, body); err != nil {
					t.Fatal(err)
				}
			}
			path := "/fhir/" + string(rel) + "/Appointment/" + hit.ID + "/$book"
			booked := w.ask("POST", path, string(body), siteKey, session, "Content-Type: "+format.ContentType(), "Accept: application/fhir+json")
			a, told := w.one(booked, rel)
			req := desk.books[len(desk.books)-1]
			if booked.status != 200 || a.Status != "booked" || told != "" || len(req.Patients) != 1 || len(req.Coverages) != 1 {
				t.Fatalf("%s %v: %d %q, asked for %v %v", rel, format, booked.status, told, req.Patients, req.Coverages)
			}
			if r := w.get("/fhir/r4/Patient/"+req.Patients[0], siteKey, session); w.patientOf(r, scheduling.R4).Name[0].Family != "Canaryfamily" {
				t.Errorf("%s %v: registered: %d", rel, format, r.status)
			}
			card := w.coverageOf(w.get("/fhir/stu3/Coverage/"+req.Coverages[0], siteKey, session), scheduling.STU3)
			if card.Subscriber.Reference != "Patient/"+req.Patients[0] || card.Payor[0].Display != "Canary Blue" {
				t.Errorf("%s %v: covered by %+v", rel, format, card)
			}
			w.ask("POST", path, string(body), siteKey, session, "Content-Type: "+format.ContentType())
			if again := desk.books[len(desk.books)-1]; !slices.Equal(again.Patients, req.Patients) || !slices.Equal(again.Coverages, req.Coverages) {
				t.Errorf("%s %v: a repeat asks for %v %v", rel, format, again.Patients, again.Coverages)
			}
		}
	}
}

func TestACoverageOfOursGoesWithABooking(t *testing.T) {
	t.Parallel()
	w, desk, _, _ := withEverything(t)
	mine := w.aPatient("C-1")
	id := w.coverageOf(w.post("/fhir/r4/Coverage", cardJSON(mine, "1")), scheduling.R4).ID
	hit := w.anOffer("napa", 0)
	same := strings.Replace(cardJSON(mine, "1"), `"beneficiary":{"reference":"Patient/`+mine+`"},`, "", 1)
	r := w.post("/fhir/r4/Appointment/"+hit.ID+"/$book", asks(
		withValue("patient-id", "Patient/"+mine), withValue("coverage", w.base+"/fhir/stu3/Coverage/"+id), withValue("coverage", "Coverage/"+id), withResource("coverage", same)))
	req := desk.books[0]
	// The last one says the same, but for the beneficiary who is meant: it is
	// another resource.
	if r.status != 200 || !slices.Equal(req.Patients, []string{mine}) || len(req.Coverages) != 2 || req.Coverages[0] != id {
		t.Errorf("%d: %v %v", r.status, req.Patients, req.Coverages)
	}
	// Who is registered already, sent as a resource, is one.
	r = w.post("/fhir/r4/Appointment/"+w.anOffer("napa", 1).ID+"/$book", asks(
		withValue("patient-id", "Patient/"+mine), withResource("patient-resource", strings.Replace(canaryJSON, "CANARY-77", "C-1", 1))))
	if req := desk.books[1]; r.status != 200 || !slices.Equal(req.Patients, []string{mine}) || len(req.Coverages) != 0 {
		t.Errorf("%d: %v %v", r.status, req.Patients, req.Coverages)
	}
}

func TestABookingThatCannotBeKeptWritesNothing(t *testing.T) {
	t.Parallel()
	w, desk, _, store := withEverything(t)
	theirs := w.aPatient("C-2", "X-Slotgate-Session: session-of-bob-b")
	hit := w.anOffer("napa", 0)
	before := len(store.Keys(t.Context(), "*").Val())
	person, card := newcomer[0], newcomer[1]
	with := func(text, old, replacement string) string { return strings.Replace(text, old, replacement, 1) }
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no name":                        {asks(with(person, `"name":[{"family":"Canaryfamily","given":["Canarygiven"]}],`, ""), card), 422, "missing-data"},
		"an impossible date":             {asks(with(person, "06-19", "02-30"), card), 422, "not-acceptable"},
		"markup":                         {asks(with(person, "Canarygiven", "<i>"), card), 422, "not-acceptable"},
		"two identifiers of one system":  {asks(with(person, `"identifier":[`, `"identifier":[{"system":"urn:canary:mrn","value":"2"},`)), 422, "not-acceptable"},
		"the second of two is nobody":    {asks(person, withResource("patient-resource", `{"resourceType":"Patient"}`)), 422, "missing-data"},
		"a coverage of somebody else":    {asks(person, with(card, "Patient/theirs", "Patient/"+theirs)), 422, "not-acceptable"},
		"a coverage that names bob":      {asks(person, with(card, `{"display":"Canary Blue"}`, `{"reference":"Patient/`+theirs+`"}`)), 404, "unknown-id"},
		"a coverage nobody pays":         {asks(person, with(card, `[{"display":"Canary Blue"}]`, `[]`)), 422, "missing-data"},
		"a coverage of another server":   {asks(person, withValue("coverage", "https://ehr.example.org/Coverage/1")), 404, "unknown-id"},
		"a coverage that nobody gave":    {asks(person, withValue("coverage", "Coverage/"+scheduling.NewCoverageID([26]byte{}))), 404, "unknown-id"},
		"no patient":                     {asks(card), 422, "missing-data"},
		"a patient within the resource":  {asks(withResource("appt-resource", `{"resourceType":"Appointment","status":"proposed","contained":[{"resourceType":"Patient","id":"p"}],"participant":[{"actor":{"reference":"#p"},"status":"accepted"}]}`)), 422, "not-acceptable"},
		"a Practitioner for the patient": {asks(withResource("patient-resource", `{"resourceType":"Practitioner"}`)), 400, "bad-request"},
	} {
		for _, rel := range releases() {
			r := w.post("/fhir/"+string(rel)+"/Appointment/"+hit.ID+"/$book", c.body)
			if r.status != c.status || w.code(r, rel) != c.code {
				t.Errorf("%s at %s: %d %.300s", name, rel, r.status, r.body)
			}
			if strings.Contains(r.body, "anary") || strings.Contains(r.body, "1964") || strings.Contains(r.body, theirs) {
				t.Errorf("%s: the answer repeats what was sent: %s", name, r.body)
			}
		}
	}
	if after := store.Keys(t.Context(), "*").Val(); len(after) != before {
		t.Errorf("something was written: %v", after)
	}
	if len(desk.books) != 0 {
		t.Errorf("the desk was asked: %+v", desk.books)
	}
	xml := `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="patient-resource"/><resource><Patient><shoeSize value="44"/><name><family value="A"/></name><birthDate value="1990-01-01"/></Patient></resource></parameter></Parameters>`
	if r := w.ask("POST", "/fhir/r4/Appointment/"+hit.ID+"/$book", xml, siteKey, "Content-Type: application/fhir+xml"); r.status != 422 {
		t.Errorf("an element that is none: %d %s", r.status, r.body)
	}
}

func TestAHoldAndASearchTellThatTheyDoNotApplyPeople(t *testing.T) {
	t.Parallel()
	w, desk, _, store := withEverything(t)
	hit := w.anOffer("napa", 0)
	before := len(store.Keys(t.Context(), "*").Val())
	for _, rel := range releases() {
		hold := w.post("/fhir/"+string(rel)+"/Appointment/"+hit.ID+"/$hold", asks(newcomer...))
		_, told := w.one(hold, rel)
		if hold.status != 200 || !strings.Contains(told, "patient-resource was not applied") || !strings.Contains(told, "coverage was not applied") {
			t.Errorf("%s: hold %d: %s", rel, hold.status, told)
		}
		found := w.post("/fhir/"+string(rel)+"/Appointment/$find", asks(newcomer...))
		if found.status != 200 || !strings.Contains(found.body, "patient-resource was not applied") || !strings.Contains(found.body, "coverage was not applied") {
			t.Errorf("%s: find %d: %s", rel, found.status, found.body)
		}
	}
	if len(desk.holds) != 2 || len(desk.holds[0].Patients) != 0 {
		t.Errorf("%+v", desk.holds)
	}
	if after := store.Keys(t.Context(), "*").Val(); len(after) != before {
		t.Errorf("something was written: %v", after)
	}
}
