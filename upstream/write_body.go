package upstream

import (
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// wanted is an appointment to be made of an offer's record.
type wanted struct {
	offer      scheduling.OfferRecord
	status     scheduling.AppointmentStatus
	identifier string
	patients   []string
	comment    string
	now        time.Time
}

// resource is the Appointment of the offer's record as the source would write
// it: its own ids, times with the offset of the place.
func (w wanted) resource() *model.Appointment {
	zone := w.offer.Location()
	minutes := int(w.offer.End().Sub(w.offer.Start()) / time.Minute)
	a := &model.Appointment{
		Status:          string(w.status),
		ServiceCategory: conceptsOut(w.offer.ServiceCategory),
		ServiceType:     conceptsOut(w.offer.ServiceType),
		Specialty:       conceptsOut(w.offer.Specialty),
		Start:           w.offer.Start().In(zone).Format(time.RFC3339),
		End:             w.offer.End().In(zone).Format(time.RFC3339),
		Comment:         w.comment,
	}
	if minutes > 0 {
		a.MinutesDuration = &minutes
	}
	if t := w.offer.AppointmentType; t != nil {
		a.AppointmentType = &conceptsOut([]scheduling.Concept{*t})[0]
	}
	if w.identifier != "" {
		a.Identifier = []model.Identifier{{System: IdentifierSystem, Value: w.identifier}}
	}
	if w.status == scheduling.ApptBooked {
		a.Created = w.now.UTC().Format(time.RFC3339)
	}
	a.Slot = slotsOut(w.offer.Slots)
	a.Participant = w.participants()
	return a
}

func slotsOut(slots []scheduling.Slot) []model.Reference {
	var out []model.Reference
	for _, slot := range slots {
		if !slot.Virtual {
			out = append(out, model.Reference{Reference: "Slot/" + slot.ID})
		}
	}
	return out
}

// participants are those who can take part: an Organization cannot.
func (w wanted) participants() []model.AppointmentParticipant {
	status := "needs-action"
	if w.status == scheduling.ApptBooked {
		status = "accepted"
	}
	var out []model.AppointmentParticipant
	add := func(ref model.Reference) {
		out = append(out, model.AppointmentParticipant{Actor: &ref, Required: "required", Status: status})
	}
	for _, patient := range w.patients {
		add(model.Reference{Reference: "Patient/" + patient})
	}
	for _, actor := range w.offer.Actors {
		switch {
		case actor.ID == "" && actor.Display != "":
			add(model.Reference{Display: actor.Display})
		case actor.ID != "" && actor.Kind != scheduling.KindOrganization:
			add(model.Reference{Reference: string(actor.Kind) + "/" + actor.ID, Display: actor.Display})
		}
	}
	return out
}

func conceptsOut(in []scheduling.Concept) []model.CodeableConcept {
	var out []model.CodeableConcept
	for _, concept := range in {
		c := model.CodeableConcept{Text: concept.Text}
		for _, coding := range concept.Codings {
			c.Coding = append(c.Coding, model.Coding{System: coding.System, Code: coding.Code, Display: coding.Display})
		}
		out = append(out, c)
	}
	return out
}

// ours is our identifier, where the source takes one.
func (c *Client) ours(identifier string) string {
	if !c.identifies() {
		return ""
	}
	return identifier
}
