package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// The real desk shows what is elsewhere.
var _ Elsewhere = (*booking.Desk)(nil)

// fakeElsewhere is a source that knows everybody by the name of their id, and
// keeps what it was asked.
type fakeElsewhere struct {
	mu      sync.Mutex
	callers []booking.Caller
	sources []scheduling.SourceID
	search  scheduling.PatientSearch
	limit   int
	fail    error
	more    bool
}

func (e *fakeElsewhere) enter(c booking.Caller, source scheduling.SourceID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.callers, e.sources = append(e.callers, c), append(e.sources, source)
	return e.fail
}

func (e *fakeElsewhere) PatientAt(_ context.Context, c booking.Caller, source scheduling.SourceID, id string) (scheduling.Registration, error) {
	if err := e.enter(c, source); err != nil {
		return scheduling.Registration{}, err
	}
	return fhir.PatientElsewhere(scheduling.R4, &model.Patient{Base: model.Base{ID: id}, Name: []model.HumanName{{Family: "Of-" + id}}})
}

func (e *fakeElsewhere) PatientsAt(ctx context.Context, c booking.Caller, source scheduling.SourceID, s scheduling.PatientSearch, limit int) ([]scheduling.Registration, bool, error) {
	r, err := e.PatientAt(ctx, c, source, "n1")
	e.search, e.limit = s, limit
	if err != nil {
		return nil, false, err
	}
	return []scheduling.Registration{r}, e.more, nil
}

func withElsewhere(t *testing.T) (*world, *fakeElsewhere) {
	t.Helper()
	e := &fakeElsewhere{}
	w, _ := withPatients(t, func(_ *Options, d *Deps) {
		d.Elsewhere = e
		for i := range d.Sources {
			d.Sources[i].Base = "https://" + string(d.Sources[i].ID) + ".example.org/fhir"
		}
	})
	return w, e
}

