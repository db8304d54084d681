package booking

import (
	"context"

	"slotgate/scheduling"
)

// Cancel cancels an appointment, or releases a hold. One that is cancelled
// already is a success and is not touched again. While a booking is in doubt the
// cancel is kept, and done once it is settled.
//
// Errors: unknown-id, ErrState, ErrVersion, and those of the source.
func (d *Desk) Cancel(ctx context.Context, c Caller, req CancelRequest) (View, error) {
	req.Reason = reasonCode(req.Reason)
	if scheduling.IsElsewhereID(req.ID) {
		return d.cancelElsewhere(ctx, c, req)
	}
	return d.once(ctx, c, toCancel, req.Key, req.ID, digestOf("cancel", req.ID, req.Reason, req.IfMatch, string(req.Status), req.Sent), func() (View, error) {
		for range maxRaces {
			v, again, err := d.tryCancel(ctx, c, req)
			if !again {
				return v, err
			}
		}
		return View{}, busy("")
	})
}

func (d *Desk) tryCancel(ctx context.Context, c Caller, req CancelRequest) (v View, again bool, err error) {
	e, err := d.own(ctx, c, req.ID)
	if err != nil {
		return View{}, false, err
	}
	if err := d.checkPatch(e, req); err != nil {
		return View{}, false, err
	}
	if e.State == scheduling.EntryCancelled && e.Absent != nil {
		// It was never seen as cancelled: it may stand after all.
		if e, err = d.refresh(ctx, e); err != nil {
			return View{}, false, d.blame(ctx, e, err)
		}
	}
	switch e.State {
	case scheduling.EntryCancelled, scheduling.EntryNotBooked, scheduling.EntryReleasing, scheduling.EntryFree:
		return d.view(e), false, nil
	case scheduling.EntryHolding:
		e, err = d.await(ctx, e)
		if err == nil && e.State == scheduling.EntryHolding {
			err = busy(e.Source)
		}
		return View{}, err == nil, err
	case scheduling.EntryHeld:
		e, err = d.release(ctx, e, orReleased(req.Reason), 0)
	case scheduling.EntryBooking, scheduling.EntryDoubt:
		e, again, err = d.wish(ctx, e, req.Reason)
	default:
		if err := cameToNothing(e, cancelKey(req.Key)); err != nil {
			return View{}, false, err
		}
		e, again, err = d.cancelBooked(ctx, e, cancelHow{reason: req.Reason, key: cancelKey(req.Key), wait: true})
	}
	if err == errOvertaken {
		return View{}, true, nil
	}
	return d.view(e), again, err
}

// reasonCode lets codes through, and no free text: it is kept in clear.
func reasonCode(reason string) string {
	if reason == "" || scheduling.ValidID(reason) {
		return reason
	}
	return "other"
}

func orReleased(reason string) string {
	if reason == "" {
		return "released"
	}
	return reason
}

// own reads an entry of the caller's: to everyone else the id is unknown.
func (d *Desk) own(ctx context.Context, c Caller, id string) (scheduling.Entry, error) {
	if !scheduling.ValidID(id) {
		return scheduling.Entry{}, refuseUnknown()
	}
	e, err := d.Books.Read(ctx, id)
	if is(err, scheduling.UnknownID) {
		if _, ok := d.Offers.Offer(id); ok {
			return e, refuseState("nobody has held or booked this; it is an offer")
		}
		return e, refuseUnknown()
	}
	if err != nil {
		return e, err
	}
	if e.Principal != c.Principal {
		return e, refuseUnknown()
	}
	return e, nil
}

// checkPatch holds what the caller saw against what is.
func (d *Desk) checkPatch(e scheduling.Entry, req CancelRequest) error {
	if req.IfMatch != 0 && req.IfMatch != e.Version {
		return refuseVersion()
	}
	if req.Status != "" && req.Status != e.Status() {
		return refuseState("the appointment's status is another one than the patch expects")
	}
	if req.Check != nil {
		return req.Check(d.view(e))
	}
	return nil
}

// wish keeps a cancel until the booking is settled.
func (d *Desk) wish(ctx context.Context, e scheduling.Entry, reason string) (scheduling.Entry, bool, error) {
	e, err := d.await(ctx, e)
	if err != nil || e.State != scheduling.EntryBooking && e.State != scheduling.EntryDoubt {
		return e, err == nil, err
	}
	e, err = d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryDoubt && e.State != scheduling.EntryBooking {
			return false
		}
		if e.Wanted == nil {
			e.Wanted = &scheduling.Wish{At: d.now(), Reason: reason}
		}
		change.Wake = d.opts.LookEvery
		if e.State == scheduling.EntryBooking {
			_, can, err := d.ehr(e.Source)
			if err != nil {
				return false
			}
			change.Wake = d.takeover(can)
		}
		return true
	})
	return e, false, err
}

