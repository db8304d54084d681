package gateway

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Patients are the people registered here, each principal's own. It must be safe
// for concurrent use. Errors are *scheduling.Error.
type Patients interface {
	// Register keeps a person; added is false where the principal had registered
	// the same one before, whose resource is the newer one then.
	Register(ctx context.Context, principal string, person scheduling.Registration, key string) (known scheduling.Registration, added bool, err error)
	// RegisterAt makes a source know a person before anything is booked, for a
	// principal that holds an offer there. Errors: those of a booking;
	// booking.ErrState around not-acceptable without such a hold.
	RegisterAt(ctx context.Context, principal string, source scheduling.SourceID, id string) error
	// CheckPerson tells what would keep a person from being registered, and keeps
	// nothing.
	CheckPerson(ctx context.Context, principal string, person scheduling.Registration) error
	// Patient gives one. Errors: unknown-id.
	Patient(ctx context.Context, principal, id string) (scheduling.Registration, error)
	// SearchPatients finds some, the earliest first.
	SearchPatients(ctx context.Context, principal string, s scheduling.PatientSearch) ([]scheduling.Registration, error)
	// Forget forgets one. Errors: unknown-id.
	Forget(ctx context.Context, principal, id string) error
}

const patientType = "Patient"

// servePatients registers what is done with patients at one base.
func (s *Server) servePatients(base string) {
	add := func(method, path string, handle handler) {
		s.app.Add(method, base+path, s.private(base+path, handle))
	}
	add(fiber.MethodPost, "/Patient", (*exchange).registerPatient)
	add(fiber.MethodPost, "/Patient/_search", (*exchange).searchPatients)
	for _, method := range []string{fiber.MethodGet, fiber.MethodHead} {
		add(method, "/Patient", (*exchange).searchPatients)
		add(method, "/Patient/:id", (*exchange).readPatient)
	}
	add(fiber.MethodDelete, "/Patient/:id", (*exchange).deletePatient)
}

// patientServed tells of it in the CapabilityStatement.
func patientServed() fhir.ServedType {
	t := fhir.ServedType{Type: patientType, Interactions: []string{"read", "create", "delete", "search-type"}}
	kinds := map[string]string{"family": "string", "given": "string", "birthdate": "date"}
	for _, name := range fhir.PatientSearchNames() {
		kind := kinds[name]
		if kind == "" {
			kind = "token"
		}
		t.Search = append(t.Search, fhir.ServedSearch{Name: name, Type: kind})
	}
	return t
}

// principalName is the caller as the rooms behind know it.
func (x *exchange) principalName() string { return x.principal().Digest(x.s.deps.PrincipalKey) }

// headerIfNoneExist makes a create conditional (http://hl7.org/fhir/http.html#ccreate).
const headerIfNoneExist = "If-None-Exist"

