package fhir_test

import (
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// adas is the record number of somebody else at an EHR.
const adas = `"identifier":{"system":"urn:ehrsim:mrn","value":"1001"}`

func TestLaw12ACoverageThatMayMeanAnotherPatientIsRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	me := `"subscriber":{"reference":"Patient/` + parent + `"},`
	for name, text := range map[string]string{
		"a beneficiary by identifier":                  cover(`"beneficiary":{` + adas + `},` + me),
		"a beneficiary by name":                        cover(`"beneficiary":{"display":"Ada Winters"},` + me),
		"a beneficiary by nothing":                     cover(`"beneficiary":{"type":"Patient"},` + me),
		"a beneficiary who is an organization":         cover(`"beneficiary":{"reference":"Organization/1"},` + me),
		"an identifier beside the beneficiary":         cover(`"beneficiary":{"reference":"Patient/` + parent + `",` + adas + `},`),
		"a subscriber by identifier":                   cover(`"subscriber":{` + adas + `},`),
		"an identifier beside the subscriber":          cover(`"subscriber":{"reference":"Patient/` + parent + `",` + adas + `},`),
		"an identifier beside the holder":              cover(me + `"policyHolder":{"reference":"Patient/` + parent + `",` + adas + `},`),
		"an identifier beside who pays":                strings.Replace(cover(me), `{"display":"Anthem"}`, `{"reference":"Patient/`+parent+`",`+adas+`}`, 1),
		"an identifier beside a related person":        cover(strings.Replace(related("Patient/"+child), `"#r"`, `"#r",`+adas, 1)),
		"an identifier beside a related one's patient": cover(strings.Replace(related("Patient/"+child), child+`"`, child+`",`+adas, 1)),
		"a subscriber who is a contained patient":      cover(`"contained":[{"resourceType":"Patient","id":"p","identifier":[{"value":"1001"}]}],"subscriber":{"reference":"#p"},`),
	} {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			if _, err := fhir.ReadCoverage(rel, fhir.JSON, []byte(text), fhir.CoverageContext{Patient: parent}); scheduling.CodeOf(err) != scheduling.NotAcceptable {
				t.Errorf("%s in %s: %v", name, rel, err)
			}
		}
	}
}

// TestLaw12AnEHRIsToldOfTheBookingsPatientAndNobodyElse: also where what is kept
// came before the door knew better.
func TestLaw12AnEHRIsToldOfTheBookingsPatientAndNobodyElse(t *testing.T) {
	t.Parallel()
	reference := func(id string) string {
		return `{"reference":"Patient/` + id + `","type":"Patient","display":"Ada Winters",` + adas + `}`
	}
	for name, elements := range map[string]string{
		"by identifier": `"beneficiary":{` + adas + `},"subscriber":` + reference(parent) + `,`,
		"by name":       `"beneficiary":{"display":"Ada Winters"},`,
		"another":       `"beneficiary":` + reference(child) + `,"policyHolder":` + reference(parent) + `,`,
		"beside":        `"beneficiary":` + reference(parent) + `,"extension":[{"url":"urn:a","valueReference":` + reference(child) + `}],`,
		"the related":   related("Patient/"+parent) + `"beneficiary":` + reference(parent) + `,`,
	} {
		for _, from := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			c := scheduling.Coverage{Patient: parent, Release: from, Resource: []byte(strings.Replace(cover(elements), `{"display":"Anthem"}`, reference(parent), 1))}
			for _, to := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
				sent, err := fhir.CoverageToSend(c, map[string]string{parent: "n-p", child: "n-c"}, "")
				if err != nil {
					t.Fatal(name, err)
				}
				body, err := fhir.Write(to, fhir.JSON, sent)
				if err != nil {
					t.Fatal(name, err)
				}
				for _, other := range []string{"1001", "Ada"} {
					if strings.Contains(string(body), other) {
						t.Errorf("%s, %s to %s: tells of %s: %s", name, from, to, other, body)
					}
				}
				beneficiary, _ := generic(t, body)["beneficiary"].(map[string]any)
				if beneficiary["reference"] != "Patient/n-p" {
					t.Errorf("%s, %s to %s: it is %v's: %s", name, from, to, beneficiary, body)
				}
			}
		}
	}
}

