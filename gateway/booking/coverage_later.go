package booking

import (
	"context"
	"errors"
	"slices"
	"time"

	"slotgate/scheduling"
)

// coverAt sends a coverage to the source of an appointment that stands. That it is
// to be sent is written down with the appointment first: whatever becomes of us,
// the settler goes on with it.
func (r *Registrar) coverAt(ctx context.Context, principal string, source scheduling.SourceID, id string, e scheduling.Entry) CoverResult {
	how := r.Covering(source)
	if how.Way == scheduling.CoverNone {
		return CoverResult{Source: source, NotSent: true}
	}
	wait := how.CallTimeout + 3*how.ReadTimeout + r.opts.Margin
	if err := r.note(ctx, e, scheduling.CoverStep{ID: id, State: scheduling.CoverLater}, wait); err != nil {
		return CoverResult{Source: source, Err: err}
	}
	r.reach("cover.noted")
	err := r.SendCoverage(ctx, principal, source, id)
	// The settler looks at the appointment next, and goes on where there is need.
	if lost := r.note(ctx, e, stepAfter(scheduling.CoverStep{ID: id}, err), time.Second); lost != nil {
		r.Log.WarnContext(ctx, "what was sent of a coverage is not written down yet", "entry", e, "error", lost)
	}
	return CoverResult{Source: source, Err: err}
}

// stepAfter is how far a coverage has come after it was sent.
func stepAfter(step scheduling.CoverStep, err error) scheduling.CoverStep {
	switch {
	case err == nil:
		step.State, step.Reason = scheduling.CoverSent, ""
	case is(err, scheduling.UnknownID):
		step.State = scheduling.CoverNotSent // forgotten meanwhile
	case refusedCoverage(err):
		step.State, step.Reason = scheduling.CoverRefused, scheduling.AsError(err).Message
	default:
		step.State = scheduling.CoverLater
	}
	return step
}

// note writes down how far a coverage has come with an appointment that is booked.
// One that is not is settled first, and takes along what is kept by then.
func (r *Registrar) note(ctx context.Context, e scheduling.Entry, step scheduling.CoverStep, wake time.Duration) error {
	for range maxRaces {
		if r.Books == nil || e.State != scheduling.EntryBooked {
			return nil
		}
		if step.State == scheduling.CoverSent && r.behind(ctx, e, step.ID) {
			step.State = scheduling.CoverLater // another version came in between
		}
		next := e.Clone()
		next.Private.Coverages = withStep(next.Private.Coverages, step)
		if next.Journey == nil || step.State == scheduling.CoverLater {
			next.Journey = &scheduling.Journey{Since: r.now()}
		}
		next.Journey.Step = scheduling.StepDone
		if covering(next) {
			next.Journey.Step = scheduling.StepCoverAfter
		}
		next.Updated = r.now()
		_, err := r.Books.Save(context.WithoutCancel(ctx), scheduling.EntryChange{Entry: next, Claims: scheduling.ClaimsKeep, Wake: wake})
		if !errors.Is(err, scheduling.ErrStaleEntry) {
			return err
		}
		if e, err = r.Books.Read(ctx, e.ID); err != nil {
			return err
		}
	}
	return busy(e.Source)
}

// behind tells whether the source has an older version than we.
func (r *Registrar) behind(ctx context.Context, e scheduling.Entry, id string) bool {
	c, err := r.coverage(ctx, e.Principal, id)
	if err != nil {
		return false
	}
	links, err := r.Coverages.CoverageLinks(ctx, e.Principal, id)
	return err == nil && links[e.Source].Version < c.Version
}

// withStep is a copy of the steps with one in place of that of its id, or after
// them.
func withStep(steps []scheduling.CoverStep, step scheduling.CoverStep) []scheduling.CoverStep {
	if slices.ContainsFunc(steps, func(s scheduling.CoverStep) bool { return s.ID == step.ID }) {
		return replaced(steps, step)
	}
	return append(slices.Clone(steps), step)
}
