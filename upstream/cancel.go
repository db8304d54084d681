package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Cancel cancels the appointment; one that is cancelled already is a success.
// At a slots source its slots are freed, where they are still its own, once it is
// read as cancelled; whether that worked is for the caller to prove.
//
// Errors: see booking.EHR.
func (c *Client) Cancel(ctx context.Context, call scheduling.CancelCall) error {
	ctx, cancel := c.withinCall(ctx)
	defer cancel()
	t := c.learn(ctx, laneBook)
	if !c.cancels(t) {
		return c.cannot()
	}
	d, now, err := c.readDocument(ctx, call.Native, laneBook, false)
	code := scheduling.CodeOf(err)
	switch {
	case code == scheduling.NotSupported:
		// It cannot be read: what is written is conditional on its being booked.
		d = &document{kind: kindAppointment, id: call.Native, etag: call.ETag}
		now = scheduling.Appointment{ID: call.Native, Status: scheduling.ApptBooked, Slots: call.Offer.SlotIDs()}
	case err != nil:
		return c.unsent(err)
	case now.Status.Void():
		c.afterCancel(ctx, call, now, false)
		return nil
	case call.ETag != "" && d.etag != "" && call.ETag != d.etag:
		return scheduling.Blame(scheduling.SourceRefused, c.source.ID, nil, "the appointment was changed meanwhile")
	}
	if err = c.writeCancel(ctx, t, d, now.Status, call.Reason); err != nil {
		return err
	}
	if !c.keepsSlots() {
		return nil
	}
	if err = c.proveVoid(ctx, call.Native); err != nil {
		return err
	}
	c.afterCancel(ctx, call, now, true)
	return nil
}

// proveVoid reads an appointment that was just cancelled. An answer may say so,
// and the source still have it booked: then its slots are not to be sold.
func (c *Client) proveVoid(ctx context.Context, native string) error {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	_, now, err := c.readDocument(ctx, native, laneBook, true)
	switch {
	case scheduling.CodeOf(err) == scheduling.UnknownID, err == nil && now.Status.Void():
		return nil
	case err != nil:
		return c.doubt(err)
	default:
		return c.doubt(errUnknownReply)
	}
}

// withdraw cancels an appointment that this call has made, and sees that it is.
func (c *Client) withdraw(ctx context.Context, native string) error {
	d, now, err := c.readDocument(ctx, native, laneBook, true)
	switch {
	case err != nil:
		return err
	case now.Status.Void():
		return nil
	}
	if err = c.writeCancel(ctx, c.learnt(), d, now.Status, ""); err != nil {
		return err
	}
	return c.proveVoid(ctx, native)
}

// writeCancel sends the cancellation, and believes no answer that shows the
// appointment as it was.
func (c *Client) writeCancel(ctx context.Context, t *traits, d *document, from scheduling.AppointmentStatus, reason string) error {
	o, err := c.cancellation(t, d, from, reason)
	if err != nil {
		return err
	}
	o.kind, o.lane = scheduling.CallCancel, laneBook
	r, err := c.write(ctx, o)
	if err != nil {
		return err
	}
	if a := r.appointment(); a != nil && a.Status != "" && !scheduling.AppointmentStatus(a.Status).Void() {
		return c.refuse(scheduling.SourceRefused, r)
	}
	return nil
}

// cancellation is the order that makes an appointment cancelled, on the
// condition that it is still what we read: If-Match, and in a JSON Patch a test
// of the status.
func (c *Client) cancellation(t *traits, d *document, from scheduling.AppointmentStatus, reason string) (order, error) {
	o := order{method: http.MethodPatch, path: "Appointment/" + d.id, ifMatch: d.etag}
	p := patch{release: c.source.Release, from: from, reason: reason, extended: len(d.members["extension"]) > 0, had: len(d.members["cancelationReason"]) > 0}
	if c.opts.Dialect == IHE && c.opts.Quirks.Cancel == auto {
		return c.byStatus(d, p.members(d))
	}
	format := c.patchFormat(t)
	if format == "" && d.members == nil {
		format = "json" // what cannot be read cannot be put
	}
	var err error
	switch format {
	case "json":
		o.body, err = p.json()
		o.contentType = "application/json-patch+json"
	case "xml":
		o.body, err = p.xml()
		o.contentType = "application/xml-patch+xml"
	case "fhirpath":
		o.resource = p.fhirpath()
	default:
		o.method = http.MethodPut
		o.resource, err = d.with(p.members(d))
	}
	if err != nil {
		return o, scheduling.Blame(scheduling.NotAcceptable, c.source.ID, err, "the appointment cannot be written")
	}
	return o, nil
}

