package upstream

import (
	"context"
	"net/http"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Book makes the appointment, or moves one. What it gives is what the source
// answered: it is to be read back (law 1). Without an id in the answer it has
// none.
//
// Errors: see booking.EHR.
func (c *Client) Book(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	ctx, cancel := c.withinCall(ctx)
	defer cancel()
	t := c.learn(ctx, laneBook)
	switch {
	case call.Moves != "" && c.opts.Dialect == IHE:
		return c.moveByStatus(ctx, call)
	case call.Moves != "" && c.opts.Dialect != Slots:
		return scheduling.Appointment{}, c.cannot()
	case call.Moves != "":
		return c.move(ctx, t, call)
	case c.opts.Dialect == Argonaut:
		return c.bookByOperation(ctx, call)
	case c.opts.Dialect == IHE:
		return c.bookByStatus(ctx, call)
	case c.opts.Dialect == Epic:
		return c.bookProposed(ctx, call)
	default:
		return c.bookSlots(ctx, t, call)
	}
}

// bookByOperation asks Appointment/$book.
func (c *Client) bookByOperation(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	held := ""
	if call.Hold != nil {
		held = call.Hold.Native
	}
	if held == "" && nameless(call.Offer) {
		return scheduling.Appointment{}, c.cannot()
	}
	in := c.nameOffer(call.Offer, held, wanted{offer: call.Offer, status: scheduling.ApptProposed, identifier: c.ours(call.Identifier)})
	for _, patient := range call.Patients {
		in.Parameter = append(in.Parameter, model.Parameter{Name: "patient-id", ValueURI: "Patient/" + patient})
	}
	if call.Comment != "" {
		in.Parameter = append(in.Parameter, model.Parameter{Name: "comment", ValueString: call.Comment})
	}
	r, err := c.write(ctx, order{kind: scheduling.CallBook, lane: laneBook, method: http.MethodPost, path: bookPath, resource: in})
	if err != nil {
		return scheduling.Appointment{}, err
	}
	return c.made(r), nil
}

// made is the appointment as the answer tells of it.
func (c *Client) made(r *reply) scheduling.Appointment {
	out := scheduling.Appointment{ID: r.native(), ETag: r.etag}
	if a := r.appointment(); a != nil {
		header := r.header
		if len(r.appts)+len(r.slots) > 1 || r.location != "" && a.ID != r.location {
			header = nil // the ETag is not this one's
		}
		out = c.appointmentOf(a, header)
		out.ID = r.native()
	}
	return out
}

// newAppointment is the order that creates the booked Appointment.
func (c *Client) newAppointment(call scheduling.BookCall) *model.Appointment {
	return wanted{
		offer: call.Offer, status: scheduling.ApptBooked, identifier: c.ours(call.Identifier),
		patients: call.Patients, comment: call.Comment, now: c.now(),
	}.resource()
}

// create posts the Appointment, once for each identifier of ours where the
// source can tell.
func (c *Client) create(ctx context.Context, call scheduling.BookCall) (*reply, error) {
	return c.write(ctx, order{
		kind: scheduling.CallBook, lane: laneBook, method: http.MethodPost, path: "Appointment",
		resource: c.newAppointment(call), ifNoneExist: byIdentifier(c.ours(call.Identifier)),
	})
}
