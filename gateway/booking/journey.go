package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// A booking may have to do more than book: make the source know its patients,
// and send it their coverage. The slot is held first, where that can be done, so
// that nobody is registered for nothing; every step is written down in the entry
// before and after it. What has been done need not be repeated: who goes on with
// the journey, in whichever gateway, finds it in the entry and in the links.
//
//	hold -> register -> cover -> book -> read back -> cover after
//
// A journey that must stop gives back the hold that was made for it. One that
// nobody comes back for does so when its hold runs out. See settle.go for what
// is settled once it has been sent to book.

// travels tells whether something must be done before the booking.
func (p party) travels() bool { return !p.all || p.with.ahead() }

// travel does the next step that must come before the booking of what is held.
// again: go on from what is written down now.
func (d *Desk) travel(ctx context.Context, c Caller, req BookRequest, f found, ehr EHR, can scheduling.Abilities, p party) (View, bool, error) {
	if d.short(f.entry, can) && !*req.renewed {
		*req.renewed = true
		_, _, err := d.renew(ctx, f.entry, ehr, can)
		return View{}, err == nil, err
	}
	var err error
	if !p.all {
		err = d.registerAll(ctx, c, req, f.entry, p.with)
	} else {
		err = d.coverAhead(ctx, c, f.entry, p.with)
	}
	if err == nil || err == errOvertaken {
		return View{}, true, nil
	}
	d.breakOff(ctx, f.entry, err)
	return View{}, false, err
}

// short tells whether a hold may run out before the journey has come to the
// booking, and can be renewed.
func (d *Desk) short(e scheduling.Entry, can scheduling.Abilities) bool {
	return e.Hold.Until.Sub(d.now()) < d.takeover(can) && e.Hold.Until.Before(e.Hold.Max)
}

// toStep writes down that the journey has come to a step, with what belongs to
// it. The hold must not have run out by the store's clock.
func (d *Desk) toStep(ctx context.Context, e scheduling.Entry, step scheduling.JourneyStep, fill func(*scheduling.Private)) (scheduling.Entry, error) {
	e, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHeld {
			return false
		}
		if e.Journey == nil {
			e.Journey = &scheduling.Journey{Since: d.now()}
		}
		e.Journey.Step = step
		private := e.Private
		fill(&private)
		e.Private = private
		change.Unexpired, change.Wake = true, max(e.Hold.Until.Sub(d.now()), time.Millisecond)
		return true
	})
	switch {
	case err == nil:
		d.metrics.journeys.WithLabelValues(string(e.Source), string(step)).Inc()
	case is(err, scheduling.HoldExpired):
		d.expire(ctx, e)
	}
	return e, err
}

// registerAll makes the source know every patient of the booking.
func (d *Desk) registerAll(ctx context.Context, c Caller, req BookRequest, e scheduling.Entry, with covers) error {
	patients, _, err := d.patients(ctx, c, e.Source, req.Patients)
	if err != nil {
		return err
	}
	e, err = d.toStep(ctx, e, scheduling.StepRegister, func(p *scheduling.Private) {
		p.Patients, p.Comment, p.Coverages = patients, req.Comment, with.steps
	})
	if err != nil {
		return err
	}
	d.reach("journey.register")
	if err := d.register(ctx, c, e.Source, patients); err != nil {
		return err
	}
	d.reach("journey.registered")
	if patients, _, err = d.patients(ctx, c, e.Source, req.Patients); err != nil {
		return err
	}
	next := scheduling.StepBook
	if with.ahead() {
		next = scheduling.StepCover
	}
	_, err = d.toStep(ctx, e, next, func(p *scheduling.Private) { p.Patients = patients })
	return err
}

// breakOff ends a journey that will not be booked: the hold that was made for it
// is given back, and the caller's own is as it was.
func (d *Desk) breakOff(ctx context.Context, e scheduling.Entry, cause error) {
	if e.State == "" || e.State == scheduling.EntryFree {
		return // nothing was held
	}
	ctx = context.WithoutCancel(ctx)
	now, err := d.Books.Read(ctx, e.ID)
	if err == nil && now.State == scheduling.EntryHeld && now.Principal == e.Principal && now.Journey != nil {
		d.reach("journey.break")
		d.metrics.journeys.WithLabelValues(string(e.Source), "broken-off").Inc()
		if now.Journey.HeldHere {
			_, err = d.release(ctx, now, string(scheduling.CodeOf(cause)), 0)
		} else {
			err = d.forgetJourney(ctx, now)
		}
	}
	if err != nil && err != errOvertaken {
		d.Log.WarnContext(ctx, "a hold of a booking that will not be made is not released yet", "entry", e, "error", err)
	}
}

// forgetJourney leaves a caller's hold as it was.
func (d *Desk) forgetJourney(ctx context.Context, e scheduling.Entry) error {
	_, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHeld || e.Journey == nil {
			return false
		}
		e.Journey = nil
		e.Private.Coverages = nil
		change.Wake = max(e.Hold.Until.Sub(d.now()), time.Millisecond)
		return true
	})
	return err
}
