package fhir_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// TestOneRecordIsWrittenAsEachVersionHasIt reads what one version wrote and
// wants what the other one writes of it.
func TestOneRecordIsWrittenAsEachVersionHasIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ stu3, r4 string }{
		"a slot": {
			`{"resourceType":"Slot","serviceCategory":{"text":"a"},"schedule":{"reference":"Schedule/1"},"status":"free","start":"2026-12-01T08:00:00Z","end":"2026-12-01T08:15:00Z","appointmentType":{"coding":[{"system":"http://hl7.org/fhir/v2/0276","code":"ROUTINE"},{"system":"http://hl7.org/fhir/v2/0276","code":"WALKIN"}]}}`,
			`{"resourceType":"Slot","serviceCategory":[{"text":"a"}],"schedule":{"reference":"Schedule/1"},"status":"free","start":"2026-12-01T08:00:00Z","end":"2026-12-01T08:15:00Z","appointmentType":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"ROUTINE"},{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"WALKIN"}]}}`,
		},
		"a schedule": {
			`{"resourceType":"Schedule","serviceCategory":{"text":"a"},"actor":[{"display":"x"}]}`,
			`{"resourceType":"Schedule","serviceCategory":[{"text":"a"}],"actor":[{"display":"x"}]}`,
		},
		"why an appointment is, and why it was cancelled": {
			`{"resourceType":"Appointment","extension":[{"url":"http://fhir.org/guides/argonaut-scheduling/StructureDefinition/extension-status-reason","valueCodeableConcept":{"text":"ill"}}],"status":"cancelled","reason":[{"text":"r"}],"indication":[{"reference":"Condition/1"}],"incomingReferral":[{"reference":"ReferralRequest/1"}],"participant":[{"actor":{"display":"x"},"status":"declined"}]}`,
			`{"resourceType":"Appointment","status":"cancelled","cancelationReason":{"text":"ill"},"reasonCode":[{"text":"r"}],"reasonReference":[{"reference":"Condition/1"}],"basedOn":[{"reference":"ReferralRequest/1"}],"participant":[{"actor":{"display":"x"},"status":"declined"}]}`,
		},
		"the source of a record": {
			`{"resourceType":"Practitioner","meta":{"extension":[{"url":"http://hl7.org/fhir/4.0/StructureDefinition/extension-Meta.source","valueUri":"urn:x"}],"versionId":"1"}}`,
			`{"resourceType":"Practitioner","meta":{"source":"urn:x","versionId":"1"}}`,
		},
		"the kind of a place": {
			`{"resourceType":"Location","type":{"text":"clinic"}}`,
			`{"resourceType":"Location","type":[{"text":"clinic"}]}`,
		},
		"the category of a service": {
			`{"resourceType":"HealthcareService","category":{"text":"derm"}}`,
			`{"resourceType":"HealthcareService","category":[{"text":"derm"}]}`,
		},
		"the classes of a coverage": {
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"grouping":{"group":"g","groupDisplay":"G","subPlan":"sp","class":"c"}}`,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"class":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"group"}]},"value":"g","name":"G"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"subplan"}]},"value":"sp"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"class"}]},"value":"c"}]}`,
		},
		"the sequence, dependent, order and network of a coverage": {
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"dependent":"01","order":2,"network":"n","sequence":"9"}`,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"dependent":"01","order":2,"network":"n","class":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"sequence"}]},"value":"9"}]}`,
		},
		"classes that STU3 has no room for": {
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"extension":[{"url":"urn:x","valueCode":"y"},{"url":"http://hl7.org/fhir/4.0/StructureDefinition/extension-Coverage.class","extension":[{"url":"type","valueCodeableConcept":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"rxbin"}]}},{"url":"value","valueString":"610"}]},{"url":"http://hl7.org/fhir/4.0/StructureDefinition/extension-Coverage.class","extension":[{"url":"type","valueCodeableConcept":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"plan"}]}},{"url":"value","valueString":"b"}]}],"grouping":{"plan":"a"}}`,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"extension":[{"url":"urn:x","valueCode":"y"}],"class":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"plan"}]},"value":"a"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"rxbin"}]},"value":"610"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"plan"}]},"value":"b"}]}`,
		},
		"the code systems of a coverage": {
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"identifier":[{"type":{"coding":[{"system":"http://hl7.org/fhir/v2/0203","code":"MB"}]},"system":"http://hl7.org/fhir/v2/0203","value":"1"}],"type":{"coding":[{"system":"http://hl7.org/fhir/v3/ActCode","code":"HIP"},{"system":"http://hl7.org/fhir/coverage-selfpay","code":"pay"},{"system":"urn:own","code":"x"}]},"relationship":{"coding":[{"system":"http://hl7.org/fhir/policyholder-relationship","code":"injured"}]}}`,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MB"}]},"system":"http://terminology.hl7.org/CodeSystem/v2-0203","value":"1"}],"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIP"},{"system":"http://terminology.hl7.org/CodeSystem/coverage-selfpay","code":"pay"},{"system":"urn:own","code":"x"}]},"relationship":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/subscriber-relationship","code":"injured"}]}}`,
		},
		"the code systems of a patient, where nothing has a field too": {
			`{"resourceType":"Patient","contact":[{"relationship":[{"coding":[{"system":"http://hl7.org/fhir/v2/0131","code":"C"}]}]}],"maritalStatus":{"coding":[{"system":"http://hl7.org/fhir/v3/MaritalStatus","code":"M"}]},"contained":[{"resourceType":"Organization","type":[{"coding":[{"system":"http://hl7.org/fhir/organization-type","code":"pay"}]}]}],"multipleBirthInteger":2,"extension":[{"url":"system","valueDecimal":1.10}]}`,
			`{"resourceType":"Patient","contact":[{"relationship":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0131","code":"C"}]}]}],"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},"contained":[{"resourceType":"Organization","type":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/organization-type","code":"pay"}]}]}],"multipleBirthInteger":2,"extension":[{"url":"system","valueDecimal":1.10}]}`,
		},
		"how somebody is related": {
			`{"resourceType":"RelatedPerson","patient":{"reference":"Patient/1"},"relationship":{"coding":[{"system":"http://hl7.org/fhir/v3/RoleCode","code":"MTH"}]}}`,
			`{"resourceType":"RelatedPerson","patient":{"reference":"Patient/1"},"relationship":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-RoleCode","code":"MTH"}]}]}`,
		},
		"whether an operation changes anything": {
			`{"resourceType":"OperationDefinition","name":"F","status":"active","kind":"operation","idempotent":true,"code":"find","system":false,"type":true,"instance":false}`,
			`{"resourceType":"OperationDefinition","name":"F","status":"active","kind":"operation","affectsState":false,"code":"find","system":false,"type":true,"instance":false}`,
		},
		"resources within resources": {
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Location","type":{"text":"x"}}}]}}]}`,
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Location","type":[{"text":"x"}]}}]}}]}`,
		},
	} {
		both := map[scheduling.Release]string{scheduling.STU3: c.stu3, scheduling.R4: c.r4}
		for from, text := range both {
			res, err := fhir.Read(from, fhir.JSON, []byte(text))
			if err != nil {
				t.Errorf("%s in %s: %v", name, from, err)
				continue
			}
			for to, want := range both {
				got, err := fhir.Write(to, fhir.JSON, res)
				if err != nil {
					t.Errorf("%s in %s: %v", name, to, scheduling.AsError(err).Err)
					continue
				}
				if diff := cmp.Diff(tree(t, []byte(want)), tree(t, got)); diff != "" {
					t.Errorf("%s, %s to %s (-want +got):\n%s", name, from, to, diff)
				}
			}
		}
		roundTrip(t, scheduling.STU3, []byte(c.stu3))
		roundTrip(t, scheduling.R4, []byte(c.r4))
	}
}

func TestWhatOnlyOneVersionHasStaysInIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from scheduling.Release
		text string
		want string // in the other version
	}{
		"a role cannot take part in STU3": {
			scheduling.R4,
			`{"resourceType":"Appointment","status":"checked-in","patientInstruction":"fast","participant":[{"actor":{"reference":"https://x/PractitionerRole/1"},"status":"accepted"},{"actor":{"reference":"Practitioner/1"},"status":"accepted","period":{"start":"2026"}}]}`,
			`{"resourceType":"Appointment","status":"arrived","participant":[{"actor":{"reference":"Practitioner/1"},"status":"accepted"}]}`,
		},
		"a waiting list": {
			scheduling.R4,
			`{"resourceType":"Appointment","status":"waitlist","participant":[{"actor":{"display":"x"},"status":"accepted"}]}`,
			`{"resourceType":"Appointment","status":"pending","participant":[{"actor":{"display":"x"},"status":"accepted"}]}`,
		},
		"the time of a bundle": {
			scheduling.R4,
			`{"resourceType":"Bundle","type":"collection","timestamp":"2026-12-01T08:00:00Z"}`,
			`{"resourceType":"Bundle","type":"collection"}`,
		},
		"an animal is no patient in R4": {
			scheduling.STU3,
			`{"resourceType":"Patient","gender":"male","animal":{"species":{"text":"dog"}},"odd":1}`,
			`{"resourceType":"Patient","gender":"male","odd":1}`,
		},
		"what the patient pays": {
			scheduling.R4,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"subrogation":true,"costToBeneficiary":[{"type":{"text":"x"}}]}`,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}]}`,
		},
		"the second relationship of a related person": {
			scheduling.R4,
			`{"resourceType":"RelatedPerson","patient":{"display":"p"},"relationship":[{"text":"mother"},{"text":"guardian"}],"communication":[{"preferred":true}]}`,
			`{"resourceType":"RelatedPerson","patient":{"display":"p"},"relationship":{"text":"mother"}}`,
		},
		"a class with a name alone": {
			scheduling.STU3,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"grouping":{"planDisplay":"Gold"}}`,
			`{"resourceType":"Coverage","status":"active","beneficiary":{"display":"p"},"payor":[{"display":"i"}],"class":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/coverage-class","code":"plan"}]},"value":"Gold","name":"Gold"}]}`,
		},
	} {
		res, err := fhir.Read(c.from, fhir.JSON, []byte(c.text))
		if err != nil {
			t.Fatal(name, err)
		}
		to := scheduling.R4
		if c.from == scheduling.R4 {
			to = scheduling.STU3
		}
		got, err := fhir.Write(to, fhir.JSON, res)
		if err != nil {
			t.Fatal(name, scheduling.AsError(err).Err)
		}
		if diff := cmp.Diff(tree(t, []byte(c.want)), tree(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		same, err := fhir.Write(c.from, fhir.JSON, res)
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(tree(t, []byte(c.text)), tree(t, same)); diff != "" {
			t.Errorf("%s: writing for one version changed the record for the other:\n%s", name, diff)
		}
	}
}

func TestAServerThatMixesTheVersionsIsRead(t *testing.T) {
	t.Parallel()
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		res, err := fhir.Read(rel, fhir.JSON, []byte(`{"resourceType":"Slot","serviceCategory":{"text":"a"},"specialty":{"text":"b"},"serviceType":null}`))
		if err != nil {
			t.Fatal(err)
		}
		if s := res.(*model.Slot); s.ServiceCategory[0].Text != "a" || s.Specialty[0].Text != "b" || s.ServiceType != nil {
			t.Errorf("%s: %+v", rel, s)
		}
	}
	res, err := fhir.Read(scheduling.STU3, fhir.JSON, []byte(`{"resourceType":"Slot","serviceCategory":[{"text":"a"},{"text":"b"}]}`))
	if err != nil || len(res.(*model.Slot).ServiceCategory) != 2 {
		t.Errorf("%v %v", res, err)
	}
	res, err = fhir.Read(scheduling.R4, fhir.JSON, []byte(`{"resourceType":"CapabilityStatement","rest":[{"operation":[{"name":"find","definition":{"reference":"X"}}]}]}`))
	if err != nil || res.(*model.CapabilityStatement).Rest[0].Operation[0].Definition != "X" {
		t.Errorf("%v %v", res, err)
	}
}

