package gateway

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// Elsewhere gives what a source has of its own patients, to those who may see
// it: the user with a token of the source, or a caller that it trusts. It must be
// safe for concurrent use. Errors are *scheduling.Error.
type Elsewhere interface {
	// PatientAt reads a Patient by the source's own id. Errors: unknown-id.
	PatientAt(ctx context.Context, c booking.Caller, source scheduling.SourceID, id string) (scheduling.Registration, error)
	// PatientsAt searches Patients, limit at most; more tells that there are
	// others.
	PatientsAt(ctx context.Context, c booking.Caller, source scheduling.SourceID, s scheduling.PatientSearch, limit int) (list []scheduling.Registration, more bool, err error)
}

// headerUser carries the user's own token for the one source that a request is
// about.
const headerUser = "X-Source-Authorization"

// readUser reads the user's token, where there is one. Whatever is wrong with it
// is told without a character of it.
func (x *exchange) readUser() error {
	lines := x.c.Request().Header.PeekAll(headerUser)
	if len(lines) == 0 {
		return nil
	}
	scheme, bearer, _ := strings.Cut(string(lines[0]), " ")
	token, ok := scheduling.NewUserToken(strings.TrimLeft(bearer, " "))
	switch {
	case len(lines) > 1:
		return scheduling.Refuse(scheduling.BadRequest, headerUser, "%s is there more than once", headerUser)
	case !strings.EqualFold(scheme, "Bearer") || !ok:
		return scheduling.Refuse(scheduling.BadRequest, headerUser, "%s must be Bearer and one token of at most %d characters", headerUser, scheduling.MaxUserToken)
	case !x.takesUser():
		return refuseUserHere()
	}
	x.user = token
	return nil
}

// takesUser: the request may be about one source. What is registered here is of
// none.
func (x *exchange) takesUser() bool {
	_, path, _ := strings.Cut(x.route, "/fhir/"+string(x.release))
	return path == "/Appointment" || strings.HasPrefix(path, "/Appointment/") ||
		path == "/Patient/_search" || (path == "/Patient" || path == "/Patient/:id") && slices.Contains([]string{fiber.MethodGet, fiber.MethodHead}, x.method())
}

func refuseUserHere() error {
	return scheduling.Refuse(scheduling.BadRequest, headerUser, "%s is a token of one source, and this request names none: add source=, or leave the header out", headerUser)
}

// oneSource is the source that a request names, "" for none. It must be served
// here.
func (x *exchange) oneSource(values url.Values) (scheduling.SourceID, error) {
	var named []string
	for _, text := range values["source"] {
		for _, one := range splitList(text) {
			if one != "" && !slices.Contains(named, one) {
				named = append(named, one)
			}
		}
	}
	switch {
	case len(named) == 0:
		return "", nil
	case len(named) > 1:
		return "", scheduling.Refuse(scheduling.BadRequest, "source", "parameter source: one source is needed here")
	}
	source := scheduling.SourceID(named[0])
	if !slices.ContainsFunc(x.s.live.Load().sources, func(s scheduling.Source) bool { return s.ID == source }) {
		return "", scheduling.Refuse(scheduling.UnknownID, "source", "parameter source: no source of this id is served here")
	}
	return source, nil
}

// readPatientElsewhere answers GET Patient/{id}?source=. here is true where the
// patient is one who was registered here.
func (x *exchange) readPatientElsewhere() (here bool, err error) {
	id := x.param("id")
	values, err := x.query()
	if err != nil {
		return false, err
	}
	source, err := x.oneSource(values)
	switch {
	case err != nil:
		return false, err
	case source == "" && x.user.Given():
		return false, refuseUserHere()
	case source == "" || scheduling.OwnPatientID(id) || x.s.deps.Elsewhere == nil:
		return true, nil
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	r, err := x.s.deps.Elsewhere.PatientAt(ctx, x.bookingCaller(), source, id)
	if err != nil {
		return false, err
	}
	patient, err := fhir.PatientAt(source, r)
	if err != nil {
		return false, err
	}
	return false, x.resource(fiber.StatusOK, patient)
}

// searchPatientsElsewhere answers a search that names a source. here is true
// where it names none: those who were registered here are searched.
func (x *exchange) searchPatientsElsewhere(values url.Values) (here bool, err error) {
	source, err := x.oneSource(values)
	switch {
	case err != nil:
		return false, err
	case source == "" && x.user.Given():
		return false, refuseUserHere()
	case source == "" || x.s.deps.Elsewhere == nil:
		return true, nil
	}
	values = maps.Clone(values)
	delete(values, "source")
	q, err := x.patientQuery(values)
	if err != nil {
		return false, err
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	found, more, err := x.s.deps.Elsewhere.PatientsAt(ctx, x.bookingCaller(), source, q.asked, max(q.count, 1))
	if err != nil {
		return false, err
	}
	bundle, err := x.patientsElsewhere(source, q, found, more)
	if err != nil {
		return false, err
	}
	return false, x.resource(fiber.StatusOK, bundle)
}

// patientsElsewhere writes them, each under the address that the source has for
// it: so it may be named from then on. What was asked for is not repeated in an
// address: it names a person.
func (x *exchange) patientsElsewhere(source scheduling.SourceID, q patientQuery, found []scheduling.Registration, more bool) (*model.Bundle, error) {
	bundle := fhir.SearchSet(len(found), x.s.root(x.release)+"/"+patientType+"?source="+url.QueryEscape(string(source)), "")
	for i, r := range found {
		if i >= q.count {
			break
		}
		patient, err := fhir.PatientAt(source, r)
		if err != nil {
			return nil, err
		}
		fhir.AddMatch(bundle, x.baseOf(source), patient)
	}
	outcome := &model.OperationOutcome{}
	if len(q.unknown)+len(q.cut) > 0 {
		outcome = fhir.FindOutcome(fhir.Find{Unknown: q.unknown, Cut: q.cut}, scheduling.Found{})
	}
	if more {
		outcome.Issue = append(outcome.Issue, fhir.Told("information", "informational", "there are more; say more exactly who is meant", ""))
	}
	if len(outcome.Issue) > 0 {
		addOutcome(bundle, outcome)
	}
	return bundle, nil
}

// baseOf is where a source speaks FHIR.
func (x *exchange) baseOf(source scheduling.SourceID) string {
	for _, s := range x.s.live.Load().sources {
		if s.ID == source {
			return s.Base
		}
	}
	return ""
}
