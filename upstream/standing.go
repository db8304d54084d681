package upstream

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// keepsSlots: the slots of this source are changed by us, and by nobody else for us.
func (c *Client) keepsSlots() bool {
	return c.opts.Dialect == Slots && c.bookWay(c.learnt()) != BookPlain
}

// stillThere: an appointment that is not void, or of which nobody knows, keeps
// its slots.
func (s appointmentSearch) stillThere(a scheduling.Appointment) bool {
	return (s.ended == "" || a.ID != s.ended) && !a.Status.Void() && a.Status != scheduling.ApptProposed
}

// standing finds the appointments that stand on a slot under our mark: the mark
// of a booking whose answer was lost looks like that of a hold. It asks for the
// mark, and for the slot.
//
// Errors: those of searches; not-supported where neither can be searched.
func (s appointmentSearch) standing(ctx context.Context, t *traits, slot scheduling.Slot, marks []string) ([]scheduling.Appointment, error) {
	byIdentifier, _ := s.client.searchWays(t)
	asked := false
	for _, mark := range marks {
		if !byIdentifier || mark == anonymous {
			continue
		}
		found, err := s.all(ctx, url.Values{"identifier": {IdentifierSystem + "|" + mark}})
		if scheduling.CodeOf(err) == scheduling.NotSupported {
			break
		}
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(a scheduling.Appointment) bool {
			elsewhere := len(a.Slots) > 0 && !slices.Contains(a.Slots, slot.ID)
			return elsewhere || !a.HasIdentifier(mark) || !s.stillThere(a)
		})
		if asked = true; len(found) > 0 {
			return found, nil
		}
	}
	found, err := s.standingThere(ctx, t, slot, asked)
	if asked && scheduling.CodeOf(err) == scheduling.NotSupported {
		return nil, nil
	}
	return found, err
}

// standingThere asks for the slot. The appointments of a day are asked for only
// where nothing else could be: they are many.
func (s appointmentSearch) standingThere(ctx context.Context, t *traits, slot scheduling.Slot, asked bool) ([]scheduling.Appointment, error) {
	c := s.client
	if c.opts.Quirks.Search == "none" || !can(t.appt, "search-type", true) || asked && !s.everybody && !c.searchesSlot(t) {
		return nil, c.cannot()
	}
	// An appointment over several slots begins before the last of them.
	offer := scheduling.OfferRecord{Slots: []scheduling.Slot{{ID: slot.ID, Start: slot.Start.Add(-12 * time.Hour), End: slot.End}}}
	if known := c.known.directory().Schedules[slot.Schedule]; known != nil {
		offer.Actors = known.Actors
	}
	found, err := s.onSlots(ctx, t, offer)
	return slices.DeleteFunc(found, func(a scheduling.Appointment) bool {
		return !slices.Contains(a.Slots, slot.ID) || !s.stillThere(a)
	}), err
}

func (c *Client) searchesSlot(t *traits) bool {
	return searches(t.appt, "slot", c.source.Release == scheduling.R4)
}

// onSlots finds the appointments that refer to the offer's slots, or are of its
// day and practitioner or place, or of its day.
func (s appointmentSearch) onSlots(ctx context.Context, t *traits, offer scheduling.OfferRecord) ([]scheduling.Appointment, error) {
	c := s.client
	if c.searchesSlot(t) {
		return s.all(ctx, url.Values{"slot": {"Slot/" + strings.Join(offer.SlotIDs(), ",Slot/")}})
	}
	query := url.Values{"date": {"ge" + c.searchTime(offer.Start(), -1), "lt" + c.searchTime(offer.End(), 1)}}
	for _, kind := range []scheduling.Kind{scheduling.KindPractitioner, scheduling.KindLocation} {
		param := strings.ToLower(string(kind))
		if actor, ok := offer.Actor(kind); ok && actor.ID != "" && searches(t.appt, param, true) {
			query.Set(param, string(kind)+"/"+actor.ID)
			return s.all(ctx, query)
		}
	}
	if !searches(t.appt, "date", true) {
		return nil, c.cannot()
	}
	return s.all(ctx, query)
}

// finish makes the slots of a booked appointment busy that are busy-tentative
// under its mark still: the call that booked it was cut off before that.
func (c *Client) finish(ctx context.Context, a scheduling.Appointment, marks []string) {
	if !c.keepsSlots() || !a.Status.Stands() || len(marks) == 0 {
		return
	}
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	for _, id := range a.Slots {
		s, err := c.readSlot(ctx, id, laneBook, true)
		if err == nil && s.slot.Status == scheduling.SlotTentative && s.belongsTo(marks, false) {
			err = c.putSlot(ctx, s, change{kind: scheduling.CallBook, lane: laneBook, probe: true, status: scheduling.SlotBusy, mark: s.marks[0]})
		}
		if err != nil {
			c.log.Warn("a booked slot stays busy-tentative", "source", c.source.ID, "slot", id, "error", err)
		}
	}
}

// sort tells the holds among slots under our mark from bookings that were never
// finished. Where a slot was claimed for a booking, and the source cannot be asked
// what became of it, it is left alone: to free it could sell a booked slot again.
func (s appointmentSearch) sort(ctx context.Context, t *traits, held []markedSlot, known []scheduling.Appointment) ([]scheduling.Appointment, error) {
	c := s.client
	for _, h := range held {
		slot := scheduling.Slot{ID: h.Slots[0], Start: h.Start, End: h.End}
		found, err := s.standing(ctx, t, slot, h.Identifiers)
		switch {
		case scheduling.CodeOf(err) == scheduling.NotSupported && !h.held:
			c.log.Warn("a slot under our mark may be booked, and the source cannot be asked: it stays as it is",
				"source", c.source.ID, "slot", slot.ID)
			continue
		case err != nil && scheduling.CodeOf(err) != scheduling.NotSupported:
			return nil, err
		case len(found) == 0:
			known = append(known, h.Appointment)
		}
		for _, a := range found {
			if !*c.opts.Quirks.Identifier && len(a.Identifiers) == 0 {
				a.Identifiers = h.Identifiers // the source takes none: the slot has it
			}
			c.finish(ctx, a, h.Identifiers)
			seen := slices.ContainsFunc(known, func(b scheduling.Appointment) bool { return a.ID == b.ID })
			if len(a.Identifiers) > 0 && !seen {
				known = append(known, a)
			}
		}
	}
	return known, nil
}