func TestLaw12OnlyASelfMakesTheSubscriberTheOneWhoIsCovered(t *testing.T) {
	t.Parallel()
	me := `"subscriber":{"reference":"Patient/` + parent + `"},`
	for said, self := range map[string]bool{
		`"coding":[{"code":"self"}]`:                    true,
		`"coding":[{"system":"urn:x12","code":"SELF"}]`: true,
		`"text":"Self"`:                                 true,
		`"coding":[{"code":"child"}]`:                   false,
		`"coding":[{"system":"urn:ours","code":"01"}]`:  false,
		`"coding":[{"display":"Child"}]`:                false,
		`"text":"daughter"`:                             false,
		`"coding":[{"code":"other"}]`:                   false,
		`"coding":[{"system":"http://hl7.org/fhir/policyholder-relationship","code":"other"},{"code":"self"}]`: false,
	} {
		text := []byte(cover(me + `"relationship":{` + said + `},`))
		alone, err := fhir.ReadCoverage(scheduling.R4, fhir.JSON, text, fhir.CoverageContext{})
		if self && (err != nil || alone.Patient != parent) || !self && scheduling.CodeOf(err) != scheduling.MissingData {
			t.Errorf("%s: covers %q, %v", said, alone.Patient, err)
		}
		// The parent books with it: it is not the parent's.
		if _, err := fhir.ReadCoverage(scheduling.R4, fhir.JSON, text, fhir.CoverageContext{Patient: parent}); (err == nil) != self {
			t.Errorf("%s, for the parent: %v", said, err)
		}
		if self {
			continue
		}
		kids, err := fhir.ReadCoverage(scheduling.STU3, fhir.JSON, text, fhir.CoverageContext{Patient: child})
		if err != nil || kids.Patient != child {
			t.Fatalf("%s, for the child: %q, %v", said, kids.Patient, err)
		}
		sent, err := fhir.CoverageToSend(kids, map[string]string{parent: "n-p", child: "n-c"}, "")
		if err != nil {
			t.Fatal(err)
		}
		body, err := fhir.Write(scheduling.STU3, fhir.JSON, sent)
		if err != nil || !strings.Contains(string(body), `"beneficiary":{"reference":"Patient/n-c"}`) {
			t.Errorf("%s: STU3 is not told whose it is: %v %s", said, err, body)
		}
	}
}

// TestWhatCouldNotBeSentIsRefusedAtTheDoor: a person within a person, who is
// nothing once the reference to a Patient elsewhere is gone.
func TestWhatCouldNotBeSentIsRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	body := `{"resourceType":"Patient","name":[{"family":"Canary"}],"birthDate":"1990-01-01","contained":[{"resourceType":"RelatedPerson","id":"rp","patient":{"reference":"Patient/1"}}],
		"extension":[{"url":"http://x","valueReference":{"reference":"#rp"}}]}`
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		if _, err := fhir.ReadPatient(rel, fhir.JSON, []byte(body)); scheduling.CodeOf(err) != scheduling.NotAcceptable {
			t.Errorf("%s: %v", rel, err)
		}
		if _, err := fhir.ReadPatient(rel, fhir.JSON, []byte(strings.Replace(body, `"reference":"Patient/1"`, `"display":"me"`, 1))); err != nil {
			t.Errorf("%s, without the reference: %v", rel, err)
		}
	}
	card := cover(`"beneficiary":{"reference":"Patient/` + child + `"},"extension":[{"url":"http://x","valueReference":{"reference":"#rp"}}],"contained":[{"resourceType":"Practitioner","id":"rp","gender":"both"}],`)
	if _, err := fhir.ReadCoverage(scheduling.R4, fhir.JSON, []byte(card), fhir.CoverageContext{}); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("a coverage: %v", err)
	}
}
