package booking

import (
	"context"

	"slotgate/scheduling"
)

// settleCancel finds out what became of a cancel.
func (d *Desk) settleCancel(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	if e.Intent.Kind == scheduling.CallMove {
		return d.settleMovedOld(ctx, e)
	}
	if e.Intent.Over {
		return d.cancelOnceMore(ctx, e, ehr, can)
	}
	if e.Doubt == nil {
		var err error
		if e, err = d.doubtCancel(ctx, e, can); err != nil || e.Doubt == nil {
			return settling(err)
		}
	}
	a, found, err := d.readOne(ctx, e.Native, ehr, can, scheduling.ForSettle)
	switch {
	case err != nil:
		return d.lookCancel(ctx, e, can, false)
	case !found:
		return d.lookUnshown(ctx, e, ehr, can)
	case a.Status.Void():
		e, err = d.cancelled(ctx, e, a, ehr, can)
		d.countSettled(e)
		return settling(err)
	case !d.pastSettle(e.Doubt, can):
		return d.lookCancel(ctx, e, can, false)
	case e.Doubt.Looks+1 < 2:
		return d.lookCancel(ctx, e, can, true)
	default:
		_, err = d.stillBooked(ctx, e, "")
		return settling(err)
	}
}

func (d *Desk) lookCancel(ctx context.Context, e scheduling.Entry, can scheduling.Abilities, counts bool) error {
	intent := e.Intent
	_, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) || e.Doubt == nil {
			return false
		}
		if counts {
			e.Doubt.Looks++
			e.Absent = nil
		}
		e.Doubt.Unresolved = d.now().Sub(e.Doubt.Since) > d.opts.LookFor
		d.lookAgain(e, change, can)
		return true
	})
	return settling(err)
}

// lookUnshown: what was to be cancelled is not shown. Several such reads end the
// cancel.
func (d *Desk) lookUnshown(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	d.absences.note(e, false, d.now())
	intent := e.Intent
	e, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		d.missed(e)
		change.Wake = d.pause(e.Absent.Since)
		if e.Doubt != nil {
			e.Doubt.Unresolved = d.now().Sub(e.Doubt.Since) > d.opts.LookFor
			e.Doubt.Last, e.Doubt.Next = d.now(), d.now().Add(change.Wake)
		}
		return true
	})
	if err != nil || !d.lasting(ctx, e, can) {
		return settling(err)
	}
	e, err = d.cancelled(ctx, e, scheduling.Appointment{}, ehr, can)
	d.countSettled(e)
	return settling(err)
}

// notOursAnyMore ends the undoing of an appointment that somebody has changed
// since, and that is other patients' now: a person sees to what is left.
func (d *Desk) notOursAnyMore(ctx context.Context, e scheduling.Entry) error {
	d.alarm(ctx, "given-to-another", e)
	intent := e.Intent
	_, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) || !e.Undo {
			return false
		}
		e.State, e.Undo, e.Reserve, e.Unproved, e.Wanted, e.Hold = scheduling.EntryNotBooked, false, false, true, nil, nil
		change.Claims = scheduling.ClaimsFence
		return true
	})
	return settling(err)
}

// cancelOnceMore sends a new cancel for what must not stand: the one before it
// was settled as without effect.
func (d *Desk) cancelOnceMore(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	a, found, err := d.readOne(ctx, e.Native, ehr, can, scheduling.ForSettle)
	if err != nil {
		return d.sleep(ctx, e, d.pause(e.Created))
	}
	if !found {
		return d.lookUnshown(ctx, e, ehr, can)
	}
	changed := a.ETag == "" || a.ETag != e.ETag
	if whose := ownerOf(e, a); changed && (whose == given || whose == shared) && !a.Status.Void() {
		return d.notOursAnyMore(ctx, e)
	}
	intent := e.Intent
	e, err = d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		e.ETag = a.ETag
		d.intend(e, scheduling.CallCancel)
		change.Intent, change.Wake = true, d.takeover(can)
		return true
	})
	if err != nil {
		return settling(err)
	}
	if a.Status.Void() {
		_, err = d.cancelled(ctx, e, a, ehr, can)
		return settling(err)
	}
	_, _, err = d.callCancel(ctx, e, ehr, can)
	return settling(err)
}
