package booking

import (
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// toDoubt says that nobody knows what the EHR did; native is the appointment
// that may decide it, "" where none is known. The id is used up from here on.
func (d *Desk) toDoubt(ctx context.Context, e scheduling.Entry, native string, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	intent, first := e.Intent, e.State == scheduling.EntryBooking
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooking && e.State != scheduling.EntryDoubt || !sameCall(*e, intent) {
			return false
		}
		if e.Doubt == nil {
			e.Doubt = &scheduling.Doubt{Since: intent.SentAt, Call: intent.Kind}
		}
		e.State, e.Used = scheduling.EntryDoubt, true
		if native != "" {
			e.Doubt.Seen = native
		}
		d.lookAgain(e, change, can)
		return true
	})
	if err != nil {
		if scheduling.CodeOf(err) == scheduling.Shedding {
			return e, nil // the intent is in the books: in doubt it is
		}
		return d.overtaken(ctx, e, err)
	}
	d.reach("doubt.saved")
	if !first || native != "" {
		return saved, nil
	}
	appt, found, err := d.look(ctx, saved, ehr, can, scheduling.ForBook)
	if err != nil || !found {
		return saved, nil
	}
	return d.judge(ctx, saved, appt, unanswered, ehr, can)
}

func (d *Desk) lookAgain(e *scheduling.Entry, change *scheduling.EntryChange, can scheduling.Abilities) {
	wait := d.nextLook(e.Doubt, can)
	e.Doubt.Last, e.Doubt.Next = d.now(), d.now().Add(wait)
	change.Wake = wait
}