// registerPatient answers POST Patient: 201, or 200 with the one who is known.
func (x *exchange) registerPatient() error {
	if len(x.c.Request().Header.PeekAll(headerIfNoneExist)) > 0 {
		// Argonaut Scheduling 1.0: the client SHALL not use it; who is the same
		// is for the server to find out.
		return scheduling.Refuse(scheduling.NotAcceptable, headerIfNoneExist, "register without If-None-Exist: who is known already is answered with 200")
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	format, ok := fhir.FormatOf(x.header(fiber.HeaderContentType))
	if !ok {
		return refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	values, err := x.query()
	if err != nil {
		return err
	}
	source, err := x.oneSource(values)
	if err != nil {
		return err
	}
	// What is read keeps parts of the text: the text must be ours.
	person, err := fhir.ReadPatient(x.release, format, bytes.Clone(x.body()))
	if err != nil {
		return err
	}
	known, added, err := x.s.deps.Patients.Register(x.ctx, x.principalName(), person, key)
	if err != nil {
		return err
	}
	status := fiber.StatusOK
	if added {
		status = fiber.StatusCreated
	}
	x.c.Set(fiber.HeaderLocation, x.s.root(x.release)+"/Patient/"+known.ID)
	if source != "" {
		if err := x.registerAt(source, known.ID); err != nil {
			return err // the person is kept all the same: Location tells where
		}
	}
	return x.answerPatient(status, known)
}

// registerAt takes the time of a booking: an EHR is asked.
func (x *exchange) registerAt(source scheduling.SourceID, id string) error {
	ctx, cancel := x.bookingCtx()
	defer cancel()
	return x.s.deps.Patients.RegisterAt(ctx, x.principalName(), source, id)
}

// answerPatient answers with a person who is registered here.
func (x *exchange) answerPatient(status int, r scheduling.Registration) error {
	return answerKept(x, status, "the patient is registered at the gateway", r, fhir.PatientFor)
}

// answerKept answers as the caller prefers (RFC 7240): what is kept here as a
// resource, an outcome that says so, or nothing.
func answerKept[T any, R model.Resource](x *exchange, status int, told string, kept T, show func(T) (R, error)) error {
	preference := x.preferred()
	if preference != "" {
		x.c.Set("Preference-Applied", "return="+preference)
	}
	switch preference {
	case "minimal":
		x.c.Status(status)
		return nil
	case "OperationOutcome":
		return x.resource(status, &model.OperationOutcome{Issue: []model.OutcomeIssue{
			fhir.Told("information", "informational", told, ""),
		}})
	}
	shown, err := show(kept)
	if err != nil {
		return err
	}
	return x.resource(status, shown)
}

// readPatient answers GET Patient/{id}.
func (x *exchange) readPatient() error {
	if here, err := x.readPatientElsewhere(); !here {
		return err
	}
	r, err := x.s.deps.Patients.Patient(x.ctx, x.principalName(), x.param("id"))
	if err != nil {
		return err
	}
	patient, err := fhir.PatientFor(r)
	if err != nil {
		return err
	}
	return x.resource(fiber.StatusOK, patient)
}

// deletePatient answers DELETE Patient/{id}.
func (x *exchange) deletePatient() error {
	if err := x.s.deps.Patients.Forget(x.ctx, x.principalName(), x.param("id")); err != nil {
		return err
	}
	return x.c.SendStatus(fiber.StatusNoContent)
}

// patientQuery is a search as it was asked.
type patientQuery struct {
	asked   scheduling.PatientSearch
	params  url.Values // what was applied
	unknown []string
	count   int
	cut     []string
	after   string
}

// searchPatients answers GET Patient?... and POST Patient/_search.
func (x *exchange) searchPatients() error {
	values, err := x.searchValues()
	if err != nil {
		return err
	}
	if here, err := x.searchPatientsElsewhere(values); !here {
		return err
	}
	q, err := x.patientQuery(values)
	if err != nil {
		return err
	}
	all, err := x.s.deps.Patients.SearchPatients(x.ctx, x.principalName(), q.asked)
	if err != nil {
		return err
	}
	from := 0
	if q.after != "" {
		from = slices.IndexFunc(all, func(r scheduling.Registration) bool { return r.ID == q.after }) + 1
	}
	page := all[from:min(from+q.count, len(all))]
	bundle, err := x.patientPage(q, page, len(all), from+len(page) < len(all))
	if err != nil {
		return err
	}
	return x.resource(fiber.StatusOK, bundle)
}

func (x *exchange) patientQuery(values url.Values) (patientQuery, error) {
	q := patientQuery{params: url.Values{}}
	var err error
	if q.asked, q.unknown, err = fhir.ParsePatientSearch(values); err != nil {
		return q, err
	}
	for _, name := range sortedNames(values) {
		switch {
		case slices.Contains(fhir.PatientSearchNames(), name):
			q.params[name] = values[name]
		case strings.HasPrefix(name, "_") && !slices.Contains([]string{"_count", "_format", "_pretty", fhir.CursorParam}, name):
			q.unknown = noteUnknown(q.unknown, name)
		}
	}
	if x.strict() && len(q.unknown) > 0 {
		return q, refuseUnknown(q.unknown)
	}
	if q.count, q.cut, err = x.count(values.Get("_count")); err != nil {
		return q, err
	}
	if text := values.Get(fhir.CursorParam); text != "" {
		cursor, err := x.s.cursors.read(patientPlace(q.params), text)
		if err != nil {
			return q, err
		}
		q.after = cursor.ID
	}
	return q, nil
}

func patientPlace(params url.Values) string { return patientType + "?" + params.Encode() }

// patientPage writes one page. What was asked by POST is not repeated in an
// address: it names a person.
func (x *exchange) patientPage(q patientQuery, page []scheduling.Registration, total int, more bool) (*model.Bundle, error) {
	address, self, next := x.s.root(x.release)+"/"+patientType, "", ""
	byGet := x.method() != fiber.MethodPost
	if byGet {
		self = x.link(address, q.params, q.count, strings.Clone(x.c.Query(fhir.CursorParam)))
	} else {
		self = address + "/_search"
	}
	if more && byGet && len(page) > 0 {
		next = x.link(address, q.params, q.count, x.s.cursors.make(patientPlace(q.params), scheduling.Cursor{ID: page[len(page)-1].ID}))
	}
	bundle := fhir.SearchSet(total, self, next)
	for _, r := range page {
		patient, err := fhir.PatientFor(r)
		if err != nil {
			return nil, err
		}
		fhir.AddMatch(bundle, x.s.root(x.release), patient)
	}
	outcome := &model.OperationOutcome{}
	if len(q.unknown)+len(q.cut) > 0 {
		outcome = fhir.FindOutcome(fhir.Find{Unknown: q.unknown, Cut: q.cut}, scheduling.Found{})
	}
	if more && !byGet {
		outcome.Issue = append(outcome.Issue, fhir.Told("information", "informational", "there are more; ask for them with a larger _count", "_count"))
	}
	if len(outcome.Issue) > 0 {
		addOutcome(bundle, outcome)
	}
	return bundle, nil
}
