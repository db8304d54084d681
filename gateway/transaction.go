package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// registering is a transaction under way.
type registering struct {
	*exchange
	asked    *fhir.Transaction
	ctx      context.Context
	bare     bool // Prefer: return=minimal
	people   []fhir.Created
	ids      []string              // of the people
	made     []string              // of those who are new
	given    []scheduling.Coverage // those that are new
	coverage []fhir.Created
	coverIDs []string
}

// transaction answers POST [base]: a registration in one piece. It was judged as
// a whole before anything is kept; should the rest fail all the same, those who
// are new are forgotten again.
func (x *exchange) transaction() error {
	format, ok := fhir.FormatOf(x.header(fiber.HeaderContentType))
	if !ok {
		return refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	opts := fhir.TransactionOptions{Bases: x.s.bases(), MaxEntries: x.s.opts.MaxParams}
	asked, err := fhir.ReadTransaction(x.release, format, bytes.Clone(x.body()), opts)
	if err != nil {
		return err
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	r := &registering{exchange: x, asked: asked, ctx: ctx, bare: x.preferred() == "minimal"}
	if err := r.judge(); err != nil {
		return err
	}
	if err := r.run(); err != nil {
		r.undo()
		return err
	}
	return x.resource(fiber.StatusOK, asked.Answer(r.people, r.coverage))
}

// judge refuses what can be known to fail.
func (r *registering) judge() error {
	if err := r.whole(r.ctx, r.asked.Persons); err != nil {
		return err
	}
	return r.own(r.ctx, r.asked.Named)
}

// own refuses patients who are not the caller's.
func (x *exchange) own(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if _, err := x.s.deps.Patients.Patient(ctx, x.principalName(), id); err != nil {
			return err
		}
	}
	return nil
}

// whole refuses a person who would not be registered, before any of several is.
func (x *exchange) whole(ctx context.Context, people []scheduling.Registration) error {
	for i, person := range people {
		if err := x.s.deps.Patients.CheckPerson(ctx, x.principalName(), person); err != nil {
			return err
		}
		if slices.ContainsFunc(people[:i], func(other scheduling.Registration) bool {
			return person.SharesWith(other) && person.ContradictsPerson(other)
		}) {
			return scheduling.Refuse(scheduling.NotAcceptable, "Patient.identifier", "two patients of this request share an identifier, and are not one")
		}
	}
	return nil
}

func (r *registering) run() error {
	for _, person := range r.asked.Persons {
		known, added, err := r.s.deps.Patients.Register(r.ctx, r.principalName(), person, "")
		if err != nil {
			return err
		}
		r.ids = append(r.ids, known.ID)
		if added {
			r.made = append(r.made, known.ID)
		}
		shown, err := fhir.PatientFor(known)
		if err != nil {
			return err
		}
		r.people = append(r.people, r.created(added, "/"+patientType+"/"+known.ID, "", shown))
	}
	list, err := r.asked.Coverages(r.ids)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := r.keep(c); err != nil {
			return err
		}
	}
	r.tell()
	return nil
}

// keep keeps one coverage.
func (r *registering) keep(c scheduling.Coverage) error {
	known, added, err := r.s.deps.Coverages.GiveCoverage(r.ctx, r.principalName(), c, "")
	if err != nil {
		return err
	}
	if added {
		r.given = append(r.given, known)
	}
	shown, err := fhir.CoverageFor(known)
	if err != nil {
		return err
	}
	r.coverIDs = append(r.coverIDs, known.ID)
	r.coverage = append(r.coverage, r.created(added, "/"+coverageType+"/"+known.ID, etag(known.Version), shown))
	return nil
}

// tell sends the coverage where its patients have appointments, once all of it
// is kept. What a source says to it stands beside it: the rest is not undone.
func (r *registering) tell() {
	for i, id := range r.coverIDs {
		if err := r.cover(r.ctx, id); err != nil {
			issue := fhir.Issue(scheduling.AsError(err))
			issue.Severity = "warning"
			r.coverage[i].Issues = append(r.coverage[i].Issues, issue)
		}
	}
}

func (r *registering) created(added bool, path, tag string, shown model.Resource) fhir.Created {
	one := fhir.Created{Added: added, Location: r.s.root(r.release) + path, ETag: tag, Resource: shown}
	if r.bare {
		one.Resource = nil
	}
	return one
}

// undoTime is how long forgetting may take, whatever time was left.
const undoTime = 5 * time.Second

// undo forgets those whom this transaction has made, and what it has given to
// others.
func (r *registering) undo() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), undoTime)
	defer cancel()
	for _, c := range r.given {
		if err := r.s.deps.Coverages.TakeBackCoverage(ctx, r.principalName(), c); err != nil {
			r.s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a coverage of a transaction that failed is kept until its patient's time is over",
				slog.String("requestId", r.exchange.id), slog.String("coverage", c.ID), slog.String("error", r.cause(err)))
		}
	}
	for _, id := range r.made {
		if err := r.s.deps.Patients.Forget(ctx, r.principalName(), id); err != nil {
			r.s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a patient of a transaction that failed is forgotten when their time is over",
				slog.String("requestId", r.exchange.id), slog.String("patient", id), slog.String("error", r.cause(err)))
		}
	}
}
