package booking

import (
	"context"

	"slotgate/scheduling"
)

// endOld ends the entry that a booked one replaces.
func (d *Desk) endOld(ctx context.Context, e scheduling.Entry) scheduling.Entry {
	old, err := d.Books.Read(ctx, e.Replaces)
	if err == nil && e.Way == scheduling.BookFirst && old.State == scheduling.EntryBooked {
		d.reach("reschedule.old")
		old, _, err = d.cancelBooked(ctx, old, cancelHow{reason: "replaced", replacedBy: e.ID})
	}
	if err == nil && e.Way != scheduling.BookFirst {
		old, err = d.resolveOld(ctx, old)
	}
	ended := err == nil && (old.State == scheduling.EntryCancelled && !old.Reserve && old.Absent == nil || old.State == scheduling.EntryNotBooked)
	tried := d.now().Sub(e.Intent.SentAt)
	intent := e.Intent
	saved, serr := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked || !sameCall(*e, intent) {
			return false
		}
		e.OldDone = ended || tried > d.opts.LookFor
		change.Wake = d.pause(intent.SentAt)
		if e.OldDone {
			change.Wake = d.bookedWake(*e)
		}
		return true
	})
	if serr != nil {
		return e
	}
	if !ended && saved.OldDone {
		d.alarm(ctx, "replaced-stands", old)
	}
	return saved
}

// keptOld is the reason of an entry that stands after all: the one that was to
// take its place does not.
const keptOld = "kept"

// keepOld keeps the old one of a reschedule whose new one was cancelled before
// the old one was, and says so in it.
func (d *Desk) keepOld(ctx context.Context, e scheduling.Entry) {
	if e.Replaces == "" || e.OldDone || e.Way != scheduling.BookFirst || e.State != scheduling.EntryCancelled {
		return
	}
	old, err := d.Books.Read(ctx, e.Replaces)
	if err == nil && old.State == scheduling.EntryBooked {
		_, err = d.step(ctx, old, func(o *scheduling.Entry, change *scheduling.EntryChange) bool {
			if o.State != scheduling.EntryBooked || o.ReplacedBy != e.ID {
				return false
			}
			o.ReplacedBy, o.Reason = "", keptOld
			change.Wake = d.bookedWake(*o)
			return true
		})
	}
	switch {
	case err == nil && old.State == scheduling.EntryCancelling:
		d.alarm(ctx, "nothing-left", old) // its cancel is under way
	case err != nil && err != errOvertaken:
		d.Log.WarnContext(ctx, "that a replaced appointment stands is not written down", "entry", e, "error", err)
	case err == nil && old.State == scheduling.EntryBooked:
		d.alarm(ctx, "replaced-kept", old)
	}
}

// oldEnded writes down that the old one of a reschedule has ended after its new
// one had: nothing is left to be told of it.
func (d *Desk) oldEnded(ctx context.Context, e scheduling.Entry) scheduling.Entry {
	if !oldStands(e) || e.State != scheduling.EntryCancelled {
		return e
	}
	old, err := d.Books.Read(ctx, e.Replaces)
	if err != nil || old.State == scheduling.EntryBooked || old.State == scheduling.EntryCancelling || old.Reserve {
		return e
	}
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		e.OldDone = true
		if e.Absent != nil {
			change.Wake = d.absentWake(*e)
		}
		return e.State == scheduling.EntryCancelled
	})
	if err != nil {
		return e
	}
	return saved
}

// giveBack sees to the old one after the new one came to nothing.
func (d *Desk) giveBack(ctx context.Context, e scheduling.Entry, cause error) {
	if e.Replaces == "" || e.Way != scheduling.Move && e.Way != scheduling.CancelFirst {
		return
	}
	old, err := d.Books.Read(ctx, e.Replaces)
	if err == nil && old.ReplacedBy == e.ID {
		_, err = d.resolveOld(ctx, old)
	}
	if err != nil && err != errOvertaken {
		d.Log.WarnContext(ctx, "a replaced appointment is not given back yet", "entry", e, "error", err)
	}
}

