package upstream

import (
	"context"
	"net/http"
	"slices"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Hold keeps the slots of an offer for us at the source, or renews that. An
// argonaut or ihe source is asked by $hold; at a slots source the slots become
// busy-tentative under our mark.
//
// Errors: see booking.EHR. Not-supported: the source cannot hold.
func (c *Client) Hold(ctx context.Context, call scheduling.HoldCall) (scheduling.HoldAnswer, error) {
	ctx, cancel := c.withinCall(ctx)
	defer cancel()
	if c.holdWay(c.learn(ctx, laneHold)) == scheduling.HoldNone {
		return scheduling.HoldAnswer{}, c.cannot()
	}
	switch c.opts.Dialect {
	case Argonaut:
		return c.holdByOperation(ctx, call)
	case IHE:
		return c.holdByReference(ctx, call)
	default:
		return c.holdSlots(ctx, call)
	}
}

func (c *Client) cannot() *scheduling.Error {
	return scheduling.Blame(scheduling.NotSupported, c.source.ID, nil, refusalText(scheduling.NotSupported))
}

// holdByOperation asks Appointment/$hold.
func (c *Client) holdByOperation(ctx context.Context, call scheduling.HoldCall) (scheduling.HoldAnswer, error) {
	held := ""
	if call.Hold != nil {
		held = call.Hold.Native
	}
	if held == "" && nameless(call.Offer) {
		return scheduling.HoldAnswer{}, c.cannot()
	}
	in := c.nameOffer(call.Offer, held, wanted{offer: call.Offer, status: scheduling.ApptProposed, identifier: c.ours(call.Identifier)})
	r, err := c.write(ctx, order{kind: scheduling.CallHold, lane: laneHold, method: http.MethodPost, path: "Appointment/$hold", resource: in})
	if err != nil {
		return scheduling.HoldAnswer{}, err
	}
	return c.heldBy(r)
}

// heldBy is the hold that an answer tells of.
func (c *Client) heldBy(r *reply) (scheduling.HoldAnswer, error) {
	native := r.native()
	if native == "" {
		return scheduling.HoldAnswer{}, c.doubt(errUnknownReply)
	}
	answer := scheduling.HoldAnswer{Native: native, ETag: r.etag, Length: r.holdLength(c.now())}
	if a := r.appointment(); a != nil {
		if a.Status == string(scheduling.ApptProposed) {
			// Given back as it was: nothing is held.
			return scheduling.HoldAnswer{}, c.refuse(scheduling.SourceRefused, r)
		}
		answer.ETag = etagOf(r.header, a.Meta)
	}
	return answer, nil
}

// nameOffer are the Parameters that say which appointment is meant: the one that
// is held already, the one that the source proposed, or a resource of our own
// (the guide's prefetch scenario).
func (c *Client) nameOffer(offer scheduling.OfferRecord, held string, w wanted) *model.Parameters {
	switch proposed := offer.Slots[0].Appointment; {
	case held != "":
		return &model.Parameters{Parameter: []model.Parameter{{Name: "appt-id", ValueURI: "Appointment/" + held}}}
	case len(offer.Slots) == 1 && proposed != "" && c.opts.Quirks.Name != "resource":
		return &model.Parameters{Parameter: []model.Parameter{{Name: "appt-id", ValueURI: "Appointment/" + proposed}}}
	default:
		return &model.Parameters{Parameter: []model.Parameter{{Name: "appt-resource", Resource: w.resource()}}}
	}
}

// nameless: the offer takes several slots, and not all of them exist at the
// source. There is nothing to name it by.
func nameless(offer scheduling.OfferRecord) bool {
	return len(offer.Slots) > 1 && slices.ContainsFunc(offer.Slots, func(s scheduling.Slot) bool { return s.Virtual })
}

// anonymous marks a hold for which nobody gave an identifier.
const anonymous = "hold"

// holdSlots makes the slots busy-tentative under our mark and until when.
func (c *Client) holdSlots(ctx context.Context, call scheduling.HoldCall) (scheduling.HoldAnswer, error) {
	how := claim{kind: scheduling.CallHold, lane: laneHold, mark: markFor(call.Hold, call.Identifier), renew: call.Hold != nil}
	length := call.Length
	if length <= 0 {
		length = c.opts.Booking.HoldDefault.Std()
	}
	how.until = c.now().Add(length)
	slots, err := c.claimSlots(ctx, call.Offer, how)
	if scheduling.CodeOf(err) == scheduling.NotSupported {
		c.slotsAreReadOnly()
	}
	if err != nil {
		return scheduling.HoldAnswer{}, err
	}
	return scheduling.HoldAnswer{ETag: holdTag(slots, how.mark), Length: length}, nil
}

// markFor is the mark of a hold: that of the one there is, else the identifier.
func markFor(hold *scheduling.Hold, identifier string) string {
	if hold != nil {
		if mark := markOf(hold.ETag); mark != "" {
			return mark
		}
	}
	if identifier != "" {
		return identifier
	}
	return anonymous
}

// plainFor is how long a source is remembered to refuse every write of a slot.
const plainFor = 24 * time.Hour

func (c *Client) slotsAreReadOnly() {
	c.plainUntil.Store(c.now().Add(plainFor).UnixNano())
	c.log.Info("source does not let us write slots; bookings go without", "source", c.source.ID)
}

// Release gives a hold back, on the condition that it is still one: it passes an
// open breaker, and can never undo a booking.
//
// Errors: see booking.EHR. Not-acceptable or unknown-id: it is no hold any more.
func (c *Client) Release(ctx context.Context, call scheduling.ReleaseCall) error {
	ctx, cancel := c.withinCall(ctx)
	defer cancel()
	if call.Hold.Native != "" {
		return c.releaseAppointment(ctx, call.Hold)
	}
	return c.releaseSlots(ctx, call)
}

// releaseAppointment cancels an appointment that is still pending.
func (c *Client) releaseAppointment(ctx context.Context, hold scheduling.Hold) error {
	t := c.learn(ctx, laneHold)
	d, now, err := c.readDocument(ctx, hold.Native, laneHold, true)
	switch {
	case scheduling.CodeOf(err) == scheduling.NotSupported:
		d, now = &document{kind: kindAppointment, id: hold.Native, etag: hold.ETag}, scheduling.Appointment{Status: scheduling.ApptPending}
	case err != nil:
		return c.unsent(err)
	case now.Status.Void(), now.Status == scheduling.ApptProposed:
		return nil
	case now.Status != scheduling.ApptPending && now.Status != "":
		return c.notAHold()
	}
	o, err := c.cancellation(t, d, scheduling.ApptPending, "")
	if err != nil {
		return err
	}
	o.kind, o.lane, o.probe = scheduling.CallRelease, laneHold, true
	_, err = c.write(ctx, o)
	return err
}

func (c *Client) notAHold() *scheduling.Error {
	return scheduling.Blame(scheduling.NotAcceptable, c.source.ID, nil, "the slot is not held any more")
}

// releaseSlots frees the slots that still carry the hold's mark.
func (c *Client) releaseSlots(ctx context.Context, call scheduling.ReleaseCall) error {
	lost := false
	for _, asked := range call.Offer.Slots {
		s, err := c.readSlot(ctx, asked.ID, laneHold, true)
		switch {
		case scheduling.CodeOf(err) == scheduling.UnknownID:
			continue // nothing of it can be held
		case err != nil:
			return c.unsent(err)
		case s.slot.Status == scheduling.SlotFree:
			continue
		case len(s.marks) == 0 || s.slot.Status != scheduling.SlotTentative:
			lost = true
			continue
		}
		booked, err := c.isBooked(ctx, s)
		if err != nil {
			return c.unsent(err)
		}
		if booked || !s.heldBy(call.Hold.ETag) {
			lost = true
			continue
		}
		err = c.putSlot(ctx, s, change{kind: scheduling.CallRelease, lane: laneHold, probe: true, status: scheduling.SlotFree})
		if err != nil {
			return err
		}
	}
	if lost {
		return c.notAHold()
	}
	return nil
}

// isBooked tells whether a slot under our mark is booked already, and finishes a
// booking that was cut off. Where nothing can be searched, a hold is a hold.
func (c *Client) isBooked(ctx context.Context, s *slotNow) (bool, error) {
	found, err := appointmentSearch{client: c, lane: laneHold, probe: true}.standing(ctx, c.learnt(), s.slot, s.marks)
	if scheduling.CodeOf(err) == scheduling.NotSupported {
		return false, nil
	}
	for _, a := range found {
		c.finish(ctx, a, s.marks)
	}
	return len(found) > 0, err
}
