package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// rebuild restores the books of a source that the store lost: from the
// appointments that carry our identifier, and the slots that carry our mark.
// Until it is done the store refuses all other changes.
func (d *Desk) rebuild(ctx context.Context, source scheduling.SourceID) error {
	isLost, err := d.Books.Lost(ctx, source)
	if err != nil || !isLost {
		return err
	}
	ehr, can, err := d.ehr(source)
	if err != nil {
		return err
	}
	var list []scheduling.Appointment
	if can.Bookable && !can.Readonly {
		list, err = ehr.Ours(ctx)
		switch {
		case is(err, scheduling.NotSupported):
			// What was found by its slots alone is in the list all the same.
			d.Log.WarnContext(ctx, "the store has no books of this source, and its appointments cannot be searched for ours: "+
				"bookings made through us before, if there were any others, are not known any more", "source", string(source))
		case err != nil:
			return err
		}
		for _, a := range list {
			if err := d.restore(ctx, source, a, can); err != nil {
				return err
			}
		}
	}
	d.Log.InfoContext(ctx, "the store had no books of this source: what the EHR has of ours was written down",
		"source", string(source), "appointments", len(list))
	return d.Books.Rebuilt(ctx, source)
}

// restore writes down one appointment, or hold, that carries our identifier.
func (d *Desk) restore(ctx context.Context, source scheduling.SourceID, a scheduling.Appointment, can scheduling.Abilities) error {
	e, ok := d.restored(source, a)
	if !ok {
		return nil
	}
	change := scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake, Wake: d.opts.Margin, Restore: true}
	if _, err := d.Books.Save(ctx, change); err != nil && !lost(err) && !is(err, scheduling.SlotTaken) {
		return err
	}
	return nil
}

// restored is the entry that an appointment of ours must have had. What a
// cancelled one left is nothing.
func (d *Desk) restored(source scheduling.SourceID, a scheduling.Appointment) (scheduling.Entry, bool) {
	for _, value := range a.Identifiers {
		offer, principal, ok := d.readIdentifier(value)
		if !ok || a.Start.IsZero() || !a.End.After(a.Start) || offerSource(offer) != scheduling.SourceTag(source) {
			continue
		}
		e := scheduling.Entry{
			ID: offer, Source: source, Principal: principal, Identifier: value, Native: a.ID, ETag: a.ETag,
			Offer: restoredOffer(a), Created: d.now(), Updated: d.now(), Reason: "restored",
			Intent: &scheduling.Intent{Kind: scheduling.CallBook, SentAt: d.now(), Attempt: 1, Over: true},
		}
		for _, id := range a.Patient {
			e.Private.Patients = append(e.Private.Patients, scheduling.PatientRef{Asked: id, Native: id})
		}
		switch {
		case a.Status.Stands():
			e.State, e.Used, e.Seen, e.SeenAt = scheduling.EntryBooked, true, a.Status, d.now()
		case a.Status == scheduling.ApptPending:
			now := d.now()
			e.State, e.Intent.Kind = scheduling.EntryReleasing, scheduling.CallRelease
			e.Hold = &scheduling.Hold{By: scheduling.HeldByEHR, Native: a.ID, ETag: a.ETag, Since: now, Until: now, Max: now}
			e.Native = ""
		default:
			return e, false
		}
		return e, true
	}
	return scheduling.Entry{}, false
}

func offerSource(id string) string {
	if len(id) < 6 || id[5] != '-' {
		return ""
	}
	return id[:5]
}

// restoredOffer is as much of the offer as the appointment shows.
func restoredOffer(a scheduling.Appointment) scheduling.OfferRecord {
	o := scheduling.OfferRecord{Actors: a.Actors}
	for i, id := range a.Slots {
		slot := scheduling.Slot{ID: id, Status: scheduling.SlotBusy, Start: a.Start, End: a.End}
		if i > 0 {
			slot.Start = a.End.Add(-time.Nanosecond) // how they divide the time is not known
		}
		o.Slots = append(o.Slots, slot)
	}
	if len(o.Slots) == 0 {
		o.Slots = []scheduling.Slot{{ID: "appointment-" + a.ID, Virtual: true, Start: a.Start, End: a.End}}
	}
	return o
}