// look searches the EHR for what our call may have made. An error says nothing
// about it.
func (d *Desk) look(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (a scheduling.Appointment, found bool, err error) {
	if e.Intent != nil && e.Intent.Kind == scheduling.CallMove {
		return d.lookMoved(ctx, e, ehr, can, purpose)
	}
	if e.Doubt != nil && e.Doubt.Seen != "" {
		a, found, err = d.readOne(ctx, e.Doubt.Seen, ehr, can, purpose)
		if found || err != nil {
			return a, found, err
		}
	}
	if hold := ehrHold(e.Hold); hold != nil && hold.Native != "" {
		// Booking by id turns the pending appointment into the booked one.
		a, found, err = d.readOne(ctx, hold.Native, ehr, can, purpose)
		if err != nil || found && a.Status.Stands() {
			return a, found, err
		}
	}
	if !can.Search {
		return scheduling.Appointment{}, false, nil
	}
	return d.search(ctx, e, ehr, can, purpose)
}

func (d *Desk) readOne(ctx context.Context, native string, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (scheduling.Appointment, bool, error) {
	if native == "" {
		return scheduling.Appointment{}, false, noNative(can.Source)
	}
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	a, err := ehr.Read(rctx, native, purpose)
	if is(err, scheduling.UnknownID) {
		return a, false, nil
	}
	return a, err == nil, err
}

func (d *Desk) search(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (scheduling.Appointment, bool, error) {
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	// A day to either side: an EHR may have booked another time than asked.
	list, err := ehr.Find(rctx, scheduling.FindCall{
		Identifier: e.Identifier, Patients: e.Private.Natives(), Purpose: purpose,
		From: e.Offer.Start().Add(-24 * time.Hour), To: e.Offer.End().Add(24 * time.Hour),
	})
	if err != nil {
		return scheduling.Appointment{}, false, err
	}
	best, rank := scheduling.Appointment{}, 0
	for _, a := range list {
		if r := d.likeness(e, a); r > rank {
			best, rank = a, r
		}
	}
	return best, rank > 0, nil
}

// likeness tells how surely an appointment is the one that our call made: 0 is
// not at all. What was cancelled decides nothing: it may be an earlier try.
func (d *Desk) likeness(e scheduling.Entry, a scheduling.Appointment) int {
	if a.Status.Void() || a.Status == scheduling.ApptProposed {
		return 0
	}
	if a.HasIdentifier(e.Identifier) {
		if a.Status.Stands() {
			return 4
		}
		if hold := ehrHold(e.Hold); hold != nil && hold.Native == a.ID {
			return 0 // our hold, not our booking
		}
		return 3
	}
	// Another identifier of ours is another booking.
	if len(a.Identifiers) > 0 || !a.Status.Stands() || d.changedBefore(e, a, time.Minute) {
		return 0
	}
	v, notProved, _ := verify(e, a)
	switch {
	case v != matches || slices.Contains(notProved, "start"):
		return 0
	case e.State == scheduling.EntryNotBooked:
		return 1 // it was told as not booked: this may be anybody's
	default:
		return 2
	}
}

// settleDoubt finds out, by reading alone, what became of a booking.
func (d *Desk) settleDoubt(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	a, found, err := d.look(ctx, e, ehr, can, scheduling.ForSettle)
	switch {
	case err != nil:
		return d.lookLater(ctx, e, can, false, d.now().Sub(e.Doubt.Since) > d.opts.LookFor)
	case found:
		e, err = d.judge(ctx, e, a, unanswered, ehr, can)
		d.countSettled(e)
		return settling(err)
	case !d.pastSettle(e.Doubt, can):
		return d.lookLater(ctx, e, can, false, false)
	}
	clear, taken := d.fence(ctx, e, ehr, can)
	// An appointment that was to be moved can be read: that decides as well.
	search := can.Search || e.Intent.Kind == scheduling.CallMove
	switch {
	case clear && (search || !taken):
		if e.Doubt.Looks+1 >= 2 && (!taken || e.Doubt.Looks+1 >= looksIfTaken) {
			if taken && e.Intent.Kind != scheduling.CallMove { // it may be our own claim of it
				d.vacated(ctx, e, ehr, can, scheduling.ForSettle)
			}
			return d.settledNot(ctx, e)
		}
		return d.lookLater(ctx, e, can, true, false)
	default:
		// The slot decides, and it is taken, or nobody can say: a person must.
		return d.lookLater(ctx, e, can, false, !search)
	}
}

// looksIfTaken is how many reads must find nothing where the slot is not free: it
// is somebody else's, or the EHR is still at it.
const looksIfTaken = 4

// fence makes sure that our call cannot commit any more: the hold is released,
// the slot seen. clear is false while either is not known.
func (d *Desk) fence(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (clear, taken bool) {
	if hold := ehrHold(e.Hold); hold != nil {
		wctx, cancel := context.WithTimeout(ctx, can.CallTimeout)
		err := ehr.Release(wctx, scheduling.ReleaseCall{Offer: e.Offer, Hold: *hold})
		cancel()
		if err != nil && !is(err, scheduling.UnknownID, scheduling.NotAcceptable, scheduling.SlotTaken) {
			return false, false
		}
		if d.holdStands(ctx, e, hold, ehr, can, scheduling.ForSettle) {
			return false, false
		}
	}
	free, known := d.slotsFree(ctx, ehr, can, e, scheduling.ForSettle)
	if !known {
		// Where slots cannot be read at all, a search that works must do.
		search := can.Search || e.Intent.Kind == scheduling.CallMove
		return search && (!can.Slots || e.Offer.Slots[0].Virtual), false
	}
	return true, !free
}

// lookLater keeps the doubt. counts: this read found nothing, and could have.
func (d *Desk) lookLater(ctx context.Context, e scheduling.Entry, can scheduling.Abilities, counts, unresolved bool) error {
	intent, told := e.Intent, e.Doubt.Unresolved
	e, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryDoubt || !sameCall(*e, intent) {
			return false
		}
		if counts {
			e.Doubt.Looks++
			e.Doubt.Fenced = true
		}
		e.Doubt.Unresolved = e.Doubt.Unresolved && !counts || unresolved
		d.lookAgain(e, change, can)
		return true
	})
	if err == nil && unresolved && !told {
		d.alarm(ctx, "unresolved", e)
	}
	return settling(err)
}

// settledNot says that it is not booked.
func (d *Desk) settledNot(ctx context.Context, e scheduling.Entry) error {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryDoubt || !sameCall(*e, intent) {
			return false
		}
		e.Doubt.Fenced, e.Reason = true, "not-booked"
		d.endDoubt(e, change)
		return true
	})
	if err != nil {
		return settling(err)
	}
	d.countSettled(saved)
	if saved.State == scheduling.EntryCancelled {
		return nil
	}
	d.dropHold(ctx, saved.Principal, saved.ID)
	d.refetch(saved)
	d.giveBack(ctx, saved, nil)
	return nil
}