// afterCancel frees the slots of a cancelled appointment at a source where
// nobody else does. Those of one that was cancelled before are freed only under
// its own mark: they may be the next patient's by now.
func (c *Client) afterCancel(ctx context.Context, call scheduling.CancelCall, now scheduling.Appointment, first bool) {
	if !c.keepsSlots() {
		return
	}
	slots := now.Slots
	if len(slots) == 0 {
		slots = offered(call.Offer)
	}
	marks := now.Identifiers
	if call.Identifier != "" {
		marks = append(slices.Clone(marks), call.Identifier)
	}
	how := freeing{marks: marks, bare: first, ended: call.Native}
	err := c.freeUnused(ctx, slots, how)
	// An EHR that booked another slot than asked leaves the one that we claimed.
	asked := slices.DeleteFunc(offered(call.Offer), func(id string) bool { return slices.Contains(slots, id) })
	how.bare, how.sure = false, true
	if err = errors.Join(err, c.freeUnused(ctx, asked, how)); err != nil {
		c.log.Warn("a slot could not be freed after a cancel", "source", c.source.ID, "error", err)
	}
}

// offered are the slots of an offer that exist at the source.
func offered(offer scheduling.OfferRecord) []string {
	var ids []string
	for _, slot := range offer.Slots {
		if !slot.Virtual {
			ids = append(ids, slot.ID)
		}
	}
	return ids
}

// Vacate frees the slots of a booking of ours that does not stand: those that
// bear its mark, and on which no other appointment is seen to stand.
//
// Errors: those of reads and writes.
func (c *Client) Vacate(ctx context.Context, call scheduling.VacateCall) error {
	ctx, cancel := c.withinCall(ctx)
	defer cancel()
	c.learn(ctx, laneBook)
	if !c.keepsSlots() {
		return nil
	}
	slots, marks := offered(call.Offer), []string{call.Identifier}
	if call.Native != "" {
		_, now, err := c.readDocument(ctx, call.Native, laneBook, true)
		switch {
		case err != nil && scheduling.CodeOf(err) != scheduling.UnknownID:
			return c.unsent(err)
		case err == nil && !now.Status.Void():
			return scheduling.Blame(scheduling.NotAcceptable, c.source.ID, nil, "the appointment stands")
		}
		for _, id := range now.Slots {
			if !slices.Contains(slots, id) {
				slots = append(slots, id)
			}
		}
		marks = append(marks, now.Identifiers...)
	}
	return c.freeUnused(ctx, slots, freeing{marks: marks, ended: call.Native})
}

// freeing is how slots are freed: those under one of the marks.
type freeing struct {
	marks []string
	bare  bool   // those without any mark of ours too
	sure  bool   // not where it cannot be searched who stands there
	ended string // an appointment that was read as not standing there any more: searches may be behind
}

// freeUnused frees slots on which no appointment is seen to stand: the clinic
// may have put a second patient there.
func (c *Client) freeUnused(ctx context.Context, ids []string, how freeing) error {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	var errs []error
	for _, id := range ids {
		if err := c.freeIfUnused(ctx, id, how); err != nil {
			errs = append(errs, fmt.Errorf("slot %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Client) freeIfUnused(ctx context.Context, id string, how freeing) error {
	s, err := c.readSlot(ctx, id, laneBook, true)
	switch {
	case scheduling.CodeOf(err) == scheduling.UnknownID:
		return nil
	case err != nil:
		return err
	case s.slot.Status == scheduling.SlotFree || !s.belongsTo(how.marks, how.bare):
		return nil
	}
	look := appointmentSearch{client: c, lane: laneBook, probe: true, ended: how.ended, everybody: true}
	found, err := look.standing(ctx, c.learnt(), s.slot, s.marks)
	switch {
	case err != nil && (how.sure || scheduling.CodeOf(err) != scheduling.NotSupported):
		return err
	case len(found) > 0:
		return nil
	}
	return c.putSlot(ctx, s, change{kind: scheduling.CallRelease, lane: laneBook, probe: true, status: scheduling.SlotFree})
}

func (s *slotNow) belongsTo(marks []string, bare bool) bool {
	if len(s.marks) == 0 {
		return bare
	}
	for _, mark := range marks {
		if s.marked(mark) {
			return true
		}
	}
	return false
}

// readDocument reads an appointment as it is written and as it is meant.
func (c *Client) readDocument(ctx context.Context, native string, l lane, probe bool) (*document, scheduling.Appointment, error) {
	d, res, err := c.document(ctx, kindAppointment, native, l, probe)
	if err != nil {
		return nil, scheduling.Appointment{}, err
	}
	in, _ := res.(*model.Appointment)
	now := c.appointmentOf(in, nil)
	now.ETag, now.Shown = d.etag, d.shown
	return d, now, nil
}

// rawList reads a member that is a list, piece by piece.
func (d *document) rawList(name string) []any {
	var raws []json.RawMessage
	d.member(name, &raws)
	out := make([]any, 0, len(raws)+1)
	for _, raw := range raws {
		out = append(out, raw)
	}
	return out
}
