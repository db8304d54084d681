package upstream

import (
	"context"
	"net/http"
	"slices"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// ihe is the dialect of IHE ITI Scheduling
// (https://profiles.ihe.net/ITI/Scheduling): Appointment/$find for each day,
// POSTed; $hold by the reference of what was proposed; and $book for everything
// else, where the status of the appointment says what is wanted: pending books,
// booked changes, cancelled cancels. A refusal is an OperationOutcome alone.
type ihe struct{}

// bookPath is where an operation books; in this dialect it changes and cancels
// as well.
const bookPath = "Appointment/$book"

func (ihe) fetch(ctx context.Context, c *Client, scope scheduling.Scope) (*harvest, string, error) {
	return c.findDays(ctx, scope, func(p period, practitioners []string) (question, error) {
		in := &model.Parameters{}
		from, to := c.spanOf(p)
		in.Parameter = append(in.Parameter, dateTime("start", from), dateTime("end", to))
		for _, id := range practitioners {
			in.Parameter = append(in.Parameter, reference("practitioner", "Practitioner/"+id))
		}
		if count := c.opts.Quirks.PageSize; count > 0 {
			in.Parameter = append(in.Parameter, model.Parameter{Name: "_count", ValueInteger: &count})
		}
		for _, name := range sortedNames(c.opts.Quirks.Params) {
			in.Parameter = append(in.Parameter, iheParam(name, c.opts.Quirks.Params[name]))
		}
		q, err := c.findQuestion(in)
		q.totals = true
		return q, err
	})
}

// iheParam is a parameter of the configuration, as the profile wants it.
func iheParam(name, value string) model.Parameter {
	if oneOf(name, "practitioner", "organization", "location-reference", "patient-reference", "insurance-reference") {
		return reference(name, value)
	}
	return model.Parameter{Name: name, ValueString: value}
}

// findDays asks $find for each day of a scope.
func (c *Client) findDays(ctx context.Context, scope scheduling.Scope, ask func(p period, practitioners []string) (question, error)) (*harvest, string, error) {
	practitioners := c.practitionersOf(scope.Schedules)
	var questions []question
	for _, p := range c.periods(scope.Days, 1) {
		q, err := ask(p, practitioners)
		if err != nil {
			return nil, "", err
		}
		questions = append(questions, q)
	}
	return c.gather(ctx, kindAppointment, questions)
}

// findQuestion is a $find that is POSTed.
func (c *Client) findQuestion(in *model.Parameters) (question, error) {
	body, err := fhir.Write(c.source.Release, fhir.JSON, in)
	return question{
		op: "find", kind: kindAppointment, method: http.MethodPost, url: resolve(c.base, "Appointment/$find", nil), body: body,
	}, err //nolint:wrapcheck // one of ours
}

// spanOf is a period as the source understands it.
func (c *Client) spanOf(p period) (from, to string) {
	if c.opts.Quirks.DateOnly {
		return (p.days.From - 1).String(), p.days.To.String()
	}
	return instant(p.from), instant(p.to)
}

func dateTime(name, at string) model.Parameter {
	return model.Parameter{Name: name, ValueDateTime: at}
}

func reference(name, to string) model.Parameter {
	return model.Parameter{Name: name, ValueReference: &model.Reference{Reference: to}}
}

func sortedNames(params map[string]string) []string {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// named is the id under which the source knows what is to be booked: that of the
// hold, else of its proposal; "" where it knows none.
func named(offer scheduling.OfferRecord, hold *scheduling.Hold) string {
	switch {
	case hold != nil && hold.Native != "":
		return hold.Native
	case len(offer.Slots) == 1:
		return offer.Slots[0].Appointment
	default:
		return ""
	}
}

// holdByReference asks $hold. What the source did not propose itself it cannot
// hold.
func (c *Client) holdByReference(ctx context.Context, call scheduling.HoldCall) (scheduling.HoldAnswer, error) {
	id := named(call.Offer, call.Hold)
	if id == "" {
		return scheduling.HoldAnswer{}, c.cannot()
	}
	in := &model.Parameters{Parameter: []model.Parameter{reference("appointment-reference", "Appointment/"+id)}}
	r, err := c.write(ctx, order{kind: scheduling.CallHold, lane: laneHold, method: http.MethodPost, path: "Appointment/$hold", resource: in})
	if err != nil {
		return scheduling.HoldAnswer{}, err
	}
	return c.heldBy(r)
}

// bookByStatus asks $book for a pending appointment. The profile has no
// parameter that names a patient: he takes part in the appointment, or, with
// quirks.name id, is given as a Patient of whom nothing is said but his id.
func (c *Client) bookByStatus(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	id, in := named(call.Offer, call.Hold), &model.Parameters{}
	if c.opts.Quirks.Name == "id" && id != "" {
		in.Parameter = append(in.Parameter, reference("appointment-reference", "Appointment/"+id))
		for _, patient := range call.Patients {
			in.Parameter = append(in.Parameter, model.Parameter{Name: "patient-resource", Resource: &model.Patient{Base: model.Base{ID: patient}}})
		}
	} else {
		a := wanted{
			offer: call.Offer, status: scheduling.ApptPending, identifier: c.ours(call.Identifier), patients: call.Patients, comment: call.Comment,
		}.resource()
		a.ID, a.RequestedPeriod = id, []model.Period{{Start: a.Start, End: a.End}}
		in.Parameter = append(in.Parameter, model.Parameter{Name: "appointment-resource", Resource: a})
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

// moveByStatus asks $book for the booked appointment at its new time.
func (c *Client) moveByStatus(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	d, before, err := c.toMove(ctx, call)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	changes := c.moved(ctx, d, call, before)
	changes["status"] = string(scheduling.ApptBooked)
	changes["requestedPeriod"] = []map[string]any{{"start": changes["start"], "end": changes["end"]}}
	o, err := c.byStatus(d, changes)
	if err != nil {
		return scheduling.Appointment{}, c.unsent(err)
	}
	o.kind, o.lane = scheduling.CallMove, laneBook
	r, err := c.write(ctx, o)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	made := c.made(r)
	made.ID = d.id
	return made, nil
}

// byStatus is the $book that makes an appointment what its status says. The
// profile knows no condition; who heeds If-Match refuses what was changed since
// it was read.
func (c *Client) byStatus(d *document, changes map[string]any) (order, error) {
	if d.members == nil { // it cannot be read
		changes["resourceType"], changes["id"] = string(d.kind), d.id
	}
	res, err := d.with(changes)
	in := &model.Parameters{Parameter: []model.Parameter{{Name: "appointment-resource", Resource: res}}}
	return order{method: http.MethodPost, path: bookPath, resource: in, ifMatch: d.etag}, err
}
