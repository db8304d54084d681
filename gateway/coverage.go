package gateway

import (
	"bytes"
	"context"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// Coverages are the insurances that were given here, each principal's own. It
// must be safe for concurrent use. Errors are *scheduling.Error.
type Coverages interface {
	// GiveCoverage keeps one; added is false where the same one was given before,
	// which is given then. Errors: unknown-id where it names somebody who is no
	// patient of the principal's.
	GiveCoverage(ctx context.Context, principal string, c scheduling.Coverage, key string) (known scheduling.Coverage, added bool, err error)
	// ChangeCoverage keeps c in place of the one of its id. Errors: unknown-id;
	// around booking.ErrVersion.
	ChangeCoverage(ctx context.Context, principal string, c scheduling.Coverage, version uint64) (scheduling.Coverage, error)
	// TakeBackCoverage forgets one that was given just now, and sent nowhere.
	TakeBackCoverage(ctx context.Context, principal string, c scheduling.Coverage) error
	// ReadCoverage gives one. Errors: unknown-id.
	ReadCoverage(ctx context.Context, principal, id string) (scheduling.Coverage, error)
	// Cover sends one to the sources where its patient has appointments to come.
	Cover(ctx context.Context, principal, id string) ([]booking.CoverResult, error)
}

const coverageType = "Coverage"

// serveCoverages registers what is done with coverage at one base.
func (s *Server) serveCoverages(base string) {
	add := func(method, path string, handle handler) {
		s.app.Add(method, base+path, s.private(base+path, handle))
	}
	add(fiber.MethodPost, "/Coverage", (*exchange).giveCoverage)
	add(fiber.MethodPut, "/Coverage/:id", (*exchange).changeCoverage)
	for _, method := range []string{fiber.MethodGet, fiber.MethodHead} {
		add(method, "/Coverage/:id", (*exchange).readCoverage)
	}
	add(fiber.MethodPost, "", (*exchange).transaction)
	add(fiber.MethodPost, "/", (*exchange).transaction)
}

// coverageServed tells of it in the CapabilityStatement.
func coverageServed() fhir.ServedType {
	return fhir.ServedType{Type: coverageType, Interactions: []string{"read", "create", "update"}}
}

// bases are our own addresses.
func (s *Server) bases() []string {
	var list []string
	for _, rel := range releases() {
		list = append(list, s.root(rel))
	}
	return list
}

// coverageBody reads the Coverage that was sent.
func (x *exchange) coverageBody() (given *model.Coverage, err error) {
	format, ok := fhir.FormatOf(x.header(fiber.HeaderContentType))
	if !ok {
		return nil, refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	// What is read keeps parts of the text: the text must be ours.
	return fhir.DecodeCoverage(x.release, format, bytes.Clone(x.body()))
}

// giveCoverage answers POST Coverage: 201, or 200 with the one that is known.
func (x *exchange) giveCoverage() error {
	if len(x.c.Request().Header.PeekAll(headerIfNoneExist)) > 0 {
		return scheduling.Refuse(scheduling.NotAcceptable, headerIfNoneExist, "create without If-None-Exist: what is known already is answered with 200")
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	given, err := x.coverageBody()
	if err != nil {
		return err
	}
	c, err := fhir.CoverageOf(x.release, given, fhir.CoverageContext{Bases: x.s.bases()})
	if err != nil {
		return err
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	known, added, err := x.s.deps.Coverages.GiveCoverage(ctx, x.principalName(), c, key)
	if err != nil {
		return err
	}
	// Told with a refusal too: what was refused is changed there.
	x.c.Set(fiber.HeaderLocation, x.coverageAddress(known.ID))
	if err := x.cover(ctx, known.ID); err != nil {
		return err
	}
	status := fiber.StatusOK
	if added {
		status = fiber.StatusCreated
	}
	return x.answerCoverage(status, known)
}

func (x *exchange) coverageAddress(id string) string {
	return x.s.root(x.release) + "/" + coverageType + "/" + id
}

// cover has the sources take it where the patient has appointments.
func (x *exchange) cover(ctx context.Context, id string) error {
	results, err := x.s.deps.Coverages.Cover(ctx, x.principalName(), id)
	if err != nil {
		return err
	}
	return coverRefusal(results)
}

// coverRefusal is what a caller is told of several answers: first of all what
// they can change. It is nil where every source has it, or takes none.
func coverRefusal(results []booking.CoverResult) error {
	var worst *scheduling.Error
	for _, r := range results {
		if r.Err == nil || r.NotSent {
			continue
		}
		e := *scheduling.AsError(r.Err)
		if e.Code == scheduling.SourceRefused {
			// It was read and not taken, for whatever reason there is.
			e.Code = scheduling.NotAcceptable
		}
		if worst == nil || statusOf(e.Code) == fiber.StatusUnprocessableEntity && statusOf(worst.Code) != fiber.StatusUnprocessableEntity {
			worst = &e
		}
	}
	if worst == nil || worst.Code == scheduling.NotSupported {
		return nil
	}
	return worst
}

// answerCoverage answers with a Coverage that is kept here, and its version.
func (x *exchange) answerCoverage(status int, c scheduling.Coverage) error {
	x.c.Set(fiber.HeaderETag, etag(c.Version))
	return answerKept(x, status, "the coverage is kept at the gateway", c, fhir.CoverageFor)
}

// readCoverage answers GET Coverage/{id}.
func (x *exchange) readCoverage() error {
	c, err := x.s.deps.Coverages.ReadCoverage(x.ctx, x.principalName(), x.param("id"))
	if err != nil {
		return err
	}
	shown, err := fhir.CoverageFor(c)
	if err != nil {
		return err
	}
	x.c.Set(fiber.HeaderETag, etag(c.Version))
	return x.resource(fiber.StatusOK, shown)
}

// changeCoverage answers PUT Coverage/{id}. Ids are ours to give: at an id that
// we did not give this caller nothing can be put.
func (x *exchange) changeCoverage() error {
	id := x.param("id")
	version, err := x.ifMatch()
	if err != nil {
		return err
	}
	before, err := x.s.deps.Coverages.ReadCoverage(x.ctx, x.principalName(), id)
	switch {
	case scheduling.CodeOf(err) == scheduling.UnknownID:
		x.c.Set(fiber.HeaderAllow, "GET, HEAD")
		return &refusal{fiber.StatusMethodNotAllowed, scheduling.Refuse(scheduling.NotSupported, "id", "a Coverage gets its id from the gateway: POST it first")}
	case err != nil:
		return err
	}
	given, err := x.coverageBody()
	switch {
	case err != nil:
		return err
	case given.ID != "" && given.ID != id:
		return scheduling.Refuse(scheduling.BadRequest, "id", "the Coverage's id disagrees with the one in the address")
	}
	c, err := fhir.CoverageOf(x.release, given, fhir.CoverageContext{Bases: x.s.bases()})
	if err != nil {
		return err
	}
	if c.Patient != before.Patient {
		return scheduling.Refuse(scheduling.NotAcceptable, "Coverage.beneficiary", "the coverage is one of another patient; POST one for this patient")
	}
	c.ID = id
	ctx, cancel := x.bookingCtx()
	defer cancel()
	changed, err := x.s.deps.Coverages.ChangeCoverage(ctx, x.principalName(), c, version)
	if err != nil {
		return err
	}
	x.c.Set(fiber.HeaderLocation, x.coverageAddress(id))
	if err := x.cover(ctx, id); err != nil {
		return err
	}
	return x.answerCoverage(fiber.StatusOK, changed)
}
