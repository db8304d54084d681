package booking

import (
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// covers is what of the patients' coverage goes with a booking.
type covers struct {
	way   scheduling.CoverWay
	steps []scheduling.CoverStep
	lacks bool // the source wants coverage first, and a patient has none
}

// ahead tells whether some must be sent before the booking.
func (c covers) ahead() bool {
	return scheduling.Private{Coverages: c.steps}.Covers(scheduling.CoverAsked)
}

// coversOf finds what coverage goes with a booking, and how far it has come.
func (d *Desk) coversOf(ctx context.Context, c Caller, req BookRequest, source scheduling.SourceID, before []scheduling.CoverStep) (covers, error) {
	if d.Insurance == nil {
		if len(req.Coverages) > 0 {
			return covers{}, scheduling.Refuse(scheduling.NotSupported, "coverage", "coverage is not taken here")
		}
		return covers{}, nil
	}
	list, err := d.Insurance.CoverageFor(ctx, c.Principal, source, req.Patients, req.Coverages)
	if err != nil {
		return covers{}, err
	}
	plan := covers{way: d.Insurance.Covering(source).Way}
	for _, one := range list {
		step := scheduling.CoverStep{ID: one.ID, State: firstState(plan.way)}
		if at := slices.IndexFunc(before, func(s scheduling.CoverStep) bool { return s.ID == one.ID }); at >= 0 {
			step = before[at]
		}
		switch {
		case one.Has:
			step.State, step.Reason = scheduling.CoverSent, ""
		case one.Unsent:
			step.State, step.Reason = scheduling.CoverNotSent, ""
		}
		plan.steps = append(plan.steps, step)
	}
	plan.lacks = plan.way == scheduling.CoverFirst && slices.ContainsFunc(req.Patients, func(patient string) bool {
		covered := slices.ContainsFunc(list, func(one Covered) bool { return one.Patient == patient && !one.Dead })
		return scheduling.OwnPatientID(patient) && !covered
	})
	return plan, nil
}

// firstState is where a coverage begins.
func firstState(way scheduling.CoverWay) scheduling.CoverState {
	switch way {
	case scheduling.CoverBefore, scheduling.CoverFirst:
		return scheduling.CoverAsked
	case scheduling.CoverAfter:
		return scheduling.CoverLater
	default:
		return scheduling.CoverNotSent
	}
}

// undone are the steps of a journey that the entry is in the middle of. What an
// earlier booking left says nothing.
func undone(e scheduling.Entry) []scheduling.CoverStep {
	if e.Journey == nil {
		return nil
	}
	return e.Private.Coverages
}

// coverAhead sends coverage before the appointment is made. Where the source
// insists on it, its refusal ends the booking; else it is told beside it.
func (d *Desk) coverAhead(ctx context.Context, c Caller, e scheduling.Entry, with covers) error {
	e, err := d.toStep(ctx, e, scheduling.StepCover, func(p *scheduling.Private) { p.Coverages = with.steps })
	if err != nil {
		return err
	}
	for _, step := range with.steps {
		if step.State != scheduling.CoverAsked {
			continue
		}
		d.reach("journey.cover")
		step, err := d.send(ctx, c.Principal, e.Source, step)
		d.reach("journey.covered")
		if err != nil && with.way == scheduling.CoverFirst {
			return uncovered(err)
		}
		e, err = d.toStep(ctx, e, scheduling.StepCover, func(p *scheduling.Private) { p.Coverages = replaced(p.Coverages, step) })
		if err != nil {
			return err
		}
	}
	return nil
}

// uncovered is why a booking that wants coverage first is not made.
func uncovered(err error) error {
	e := *scheduling.AsError(err)
	switch e.Code {
	case scheduling.InDoubt:
		e.Code, e.Message = scheduling.SourceDown, "it is not known yet whether the source took the coverage; nothing was booked; try again"
	case scheduling.NotSupported, scheduling.SourceRefused:
		e.Code = scheduling.NotAcceptable
	}
	if e.Param == "" {
		e.Param = "coverage"
	}
	return &e
}

// send has the source take one coverage, and gives the step as it is then. The
// error tells why the source has it not.
func (d *Desk) send(ctx context.Context, principal string, source scheduling.SourceID, step scheduling.CoverStep) (scheduling.CoverStep, error) {
	err := d.Insurance.SendCoverage(ctx, principal, source, step.ID)
	return stepAfter(step, err), err
}

// replaced is a copy of the steps with one in place of that of its id: what is
// in an entry is never changed in place.
func replaced(steps []scheduling.CoverStep, step scheduling.CoverStep) []scheduling.CoverStep {
	steps = slices.Clone(steps)
	for i := range steps {
		if steps[i].ID == step.ID {
			steps[i] = step
		}
	}
	return steps
}

// coverNow sends what of the coverage follows a booking that was made just now,
// as far as the caller's time goes. The rest is the settler's.
func (d *Desk) coverNow(ctx context.Context, v View) View {
	if !covering(v.Entry) {
		return v
	}
	e, err := d.coverAfter(ctx, v.Entry)
	if err != nil {
		if err != errOvertaken {
			d.Log.WarnContext(ctx, "what was sent of a coverage is not written down yet", "entry", e, "error", err)
		}
		return v
	}
	return d.view(e)
}

// covering tells whether a booked entry has coverage that is not sent yet.
func covering(e scheduling.Entry) bool {
	return e.State == scheduling.EntryBooked && e.Journey != nil && e.Private.Covers(scheduling.CoverAsked, scheduling.CoverLater)
}

// coverAfter sends what of the coverage follows the appointment, and writes down
// each as it was answered. What cannot be sent now is left for the settler, and
// given up after a day.
func (d *Desk) coverAfter(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	for covering(e) {
		at := slices.IndexFunc(e.Private.Coverages, func(s scheduling.CoverStep) bool {
			return s.State == scheduling.CoverAsked || s.State == scheduling.CoverLater
		})
		step, cause := e.Private.Coverages[at], error(scheduling.Refuse(scheduling.NotSupported, "coverage", "coverage is not taken here"))
		d.reach("cover.begin")
		if d.Insurance != nil {
			step, cause = d.send(ctx, e.Principal, e.Source, step)
		}
		d.reach("cover.answered")
		late := d.now().Sub(coverSince(e)) > d.opts.LookFor
		if cause != nil && step.State == scheduling.CoverLater && late {
			step.State = scheduling.CoverNotSent
			d.alarm(ctx, "coverage-not-sent", e)
			if err := d.giveUp(ctx, e, step.ID); err != nil {
				return e, err // it is listed first: it must not be silent
			}
		}
		saved, err := d.covered(ctx, e, step)
		if err != nil {
			return saved, err
		}
		if e = saved; step.State == scheduling.CoverLater || step.State == scheduling.CoverAsked {
			return e, nil // the settler goes on
		}
	}
	return e, nil
}

func (d *Desk) giveUp(ctx context.Context, e scheduling.Entry, id string) error {
	if d.Insurance == nil {
		return nil
	}
	return d.Insurance.CoverageGivenUp(ctx, e.Principal, e.Source, id)
}

// covered writes down what became of one coverage of a booked entry.
func (d *Desk) covered(ctx context.Context, e scheduling.Entry, step scheduling.CoverStep) (scheduling.Entry, error) {
	return d.step(context.WithoutCancel(ctx), e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked || e.Journey == nil {
			return false
		}
		d.metrics.journeys.WithLabelValues(string(e.Source), string(scheduling.StepCoverAfter)).Inc()
		e.Private.Coverages = replaced(e.Private.Coverages, step)
		e.Journey.Step = scheduling.StepDone
		if covering(*e) {
			e.Journey.Step = scheduling.StepCoverAfter
		}
		change.Wake = d.bookedWake(*e)
		return true
	})
}

// coverWake is when the settler takes over what of the coverage is not sent: not
// before whoever booked has had its time.
func (d *Desk) coverWake(e scheduling.Entry) time.Duration {
	if d.Insurance == nil {
		return d.opts.Margin
	}
	how := d.Insurance.Covering(e.Source)
	first := how.CallTimeout + 3*how.ReadTimeout + d.opts.Margin
	return max(first, d.pause(coverSince(e)))
}

// coverSince is when the coverage was to be sent first: with the booking, or when
// it was given later.
func coverSince(e scheduling.Entry) time.Time {
	if e.Intent != nil && e.Intent.SentAt.After(e.Journey.Since) {
		return e.Intent.SentAt
	}
	return e.Journey.Since
}
