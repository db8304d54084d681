package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// refused judges a definite refusal. Before anybody is told that the slot is
// taken our own identifier is looked for: our own lost call may have it. A
// refusal that is in no table is read back.
func (d *Desk) refused(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, cause error) (scheduling.Entry, error) {
	unclear := is(cause, scheduling.SourceRefused, scheduling.SourceNonsense, scheduling.SourceSlow)
	if unclear || is(cause, scheduling.SlotTaken) && can.Search {
		appt, found, err := d.look(ctx, e, ehr, can, scheduling.ForBook)
		switch {
		case err == nil && found && !appt.Status.Void():
			if standsForAnother(e, appt, cause) {
				return d.notBooked(ctx, e, refuseTaken(e.Source), true)
			}
			return d.judge(ctx, e, appt, unanswered, ehr, can)
		case unclear && (err != nil || !can.Search):
			// Nothing shows what an answer that nobody knows meant, but the slot.
			if free, known := d.slotsFree(ctx, ehr, can, e, scheduling.ForBook); !known || !free {
				return d.toDoubt(ctx, e, "", ehr, can)
			}
		}
	}
	return d.notBooked(ctx, e, cause, is(cause, scheduling.SlotTaken))
}

// notBooked ends a booking that the EHR refused, and leaves nothing behind: a
// hold that still stands is the caller's again, unless the slot is taken.
func (d *Desk) notBooked(ctx context.Context, e scheduling.Entry, cause error, taken bool) (scheduling.Entry, error) {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if !sameCall(*e, intent) {
			return false
		}
		return d.endRefused(e, change, taken, string(scheduling.CodeOf(cause)))
	})
	if err != nil {
		// The settler has it, or the store is away: it finds the same.
		if saved, err = d.overtaken(ctx, e, err); err != nil {
			return saved, err
		}
		if saved.State == scheduling.EntryDoubt || saved.State.InFlight() {
			return saved, nil
		}
		return saved, d.blame(ctx, e, cause)
	}
	d.reach("refused.saved")
	d.afterRefused(ctx, saved, taken)
	d.giveBack(ctx, e, cause)
	return saved, d.blame(ctx, e, cause)
}

// endRefused chooses the state after a refusal.
func (d *Desk) endRefused(e *scheduling.Entry, change *scheduling.EntryChange, taken bool, reason string) bool {
	e.Native, e.ETag = "", ""
	hold := ehrHold(e.Hold)
	switch {
	case e.State == scheduling.EntryDoubt:
		d.endDoubt(e, change)
	case e.State != scheduling.EntryBooking:
		return false
	case e.Used:
		d.endDoubt(e, change)
	case taken && hold != nil:
		// Whatever is left of our hold must not stay.
		e.State, e.Doubt = scheduling.EntryReleasing, nil
		d.intend(e, scheduling.CallRelease)
		change.Wake = d.opts.LookEvery
	case taken || e.Hold == nil:
		d.free(e, change, taken)
	default:
		d.holdAgain(e, change)
	}
	e.Reason = reason
	return true
}

// afterRefused does what a refusal leads to outside of the books.
func (d *Desk) afterRefused(ctx context.Context, e scheduling.Entry, taken bool) {
	if taken {
		d.refetch(e)
	}
	switch e.State {
	case scheduling.EntryReleasing:
		ehr, can, err := d.ehr(e.Source)
		if err == nil {
			_, err = d.callRelease(ctx, e, ehr, can, scheduling.ForHold)
		}
		if err != nil && err != errOvertaken {
			d.Log.WarnContext(ctx, "what is left of a hold is not released yet", "entry", e, "error", err)
		}
	case scheduling.EntryFree, scheduling.EntryNotBooked:
		d.dropHold(ctx, e.Principal, e.ID)
	}
}

// wrongOne cancels an appointment that the EHR made other than asked: for
// another patient, at another time. It is never called booked (law 1).
func (d *Desk) wrongOne(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, differs string, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	d.alarm(ctx, "wrong-"+differs, e)
	cause := scheduling.Blame(scheduling.SourceNonsense, e.Source, nil, "the source booked something else than asked; it is being cancelled")
	done, err := d.undo(ctx, e, a, "wrong-"+differs, ehr, can)
	if err != nil && err != errOvertaken {
		d.Log.ErrorContext(ctx, "a wrong appointment is not cancelled yet", "entry", done, "error", err)
	}
	d.giveBack(ctx, done, cause)
	return done, cause
}

// undo cancels what must not stand, again and again until the EHR shows it gone.
func (d *Desk) undo(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, reason string, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	intent := e.Intent
	e, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if !e.State.MayBecome(scheduling.EntryCancelling) || e.State == scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		e.State, e.Used, e.Undo = scheduling.EntryCancelling, true, true
		e.Native, e.ETag, e.Reason, e.Doubt = a.ID, a.ETag, reason, nil
		d.intend(e, scheduling.CallCancel)
		change.Intent, change.Wake = true, d.takeover(can)
		return true
	})
	if err != nil {
		return e, err
	}
	d.reach("undo.intent")
	e, _, err = d.callCancel(ctx, e, ehr, can)
	return e, err
}

// giveBackLater keeps a place that was given up for a reschedule: it is booked
// back again, for a day, whatever the EHR says.
func (d *Desk) giveBackLater(e *scheduling.Entry, change *scheduling.EntryChange) {
	e.State, e.Doubt, e.Intent.Over = scheduling.EntryCancelled, nil, true
	change.Wake = d.pause(e.SeenAt)
}

// endDoubt says that what was in doubt is not booked. Reads go on for a day.
func (d *Desk) endDoubt(e *scheduling.Entry, change *scheduling.EntryChange) {
	if e.Reserve && d.now().Sub(e.SeenAt) <= d.opts.LookFor {
		d.giveBackLater(e, change)
		return
	}
	e.Reserve = false
	e.State, e.Used, e.Hold = scheduling.EntryNotBooked, true, nil
	e.Intent.Over = true
	change.Claims = scheduling.ClaimsFence
	change.Wake = 0
	if e.Doubt == nil {
		return
	}
	if e.Doubt.Unresolved {
		e.Doubt.Seen = "" // it decides nothing any more
	}
	e.Doubt.Unresolved = false
	if left := e.Doubt.Since.Add(d.opts.LookFor).Sub(d.now()); left > 0 {
		change.Wake = min(d.pause(e.Doubt.Since), max(left, time.Second))
	}
}
