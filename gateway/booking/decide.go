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
// is kept in the entry and logged. Of a cancel in doubt it tells whether the
// appointment is booked still. What is decided to be booked is read back, and
// must be what was asked for: it is Native, or else what was found before.
//
// Errors: unknown-id, bad-request without who and why, missing-data where it is
// booked and no native id is known, not-acceptable where the source shows
// something else, ErrState where nothing is unresolved, those of the source.
func (d *Desk) Decide(ctx context.Context, in Decision) error {
	if in.By == "" || in.Reason == "" {
		return scheduling.Refuse(scheduling.BadRequest, "reason", "who decides, and why, must be told")
	}
	e, err := d.Books.Read(ctx, in.ID)
	if err != nil {
		return err
	}
	waits := e.State == scheduling.EntryDoubt || e.State == scheduling.EntryCancelling || e.State == scheduling.EntryNotBooked
	if !waits || e.Doubt == nil || !e.Doubt.Unresolved {
		return refuseState("nothing is to be decided here")
	}
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return err
	}
	if e.State == scheduling.EntryCancelling {
		return d.decideCancel(ctx, e, in, ehr, can)
	}
	var a scheduling.Appointment
	var notProved []string
	if in.Booked {
		if in.Native = nativeToDecide(e, in); in.Native == "" {
			return scheduling.Refuse(scheduling.MissingData, "native", "the id of the appointment at the source is needed")
		}
		var found bool
		if a, found, err = d.readOne(ctx, in.Native, ehr, can, scheduling.ForSettle); err != nil {
			return err
		}
		var v verdict
		if v, notProved, _ = verify(e, a); !found || v != matches {
			return scheduling.Refuse(scheduling.NotAcceptable, "native", "the source does not show this appointment as the one that was asked for")
		}
	}
	return d.decided(ctx, e, in, a, notProved)
}

// decideCancel ends a cancel of which nobody could read what became of it. Where
// it can be read by now, what the EHR shows must be what was decided.
func (d *Desk) decideCancel(ctx context.Context, e scheduling.Entry, in Decision, ehr EHR, can scheduling.Abilities) error {
	ctx = context.WithoutCancel(ctx)
	a, found, err := d.readOne(ctx, e.Native, ehr, can, scheduling.ForSettle)
	if err == nil && found && a.Status.Void() == in.Booked {
		return scheduling.Refuse(scheduling.NotAcceptable, "booked", "the source shows otherwise")
	}
	intent := e.Intent
	e, err = d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelling || !sameCall(*e, intent) {
			return false
		}
		e.Decision = &scheduling.Decision{Booked: in.Booked, Native: e.Native, By: in.By, Reason: in.Reason, At: d.now()}
		change.Wake = d.opts.LookEvery
		return true
	})
	if err == nil && in.Booked {
		e, err = d.stillBooked(ctx, e, "")
	} else if err == nil {
		e, err = d.cancelled(ctx, e, a, ehr, can)
	}
	if err == errOvertaken {
		return refuseState("it has been settled meanwhile")
	}
	if err == nil {
		d.Log.InfoContext(ctx, "a person decided what became of a cancel", "entry", e, "booked", in.Booked, "by", in.By)
	}
	return err
}

// nativeToDecide is the appointment that a decision is about.
func nativeToDecide(e scheduling.Entry, in Decision) string {
	switch {
	case in.Native != "":
		return in.Native
	case e.Intent.Kind == scheduling.CallMove:
		return e.Native
	default:
		return e.Doubt.Seen
	}
}

func (d *Desk) decided(ctx context.Context, e scheduling.Entry, in Decision, a scheduling.Appointment, notProved []string) error {
	intent := e.Intent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		late := e.State == scheduling.EntryNotBooked
		if !late && e.State != scheduling.EntryDoubt || !sameCall(*e, intent) {
			return false
		}
		e.Decision = &scheduling.Decision{Booked: in.Booked, Native: in.Native, By: in.By, Reason: in.Reason, At: d.now()}
		if late {
			change.Claims = scheduling.ClaimsTake
		}
		if !in.Booked {
			d.endDoubt(e, change)
			e.Reason = "decided"
			return true
		}
		e.State, e.Native, e.ETag = scheduling.EntryBooked, a.ID, a.ETag
		e.Intent.Over, e.Doubt, e.Hold, e.Reason = true, nil, nil, "decided"
		e.NotProved = notProved
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
		if ehr, can, err := d.ehr(e.Source); err == nil && e.Intent.Kind != scheduling.CallMove {
			d.vacated(context.WithoutCancel(ctx), saved, ehr, can, scheduling.ForSettle) // our claim of it, if that is what it is
		}
		d.refetch(saved)
		d.giveBack(ctx, saved, nil)
	}
	return nil
}
