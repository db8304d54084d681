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
// What was last changed before our call was sent is never its work.
func ours(e scheduling.Entry, a scheduling.Appointment, p proof) bool {
	// Some EHRs tell whole seconds.
	if e.Intent == nil || !a.Updated.IsZero() && a.Updated.Before(e.Intent.SentAt.Truncate(time.Second)) {
		return false
	}
	if wasHold(e, a) {
		return p == answered && (len(a.Identifiers) == 0 || a.HasIdentifier(e.Identifier))
	}
	return a.HasIdentifier(e.Identifier)
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
