package upstream

import (
	"context"
	"net/http"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// epic is the dialect of Epic's STU3 scheduling: Appointment/$find for each day,
// with parameter names of its own, and $book by the id of what $find proposed.
// That id is another one each time and ages: a slot is known by whom, where, when
// and what for, and before it is booked it is looked for once more. Nothing can
// be held.
type epic struct{}

func (epic) fetch(ctx context.Context, c *Client, scope scheduling.Scope) (*harvest, string, error) {
	h, cut, err := c.findDays(ctx, scope, func(p period, _ []string) (question, error) {
		from, to := c.spanOf(p)
		return c.epicQuestion(from, to)
	})
	if err != nil {
		return nil, "", err
	}
	for _, r := range h.records {
		r.slot.Appointment = "" // of no use any more when somebody books
	}
	return h, cut, nil
}

// epicQuestion asks for everybody: $find knows no parameter for a practitioner.
func (c *Client) epicQuestion(from, to string) (question, error) {
	in := &model.Parameters{Parameter: []model.Parameter{dateTime("startTime", from), dateTime("endTime", to)}}
	for _, name := range sortedNames(c.opts.Quirks.Params) {
		in.Parameter = append(in.Parameter, epicParam(name, c.opts.Quirks.Params[name]))
	}
	return c.findQuestion(in)
}

// epicParam is a parameter of the configuration, as $find wants it.
func epicParam(name, value string) model.Parameter {
	switch name {
	case "serviceType", "indications", "specialties":
		return model.Parameter{Name: name, ValueCodeableConcept: conceptFrom(value)}
	case "location-reference":
		return reference(name, value)
	default:
		return model.Parameter{Name: name, ValueString: value}
	}
}

// bookProposed finds the slot once more and books it by the id that it has now.
func (c *Client) bookProposed(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error) {
	if len(call.Patients) != 1 || len(call.Offer.Slots) != 1 {
		return scheduling.Appointment{}, c.cannot()
	}
	id, err := c.proposedNow(ctx, call.Offer)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	in := &model.Parameters{Parameter: []model.Parameter{
		{Name: "patient", ValueIdentifier: &model.Identifier{Value: call.Patients[0]}},
		{Name: "appointment", ValueIdentifier: &model.Identifier{Value: id}},
	}}
	if call.Comment != "" {
		in.Parameter = append(in.Parameter, model.Parameter{Name: "appointmentNote", ValueString: call.Comment})
	}
	r, err := c.write(ctx, order{kind: scheduling.CallBook, lane: laneBook, method: http.MethodPost, path: bookPath, resource: in})
	if err != nil {
		return scheduling.Appointment{}, err
	}
	return c.made(r), nil
}

// proposedNow is the id under which the source proposes the slot at this moment.
//
// Errors: slot-taken: it does not, in a whole answer; those of a read that a
// write was to follow.
func (c *Client) proposedNow(ctx context.Context, offer scheduling.OfferRecord) (string, error) {
	day := scheduling.DayOf(offer.Start(), offer.Location())
	from, to := c.spanOf(period{days: scheduling.Days{From: day, To: day + 1}, from: offer.Start(), to: offer.End()})
	q, err := c.epicQuestion(from, to)
	if err != nil {
		return "", c.unsent(err)
	}
	q.lane, q.timeout = laneBook, c.opts.Booking.ReadTimeout.Std()
	h := newHarvest(kindAppointment, c.rule, c.opts.Limits.MaxSlots)
	h.temporary = true
	cut, err := c.pages(ctx, q, h.page)
	if err != nil {
		return "", c.unsent(err)
	}
	if id := c.sameAs(h, offer); id != "" {
		return id, nil
	}
	if cut != "" || h.nameless > 0 {
		return "", c.unsent(c.readFault(scheduling.SourceNonsense, nil, "the source's answer is not whole"))
	}
	return "", c.taken()
}

// sameAs finds the proposal of the offer's slot: it has the same identity.
func (c *Client) sameAs(h *harvest, offer scheduling.OfferRecord) string {
	judge := newAssembler(c.source, scheduling.Scope{}, nil, nil)
	for _, r := range h.records {
		from, to, err := judge.times(r, offer.Location())
		if err != nil || !scheduling.ValidID(r.slot.Appointment) {
			continue
		}
		slot := r.slot
		slot.Start, slot.End = from, to
		if virtualID(c.source.ID, r.actors, &slot) == offer.Slots[0].ID {
			return slot.Appointment
		}
	}
	return ""
}

// conceptFrom reads "system|code", or a code alone.
func conceptFrom(token string) *model.CodeableConcept {
	system, code, found := strings.Cut(token, "|")
	if !found {
		system, code = "", token
	}
	return &model.CodeableConcept{Coding: []model.Coding{{System: system, Code: code}}}
}
