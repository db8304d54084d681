package booking

import (
	"context"

	"slotgate/scheduling"
)

// A reschedule is one journey of two entries, the new one (Replaces) and the old
// one (ReplacedBy). At every point one of the two can be gone on with by the
// settler of any gateway, and the patient never ends with nothing:
//
// Which booking may take the place of an appointment is decided by the old entry
// alone: the new one is written down without a call (Attempt 0), then the old one
// names it (ReplacedBy), by compare-and-set, and only then is anything asked of
// the EHR. Of two that replace the same appointment one is named; the other is
// refused, and the EHR hears nothing of it.
//
//   - book-first: the new one is booked, then the old one cancelled.
//   - move: the old one is frozen (cancelling, with the intent to move), and one
//     call moves the appointment; what it shows decides both.
//   - cancel-first: the new one is held, the old one is cancelled with its slots
//     kept (Reserve), the new one booked; if that fails the old one is booked
//     again.
type journey struct {
	old scheduling.Entry
	way scheduling.RescheduleWay
}

// prepares tells whether something must be done before the EHR is asked to book.
func (j journey) prepares() bool { return j.old.ID != "" }

// plan finds the appointment that is to be replaced and the way to go.
func (d *Desk) plan(ctx context.Context, c Caller, req BookRequest, f found, can scheduling.Abilities, patients []scheduling.PatientRef) (journey, error) {
	if req.Replaces == "" {
		return journey{}, nil
	}
	old, err := d.own(ctx, c, req.Replaces)
	if err != nil {
		e := *scheduling.AsError(err)
		e.Param = "cancelled-appt-id"
		return journey{}, &e
	}
	rival, err := d.rival(ctx, old, f.entry.ID)
	switch {
	case err != nil:
		return journey{}, err
	case !patientInCommon(old, f.entry.Source, patients):
		return journey{}, scheduling.Refuse(scheduling.NotAcceptable, "cancelled-appt-id", "the appointment to be replaced is another patient's")
	case rival:
		return journey{}, refuseReplaced()
	case old.State == scheduling.EntryCancelled && !old.Reserve, old.State == scheduling.EntryNotBooked:
		return journey{}, nil
	case old.State != scheduling.EntryBooked || !old.Status().Cancellable():
		return journey{}, refuseState("the appointment to be replaced is not one that is booked")
	}
	way := can.Reschedule
	if req.Reschedule != "" {
		way = req.Reschedule
	}
	movable := old.Source == f.entry.Source && samePatients(old.Private.Patients, patients)
	switch {
	case way == scheduling.Move && movable:
	case way == scheduling.CancelFirst && can.Hold == scheduling.HoldEHR:
	default:
		way = scheduling.BookFirst
	}
	if _, from, err := d.ehr(old.Source); err == nil && from.NoCancel && way != scheduling.Move {
		return journey{}, &scheduling.Error{
			Code: scheduling.NotSupported, Who: scheduling.AtEHR, Source: old.Source, Param: "cancelled-appt-id",
			Message: "nothing can be cancelled at the source of the appointment to be replaced; the clinic must be asked",
		}
	}
	return journey{old: old, way: way}, nil
}

func refuseReplaced() error {
	return refuseState("another booking takes the place of this appointment, or has taken it")
}

// rival tells whether a booking other than next has taken the old one's place,
// or is about to. One that came to nothing has not.
func (d *Desk) rival(ctx context.Context, old scheduling.Entry, next string) (bool, error) {
	if old.ReplacedBy == "" || old.ReplacedBy == next {
		return false, nil
	}
	e, err := d.Books.Read(ctx, old.ReplacedBy)
	switch {
	case is(err, scheduling.UnknownID):
		return false, nil
	case err != nil:
		return false, err
	case e.Replaces != old.ID:
		return false, nil
	}
	switch e.State {
	case scheduling.EntryBooking, scheduling.EntryDoubt, scheduling.EntryBooked:
		return true, nil
	case scheduling.EntryCancelling:
		return true, nil // booked until the EHR shows otherwise
	default:
		return false, nil
	}
}

// claimOld makes the old entry name the one that takes its place: from then on
// no other can.
func (d *Desk) claimOld(ctx context.Context, e, old scheduling.Entry) (scheduling.Entry, error) {
	if old.State != scheduling.EntryBooked || old.ReplacedBy == e.ID {
		return old, nil // makeRoom judges
	}
	switch rival, err := d.rival(ctx, old, e.ID); {
	case err != nil:
		return old, err
	case rival:
		return old, refuseReplaced()
	}
	before := old.ReplacedBy
	claimed, err := d.step(ctx, old, func(o *scheduling.Entry, change *scheduling.EntryChange) bool {
		if o.State != scheduling.EntryBooked || o.ReplacedBy != before {
			return false
		}
		o.ReplacedBy = e.ID
		change.Intent, change.Wake = true, d.bookedWake(*o)
		return true
	})
	if err != nil {
		return old, stateOr(err)
	}
	d.reach("reschedule.claimed")
	return claimed, nil
}

// patientInCommon tells whether both appointments are for one person. Two
// sources' own ids say nothing about each other; ours do.
func patientInCommon(old scheduling.Entry, source scheduling.SourceID, patients []scheduling.PatientRef) bool {
	if len(old.Private.Patients) == 0 {
		return true // what was restored may not say
	}
	known := true
	for _, p := range patients {
		for _, o := range old.Private.Patients {
			if p.Asked == o.Asked || old.Source == source && p.Native == o.Native {
				return true
			}
			if old.Source != source && !(scheduling.OwnPatientID(p.Asked) && scheduling.OwnPatientID(o.Asked)) {
				known = false
			}
		}
	}
	return !known
}

