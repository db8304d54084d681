package booking

import (
	"context"

	"slotgate/scheduling"
)

// Unsettled lists what is in doubt at any source, for the operator. Those with
// Doubt.Unresolved wait for a decision.
func (d *Desk) Unsettled(ctx context.Context) ([]scheduling.Entry, error) {
	var list []scheduling.Entry
	for _, source := range d.EHRs.Sources() {
		entries, err := d.Books.Unsettled(ctx, source)
		if err != nil {
			return nil, err
		}
		list = append(list, entries...)
	}
	return list, nil
}

// Decide ends what reading could not: a person looked at the EHR. The decision
// is kept in the entry and logged. Where Native is given it is read back, and
// must be what was asked for.
//
// Errors: unknown-id, bad-request without who and why, ErrState where nothing is
// unresolved.
func (d *Desk) Decide(ctx context.Context, in Decision) error {
	if in.By == "" || in.Reason == "" {
		return scheduling.Refuse(scheduling.BadRequest, "reason", "who decides, and why, must be told")
	}
	e, err := d.Books.Read(ctx, in.ID)
	if err != nil {
		return err
	}
	if e.State != scheduling.EntryDoubt || !e.Doubt.Unresolved {
		return refuseState("nothing is to be decided here")
	}
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return err
	}
	a := scheduling.Appointment{ID: in.Native, Status: scheduling.ApptBooked}
	if in.Booked && in.Native != "" {
		var found bool
		if a, found, err = d.readOne(ctx, in.Native, ehr, can, scheduling.ForSettle); err != nil {
			return err
		}
		if v, _, _ := verify(e, a); !found || v != matches {
			return scheduling.Refuse(scheduling.NotAcceptable, "native", "the source does not show this appointment as the one that was asked for")
		}
	}
	return d.decided(ctx, e, in, a)
}

func (d *Desk) decided(ctx context.Context, e scheduling.Entry, in Decision, a scheduling.Appointment) error {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryDoubt || !sameCall(*e, intent) {
			return false
		}
		e.Decision = &scheduling.Decision{Booked: in.Booked, Native: in.Native, By: in.By, Reason: in.Reason, At: d.now()}
		if !in.Booked {
			d.endDoubt(e, change)
			e.Reason = "decided"
			return true
		}
		e.State, e.Native, e.ETag = scheduling.EntryBooked, a.ID, a.ETag
		e.Intent.Over, e.Doubt, e.Hold, e.Reason = true, nil, nil, "decided"
		if a.ID == "" {
			e.NotProved = []string{"patient", "start", "end", "practitioner", "location", "slot"}
		}
		e.Seen, e.SeenAt = a.Status, d.now()
		change.Wake = d.bookedWake(*e)
		return true
	})
	if err == errOvertaken {
		return refuseState("it has been settled meanwhile")
	}
	if err != nil {
		return err
	}
	d.Log.InfoContext(ctx, "a person decided what was unresolved", "entry", saved, "booked", in.Booked, "by", in.By) // the reason is free text: it stays in the entry
	if !in.Booked {
		d.refetch(saved)
		d.giveBack(ctx, saved, nil)
	}
	return nil
}