// cancelHow is why and how a booked appointment is cancelled.
type cancelHow struct {
	reason string
	key    string // digest of the idempotency key; "" without one
	wait   bool   // for a cancel that is under way
	// replacedBy is the entry that takes its place; reserve: it is booked once
	// this one is cancelled, whose slots are kept until then.
	replacedBy string
	reserve    bool
}

// cancelBooked cancels what is booked: it looks first, since the clinic may have
// changed it, then saves the intent, calls once, and reads back.
func (d *Desk) cancelBooked(ctx context.Context, e scheduling.Entry, how cancelHow) (scheduling.Entry, bool, error) {
	if how.wait && e.State == scheduling.EntryCancelling {
		if e.Intent.Kind == scheduling.CallMove {
			return e, false, refuseState("the appointment is being rescheduled")
		}
		e, err := d.await(ctx, e)
		return e, err == nil && e.State == scheduling.EntryBooked, err
	}
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return e, false, err
	}
	ctx = context.WithoutCancel(ctx)
	a, found, err := d.readOne(ctx, e.Native, ehr, can, scheduling.ForBook)
	if err != nil {
		return e, false, d.blame(ctx, e, err)
	}
	d.absences.note(e, found, d.now())
	if !found {
		a.ETag = e.ETag // it is sent all the same: what is not shown may stand
	} else if e, err = d.mayCancel(ctx, e, a, ehr, can); err != nil || e.State != scheduling.EntryBooked {
		return e, false, err
	}
	e, err = d.toCancelling(ctx, e, a, how, can)
	if err != nil {
		return e, false, err
	}
	d.reach("cancel.intent")
	return d.callCancel(ctx, e, ehr, can)
}

// mayCancel judges the read before a cancel: an entry that comes back in another
// state than booked has ended. What others have now is not ours to cancel.
func (d *Desk) mayCancel(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	whose := ownerOf(e, a)
	switch {
	case a.Status.Void():
		return d.gone(ctx, e, a, true, ehr, can)
	case whose == given:
		return d.givenAway(ctx, e, ehr, can)
	case whose != stillOurs:
		return e, refuseState("the source shows other patients for this appointment; the clinic must be asked")
	case !a.Status.Cancellable():
		e, _ = d.noticed(ctx, e, a)
		return e, refuseState("an appointment in this status cannot be cancelled")
	default:
		return e, nil
	}
}

// cancelRefused is the reason of a booked entry whose cancel came to nothing.
const cancelRefused = "cancel-refused"

func (d *Desk) toCancelling(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, how cancelHow, can scheduling.Abilities) (scheduling.Entry, error) {
	return d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked {
			return false
		}
		e.State, e.ETag, e.Reason = scheduling.EntryCancelling, a.ETag, how.reason
		if how.replacedBy != "" {
			if e.ReplacedBy != how.replacedBy {
				return false // another one takes its place
			}
			e.Reserve = how.reserve
		}
		d.intend(e, scheduling.CallCancel)
		e.Intent.Key = how.key
		change.Intent, change.Wake = true, d.takeover(can)
		return true
	})
}

// callCancel calls the EHR once and reads back. The intent has been saved.
func (d *Desk) callCancel(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (scheduling.Entry, bool, error) {
	wctx, cancel := d.writeCtx(ctx, can, e.Intent)
	reason := e.Reason
	err := ehr.Cancel(wctx, scheduling.CancelCall{Offer: e.Offer, Native: e.Native, ETag: e.ETag, Reason: reason, Identifier: e.Identifier})
	cancel()
	d.reach("cancel.answered")
	a, found, rerr := d.readOne(ctx, e.Native, ehr, can, scheduling.ForBook)
	d.reach("cancel.read")
	switch {
	case rerr == nil && found && a.Status.Void():
		e, rerr = d.cancelled(ctx, e, a, ehr, can)
		return e, false, rerr
	case rerr == nil && !found, is(err, scheduling.UnknownID):
		// Not shown is not cancelled, whatever was answered: reading settles it.
		d.absences.note(e, false, d.now())
		e, rerr = d.doubtCancel(ctx, e, can)
		return e, false, rerr
	case err == nil || is(err, scheduling.InDoubt, scheduling.Internal):
		e, rerr = d.doubtCancel(ctx, e, can)
		return e, false, rerr
	default:
		e, rerr = d.stillBooked(ctx, e, scheduling.CodeOf(err))
		if rerr != nil {
			return e, false, rerr
		}
		return e, false, d.blame(ctx, e, err)
	}
}

// doubtCancel: the EHR has not shown yet that it cancelled.
func (d *Desk) doubtCancel(ctx context.Context, e scheduling.Entry, can scheduling.Abilities) (scheduling.Entry, error) {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		if e.Doubt == nil {
			e.Doubt = &scheduling.Doubt{Since: intent.SentAt, Call: scheduling.CallCancel}
		}
		d.lookAgain(e, change, can)
		return true
	})
	if is(err, scheduling.Shedding) && err != errOvertaken {
		return e, nil // the intent is in the books
	}
	return d.overtaken(ctx, saved, err)
}

