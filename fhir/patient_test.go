package fhir_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/scheduling"
)

func readPatient(t testing.TB, rel scheduling.Release, text string) (scheduling.Registration, error) {
	t.Helper()
	return fhir.ReadPatient(rel, fhir.JSON, []byte(text))
}

func generic(t testing.TB, data []byte) map[string]any {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTheGuidesPatientsGoThroughUnchanged reads the two examples, and writes
// them in both releases and formats.
func TestTheGuidesPatientsGoThroughUnchanged(t *testing.T) {
	t.Parallel()
	dir := testenv.Shared(t, "argonaut/examples")
	for _, name := range []string{"Patient-argo-sch-patient-1.json", "Patient-argo-sch-patient-2.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want := generic(t, data)
		delete(want, "id")
		r, err := fhir.ReadPatient(scheduling.STU3, fhir.JSON, data)
		if err != nil {
			t.Fatal(name, err)
		}
		if r.Names[0].Family != "LastName" || len(r.Naming()) != 1 || len(r.Telecoms) != 2 || r.Addresses[0].State != "CA" {
			t.Errorf("%s: read as %#v", name, r.Names)
		}
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			if rel == scheduling.R4 {
				want = generic(t, []byte(strings.Replace(string(data), "http://hl7.org/fhir/v2/0203", "http://terminology.hl7.org/CodeSystem/v2-0203", 1)))
				delete(want, "id")
			}
			for _, format := range []fhir.Format{fhir.JSON, fhir.XML} {
				patient, err := fhir.PatientToRegister(r, "ours-1")
				if err != nil {
					t.Fatal(err)
				}
				body, dropped, err := fhir.WriteCounting(rel, format, patient)
				if err != nil || dropped != 0 {
					t.Fatalf("%s to %s: %d lost, %v", name, rel, dropped, err)
				}
				back, err := fhir.ReadPatient(rel, format, body)
				if err != nil {
					t.Fatal(err)
				}
				got := generic(t, back.Resource)
				ids := got["identifier"].([]any)
				if last := ids[len(ids)-1].(map[string]any); last["value"] != "ours-1" || last["system"] != scheduling.PatientIdentifierSystem {
					t.Errorf("our identifier is not the last: %v", ids)
				}
				got["identifier"] = ids[:len(ids)-1]
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s to %s in %v:\n%s", name, rel, format, diff)
				}
			}
		}
	}
}

func TestWhatMakesNoPatient(t *testing.T) {
	t.Parallel()
	with := func(more string) string { return `{"resourceType":"Patient",` + more + `"birthDate":"1990-01-01"}` }
	narrative := func(div string) string {
		text, _ := json.Marshal(div)
		return with(`"text":{"status":"generated","div":` + string(text) + `},`)
	}
	for name, c := range map[string]struct {
		body string
		code scheduling.Code
	}{
		"not JSON":                       {`{`, scheduling.BadRequest},
		"another resource":               {`{"resourceType":"Slot"}`, scheduling.BadRequest},
		"a list":                         {`[]`, scheduling.BadRequest},
		"a number for a date":            {`{"resourceType":"Patient","birthDate":5}`, scheduling.BadRequest},
		"an unknown gender":              {with(`"gender":"F",`), scheduling.NotAcceptable},
		"rules of their own":             {with(`"implicitRules":"urn:x",`), scheduling.NotAcceptable},
		"a modifier":                     {with(`"modifierExtension":[{"url":"urn:x","valueBoolean":true}],`), scheduling.NotAcceptable},
		"markup in a name":               {with(`"name":[{"family":"<b>x</b>"}],`), scheduling.NotAcceptable},
		"markup where nobody looks":      {with(`"contact":[{"name":{"text":"<img src=x onerror=alert(1)>"}}],`), scheduling.NotAcceptable},
		"markup in a name of an element": {with(`"<script>":"x",`), scheduling.NotAcceptable},
		"control characters":             {with(`"maritalStatus":{"text":"\u0007"},`), scheduling.NotAcceptable},
		"a script":                       {narrative(`<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>`), scheduling.NotAcceptable},
		"an event":                       {narrative(`<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="x()">x</p></div>`), scheduling.NotAcceptable},
		"a link that runs":               {narrative(`<div xmlns="http://www.w3.org/1999/xhtml"><a href="javascript:x()">x</a></div>`), scheduling.NotAcceptable},
		"a style that fetches":           {narrative(`<div xmlns="http://www.w3.org/1999/xhtml"><p style="background:url(x)">x</p></div>`), scheduling.NotAcceptable},
		"an open narrative":              {narrative(`<div xmlns="http://www.w3.org/1999/xhtml"><p>`), scheduling.NotAcceptable},
		"an entity":                      {narrative(`<!DOCTYPE x [<!ENTITY y "z">]><div xmlns="http://www.w3.org/1999/xhtml">&y;</div>`), scheduling.NotAcceptable},
		"an extension without a name":    {with(`"extension":[{"valueString":"x"}],`), scheduling.NotAcceptable},
	} {
		_, err := readPatient(t, scheduling.R4, c.body)
		if scheduling.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if _, err := readPatient(t, scheduling.R4, narrative(`<div xmlns="http://www.w3.org/1999/xhtml"><p style="color: red">a&nbsp;<b>b</b> <a href="mailto:a@b.org">c</a></p></div>`)); err != nil {
		t.Errorf("a narrative that only shows text: %v", err)
	}
	if _, err := fhir.ReadPatient(scheduling.R4, fhir.XML, []byte(`<Patient xmlns="http://hl7.org/fhir"><shoeSize value="44"/></Patient>`)); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("what cannot be kept: %v", err)
	}
}

