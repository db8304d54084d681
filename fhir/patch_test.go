package fhir_test

import (
	"errors"
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

const reasonURL = "http://fhir.org/guides/argonaut-scheduling/StructureDefinition/extension-status-reason"

// operation is one operation of a FHIRPath patch, as JSON.
func operation(parts string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[` + parts + `]}]}`
}

type patchCase struct {
	name, kind, body string
	code             scheduling.Code
	cancels          bool
	reason           string
}

func goodPatches() []patchCase {
	const jp, xp, fj, fx = "application/json-patch+json", "application/xml-patch+xml", "application/fhir+json", "application/fhir+xml"
	cancelled := `{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Appointment.status"},{"name":"value","valueCode":"cancelled"}`
	return []patchCase{
		{"a JSON patch", jp, `[{"op":"replace","path":"/status","value":"cancelled"}]`, "", true, ""},
		{"an array as JSON", "application/json; charset=utf-8", ` [{"op":"replace","path":"/status","value":"cancelled"}]`, "", true, ""},
		{"a FHIRPath in a JSON patch", jp, `[{"op":"replace","path":"Appointment.status","value":"cancelled"}]`, "", true, ""},
		{"a bare name in a JSON patch", jp, `[{"op":"replace","path":"status","value":"cancelled"}]`, "", true, ""},
		{"with the guide's reason", jp, `[{"op":"add","path":"/extension/-","value":{"url":"` + reasonURL + `","valueCodeableConcept":{"coding":[{"code":"weather"}]}}},{"op":"replace","path":"/status","value":"cancelled"}]`, "", true, "weather"},
		{"with a list of one reason", jp, `[{"op":"add","path":"/extension","value":[{"url":"` + reasonURL + `","valueCodeableConcept":{"coding":[{"code":"weather"}]}}]},{"op":"replace","path":"/status","value":"cancelled"}]`, "", true, "weather"},
		{"a reason that is text only", jp, `[{"op":"add","path":"/extension/-","value":{"url":"` + reasonURL + `","valueCodeableConcept":{"text":"my car broke"}}},{"op":"replace","path":"/status","value":"cancelled"}]`, "", true, ""},
		{"tests only", jp, `[{"op":"test","path":"/status","value":"booked"}]`, "", false, ""},
		{"a patient declines", jp, `[{"op":"replace","path":"/participant/1/status","value":"declined"}]`, "", true, ""},
		{"an XML patch with a prefix", xp, `<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Appointment/f:status/@value">cancelled</replace></diff>`, "", true, ""},
		{"an XML patch without", xp, `<?xml version="1.0"?><diff><replace sel="Appointment/status/@value"> cancelled </replace></diff>`, "", true, ""},
		{"an XML patch of the element", xp, `<diff xmlns="http://hl7.org/fhir"><replace sel="/Appointment/status"><status value="cancelled"/></replace></diff>`, "", true, ""},
		{"an XML patch with a reason", xp, `<diff xmlns:f="http://hl7.org/fhir"><add sel="f:Appointment/f:status" pos="before"><f:extension url="` + reasonURL + `"><f:valueCodeableConcept><f:coding><f:code value="weather"/></f:coding></f:valueCodeableConcept></f:extension></add><replace sel="f:Appointment/f:status/@value">cancelled</replace></diff>`, "", true, "weather"},
		{"an XML patch in which a patient declines", xp, `<diff><replace sel="f:Appointment/f:participant[2]/f:status/@value">declined</replace></diff>`, "", true, ""},
		{"an XML patch by the patient's reference", xp, `<diff><replace sel="f:Appointment/f:participant[f:actor/f:reference/@value='Patient/p1']/f:status/@value">declined</replace></diff>`, "", true, ""},
		{"a FHIRPath patch", fj, operation(cancelled), "", true, ""},
		{"a FHIRPath patch as JSON", "application/json", operation(cancelled), "", true, ""},
		{"a FHIRPath patch by the guide's type", "application/fhirpath-patch+fhirpath", operation(cancelled), "", true, ""},
		{"a FHIRPath patch in XML", fx, `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="Appointment.status"/></part><part><name value="value"/><valueCode value="cancelled"/></part></parameter></Parameters>`, "", true, ""},
		{"the guide's type in XML", "application/fhirpath-patch+fhirpath", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="status"/></part><part><name value="value"/><valueCode value="cancelled"/></part></parameter></Parameters>`, "", true, ""},
		{"a FHIRPath patch with a reason", fj, `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Appointment"},{"name":"name","valueString":"extension"},{"name":"value","part":[{"name":"url","valueUri":"` + reasonURL + `"},{"name":"value","valueCodeableConcept":{"coding":[{"code":"weather"}]}}]}]},{"name":"operation","part":[` + cancelled + `]}]}`, "", true, "weather"},
		{"a FHIRPath patch in which a patient declines", fj, operation(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Appointment.participant.where(actor.reference = 'Patient/p1').status"},{"name":"value","valueCode":"declined"}`), "", true, ""},
	}
}

func badPatches() []patchCase {
	const jp, xp, fj = "application/json-patch+json", "application/xml-patch+xml", "application/fhir+json"
	no, bad := scheduling.NotAcceptable, scheduling.BadRequest
	return []patchCase{
		{"another status", jp, `[{"op":"replace","path":"/status","value":"booked"}]`, no, false, ""},
		{"a status that is no text", jp, `[{"op":"replace","path":"/status","value":1}]`, no, false, ""},
		{"something else", jp, `[{"op":"replace","path":"/comment","value":"x"}]`, no, false, ""},
		{"something else besides", jp, `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"replace","path":"/start","value":"2030-01-01"}]`, no, false, ""},
		{"a removal", jp, `[{"op":"remove","path":"/status"}]`, no, false, ""},
		{"a copy", jp, `[{"op":"copy","from":"/a","path":"/status"}]`, no, false, ""},
		{"another extension", jp, `[{"op":"add","path":"/extension/-","value":{"url":"urn:x"}}]`, no, false, ""},
		{"a reason alone", jp, `[{"op":"add","path":"/extension/-","value":{"url":"` + reasonURL + `","valueCodeableConcept":{"coding":[{"code":"weather"}]}}}]`, no, false, ""},
		{"nothing", jp, `[]`, no, false, ""},
		{"the whole", jp, `[{"op":"replace","path":"","value":{}}]`, no, false, ""},
		{"a participant accepts", jp, `[{"op":"replace","path":"/participant/0/status","value":"accepted"}]`, no, false, ""},
		{"no list", jp, `{"op":"replace"}`, bad, false, ""},
		{"half a list", jp, `[{"op":"replace"`, bad, false, ""},
		{"an empty body", jp, ``, bad, false, ""},
		{"no path", jp, `[{"op":"test","value":1}]`, bad, false, ""},
		{"no value", jp, `[{"op":"replace","path":"/status"}]`, bad, false, ""},
		{"an operation of one's own", jp, `[{"op":"burn","path":"/status"}]`, bad, false, ""},
		{"a broken pointer", jp, `[{"op":"test","path":"/a~2","value":1}]`, bad, false, ""},
		{"a name twice", jp, `[{"op":"test","op":"replace","path":"/status","value":"cancelled"}]`, bad, false, ""},
		{"too many operations", jp, "[" + strings.Repeat(`{"op":"test","path":"/a","value":1},`, 200) + `{"op":"test","path":"/a","value":1}]`, bad, false, ""},
		{"deep", jp, `[{"op":"test","path":"/a","value":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}]`, bad, false, ""},
		{"XML of another root", xp, `<patch/>`, bad, false, ""},
		{"XML without sel", xp, `<diff><replace>cancelled</replace></diff>`, bad, false, ""},
		{"half of XML", xp, `<diff><replace sel="a">`, bad, false, ""},
		{"XML with a DTD", xp, `<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><diff><replace sel="Appointment/status/@value">&x;</replace></diff>`, bad, false, ""},
		{"deep XML", xp, `<diff>` + strings.Repeat("<a>", 5000), bad, false, ""},
		{"XML that removes", xp, `<diff><remove sel="Appointment/status"/></diff>`, no, false, ""},
		{"XML that adds an attribute", xp, `<diff><add sel="Appointment/status" type="@value">cancelled</add></diff>`, no, false, ""},
		{"XML of something else", xp, `<diff><replace sel="f:Appointment/f:comment/@value">x</replace></diff>`, no, false, ""},
		{"XML of an operation of one's own", xp, `<diff><burn sel="Appointment"/></diff>`, bad, false, ""},
		{"another resource", fj, `{"resourceType":"Appointment","status":"cancelled"}`, no, false, ""},
		{"Parameters without operations", fj, `{"resourceType":"Parameters"}`, no, false, ""},
		{"a parameter of another name", fj, `{"resourceType":"Parameters","parameter":[{"name":"x"}]}`, bad, false, ""},
		{"an operation without a path", fj, operation(`{"name":"type","valueCode":"replace"}`), bad, false, ""},
		{"an operation without a value", fj, operation(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Appointment.status"}`), bad, false, ""},
		{"a part twice", fj, operation(`{"name":"type","valueCode":"replace"},{"name":"type","valueCode":"add"}`), bad, false, ""},
		{"a deletion", fj, operation(`{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Appointment.status"}`), no, false, ""},
		{"a path that does more", fj, operation(`{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Appointment.status.first().trace('x')"},{"name":"value","valueCode":"cancelled"}`), no, false, ""},
	}
}

func TestPatchesOfEveryFormat(t *testing.T) {
	t.Parallel()
	for _, tc := range append(goodPatches(), badPatches()...) {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			f, ok := fhir.PatchFormatOf(tc.kind, []byte(tc.body))
			if !ok {
				t.Errorf("%s: the type is not taken", tc.name)
				continue
			}
			p, err := fhir.ParsePatch(rel, f, []byte(tc.body))
			if scheduling.CodeOf(err) != tc.code || p.Cancels() != tc.cancels || p.Reason != tc.reason {
				t.Errorf("%s, %s: %+v, %v", tc.name, rel, p, err)
			}
		}
	}
}

func TestAReasonOfR4IsNoElementOfSTU3(t *testing.T) {
	t.Parallel()
	body := []byte(`[{"op":"add","path":"/cancelationReason","value":{"coding":[{"system":"urn:x","code":"pat"}]}},{"op":"replace","path":"/status","value":"cancelled"}]`)
	if p, err := fhir.ParsePatch(scheduling.R4, fhir.JSONPatch, body); err != nil || p.Reason != "pat" {
		t.Errorf("R4: %+v, %v", p, err)
	}
	if _, err := fhir.ParsePatch(scheduling.STU3, fhir.JSONPatch, body); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("STU3: %v", err)
	}
}

func TestOtherTypesAreNoPatch(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "text/plain", "application/merge-patch+json", "application/json-patch+json; charset=utf-16", "multipart/form-data", "/"} {
		if f, ok := fhir.PatchFormatOf(kind, []byte("[]")); ok {
			t.Errorf("%q is format %d", kind, f)
		}
	}
}

// visit is an Appointment of a doctor and n patients.
func visit(patients int) *model.Appointment {
	a := &model.Appointment{Status: "booked", Participant: []model.AppointmentParticipant{
		{Actor: &model.Reference{Reference: "Practitioner/d1"}, Status: "accepted"},
	}}
	for i := range patients {
		a.Participant = append(a.Participant, model.AppointmentParticipant{
			Actor: &model.Reference{Reference: "Patient/p" + string(rune('1'+i))}, Status: "accepted",
		})
	}
	return a
}

func TestAPatchIsJudgedByTheAppointment(t *testing.T) {
	t.Parallel()
	declined := func(i string) string {
		return `{"op":"replace","path":"/participant/` + i + `/status","value":"declined"}`
	}
	for _, tc := range []struct {
		name, body string
		patients   int
		ok, test   bool
	}{
		{"a test that holds", `{"op":"test","path":"/status","value":"booked"}`, 1, true, false},
		{"a test that fails", `{"op":"test","path":"/status","value":"pending"}`, 1, false, true},
		{"a test of what is not there", `{"op":"test","path":"/comment","value":"x"}`, 1, false, true},
		{"a test of a tree", `{"op":"test","path":"/participant/0","value":{"status":"accepted","actor":{"reference":"Practitioner/d1"}}}`, 1, true, false},
		{"a test behind the list", `{"op":"test","path":"/participant/9/status","value":"accepted"}`, 1, false, true},
		{"the patient declines", declined("1"), 1, true, false},
		{"the doctor declines", declined("0"), 1, false, false},
		{"somebody who is not there", declined("7"), 1, false, false},
		{"one of two declines", declined("1"), 2, false, false},
		{"both decline", declined("1") + "," + declined("2"), 2, true, false},
		{"one declines and all is cancelled", declined("1") + `,{"op":"replace","path":"/status","value":"cancelled"}`, 2, true, false},
		{"the doctor declines and all is cancelled", declined("0") + `,{"op":"replace","path":"/status","value":"cancelled"}`, 2, false, false},
	} {
		p, err := fhir.ParsePatch(scheduling.R4, fhir.JSONPatch, []byte("["+tc.body+"]"))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		err = p.Agree(scheduling.R4, visit(tc.patients))
		if (err == nil) != tc.ok || errors.Is(err, fhir.ErrTest) != tc.test {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func FuzzParsePatch(f *testing.F) {
	for _, tc := range append(goodPatches(), badPatches()...) {
		if len(tc.body) < 2000 {
			f.Add(tc.kind, []byte(tc.body))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		format, ok := fhir.PatchFormatOf(kind, body)
		if !ok {
			return
		}
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			p, err := fhir.ParsePatch(rel, format, body)
			if err != nil {
				if code := scheduling.CodeOf(err); code != scheduling.BadRequest && code != scheduling.NotAcceptable {
					t.Fatalf("an error of another kind: %v", err)
				}
				continue
			}
			if err := p.Agree(rel, visit(1)); err != nil && scheduling.CodeOf(err) != scheduling.NotAcceptable {
				t.Fatalf("judged with an error of another kind: %v", err)
			}
		}
	})
}
