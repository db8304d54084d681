package fhir

import (
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Patients come in whatever release a caller speaks, and go to a source in its
// own. What is read of one are the elements that decide who it is; the rest is
// kept as it came.

// ReadPatient reads a Patient that somebody wants registered. What it is like is
// for scheduling.Registration.Check to judge.
//
// Errors: bad-request where it cannot be read; not-acceptable for what cannot
// be kept whole or must not be passed on.
func ReadPatient(rel scheduling.Release, f Format, body []byte) (scheduling.Registration, error) {
	res, dropped, err := ReadCounting(rel, f, body)
	if err != nil {
		return scheduling.Registration{}, err
	}
	patient, ok := res.(*model.Patient)
	switch {
	case !ok:
		return scheduling.Registration{}, scheduling.Refuse(scheduling.BadRequest, "", "the body is not a Patient")
	case dropped > 0:
		return scheduling.Registration{}, refusePatient("Patient", "the patient has elements that this version of FHIR does not have")
	}
	return RegistrationOf(rel, patient)
}

// RegistrationOf makes a person of a Patient, as ReadPatient does.
func RegistrationOf(rel scheduling.Release, patient *model.Patient) (scheduling.Registration, error) {
	var none scheduling.Registration
	switch {
	case patient.ImplicitRules != "" || len(patient.ModifierExtension) > 0:
		return none, refusePatient("Patient", "the patient follows rules that are not known here")
	case !slices.Contains([]string{"", "male", "female", "other", "unknown"}, patient.Gender):
		return none, refusePatient("Patient.gender", "Patient.gender is none of male, female, other, unknown")
	}
	kept := *patient
	kept.ID = ""
	if kept.Meta != nil {
		meta := *kept.Meta
		meta.VersionID, meta.LastUpdated, meta.Source = "", "", ""
		kept.Meta = &meta
	}
	if Check(rel, &kept) != nil {
		return none, refusePatient("Patient", "the patient is not valid in this version of FHIR")
	}
	data, err := codecOf(rel).encode(&kept)
	if err != nil {
		return none, refusePatient("Patient", "the patient cannot be kept")
	}
	if err := harmless("Patient", data); err != nil {
		return none, err
	}
	r := registrationOf(&kept)
	r.Release, r.Resource = rel, data
	if sent, err := PatientToRegister(r, ""); err != nil || !writable(sent) {
		return none, refusePatient("Patient", "without the references that mean nothing elsewhere, nothing valid is left of what the patient contains")
	}
	return r, nil
}

// writable tells whether EHRs of both releases can be sent it: who cannot be is
// told at the door, not when something is booked.
func writable(res model.Resource) bool {
	return Check(scheduling.STU3, res) == nil && Check(scheduling.R4, res) == nil
}

func refusePatient(element, message string) *scheduling.Error {
	return scheduling.Refuse(scheduling.NotAcceptable, element, "%s", message)
}

func registrationOf(p *model.Patient) scheduling.Registration {
	r := scheduling.Registration{Gender: p.Gender, BirthDate: p.BirthDate, Names: personNames(p.Name), Identifiers: personIdentifiers(p.Identifier)}
	for _, t := range p.Telecom {
		r.Telecoms = append(r.Telecoms, scheduling.PersonTelecom{System: t.System, Value: t.Value})
	}
	for _, a := range p.Address {
		r.Addresses = append(r.Addresses, scheduling.PersonAddress{
			Lines: a.Line, City: a.City, District: a.District, State: a.State, PostalCode: a.PostalCode, Country: a.Country, Text: a.Text,
		})
	}
	return r
}

func personNames(names []model.HumanName) []scheduling.PersonName {
	var out []scheduling.PersonName
	for _, n := range names {
		out = append(out, scheduling.PersonName{Family: n.Family, Given: n.Given, Prefix: n.Prefix, Suffix: n.Suffix, Text: n.Text})
	}
	return out
}

func personIdentifiers(ids []model.Identifier) []scheduling.PersonIdentifier {
	var out []scheduling.PersonIdentifier
	for _, id := range ids {
		out = append(out, scheduling.PersonIdentifier{System: System(strings.TrimSpace(id.System)), Value: strings.TrimSpace(id.Value)})
	}
	return out
}

// PatientFor is the person as callers see them: everything as it came, under our
// id. It is written in any release.
func PatientFor(r scheduling.Registration) (*model.Patient, error) {
	patient, err := patientOf(r.Release, r.Resource)
	if err != nil {
		return nil, err
	}
	patient.ID = r.ID
	if !r.Created.IsZero() {
		if patient.Meta == nil {
			patient.Meta = &model.Meta{}
		}
		patient.Meta.LastUpdated = r.Created.UTC().Format(time.RFC3339)
	}
	return patient, nil
}

// PatientToRegister is the person as an EHR is sent them: with our identifier,
// and without references, which mean nothing there. It is written in any
// release.
func PatientToRegister(r scheduling.Registration, identifier string) (*model.Patient, error) {
	data, err := withoutReferences(r.Resource)
	if err != nil {
		return nil, err
	}
	patient, err := patientOf(r.Release, data)
	if err != nil {
		return nil, err
	}
	if identifier != "" {
		patient.Identifier = append(patient.Identifier, model.Identifier{System: scheduling.PatientIdentifierSystem, Value: identifier})
	}
	return patient, nil
}

func patientOf(rel scheduling.Release, data []byte) (*model.Patient, error) {
	res, err := Read(rel, JSON, data)
	if err != nil {
		return nil, scheduling.Fault(scheduling.Internal, err, "a patient that was kept cannot be read")
	}
	patient, ok := res.(*model.Patient)
	if !ok {
		return nil, scheduling.Fault(scheduling.Internal, nil, "what was kept is not a patient")
	}
	return patient, nil
}
