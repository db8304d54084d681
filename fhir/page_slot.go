package fhir

import (
	"errors"

	"slotgate/fhir/model"
)

// errMember is a member that holds the wrong kind of value.
var errMember = errors.New("fhir: an element of the wrong kind")

// slot reads a Slot of a page. Its narrative is left out: it says in words what
// the elements say, in other bytes for each slot. A slot with elements beyond
// those of the guide's profile is read whole, the ordinary way.
func (r *pageReader) slot(cur *cursor) (model.Resource, error) {
	s := new(model.Slot)
	return r.walk(cur, s, func(name []byte) *string { return slotText(s, name) }, func(name []byte, part model.Resource) bool {
		return slotPart(s, part.(*model.Slot), name)
	})
}

// walk reads the members of the object at the cursor into res: a text where
// field says, any other member by what was read of it before. take is false
// for an element that it does not know; then the object is read whole. The
// cursor is behind the object in any case.
func (r *pageReader) walk(cur *cursor, res model.Resource, field func([]byte) *string, take func([]byte, model.Resource) bool) (model.Resource, error) {
	begin, whole := cur.i, false
	var fault error
	for cur.next() {
		start := cur.i
		name := cur.name()
		value := cur.value()
		switch to := field(name); {
		case whole || fault != nil || string(name) == "resourceType" || string(name) == "text":
		case to != nil:
			if !setText(to, value) {
				fault = errMember
			}
		case plainExtension(res, name, value):
		case !frequent(name):
			whole = true
		default:
			part, err := r.member(res.ResourceType(), cur.b[start:cur.i])
			if fault = err; err == nil {
				whole = !take(name, part)
			}
		}
	}
	if whole {
		return r.codec.decode(cur.b[begin:cur.i])
	}
	return res, fault
}

// frequent are the members that are worth remembering. Others may well be
// known to the types, but are read the ordinary way.
func frequent(name []byte) bool {
	switch string(name) {
	case "meta", "serviceCategory", "serviceType", "specialty", "appointmentType", "schedule",
		"minutesDuration", "slot", "participant", "requestedPeriod":
		return true
	}
	return false
}

// slotText is where a text of this name belongs, nil for other elements.
func slotText(s *model.Slot, name []byte) *string {
	switch string(name) {
	case "id":
		return &s.ID
	case "status":
		return &s.Status
	case "start":
		return &s.Start
	case "end":
		return &s.End
	case "comment":
		return &s.Comment
	}
	return nil
}

func slotPart(s, part *model.Slot, name []byte) bool {
	switch string(name) {
	case "meta":
		s.Meta = part.Meta
	case "serviceCategory":
		s.ServiceCategory = part.ServiceCategory
	case "serviceType":
		s.ServiceType = part.ServiceType
	case "specialty":
		s.Specialty = part.Specialty
	case "appointmentType":
		s.AppointmentType = part.AppointmentType
	case "schedule":
		s.Schedule = part.Schedule
	default:
		return false
	}
	return true
}

// setText stores a string; null is an absent element.
func setText(field *string, raw []byte) bool {
	if string(raw) == "null" {
		return true
	}
	if string(raw) == `"free"` {
		*field = "free" // by far the most frequent: no copy
		return true
	}
	s, ok := textOf(raw)
	*field = s
	return ok
}

// appointment reads a proposed Appointment of a page, as slot does.
func (r *pageReader) appointment(cur *cursor) (model.Resource, error) {
	a := new(model.Appointment)
	return r.walk(cur, a, func(name []byte) *string { return appointmentText(a, name) }, func(name []byte, part model.Resource) bool {
		return appointmentPart(a, part.(*model.Appointment), name)
	})
}

func appointmentText(a *model.Appointment, name []byte) *string {
	switch string(name) {
	case "id":
		return &a.ID
	case "status":
		return &a.Status
	case "start":
		return &a.Start
	case "end":
		return &a.End
	case "comment":
		return &a.Comment
	case "description":
		return &a.Description
	}
	return nil
}

func appointmentPart(a, part *model.Appointment, name []byte) bool {
	switch string(name) {
	case "meta":
		a.Meta = part.Meta
	case "serviceCategory":
		a.ServiceCategory = part.ServiceCategory
	case "serviceType":
		a.ServiceType = part.ServiceType
	case "specialty":
		a.Specialty = part.Specialty
	case "appointmentType":
		a.AppointmentType = part.AppointmentType
	case "minutesDuration":
		a.MinutesDuration = part.MinutesDuration
	case "slot":
		a.Slot = part.Slot
	case "participant":
		a.Participant = part.Participant
	case "requestedPeriod":
		a.RequestedPeriod = part.RequestedPeriod
	default:
		return false
	}
	return true
}

// plainExtension reads the extensions of a Slot that say where it is booked:
// other ones on each slot, of a URL and a text. It is false for all others; then
// nothing was read.
func plainExtension(res model.Resource, name, list []byte) bool {
	slot, ok := res.(*model.Slot)
	if !ok || string(name) != "extension" || list[0] != '[' {
		return false
	}
	out := []model.Extension{}
	for cur := (&cursor{b: list}); cur.next(); {
		if cur.b[cur.i] != '{' {
			return false
		}
		var e model.Extension
		for cur.next() {
			name := cur.name()
			value := cur.value()
			field := extensionText(&e, name)
			if field == nil || value[0] != '"' || !setText(field, value) {
				return false
			}
		}
		out = append(out, e)
	}
	slot.Extension = out
	return true
}

func extensionText(e *model.Extension, name []byte) *string {
	switch string(name) {
	case "url":
		return &e.URL
	case "valueUrl":
		return &e.ValueURL
	case "valueUri":
		return &e.ValueURI
	case "valueString":
		return &e.ValueString
	}
	return nil
}
