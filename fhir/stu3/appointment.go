package stu3

import (
	"strings"

	"slotgate/fhir/model"
)

// StatusReason is the guide's extension for why an appointment was cancelled;
// R4 has cancelationReason for it.
const StatusReason = "http://fhir.org/guides/argonaut-scheduling/StructureDefinition/extension-status-reason"

func appointmentIn(w *appointment) model.Resource {
	a := w.Body
	a.ServiceCategory = model.Concepts(w.ServiceCategory)
	a.ReasonCode, a.ReasonReference, a.BasedOn = w.Reason, w.Indication, w.Referral
	a.AppointmentType = tableIn(a.AppointmentType)
	for i, ext := range a.Extension {
		if ext.URL == StatusReason && ext.ValueCodeableConcept != nil && a.CancelationReason == nil {
			a.CancelationReason = ext.ValueCodeableConcept
			a.Extension = without(a.Extension, i)
			break
		}
	}
	return finish(a)
}

func appointmentOut(r *model.Appointment) any {
	out := *r
	sourceOut(&out.Base)
	w := &appointment{
		ResourceType:    "Appointment",
		ServiceCategory: single(r.ServiceCategory),
		Reason:          r.ReasonCode, Indication: r.ReasonReference, Referral: r.BasedOn,
		Body: &out,
	}
	out.ReasonCode, out.ReasonReference, out.BasedOn, out.CancelationReason = nil, nil, nil, nil
	out.PatientInstruction = ""
	out.AppointmentType = tableOut(r.AppointmentType)
	out.Status = statusOut(r.Status)
	out.Participant = participantsOut(r.Participant)
	if r.CancelationReason != nil {
		reason := model.Extension{URL: StatusReason, ValueCodeableConcept: r.CancelationReason}
		out.Extension = append(append([]model.Extension(nil), r.Extension...), reason)
	}
	return w
}

// statusOut says R4's two additional states with the nearest that STU3 has.
func statusOut(status string) string {
	switch status {
	case "checked-in":
		return "arrived"
	case "waitlist":
		return "pending"
	}
	return status
}

// participantsOut leaves out roles, which cannot take part in STU3, and the
// period of the participation.
func participantsOut(in []model.AppointmentParticipant) []model.AppointmentParticipant {
	out := make([]model.AppointmentParticipant, 0, len(in))
	for _, p := range in {
		if p.Actor != nil && isRole(p.Actor.Reference) {
			continue
		}
		p.Period = nil
		out = append(out, p)
	}
	return out
}

func isRole(reference string) bool {
	return strings.HasPrefix(reference, "PractitionerRole/") || strings.Contains(reference, "/PractitionerRole/")
}
