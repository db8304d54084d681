package booking

import (
	"cmp"
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// rebuild restores the books of a source that the store lost, or may have lost
// more of than gateways remember: from the appointments that carry our
// identifier, and the slots that carry our mark. Until it is done the store
// refuses all other changes.
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
			d.Log.WarnContext(ctx, "the store lost books of this source, or has none, and its appointments cannot be searched for ours: "+
				"bookings made through us before, if any are missing, are not known any more", "source", string(source))
		case err != nil:
			return err
		}
		// What stands goes before what an earlier try left.
		slices.SortStableFunc(list, func(a, b scheduling.Appointment) int {
			return cmp.Compare(order(a.Status), order(b.Status))
		})
		for _, a := range list {
			if err := d.restore(ctx, source, a, can); err != nil {
				return err
			}
		}
	}
	d.Log.InfoContext(ctx, "the store had lost books of this source, or had none: what the EHR has of ours was written down",
		"source", string(source), "appointments", len(list))
	return d.Books.Rebuilt(ctx, source)
}

// order is that in which appointments of one offer are restored: the first is
// what becomes of it.
func order(s scheduling.AppointmentStatus) int {
	switch {
	case s.Stands():
		return 0
	case s == scheduling.ApptPending:
		return 1
	default:
		return 2
	}
}

// restore writes down one appointment, or hold, that carries our identifier.
// Where there is an entry it stays, unless it is from before the booking.
func (d *Desk) restore(ctx context.Context, source scheduling.SourceID, a scheduling.Appointment, can scheduling.Abilities) error {
	e, ok := d.restored(source, a, can)
	if !ok {
		return nil
	}
	change := scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake, Wake: d.opts.Margin, Restore: true}
	if !e.State.Claims() {
		change.Claims, change.Wake = scheduling.ClaimsKeep, 0
	}
	_, err := d.Books.Save(ctx, change)
	if lost(err) && e.State == scheduling.EntryBooked {
		err = d.restoreOver(ctx, change)
	}
	if err != nil && !lost(err) && !is(err, scheduling.SlotTaken) {
		return err
	}
	return nil
}

// restoreOver puts a booking in the place of what the store has from before it:
// its own hold, or nothing that anybody has.
func (d *Desk) restoreOver(ctx context.Context, change scheduling.EntryChange) error {
	now, err := d.Books.Read(ctx, change.Entry.ID)
	if err != nil {
		return err
	}
	switch now.State {
	case scheduling.EntryFree:
	case scheduling.EntryHolding, scheduling.EntryHeld, scheduling.EntryReleasing:
		if now.Principal != change.Entry.Principal {
			return nil
		}
	default:
		return nil
	}
	change.Entry.Version, change.Entry.Created = now.Version, now.Created
	if now.Principal == change.Entry.Principal {
		change.Entry.Offer = now.Offer // the EHR shows less of it
	}
	_, err = d.Books.Save(ctx, change)
	return err
}

// restored is the entry that an appointment of ours must have had. One that was
// cancelled has used up its id: its slots are offered under another.
func (d *Desk) restored(source scheduling.SourceID, a scheduling.Appointment, can scheduling.Abilities) (scheduling.Entry, bool) {
	for _, value := range a.Identifiers {
		offer, principal, ok := d.readIdentifier(value)
		if !ok || a.Start.IsZero() || !a.End.After(a.Start) || offerSource(offer) != scheduling.SourceTag(source) {
			continue
		}
		e := scheduling.Entry{
			ID: offer, Source: source, Principal: principal, Identifier: value, Native: a.ID, ETag: a.ETag,
			Offer: restoredOffer(a), Created: d.now(), Updated: d.now(), Reason: scheduling.Restored,
			Intent: &scheduling.Intent{Kind: scheduling.CallBook, SentAt: d.now(), Attempt: 1, Over: true},
		}
		e.Offer.Rule = ruleOf(can.Rules, e)
		for _, id := range a.Patient {
			e.Private.Patients = append(e.Private.Patients, scheduling.PatientRef{Asked: id, Native: id})
		}
		return d.restoredState(e, a)
	}
	return scheduling.Entry{}, false
}

// maxGeneration is how many generations of an offer are tried.
const maxGeneration = 64

// ruleOf is the rule by which the offer was made: its id tells. Without it nobody
// could say how far the generations of its slots had come.
func ruleOf(rules scheduling.Rules, e scheduling.Entry) *scheduling.Rule {
	slots := e.Offer.SlotIDs()
	for n := range rules {
		for generation := range uint32(maxGeneration) {
			if rules[n].OfferID(e.Source, generation, slots...) == e.ID {
				return &rules[n]
			}
		}
	}
	return nil
}

// restoredState chooses the state of a restored entry by what the EHR shows.
func (d *Desk) restoredState(e scheduling.Entry, a scheduling.Appointment) (scheduling.Entry, bool) {
	now := d.now()
	switch {
	case a.Status.Stands():
		e.State, e.Used, e.Seen, e.SeenAt = scheduling.EntryBooked, true, a.Status, now
	case a.Status == scheduling.ApptPending:
		e.State, e.Intent.Kind = scheduling.EntryReleasing, scheduling.CallRelease
		e.Hold = &scheduling.Hold{By: scheduling.HeldByEHR, Native: a.ID, ETag: a.ETag, Since: now, Until: now, Max: now}
		e.Native = ""
	case a.Status.Void() && len(a.Slots) > 0 && len(a.Patient) > 0: // without a patient it was a hold
		e.State, e.Used, e.Seen, e.SeenAt = scheduling.EntryCancelled, true, a.Status, now
	default:
		return e, false
	}
	return e, true
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