// watchLate goes on reading after *not booked* was said (law 5).
func (d *Desk) watchLate(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	if e.Doubt == nil {
		return d.sleep(ctx, e, 0)
	}
	left := e.Doubt.Since.Add(d.opts.LookFor).Sub(d.now())
	a, found, err := d.look(ctx, e, ehr, can, scheduling.ForSettle)
	if err != nil || !found || !a.Status.Stands() {
		if left <= 0 {
			return d.sleep(ctx, e, 0)
		}
		return d.sleep(ctx, e, min(d.pause(e.Doubt.Since), left))
	}
	if !oursLate(e, a) {
		return d.lateNotOurs(ctx, e, a, left)
	}
	d.alarm(ctx, "late", e)
	v, notProved, _ := verify(e, a)
	if v == matches && !can.LateCancel && e.Wanted == nil && e.Replaces == "" {
		_, err = d.booked(ctx, e, a, notProved)
		if !is(err, scheduling.SlotTaken) {
			return settling(err)
		}
	}
	_, err = d.undo(ctx, e, a, "late", ehr, can)
	return settling(err)
}

// lateNotOurs: what shows up after *not booked* was said may be our late booking,
// and may be anybody's. A person is told, once, and decides; ours may still come.
func (d *Desk) lateNotOurs(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, left time.Duration) error {
	wake := max(0, min(d.pause(e.Doubt.Since), left))
	if e.Doubt.Unresolved || e.Decision != nil || d.booksHave(ctx, e, a) {
		return d.sleep(ctx, e, wake)
	}
	version := e.Version
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		e.Doubt.Unresolved = true
		change.Wake = wake
		return e.Version == version
	})
	if err == nil {
		d.alarm(ctx, "late-not-ours", saved)
	}
	return settling(err)
}

// booksHave tells that the appointment is another booking of the same caller.
func (d *Desk) booksHave(ctx context.Context, e scheduling.Entry, a scheduling.Appointment) bool {
	for _, p := range e.Private.Patients {
		others, err := d.Books.ByPatient(ctx, e.Source, e.Principal, p.Asked)
		if err == nil && slices.ContainsFunc(others, func(o scheduling.Entry) bool { return o.ID != e.ID && o.Native == a.ID }) {
			return true
		}
	}
	return false
}

// sleep changes nothing but the wake.
func (d *Desk) sleep(ctx context.Context, e scheduling.Entry, wake time.Duration) error {
	version := e.Version
	_, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		change.Wake = wake
		return e.Version == version
	})
	return settling(err)
}

func (d *Desk) countSettled(e scheduling.Entry) {
	if e.State != scheduling.EntryDoubt && e.Intent != nil {
		d.metrics.settled.WithLabelValues(string(e.Source), string(e.Intent.Kind), string(e.State)).Inc()
	}
}

// settling drops the errors that are answers for callers: only what went wrong
// with settling itself is one here.
func settling(err error) error {
	if is(err, scheduling.Shedding, scheduling.Internal) && err != errOvertaken {
		return err
	}
	return nil
}
