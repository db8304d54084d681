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
func (r *pageReader) slot(raw []byte) (model.Resource, error) {
	s := new(model.Slot)
	cur := &cursor{b: raw}
	for cur.next() {
		start := cur.i
		name := string(cur.name())
		at := cur.i
		cur.value()
		value, member := cur.b[at:cur.i], cur.b[start:cur.i]
		if field := slotText(s, name); field != nil {
			if !setText(field, value) {
				return nil, errMember
			}
			continue
		}
		switch name {
		case "resourceType", "text":
			continue
		case "meta", "serviceCategory", "serviceType", "specialty", "appointmentType", "schedule":
		default:
			return r.codec.decode(raw)
		}
		part, err := r.member("Slot", member)
		if err != nil {
			return nil, err
		}
		slotPart(s, part.(*model.Slot), name)
	}
	return s, nil
}

// slotText is where a text of this name belongs, nil for other elements.
func slotText(s *model.Slot, name string) *string {
	switch name {
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

func slotPart(s, part *model.Slot, name string) {
	switch name {
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
	}
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
func (r *pageReader) appointment(raw []byte) (model.Resource, error) {
	a := new(model.Appointment)
	cur := &cursor{b: raw}
	for cur.next() {
		start := cur.i
		name := string(cur.name())
		at := cur.i
		cur.value()
		value, member := cur.b[at:cur.i], cur.b[start:cur.i]
		if field := appointmentText(a, name); field != nil {
			if !setText(field, value) {
				return nil, errMember
			}
			continue
		}
		switch name {
		case "resourceType", "text":
			continue
		case "meta", "serviceCategory", "serviceType", "specialty", "appointmentType", "minutesDuration",
			"slot", "participant", "requestedPeriod":
		default:
			return r.codec.decode(raw)
		}
		part, err := r.member("Appointment", member)
		if err != nil {
			return nil, err
		}
		appointmentPart(a, part.(*model.Appointment), name)
	}
	return a, nil
}

func appointmentText(a *model.Appointment, name string) *string {
	switch name {
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

func appointmentPart(a, part *model.Appointment, name string) {
	switch name {
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
	}
}