// resolveOld lets the new entry decide about the old one.
func (d *Desk) resolveOld(ctx context.Context, old scheduling.Entry) (scheduling.Entry, error) {
	if old.ReplacedBy == "" || old.State != scheduling.EntryCancelled && old.State != scheduling.EntryCancelling {
		return old, nil
	}
	if old.State == scheduling.EntryCancelled && !old.Reserve {
		return old, nil
	}
	if old.State == scheduling.EntryCancelling && old.Intent.Kind != scheduling.CallMove {
		return old, nil // its cancel has its own end
	}
	next, err := d.Books.Read(ctx, old.ReplacedBy)
	if err != nil {
		return old, err
	}
	about := next.Replaces == old.ID
	switch {
	case about && (next.State == scheduling.EntryBooking || next.State == scheduling.EntryDoubt):
		return old, d.sleep(ctx, old, d.pause(old.Intent.SentAt))
	case about && !next.Undo && next.Native != "" && (next.State == scheduling.EntryBooked || next.State == scheduling.EntryCancelling || next.State == scheduling.EntryCancelled):
		return d.replaced(ctx, old)
	case old.State == scheduling.EntryCancelling:
		return d.stillBooked(ctx, old, "")
	default:
		return d.bookBack(ctx, old)
	}
}

// replaced ends the old entry: another stands in its place.
func (d *Desk) replaced(ctx context.Context, old scheduling.Entry) (scheduling.Entry, error) {
	saved, err := d.step(ctx, old, func(o *scheduling.Entry, change *scheduling.EntryChange) bool {
		if o.State != old.State || o.ReplacedBy != old.ReplacedBy {
			return false
		}
		o.State, o.Reserve, o.Reason, o.Doubt = scheduling.EntryCancelled, false, "replaced", nil
		o.Intent.Over = true
		change.Claims = scheduling.ClaimsFence
		return true
	})
	if err == nil {
		d.refetch(saved)
	}
	return saved, err
}

// bookBack books the old slot again, which was kept from everyone else.
func (d *Desk) bookBack(ctx context.Context, old scheduling.Entry) (scheduling.Entry, error) {
	ehr, can, err := d.ehr(old.Source)
	if err != nil {
		return old, err
	}
	e, err := d.step(ctx, old, func(o *scheduling.Entry, change *scheduling.EntryChange) bool {
		if o.State != scheduling.EntryCancelled || !o.Reserve {
			return false
		}
		o.State, o.Native, o.ETag, o.Hold = scheduling.EntryBooking, "", "", nil
		d.intend(o, scheduling.CallBook)
		o.Identifier = d.identifier(o.ID, o.Principal, keyDigest("again "+o.Intent.SentAt.String()))
		change.Claims, change.Intent, change.Wake = scheduling.ClaimsTake, true, d.takeover(can)
		return true
	})
	if err != nil {
		return e, err
	}
	d.reach("giveback.intent")
	e, err = d.callBook(ctx, e, ehr, can)
	switch {
	case e.State == scheduling.EntryNotBooked:
		d.alarm(ctx, "nothing-left", e)
	case is(err, scheduling.SlotTaken):
		d.alarm(ctx, "not-given-back", e)
	}
	return e, err
}

// settleMovedOld lets the new entry decide about one that was frozen.
func (d *Desk) settleMovedOld(ctx context.Context, old scheduling.Entry) error {
	_, err := d.resolveOld(ctx, old)
	return settling(err)
}

// lookMoved reads the appointment that was to be moved.
func (d *Desk) lookMoved(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (scheduling.Appointment, bool, error) {
	a, found, err := d.readOne(ctx, e.Native, ehr, can, purpose)
	if err != nil || !found {
		return a, false, err
	}
	old, err := d.Books.Read(ctx, e.Replaces)
	if err != nil {
		return a, false, err
	}
	return a, !stays(old, a), nil
}

// stays tells that the appointment is where it was.
func stays(old scheduling.Entry, a scheduling.Appointment) bool {
	return a.Status.Stands() && a.Start.Equal(old.Offer.Start())
}

// movedWrong: the appointment is neither where it was nor where it should be.
// To cancel it would leave the patient with nothing: a person decides.
func (d *Desk) movedWrong(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, differs string) (scheduling.Entry, error) {
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return e, err
	}
	native, kept := e.Native, e
	e, err = d.toDoubt(ctx, e, native, ehr, can)
	if err != nil || e.State != scheduling.EntryDoubt {
		return e, err
	}
	if old, err := d.Books.Read(ctx, kept.Replaces); err == nil && stays(old, a) {
		return e, nil
	}
	d.alarm(ctx, "moved-wrong-"+differs, e)
	return e, d.lookLater(ctx, e, can, false, true)
}
