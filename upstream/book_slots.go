package upstream

import (
	"context"
	"net/http"
	"slices"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// bookSlots books at a plain FHIR server, in the best way that it has.
func (c *Client) bookSlots(ctx context.Context, t *traits, call scheduling.BookCall) (scheduling.Appointment, error) {
	switch c.bookWay(t) {
	case BookTransaction:
		return c.bookAtOnce(ctx, call)
	case BookConditional:
		made, err := c.bookInSteps(ctx, call)
		if c.plainUntil.Load() > c.now().UnixNano() && scheduling.CodeOf(err) == scheduling.NotSupported {
			return c.bookPlainly(ctx, t, call)
		}
		return made, err
	default:
		return c.bookPlainly(ctx, t, call)
	}
}

// claimFor are the slots of a booking: those of its hold, or claimed now.
func (c *Client) claimFor(call scheduling.BookCall) claim {
	how := claim{
		kind: scheduling.CallBook, lane: laneBook, mark: markFor(nil, call.Identifier),
		until: c.now().Add(c.opts.Booking.Settle.Std()),
	}
	if call.Hold != nil {
		how.hold = markFor(call.Hold, call.Identifier)
	}
	return how
}

// bookAtOnce changes the slots and makes the appointment in one transaction.
func (c *Client) bookAtOnce(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	how := c.claimFor(call)
	slots, err := c.openSlots(ctx, call.Offer, how)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	bundle := &model.Bundle{Type: "transaction"}
	for _, s := range slots {
		res, err := s.stamp(change{kind: scheduling.CallBook, status: scheduling.SlotBusy, mark: how.mark})
		if err != nil {
			return scheduling.Appointment{}, c.unsent(err)
		}
		bundle.Entry = append(bundle.Entry, model.BundleEntry{
			Resource: res, Request: &model.BundleRequest{Method: http.MethodPut, URL: "Slot/" + s.id, IfMatch: s.etag},
		})
	}
	bundle.Entry = append(bundle.Entry, model.BundleEntry{
		Resource: c.newAppointment(call),
		Request:  &model.BundleRequest{Method: http.MethodPost, URL: "Appointment", IfNoneExist: byIdentifier(c.ours(call.Identifier))},
	})
	r, err := c.write(ctx, order{kind: scheduling.CallBook, lane: laneBook, method: http.MethodPost, path: "", resource: bundle})
	if err != nil {
		return scheduling.Appointment{}, err
	}
	return c.made(r), nil
}

// bookInSteps claims the slots, makes the appointment, and makes the slots busy.
// A crash in between leaves slots under the mark of a booking: Vacate frees them
// once it is known that there is none.
func (c *Client) bookInSteps(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	how := c.claimFor(call)
	slots, err := c.claimSlots(ctx, call.Offer, how)
	if err != nil {
		if scheduling.CodeOf(err) == scheduling.NotSupported {
			c.slotsAreReadOnly()
		}
		return scheduling.Appointment{}, err
	}
	r, err := c.create(ctx, call)
	if err != nil {
		if scheduling.CodeOf(err) == scheduling.InDoubt {
			return scheduling.Appointment{}, err
		}
		return scheduling.Appointment{}, c.afterUndo(c.unclaim(ctx, slots, how), err)
	}
	made := c.made(r)
	switch found := c.occupy(ctx, slots, how.mark); found {
	case followed, contested:
		return c.contest(ctx, call.Offer, made, found)
	case overtaken:
		return c.yield(ctx, made)
	default:
		return made, nil
	}
}

// contest decides who has a slot that somebody else made busy: who came first.
// As long as nobody can tell, it is in doubt, unless the slot bears our mark.
func (c *Client) contest(ctx context.Context, offer scheduling.OfferRecord, made scheduling.Appointment, how outcome) (scheduling.Appointment, error) {
	rivals, err := c.rivals(ctx, c.learnt(), offer)
	switch {
	case how == followed && (len(rivals) == 0 || made.ID == "") && (err == nil || scheduling.CodeOf(err) == scheduling.NotSupported):
		return made, nil // the read-back judges
	case err != nil:
		return scheduling.Appointment{}, c.doubt(err)
	case len(rivals) == 0 || made.ID == "":
		return scheduling.Appointment{}, c.doubt(errUnknownReply)
	case rivals[0].ID == made.ID && (len(rivals) == 1 || rivals[1].Updated.After(rivals[0].Updated)):
		return made, nil
	default:
		return c.yield(ctx, made)
	}
}

// outcome is what became of slots that were to be made busy.
type outcome int

const (
	occupied  outcome = iota // they are ours, or stay busy-tentative under our mark
	followed                 // one was made busy under our mark, by the source or by somebody
	contested                // one was made busy, and is without our mark
	overtaken                // another one of us has taken one
)

// occupy makes the slots busy once the appointment is there.
func (c *Client) occupy(ctx context.Context, slots []*slotNow, mark string) outcome {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	all := occupied
	for _, s := range slots {
		busy := change{kind: scheduling.CallBook, lane: laneBook, status: scheduling.SlotBusy, mark: mark}
		err := c.putSlot(ctx, s, busy)
		if err == nil {
			continue
		}
		again, readErr := c.readSlot(ctx, s.id, laneBook, true)
		switch {
		case readErr != nil:
			c.log.Warn("a booked slot stays busy-tentative", "source", c.source.ID, "slot", s.id, "error", err)
		case again.slot.Status == scheduling.SlotTentative && again.marked(mark):
			_ = c.putSlot(ctx, again, busy)
		case again.marked(mark):
			all = max(all, followed)
		case len(again.marks) > 0:
			return overtaken
		default:
			all = max(all, contested)
		}
	}
	return all
}

// yield takes our appointment back: another one was first.
func (c *Client) yield(ctx context.Context, made scheduling.Appointment) (scheduling.Appointment, error) {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	if made.ID == "" || c.withdraw(ctx, made.ID) != nil {
		return scheduling.Appointment{}, c.doubt(errUnknownReply)
	}
	return scheduling.Appointment{}, c.taken()
}

// bookPlainly makes the appointment and then looks who came first, where the
// source does not see to that.
func (c *Client) bookPlainly(ctx context.Context, t *traits, call scheduling.BookCall) (scheduling.Appointment, error) {
	if c.readsSlots(t) {
		if _, err := c.openSlots(ctx, call.Offer, c.claimFor(call)); err != nil {
			return scheduling.Appointment{}, err
		}
	}
	r, err := c.create(ctx, call)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	made := c.made(r)
	if c.opts.Quirks.Exclusive == "ehr" || made.ID == "" {
		return made, nil
	}
	rivals, err := c.rivals(ctx, t, call.Offer)
	if err != nil || len(rivals) < 2 {
		return made, nil // alone, or nobody can tell: the read-back judges
	}
	if rivals[0].ID == made.ID || !slices.ContainsFunc(rivals, func(a scheduling.Appointment) bool { return a.ID == made.ID }) {
		return made, nil
	}
	return c.yield(ctx, made)
}

// rivals are the appointments that stand on the offer's slots, the first that
// came first. Two who book at the same time see the same order.
func (c *Client) rivals(ctx context.Context, t *traits, offer scheduling.OfferRecord) ([]scheduling.Appointment, error) {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	if lag := c.opts.Booking.Lag.Std(); lag > 0 && !sleep(ctx, lag) {
		return nil, ctx.Err() //nolint:wrapcheck // not looked at
	}
	found, err := appointmentSearch{client: c, lane: laneBook, probe: true}.onSlots(ctx, t, offer)
	if err != nil {
		return nil, err
	}
	asked := offer.SlotIDs()
	found = slices.DeleteFunc(found, func(a scheduling.Appointment) bool {
		stands := a.Status.Stands() || a.Status == scheduling.ApptPending
		shares := slices.ContainsFunc(a.Slots, func(id string) bool { return slices.Contains(asked, id) })
		return !stands || !shares
	})
	slices.SortFunc(found, func(a, b scheduling.Appointment) int {
		if by := a.Updated.Compare(b.Updated); by != 0 {
			return by
		}
		return compareText(a.ID, b.ID)
	})
	return found, nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