// cancelled ends a cancel: the EHR shows it, or, where a is none, has shown
// nothing for long enough; that is looked at still. Then it is looked whether the slot
// is free, and its window is fetched again in any case.
func (d *Desk) cancelled(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	var free bool
	if a.ID != "" {
		free = d.vacated(ctx, e, ehr, can, scheduling.ForBook)
	} else { // it may stand: nothing is freed
		free, _ = d.slotsFree(ctx, ehr, can, e, scheduling.ForBook)
	}
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		e.State = scheduling.EntryCancelled
		if e.Undo && !e.Reserve {
			e.State = scheduling.EntryNotBooked
		}
		e.Undo = e.Undo && !e.Reserve // to be booked back, once more
		e.Intent.Over, e.Doubt, e.Wanted, e.Hold, e.Unproved = true, nil, nil, nil, !free
		e.Seen, e.SeenAt = scheduling.ApptCancelled, d.now()
		if a.ETag != "" {
			e.ETag = a.ETag
		}
		change.Claims = scheduling.ClaimsFence
		if a.ID != "" || e.State != scheduling.EntryCancelled {
			e.Absent = nil
		} else if e.Absent != nil {
			change.Wake = d.absentWake(*e)
		}
		if e.Reserve { // until the new one is booked
			change.Claims, change.Wake = scheduling.ClaimsKeep, d.pause(e.Created)
		}
		return true
	})
	if err != nil {
		if is(err, scheduling.Shedding) {
			return e, nil
		}
		return d.overtaken(ctx, saved, err)
	}
	d.reach("cancel.saved")
	d.absences.ended(saved)
	d.refetch(saved)
	d.keepOld(ctx, saved)
	return saved, nil
}

// vacated tells whether the slots of what does not stand are free. Where nobody
// else frees them, and whoever cancelled has not come to it, they are freed now.
func (d *Desk) vacated(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (free bool) {
	free, known := d.slotsFree(ctx, ehr, can, e, purpose)
	if free || !known {
		return free
	}
	wctx, cancel := context.WithTimeout(ctx, can.CallTimeout)
	err := ehr.Vacate(wctx, scheduling.VacateCall{Offer: e.Offer, Native: e.Native, Identifier: e.Identifier})
	cancel()
	if err != nil {
		d.Log.WarnContext(ctx, "a slot that nothing stands on is not freed", "entry", e, "error", err)
		return false
	}
	free, _ = d.slotsFree(ctx, ehr, can, e, purpose)
	return free
}

// stillBooked ends a cancel that the EHR refused, or that had no effect ("").
// What must not stand is tried again later.
func (d *Desk) stillBooked(ctx context.Context, e scheduling.Entry, why scheduling.Code) (scheduling.Entry, error) {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		e.Intent.Over, e.Intent.Refused, e.Doubt, e.Absent = true, why, nil, nil
		if e.Undo {
			change.Wake = d.pause(e.Created)
			return true
		}
		if e.Reserve || e.Intent.Kind == scheduling.CallMove {
			e.ReplacedBy = "" // the journey ends here
		}
		e.State, e.Reason, e.Reserve = scheduling.EntryBooked, cancelRefused, false
		change.Wake = d.bookedWake(*e)
		if e.Wanted != nil {
			change.Wake = d.pause(e.Wanted.At)
		}
		return true
	})
	if err == nil && saved.Undo {
		d.alarm(ctx, "cancel-refused", saved)
	}
	if err == nil {
		d.Log.WarnContext(ctx, "the source did not cancel", "entry", saved, "code", string(why))
	}
	return d.overtaken(ctx, saved, err)
}
