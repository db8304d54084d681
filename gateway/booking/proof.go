package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// proof is what is known of the call whose work an appointment may be.
type proof bool

const (
	answered   proof = true  // the EHR has just answered our own call with a success that names it
	unanswered proof = false // it was refused, or its answer lost: the appointment was found
)

// ours tells whether an appointment that differs from what was asked is
// certainly the work of our call: only that may be cancelled (law 13).
//
// Our identifier proves it, but on what was our hold: the hold carried it
// already, and the clinic may have given the appointment to somebody else since.
// What was last changed before our call was sent is never the work of it. No clock
// is asked about our identifier elsewhere: only our call can have put it there.
//
// Without an identifier, what our call was answered with is ours where it was
// made since the call was sent, and has the slot or the patient that was asked
// for: an answer that names somebody else's appointment has neither.
func (d *Desk) ours(e scheduling.Entry, a scheduling.Appointment, p proof) bool {
	hold := wasHold(e, a)
	switch {
	case e.Intent == nil:
		return false
	case !hold && a.HasIdentifier(e.Identifier):
		return true
	case d.changedBefore(e, a, 0):
		return false
	case hold:
		return p == answered && (len(a.Identifiers) == 0 || a.HasIdentifier(e.Identifier))
	}
	return p == answered && len(a.Identifiers) == 0 && madeWithin(a, d.now().Sub(e.Intent.SentAt)) && resembles(e, a)
}

// changedBefore tells whether the appointment was last changed before our call
// was sent: by the EHR's own clock where it tells it, else by ours, and as much
// earlier as the clocks are allowed to differ.
func (d *Desk) changedBefore(e scheduling.Entry, a scheduling.Appointment, differ time.Duration) bool {
	switch {
	case e.Intent == nil || a.Updated.IsZero():
		return false
	case a.Shown.IsZero():
		// Some EHRs tell whole seconds.
		return a.Updated.Before(e.Intent.SentAt.Truncate(time.Second).Add(-differ))
	default:
		return a.Shown.Sub(a.Updated) > d.now().Sub(e.Intent.SentAt)+time.Second
	}
}

// madeWithin tells whether the appointment was made, and last changed, no longer
// ago than that, all by the EHR's own clock: its clock and ours may differ by
// minutes. What it does not tell is no proof.
func madeWithin(a scheduling.Appointment, since time.Duration) bool {
	if a.Created.IsZero() || a.Shown.IsZero() {
		return false
	}
	age, idle := a.Shown.Sub(a.Created), a.Shown.Sub(a.Updated)
	const second = time.Second // by which whole seconds may deceive
	return age >= -second && age <= since+second && (a.Updated.IsZero() || idle <= since+second)
}

// resembles tells whether the appointment is for the patients that were asked
// for, or has the very place in time: start, and slots or practitioner.
func resembles(e scheduling.Entry, a scheduling.Appointment) bool {
	if _, same := comparePatients(e, a); same {
		return true
	}
	if proved, same := compareStart(e, a); !proved || !same {
		return false
	}
	if len(a.Slots) > 0 && !e.Offer.Slots[0].Virtual {
		_, same := compareSlots(e, a)
		return same
	}
	proved, same := compareActors(scheduling.KindPractitioner)(e, a)
	return proved && same && len(actorIDs(e.Offer.Actors, scheduling.KindPractitioner)) > 0
}

// wasHold tells that the appointment is the one that held the slot for us.
func wasHold(e scheduling.Entry, a scheduling.Appointment) bool {
	hold := ehrHold(e.Hold)
	return hold != nil && hold.Native != "" && hold.Native == a.ID
}

// oursLate tells whether an appointment that shows up after *not booked* was
// said is certainly ours. The hold is forgotten by then, so that our identifier
// on somebody else's appointment proves nothing.
func oursLate(e scheduling.Entry, a scheduling.Appointment) bool {
	if _, same := comparePatients(e, a); !same {
		return false
	}
	if e.Intent != nil && e.Intent.Kind == scheduling.CallMove {
		return a.ID == e.Native
	}
	if a.HasIdentifier(e.Identifier) {
		return true
	}
	v, _, _ := verify(e, a)
	return v == matches && len(a.Identifiers) == 0 && e.Doubt.Seen == a.ID
}

// standsForAnother tells, after a refusal, that what was found is somebody
// else's: the slot is taken, and nothing of it is ours to touch.
func standsForAnother(e scheduling.Entry, a scheduling.Appointment, cause error) bool {
	if e.Intent.Kind == scheduling.CallMove || !a.Status.Stands() {
		return false
	}
	_, same := comparePatients(e, a)
	return !same && (wasHold(e, a) || is(cause, scheduling.SlotTaken))
}

// notProvenOurs leaves an appointment alone that is not what was asked for and
// may be anybody's. A person must say what it is.
func (d *Desk) notProvenOurs(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, differs string, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	told := e.Doubt != nil && e.Doubt.Unresolved
	e, err := d.toDoubt(ctx, e, a.ID, ehr, can)
	if err != nil || e.State != scheduling.EntryDoubt {
		return e, err
	}
	if !told {
		d.alarm(ctx, "not-ours-"+differs, e)
	}
	return e, d.lookLater(ctx, e, can, false, true)
}
