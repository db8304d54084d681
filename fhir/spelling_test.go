package fhir_test

import (
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/scheduling"
)

func TestAnElementThatIsMisspelledInCaseIsRefused(t *testing.T) {
	t.Parallel()
	const person = `{"resourceType":"Patient","name":[{"family":"Canary"}],"birthDate":"1990-01-01"%s}`
	for more, refused := range map[string]bool{
		``:                            false,
		`,"shoeSize":44`:              false,
		`,"BirthDate":"1991-01-01"`:   true,
		`,"birthdate":"1991-01-01"`:   true,
		`,"GENDER":"male"`:            true,
		`,"_BirthDate":{"id":"x"}`:    true,
		`,"contact":[{"Name":{}}]`:    true,
		`,"telecom":[{"Value":"1"}]`:  true,
		`,"ResourceType":"Group"`:     true,
		`,"_birthDate":{"id":"x"}`:    false,
		`,"multipleBirthInteger":1`:   false,
		`,"Id":"x","gender":"female"`: true,
	} {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			_, err := fhir.ReadPatient(rel, fhir.JSON, []byte(strings.Replace(person, "%s", more, 1)))
			if refused != (scheduling.CodeOf(err) == scheduling.NotAcceptable) || !refused && err != nil {
				t.Errorf("%s at %s: %v", more, rel, err)
			}
			if err != nil && (strings.Contains(err.Error(), "1991") || strings.Contains(err.Error(), "Canary")) {
				t.Errorf("the refusal repeats what was sent: %v", err)
			}
		}
	}
	within := fhir.CoverageContext{Patient: scheduling.NewPatientID([26]byte{})}
	for body, refused := range map[string]bool{
		`{"resourceType":"Coverage","status":"active","payor":[{"display":"A"}]}`:                         false,
		`{"resourceType":"Coverage","status":"active","payor":[{"display":"A"}],"SubscriberId":"1"}`:      true,
		`{"resourceType":"Coverage","status":"active","payor":[{"display":"A","Reference":"Patient/1"}]}`: true,
	} {
		_, err := fhir.ReadCoverage(scheduling.R4, fhir.JSON, []byte(body), within)
		if refused != (scheduling.CodeOf(err) == scheduling.NotAcceptable) || !refused && err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}