func TestASourceThatIsNamedIsAskedForItsPatients(t *testing.T) {
	t.Parallel()
	w, e := withElsewhere(t)
	token := "X-Source-Authorization: bEaReR the-users-token"
	for _, rel := range releases() {
		r := w.get("/fhir/"+string(rel)+"/Patient/n1?source=napa", siteKey, token)
		if p, ok := w.resource(r, rel).(*model.Patient); r.status != http.StatusOK || !ok || p.ID != "n1" || p.Name[0].Family != "Of-n1" {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if c := e.callers[0]; c.User.Reveal() != "the-users-token" || e.sources[0] != "napa" {
		t.Fatalf("asked %s as %+v", e.sources[0], c)
	}
	e.more = true
	r := w.get("/fhir/r4/Patient?source=york&family=Doe&given=Jo&birthdate=1964&_count=7&shoe=44", siteKey)
	b := w.bundle(r, scheduling.R4)
	if len(b.Entry) != 2 || b.Entry[0].FullURL != "https://york.example.org/fhir/Patient/n1" || e.search.Family != "Doe" || e.limit != 7 {
		t.Fatalf("%s; asked for %#v, %d", r.body, e.search.Family, e.limit)
	}
	if text := told(b.Entry[1].Resource.(*model.OperationOutcome)); !strings.Contains(text, "shoe") || !strings.Contains(text, "there are more") {
		t.Errorf("told: %s", text)
	}
	if strings.Contains(r.body, "Doe") || strings.Contains(r.body, "1964") {
		t.Errorf("what was asked for is in an address: %s", r.body)
	}
	r = w.ask(http.MethodPost, "/fhir/r4/Patient/_search", url.Values{"source": {"napa"}, "family": {"Roe"}}.Encode(), siteKey, "Content-Type: application/x-www-form-urlencoded")
	if w.bundle(r, scheduling.R4); e.search.Family != "Roe" {
		t.Errorf("by POST: %s", r.body)
	}
	e.fail = scheduling.Refuse(scheduling.Unauthorized, headerUser, "no")
	r = w.get("/fhir/r4/Patient/n1?source=napa", siteKey, token)
	if challenge := r.header.Get("WWW-Authenticate"); r.status != http.StatusUnauthorized || !strings.Contains(challenge, `realm="source"`) {
		t.Errorf("%d %s", r.status, challenge)
	}
}

func TestWhoIsRegisteredHereIsOfNoSource(t *testing.T) {
	t.Parallel()
	w, e := withElsewhere(t)
	own := "pt-" + strings.Repeat("a", 26)
	if r := w.get("/fhir/r4/Patient/"+own+"?source=napa", siteKey, "X-Source-Authorization: Bearer x"); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := w.get("/fhir/r4/Patient/n1", siteKey); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	if len(e.callers) != 0 {
		t.Fatalf("a source was asked: %v", e.sources)
	}
	for _, path := range []string{"/Patient/n1?source=napa,york", "/Patient?source=napa&source=york&family=x"} {
		if r := w.get("/fhir/r4"+path, siteKey); r.status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := w.get("/fhir/r4/Patient?source=nowhere", siteKey); r.status != http.StatusNotFound {
		t.Errorf("%d", r.status)
	}
	if r := w.get("/fhir/r4/Patient?source=&family=x", siteKey); r.status != http.StatusOK || len(e.callers) != 0 {
		t.Errorf("an empty source is none: %d", r.status)
	}
}

// TestLaw11AUsersTokenThatNamesNoSourceIsRefused: also where it would not be
// sent; whoever sends it must know whom it is for.
func TestLaw11AUsersTokenThatNamesNoSourceIsRefused(t *testing.T) {
	t.Parallel()
	w, e := withElsewhere(t)
	token := "X-Source-Authorization: Bearer the-users-token"
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/fhir/r4/Patient/n1", ""},
		{http.MethodHead, "/fhir/r4/Patient?family=x", ""},
		{http.MethodGet, "/fhir/stu3/Patient?family=x", ""},
		{http.MethodPost, "/fhir/r4/Patient", `{"resourceType":"Patient"}`},
		{http.MethodDelete, "/fhir/r4/Patient/n1?source=napa", ""},
	} {
		r := w.ask(c.method, c.path, c.body, siteKey, token, "Content-Type: application/fhir+json")
		if r.status != http.StatusBadRequest || strings.Contains(r.body, "the-users-token") {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
		}
	}
	if len(e.callers) != 0 || strings.Contains(w.log.String(), "the-users-token") {
		t.Fatal("it went further")
	}
}

func TestAHoldNamesTheSourceOfItsIds(t *testing.T) {
	t.Parallel()
	w, desk := withDesk(t, nil)
	hit := w.anOffer("york", 0)
	native := hit.Slots[0].ID
	body := &model.Appointment{
		Status: "proposed", Slot: []model.Reference{{Reference: "Slot/" + native}},
		Participant: []model.AppointmentParticipant{{Actor: &model.Reference{Reference: "Patient/n1"}, Status: "tentative"}},
	}
	r := w.call(scheduling.R4, fhir.JSON, "/Appointment/$hold?source=york", body)
	if a, text := w.one(r, scheduling.R4); a.ID != hit.ID || text != "" {
		t.Fatalf("%s %s: %s", a.ID, hit.ID, text)
	}
	// The same id is another slot there.
	r = w.call(scheduling.R4, fhir.JSON, "/Appointment/$hold?source=napa", body)
	if a, _ := w.one(r, scheduling.R4); !strings.HasPrefix(a.ID, scheduling.SourceTag("napa")) {
		t.Errorf("held %s", a.ID)
	}
	if r = w.call(scheduling.R4, fhir.JSON, "/Appointment/"+hit.ID+"/$book?source=napa", parameters("patient-id", "p1")); r.status != http.StatusUnprocessableEntity {
		t.Errorf("the offer of another source: %d", r.status)
	}
	if r = w.call(scheduling.R4, fhir.JSON, "/Appointment/"+hit.ID+"/$book?source=york", parameters("patient-id", "p1"), "X-Source-Authorization: Bearer u"); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	if c := desk.callers[len(desk.callers)-1]; c.User.Reveal() != "u" {
		t.Errorf("the desk does not know the user: %+v", c)
	}
	r = w.get("/fhir/r4/Appointment?patient=p1&source=york", siteKey, "X-Source-Authorization: Bearer u")
	if asked := desk.lists[len(desk.lists)-1]; r.status != http.StatusOK || asked.Source != "york" {
		t.Errorf("%d, listed from %q", r.status, asked.Source)
	}
	w.get("/fhir/r4/Appointment?patient=p1&source=york,napa", siteKey)
	if asked := desk.lists[len(desk.lists)-1]; asked.Source != "" {
		t.Errorf("listed from %q", asked.Source)
	}
}
