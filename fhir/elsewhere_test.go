package fhir_test

import (
	"strings"
	"testing"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func native(t testing.TB, rel scheduling.Release, text string) model.Resource {
	t.Helper()
	res, err := fhir.Read(rel, fhir.JSON, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestAnEHRsPatientIsShownWithoutWhatIsNobodysBusiness(t *testing.T) {
	t.Parallel()
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		p := native(t, rel, `{"resourceType":"Patient","id":"n1","meta":{"versionId":"9","security":[{"code":"R"}]},
			"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x()</script></div>"},
			"identifier":[{"system":"urn:mrn","value":"1","assigner":{"reference":"Organization/9","display":"Clinic"}}],
			"active":true,"name":[{"family":"Win<b>ters","given":["Ada","<i>"],"text":"Ada Winters"}],"gender":"female","birthDate":"1964-06-19",
			"telecom":[{"system":"phone","value":"555"}],"contact":[{"name":{"text":"Mother"}}],
			"generalPractitioner":[{"reference":"Practitioner/7"}],"managingOrganization":{"reference":"Organization/8"},
			"link":[{"other":{"reference":"Patient/secret"},"type":"seealso"}]}`).(*model.Patient)
		r, err := fhir.PatientElsewhere(rel, p)
		if err != nil || r.ID != "n1" || r.BirthDate != "1964-06-19" || len(r.Naming()) != 1 {
			t.Fatalf("%#v %v", r, err)
		}
		for _, to := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			shown, err := fhir.PatientAt("napa", r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := fhir.Write(to, fhir.JSON, shown)
			if err != nil {
				t.Fatal(err)
			}
			for _, gone := range []string{"script", "<b>", "<i>", "Mother", "secret", "Practitioner/7", "Organization/", `"versionId"`, `"security"`} {
				if strings.Contains(string(body), gone) {
					t.Errorf("%s to %s: %s is shown: %s", rel, to, gone, body)
				}
			}
			for _, kept := range []string{`"id":"n1"`, "Ada Winters", `"urn:mrn"`, "Clinic", "555", "urn:slotgate:source:napa"} {
				if !strings.Contains(string(body), kept) {
					t.Errorf("%s to %s: %s is lost: %s", rel, to, kept, body)
				}
			}
		}
	}
	for _, text := range []string{`{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"a/b"}`} {
		if _, err := fhir.PatientElsewhere(scheduling.R4, native(t, scheduling.R4, text).(*model.Patient)); scheduling.CodeOf(err) != scheduling.SourceNonsense {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAnEHRsAppointmentIsReadWithWhatAnOfferWouldTell(t *testing.T) {
	t.Parallel()
	in := native(t, scheduling.R4, `{"resourceType":"Appointment","id":"a1","status":"cancelled","meta":{"versionId":"3"},
		"cancelationReason":{"coding":[{"code":"pat"}]},"serviceType":[{"coding":[{"system":"urn:x","code":"v","display":"Vi\u0007sit"}]}],
		"appointmentType":{"text":"Walk-in"},"comment":"bring <b>shoes</b>","start":"2026-11-24T10:00:00Z","end":"2026-11-24T10:20:00Z",
		"participant":[{"actor":{"reference":"Patient/p1","display":"Ada"}},{"actor":{"reference":"Patient/p2","display":"Ben"}},
			{"actor":{"reference":"#c","display":"Carl"}},{"actor":{"type":"Patient","display":"Dora"}},
			{"actor":{"reference":"Practitioner/d","display":"Dr. D"}},{"actor":{"reference":"Location/l","display":"Main"}}]}`).(*model.Appointment)
	a := fhir.AppointmentElsewhere(in, time.UTC, "urn:ours")
	if a.ID != "a1" || a.Reason != "pat" || a.ETag != `W/"3"` || len(a.Patient) != 2 || len(a.Actors) != 2 || a.ServiceType[0].Codings[0].Code != "v" || a.AppointmentType.Text != "Walk-in" {
		t.Fatalf("%+v", a)
	}
	if strings.ContainsRune(a.ServiceType[0].Codings[0].Display, 7) {
		t.Errorf("not cleaned: %q %q", a.Comment, a.ServiceType[0].Codings[0].Display)
	}
	for _, actor := range a.Actors {
		if strings.Contains("Ada Ben Carl Dora", actor.Display) {
			t.Errorf("%s is shown", actor.Display)
		}
	}
}

func FuzzPatientElsewhere(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","id":"a","name":[{"family":"<b>","given":["x","<"]}],"birthDate":"1990-01-01"}`))
	f.Add([]byte(`{"resourceType":"Patient","id":"a","identifier":[{"value":"1","assigner":{"reference":"x"}}],"telecom":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, err := fhir.Read(scheduling.R4, fhir.JSON, data)
		p, ok := res.(*model.Patient)
		if err != nil || !ok {
			return
		}
		r, err := fhir.PatientElsewhere(scheduling.R4, p)
		if err != nil {
			return
		}
		shown, err := fhir.PatientAt("napa", r)
		if err != nil {
			t.Fatalf("what was read cannot be shown: %v", err)
		}
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			body, err := fhir.Write(rel, fhir.JSON, shown)
			if err != nil || strings.Contains(string(body), "<") {
				t.Fatalf("%s: %v %s", rel, err, body)
			}
		}
	})
}

// TestIdsOfTheSourceNamed: with source= its own ids are understood beside ours.
func TestIdsOfTheSourceNamed(t *testing.T) {
	t.Parallel()
	slot := scheduling.ResourceID("napa", scheduling.KindSlot, "s1")
	offer := scheduling.OfferID("napa", 0, "s1")
	own := "pt-" + strings.Repeat("a", 26)
	with := func(fields string) string { return resource("appt-resource", fields) }
	for name, c := range map[string]struct {
		body, path, address string
		code                scheduling.Code
		slots, patients     string
	}{
		"a slot of the source":               {body: body(with(`,"slot":[{"reference":"Slot/s1"}]`)), address: "napa", slots: slot},
		"a slot of ours":                     {body: body(with(`,"slot":[{"reference":"Slot/` + slot + `"}]`)), address: "napa", slots: slot},
		"said in the body, after":            {body: body(with(`,"slot":[{"reference":"Slot/s1"}]`), param("source", "napa")), slots: slot},
		"without a source":                   {body: body(with(`,"slot":[{"reference":"Slot/s1"}]`)), slots: "s1"},
		"a patient of the source":            {body: body(param("patient-id", "p1")), path: offer, address: "napa", patients: "p1"},
		"a patient of ours":                  {body: body(param("patient-id", own)), path: offer, address: "napa", patients: own},
		"an offer of another source":         {body: body(param("patient-id", "p1")), path: offer, address: "york", code: scheduling.NotAcceptable},
		"a source that is not served":        {body: body(param("patient-id", "p1"), param("source", "nowhere")), path: offer, code: scheduling.UnknownID},
		"two sources":                        {body: body(param("source", "york")), path: offer, address: "napa", code: scheduling.BadRequest},
		"an empty source":                    {body: body(param("source", " ")), path: offer, code: scheduling.BadRequest},
		"a patient of the other by address":  {body: body(param("patient-id", "https://york.example.org/fhir/Patient/p9")), path: offer, address: "napa", code: scheduling.NotAcceptable},
		"a participant of the source":        {body: body(with(`,"slot":[{"reference":"Slot/s1"}],"participant":[{"actor":{"reference":"Patient/p1"}}]`)), address: "napa", slots: slot, patients: "p1"},
		"a slot of the source, by its place": {body: body(with(`,"slot":[{"reference":"https://napa.example.org/fhir/Slot/s1"}]`)), address: "napa", slots: slot},
	} {
		opts := bookOptions()
		opts.Source = scheduling.SourceID(c.address)
		got, err := fhir.ParseBook(c.path, native(t, scheduling.R4, c.body), opts)
		if scheduling.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
			continue
		}
		if err == nil && (strings.Join(got.Slots, " ") != c.slots || strings.Join(got.Patients, " ") != c.patients) {
			t.Errorf("%s: %v %v", name, got.Slots, got.Patients)
		}
	}
}
