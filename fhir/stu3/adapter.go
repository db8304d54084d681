package stu3

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
)

// Wire is the resource as STU3 writes it, ready for a JSON encoder that knows
// how to write a model.Resource. It never changes res.
func Wire(res model.Resource) any {
	switch r := res.(type) {
	case *model.Slot:
		out := *r
		sourceOut(&out.Base)
		out.AppointmentType = tableOut(r.AppointmentType)
		return &slot{"Slot", single(r.ServiceCategory), &out}
	case *model.Schedule:
		out := *r
		sourceOut(&out.Base)
		return &schedule{"Schedule", single(r.ServiceCategory), &out}
	case *model.Appointment:
		return appointmentOut(r)
	case *model.Location:
		out := *r
		sourceOut(&out.Base)
		return &location{"Location", single(r.Type), &out}
	case *model.HealthcareService:
		out := *r
		sourceOut(&out.Base)
		return &service{"HealthcareService", single(r.Category), &out}
	case *model.Coverage:
		return coverageOut(r)
	case *model.RelatedPerson:
		return relatedOut(r)
	case *model.OperationDefinition:
		return operationOut(r)
	}
	return wireRest(res)
}

// wireRest is for the types whose elements STU3 and R4 share.
func wireRest(res model.Resource) any {
	switch r := res.(type) {
	case *model.Bundle:
		out := *r
		out.Timestamp = "" // R4
		sourceOut(&out.Base)
		return model.Plain(&out)
	case *model.Practitioner:
		out := *r
		sourceOut(&out.Base)
		return model.Plain(&out)
	case *model.PractitionerRole:
		out := *r
		sourceOut(&out.Base)
		return model.Plain(&out)
	case *model.Organization:
		out := *r
		sourceOut(&out.Base)
		return model.Plain(&out)
	case *model.Patient:
		out := *r
		sourceOut(&out.Base)
		return model.Plain(&out)
	case *model.CapabilityStatement:
		out := *r
		if out.AcceptUnknown == "" {
			out.AcceptUnknown = "both" // required; R4 dropped it
		}
		return model.Plain(&out)
	}
	return model.Plain(res)
}

// Open gives the value to decode a resource of a type into, and what makes the
// union of it. into is nil for a type without fields.
func Open(resourceType string) (into any, done func() model.Resource) {
	switch resourceType {
	case "Slot":
		w := &slot{Body: new(model.Slot)}
		return w, func() model.Resource { return slotIn(w) }
	case "Schedule":
		w := &schedule{Body: new(model.Schedule)}
		return w, func() model.Resource {
			w.Body.ServiceCategory = model.Concepts(w.ServiceCategory)
			return finish(w.Body)
		}
	case "Appointment":
		w := &appointment{Body: new(model.Appointment)}
		return w, func() model.Resource { return appointmentIn(w) }
	case "Location":
		w := &location{Body: new(model.Location)}
		return w, func() model.Resource {
			w.Body.Type = model.Concepts(w.Type)
			return finish(w.Body)
		}
	case "HealthcareService":
		w := &service{Body: new(model.HealthcareService)}
		return w, func() model.Resource {
			w.Body.Category = model.Concepts(w.Category)
			return finish(w.Body)
		}
	}
	return openRest(resourceType)
}

func openRest(resourceType string) (into any, done func() model.Resource) {
	switch resourceType {
	case "Coverage":
		w := &coverage{Body: new(model.Coverage)}
		return w, func() model.Resource { return coverageIn(w) }
	case "RelatedPerson":
		w := &related{Body: new(model.RelatedPerson)}
		return w, func() model.Resource {
			w.Body.Relationship = model.Concepts(w.Relationship)
			return finish(w.Body)
		}
	case "OperationDefinition":
		w := &operation{Body: new(model.OperationDefinition)}
		return w, func() model.Resource { return operationIn(w) }
	}
	res, into := model.Open(resourceType)
	return into, func() model.Resource { return finish(res) }
}

// Canonicals writes a canonical as STU3 does: as a Reference.
func Canonicals() *json.Marshalers {
	return json.MarshalToFunc(func(enc *jsontext.Encoder, c model.Canonical) error {
		return json.MarshalEncode(enc, model.Reference{Reference: string(c)})
	})
}

func slotIn(w *slot) model.Resource {
	w.Body.ServiceCategory = model.Concepts(w.ServiceCategory)
	w.Body.AppointmentType = tableIn(w.Body.AppointmentType)
	return finish(w.Body)
}

// finish moves what any resource may carry differently.
func finish(res model.Resource) model.Resource {
	sourceIn(res.Common())
	return res
}