func TestAPatientIsSentWithoutReferences(t *testing.T) {
	t.Parallel()
	r, err := readPatient(t, scheduling.R4, `{"resourceType":"Patient","id":"theirs","birthDate":"1990-01-01","name":[{"family":"A"}],
		"multipleBirthInteger":2,
		"contained":[{"resourceType":"Organization","id":"o","name":"Home"}],
		"managingOrganization":{"reference":"#o"},
		"generalPractitioner":[{"reference":"Practitioner/1","display":"Dr. B"},{"reference":"http://evil/Practitioner/2"}],
		"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}],
		"extension":[{"url":"urn:a","valueReference":{"reference":"Patient/3"}},{"url":"urn:b","valueDecimal":1.10}]}`)
	if err != nil {
		t.Fatal(err)
	}
	patient, err := fhir.PatientToRegister(r, "")
	if err != nil {
		t.Fatal(err)
	}
	body, err := fhir.Write(scheduling.R4, fhir.JSON, patient)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"Practitioner/", "Patient/", "evil", `"link"`, "urn:a", "theirs"} {
		if strings.Contains(string(body), gone) {
			t.Errorf("%s is sent: %s", gone, body)
		}
	}
	for _, kept := range []string{"#o", "Dr. B", `1.10`, `"multipleBirthInteger":2`, "urn:b"} {
		if !strings.Contains(string(body), kept) {
			t.Errorf("%s is lost: %s", kept, body)
		}
	}
	shown, err := fhir.PatientFor(scheduling.Registration{ID: "ours", Release: r.Release, Resource: r.Resource})
	if err != nil || shown.ID != "ours" || len(shown.GeneralPractitioner) != 2 {
		t.Errorf("callers see %v, %v", shown, err)
	}
}

func TestWhatPatientsAreSearchedBy(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]scheduling.PatientSearch{
		"family=Last&given=First&given=M":         {Family: "Last", Given: []string{"First", "M"}},
		"identifier=urn:a%7C1,2&birthdate=eq1964": {Identifiers: []scheduling.PersonIdentifier{{System: "urn:a", Value: "1"}, {Value: "2"}}, BirthDate: "1964"},
		`family=O%5C,Brien&gender=male&_count=3`:  {Family: "O,Brien", Gender: "male"},
		"family=&_format=json":                    {},
	} {
		values, _ := url.ParseQuery(query)
		got, unknown, err := fhir.ParsePatientSearch(values)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || len(unknown) > 0 {
			t.Errorf("%s: %v %v\n%s", query, err, unknown, diff)
		}
	}
	for _, query := range []string{
		"family=a,b", "family=a&family=b", "birthdate=ge1964", "birthdate=soon", "identifier=urn:a%7C", "identifier=a&identifier=b",
		"given=" + strings.Repeat("x", 2000), strings.Repeat("given=x&", 60),
	} {
		values, _ := url.ParseQuery(query)
		if _, _, err := fhir.ParsePatientSearch(values); scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Errorf("%.40s: %v", query, err)
		}
	}
	if _, unknown, _ := fhir.ParsePatientSearch(url.Values{"email": {"x"}, "address": {"y", "z"}, "Ada Winters": {"y"}}); strings.Join(unknown, " ") != "(unreadable name) address email" {
		t.Errorf("unknown: %v", unknown)
	}
}

func FuzzReadPatient(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","name":[{"family":"A","given":["B"]}],"birthDate":"1990-01-01"}`))
	f.Add([]byte(`{"resourceType":"Patient","text":{"div":"<div><a href='x'>b</a></div>"},"link":[{"other":{"reference":"a"}}]}`))
	f.Add([]byte(`{"resourceType":"Patient","extension":[{"url":"a","valueReference":{"reference":"b","type":"c"}}],"contained":[{"resourceType":"X"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := fhir.ReadPatient(scheduling.STU3, fhir.JSON, data)
		if err != nil {
			return
		}
		_ = r.Check(scheduling.DefaultRegistrationLimits(), r.Created)
		if _, err := fhir.PatientFor(r); err != nil {
			t.Fatalf("what was read cannot be shown: %v", err)
		}
		patient, err := fhir.PatientToRegister(r, "x")
		if err != nil {
			t.Fatalf("what was read cannot be sent: %v", err)
		}
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			if _, err := fhir.Write(rel, fhir.JSON, patient); err != nil {
				t.Fatalf("%s: %v", rel, err)
			}
		}
	})
}
