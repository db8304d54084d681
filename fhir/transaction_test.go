package fhir_test

import (
	"slices"
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

const threeEntries = `{"resourceType":"Bundle","type":"transaction","entry":[
	{"fullUrl":"urn:uuid:c","resource":{"resourceType":"Coverage","status":"active","subscriber":{"reference":"urn:uuid:m"},"payor":[{"display":"x"}]},"request":{"method":"POST","url":"Coverage"}},
	{"fullUrl":"urn:uuid:m","resource":{"resourceType":"RelatedPerson","patient":{"reference":"Patient/k"}},"request":{"method":"POST","url":"RelatedPerson"}},
	{"resource":{"resourceType":"Patient","id":"k","name":[{"family":"A"}],"birthDate":"1990-01-01"},"request":{"method":"POST","url":"Patient"}}]}`

func TestWhatATransactionNamesBesideItself(t *testing.T) {
	t.Parallel()
	text := strings.Replace(threeEntries, `"payor":[`, `"policyHolder":{"reference":"https://gw.example.org/fhir/r4/Patient/`+parent+`"},"payor":[`, 1)
	tx, err := fhir.ReadTransaction(scheduling.STU3, fhir.JSON, []byte(text), fhir.TransactionOptions{Bases: coverB, MaxEntries: 9})
	if err != nil || !slices.Equal(tx.Named, []string{parent}) || len(tx.Persons) != 1 {
		t.Fatal(err, tx.Named, len(tx.Persons))
	}
	list, err := tx.Coverages([]string{child})
	if err != nil || len(list) != 1 || list[0].Patient != child {
		t.Fatal(err, list)
	}
	if ids, err := fhir.PatientsOf(list[0]); err != nil || !slices.Equal(ids, []string{child, parent}) {
		t.Errorf("%v %v", ids, err)
	}
}

func FuzzReadTransaction(f *testing.F) {
	f.Add([]byte(threeEntries))
	f.Add([]byte(strings.ReplaceAll(threeEntries, "Patient/k", "urn:uuid:k")))
	f.Add([]byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"https://a/Patient/1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"/Patient"}},{"resource":{"resourceType":"Coverage","beneficiary":{"reference":"Patient/1"},"payor":[{"display":"x"}]},"request":{"method":"POST","url":"Coverage"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			tx, err := fhir.ReadTransaction(rel, fhir.JSON, data, fhir.TransactionOptions{Bases: coverB, MaxEntries: 20})
			if err != nil {
				continue
			}
			ids := make([]string, len(tx.Persons))
			people := make([]fhir.Created, len(tx.Persons))
			for i, person := range tx.Persons {
				ids[i] = scheduling.NewPatientID([26]byte{byte(i)})
				shown, err := fhir.PatientFor(person)
				if err != nil {
					t.Fatal(err)
				}
				people[i] = fhir.Created{Added: true, Location: coverB[0] + "/Patient/" + ids[i], Resource: shown}
			}
			list, err := tx.Coverages(ids)
			if err != nil {
				t.Fatalf("what was judged fails: %v", err)
			}
			var covers []fhir.Created
			for _, c := range list {
				shown, err := fhir.CoverageFor(c)
				if err != nil {
					t.Fatal(err)
				}
				covers = append(covers, fhir.Created{Resource: shown, Issues: []model.OutcomeIssue{fhir.Told("warning", "informational", "x", "")}})
			}
			if _, err := fhir.Write(rel, fhir.JSON, tx.Answer(people, covers)); err != nil {
				t.Fatalf("the answer cannot be written: %v", scheduling.AsError(err).Err)
			}
		}
	})
}