// prepare does what must be done before the new one may be sent, and says so in
// the books. first: the old one is not claimed yet. An entry that comes back in
// another state than booking has ended.
func (d *Desk) prepare(ctx context.Context, e scheduling.Entry, can scheduling.Abilities, first bool) (scheduling.Entry, error) {
	if e.Intent.Attempt > 0 {
		return e, nil
	}
	ready, err := d.makeRoom(ctx, e, can, first)
	d.reach("reschedule.prepared")
	if err != nil {
		return d.notBooked(ctx, e, err, false)
	}
	if !ready {
		return d.later(ctx, e)
	}
	intent := e.Intent
	sent, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooking || !sameCall(*e, intent) {
			return false
		}
		d.intend(e, intent.Kind)
		change.Intent, change.Wake = true, d.takeover(can)
		return true
	})
	if err != nil {
		return d.overtaken(ctx, sent, err)
	}
	d.reach("reschedule.intent")
	return sent, nil
}

// makeRoom freezes or cancels the old one. ready is false while its cancel is in
// doubt.
func (d *Desk) makeRoom(ctx context.Context, e scheduling.Entry, can scheduling.Abilities, first bool) (ready bool, err error) {
	old, err := d.Books.Read(ctx, e.Replaces)
	if err == nil && first {
		old, err = d.claimOld(ctx, e, old)
	}
	switch {
	case err != nil:
		return false, err
	case old.State == scheduling.EntryBooked && old.ReplacedBy != e.ID:
		return false, refuseState("the appointment to be replaced has changed meanwhile")
	case e.Way == scheduling.Move:
		return d.freeze(ctx, e, old, can)
	case e.Way == scheduling.BookFirst && old.State == scheduling.EntryBooked:
		return true, nil
	case old.State == scheduling.EntryBooked:
		old, _, err = d.cancelBooked(ctx, old, cancelHow{reason: "replaced", replacedBy: e.ID, reserve: true})
		if err != nil {
			return false, stateOr(err)
		}
	}
	// Another may have taken its place, all the way, since we planned to.
	rival, err := d.rival(ctx, old, e.ID)
	switch {
	case err != nil:
		return false, err
	case rival:
		return false, refuseReplaced()
	case old.State == scheduling.EntryCancelled && (old.ReplacedBy == e.ID || !old.Reserve):
		return true, nil
	case old.State == scheduling.EntryCancelling && old.ReplacedBy == e.ID:
		return false, nil
	default:
		return false, refuseState("the appointment to be replaced has changed meanwhile")
	}
}

func stateOr(err error) error {
	if err == errOvertaken {
		return refuseState("the appointment to be replaced has changed meanwhile")
	}
	return err
}

// freeze keeps the old one from being cancelled while it is moved.
func (d *Desk) freeze(ctx context.Context, e, old scheduling.Entry, can scheduling.Abilities) (ready bool, err error) {
	if old.State == scheduling.EntryCancelling && old.ReplacedBy == e.ID && old.Intent.Kind == scheduling.CallMove {
		return true, nil
	}
	if err = d.mayMove(ctx, old, can); err != nil {
		return false, err
	}
	_, err = d.step(ctx, old, func(o *scheduling.Entry, change *scheduling.EntryChange) bool {
		if o.State != scheduling.EntryBooked || o.ReplacedBy != e.ID {
			return false
		}
		o.State = scheduling.EntryCancelling
		d.intend(o, scheduling.CallMove)
		change.Intent, change.Wake = true, d.takeover(can)+d.opts.Margin
		return true
	})
	return err == nil, stateOr(err)
}

// mayMove reads what is to be moved: the clinic may have given it to another
// patient, or ended it.
func (d *Desk) mayMove(ctx context.Context, old scheduling.Entry, can scheduling.Abilities) error {
	ehr, _, err := d.ehr(old.Source)
	if err != nil {
		return err
	}
	a, found, err := d.readOne(ctx, old.Native, ehr, can, scheduling.ForBook)
	if err != nil || !found {
		return orNil(err) // what is not shown the EHR refuses to move
	}
	old, err = d.mayCancel(ctx, old, a, ehr, can)
	if err == nil && old.State != scheduling.EntryBooked {
		err = refuseState("the appointment to be replaced has changed meanwhile")
	}
	return stateOr(err)
}

// later leaves the rest of the journey to the settler.
func (d *Desk) later(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		change.Wake = d.opts.LookEvery
		return e.State == scheduling.EntryBooking && sameCall(*e, intent)
	})
	return d.overtaken(ctx, saved, err)
}

// resume goes on with a journey that stopped before its call was sent.
func (d *Desk) resume(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	old, err := d.Books.Read(ctx, e.Replaces)
	if err != nil {
		return settling(err)
	}
	if old.State == scheduling.EntryBooked && (old.ReplacedBy != e.ID || e.Way == scheduling.BookFirst) {
		// Nothing has happened yet; whoever asked has been told nothing.
		_, err = d.notBooked(ctx, e, refuseState("the reschedule was broken off before anything was sent"), false)
		return settling(err)
	}
	e, err = d.prepare(ctx, e, can, false)
	if err != nil || e.State != scheduling.EntryBooking || e.Intent.Attempt == 0 {
		return settling(err)
	}
	_, err = d.callBook(ctx, e, ehr, can)
	return settling(err)
}
