package fhir

import (
	"slices"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Who is to be seen is asked for by the rules of some clinics. One person can be
// judged; of several, or of one of whom nothing is told that rules ask, it is
// said that the parameter was not applied.

// person takes the birth date of a patient-resource, and nothing else of it.
func (f *finder) person(v value) {
	patient, ok := v.res.(*model.Patient)
	if !ok || !f.onePerson(v) {
		f.NotApplied = note(f.NotApplied, v.name)
		return
	}
	f.Query.Person.Born = patient.BirthDate
	if !f.Query.Person.Dated() {
		f.Query.Person.Born = ""
		f.NotApplied = note(f.NotApplied, v.name)
	}
}

// patient takes a reference to a Patient of ours.
func (f *finder) patient(v value) {
	id := localTo(f.opts.Bases, v.text)
	if kind, inner := RefParts(id); kind == "Patient" {
		id = inner
	}
	if !scheduling.OwnPatientID(id) || !f.onePerson(v) {
		f.NotApplied = note(f.NotApplied, v.name)
		return
	}
	f.Patient = id
}

// onePerson is false from the second one on, and then nobody is judged.
func (f *finder) onePerson(v value) bool {
	if f.people++; f.people == 1 {
		return true
	}
	f.Query.Person, f.Patient = scheduling.Person{}, ""
	for _, other := range f.values {
		if other.name == "patient-resource" || other.name == "patient-reference" {
			f.NotApplied = note(f.NotApplied, other.name)
		}
	}
	return false
}

// toldRules tells that offers are shown which depend on who is to be seen, where
// that was not said.
func toldRules(q *scheduling.Query, offers []scheduling.Hit) []model.OutcomeIssue {
	asks := func(hit scheduling.Hit) bool {
		who := q.PersonAt(hit.Setting.Source)
		return hit.Rule.Asks() && (who.Born == "" && hit.Rule.Ages != scheduling.Ages{} ||
			who.Standing == scheduling.Unsaid && hit.Rule.Patients != scheduling.AnyPatients)
	}
	if !slices.ContainsFunc(offers, asks) {
		return nil
	}
	return []model.OutcomeIssue{Told("information", "business-rule",
		"some of these offers are for some patients only, as their comments say; name the patient (patient-reference, or a patient-resource with a birth date) to be shown those that are for them", "")}
}