func TestATextWithoutAValueKeepsItsPlaceForItsExtension(t *testing.T) {
	t.Parallel()
	const text = `{"resourceType":"Practitioner","name":[{"family":"Y","given":[null,"B"],"_given":[{"extension":[{"url":"u","valueCode":"x"}]},null]}],"address":[{"line":["1 Main St"]}]}`
	roundTrip(t, scheduling.R4, []byte(text))
	res, err := fhir.Read(scheduling.R4, fhir.JSON, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := fhir.ToPractitioner(res.(*model.Practitioner)).Name.Display(); got != "B Y" {
		t.Errorf("the name is %q", got)
	}
}

func TestUnknownElementsAndTypesAreKept(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"resourceType":"Basic","id":"b","code":{"text":"x"},"odd":[1.50,null,{"a":"b"}]}`,
		`{"resourceType":"Slot","id":"s","schedule":{"reference":"Schedule/1","_reference":{"id":"r"},"odd":1},"status":"free","_status":{"extension":[{"url":"u","valueTiming":{"event":["2026"]}}]},"start":"2026-12-01T08:00:00Z","end":"2026-12-01T08:15:00Z","odd":{"b":2.0}}`,
		`{"resourceType":"Bundle","type":"collection","odd":1,"entry":[{"odd":true,"resource":{"resourceType":"Basic","id":"b"}}]}`,
	} {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			res, err := fhir.Read(rel, fhir.JSON, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := fhir.Write(rel, fhir.JSON, res)
			if err != nil {
				t.Fatal(scheduling.AsError(err).Err)
			}
			if diff := cmp.Diff(tree(t, []byte(text)), tree(t, got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", rel, diff)
			}
		}
	}
}
