package fhir

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// PatientElsewhere is a Patient as an EHR shows it to somebody who may see it:
// who it is, and nothing that leads elsewhere, runs in a browser, or is of the
// chart. The id is the EHR's own. It is shown by PatientAt.
//
// Errors: source-nonsense.
func PatientElsewhere(rel scheduling.Release, p *model.Patient) (scheduling.Registration, error) {
	kept := &model.Patient{
		Identifier: p.Identifier, Active: p.Active, Name: p.Name, Telecom: p.Telecom, Gender: p.Gender,
		BirthDate: p.BirthDate, Address: p.Address,
	}
	if !slices.Contains([]string{"", "male", "female", "other", "unknown"}, p.Gender) {
		kept.Gender = ""
	}
	if !wholeDate.MatchString(p.BirthDate) {
		kept.BirthDate = ""
	}
	patient, data, err := harmlessPart(rel, kept)
	if err != nil || !scheduling.ValidID(p.ID) {
		return scheduling.Registration{}, scheduling.Fault(scheduling.SourceNonsense, err, "the source's patient cannot be read")
	}
	r := registrationOf(patient)
	r.ID, r.Release, r.Resource = p.ID, rel, data
	return r, nil
}

// harmlessPart is a resource without the texts that people do not write, and
// without references.
func harmlessPart(rel scheduling.Release, p *model.Patient) (*model.Patient, []byte, error) {
	data, err := codecOf(rel).encode(p)
	if err != nil {
		return nil, nil, err
	}
	all, err := tree(data)
	if err != nil {
		return nil, nil, err
	}
	dropUnplain(all)
	if data, err = json.Marshal(all); err != nil {
		return nil, nil, scheduling.Fault(scheduling.Internal, err, "a patient cannot be written")
	}
	if data, err = withoutReferences(data); err != nil {
		return nil, nil, err
	}
	patient, err := patientOf(rel, data)
	return patient, data, err
}

// dropUnplain takes texts with markup or control characters out of an object.
// Within a list they become empty, which means none.
func dropUnplain(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			text, isText := inner.(string)
			if !scheduling.PlainText(key) || isText && !scheduling.PlainText(text) {
				delete(v, key)
				continue
			}
			dropUnplain(inner)
		}
	case []any:
		for i, inner := range v {
			if text, ok := inner.(string); ok && !scheduling.PlainText(text) {
				v[i] = "?" // a list of texts has no holes
				continue
			}
			dropUnplain(inner)
		}
	}
}

// PatientAt is such a person as callers see them, told as the source's own.
func PatientAt(source scheduling.SourceID, r scheduling.Registration) (*model.Patient, error) {
	patient, err := patientOf(r.Release, r.Resource)
	if err != nil {
		return nil, err
	}
	patient.ID = r.ID
	patient.Meta = Origin{Source: source, URI: SourceURI(source)}.Meta()
	return patient, nil
}

// AppointmentElsewhere reads an Appointment as AppointmentIn does, and what an
// offer would tell of it.
func AppointmentElsewhere(in *model.Appointment, zone *time.Location, system string) scheduling.ElsewhereAppointment {
	out := scheduling.ElsewhereAppointment{
		Appointment:     AppointmentIn(in, zone, system),
		ServiceCategory: toConcepts(in.ServiceCategory), ServiceType: toConcepts(in.ServiceType), Specialty: toConcepts(in.Specialty),
		Comment: comment(in.Comment), Reason: reasonOf(in),
	}
	if in.AppointmentType != nil {
		kind := toConcept(in.AppointmentType)
		out.AppointmentType = &kind
	}
	if out.Status == "" && out.Reason != "" {
		out.Status = scheduling.ApptCancelled
	}
	// Whom only a name stands for may be another patient.
	out.Actors = actorsOf(slices.DeleteFunc(slices.Clone(in.Participant), func(p model.AppointmentParticipant) bool {
		return p.Actor != nil && (strings.HasPrefix(p.Actor.Reference, "#") || p.Actor.Type == string(kindPatient) || p.Actor.Type == "RelatedPerson")
	}))
	return out
}
