package fhir_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func bookOptions() fhir.BookOptions {
	return fhir.BookOptions{
		Bases:     []string{"https://slots.example.org/fhir/r4", "https://slots.example.org/fhir/stu3"},
		Sources:   []scheduling.Source{{ID: "napa", Base: "https://napa.example.org/fhir"}, {ID: "york", Base: "https://york.example.org/fhir/"}},
		Coverage:  true,
		MaxValues: 50,
	}
}

func param(name, value string) string { return `{"name":"` + name + `","valueUri":"` + value + `"}` }

func body(params ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(params, ",") + `]}`
}

func resource(name, fields string) string {
	return `{"name":"` + name + `","resource":{"resourceType":"Appointment"` + fields + `}}`
}

type bookCase struct {
	name, path, body string
	code             scheduling.Code
	// what comes out, in the words of shown
	want string
}

func bookCases() []bookCase {
	offer := scheduling.OfferID("napa", 0, "s1")
	slot := scheduling.ResourceID("napa", scheduling.KindSlot, "s1")
	bad, no, missing := scheduling.BadRequest, scheduling.NotAcceptable, scheduling.MissingData
	patient := param("patient-id", "Patient/p1")
	return []bookCase{
		{"by path", "o1", body(patient), "", "o1 [p1]"},
		{"by id", "", body(param("appt-id", "o1"), patient), "", "o1 [p1]"},
		{"by the guide's own form", "", body(param("appt-id", "Resource/o1"), patient), "", "o1 [p1]"},
		{"by our address", "", body(param("appt-id", "https://slots.example.org/fhir/stu3/Appointment/o1/_history/2"), patient), "", "o1 [p1]"},
		{"by a reference", "", body(`{"name":"appointment-reference","valueReference":{"reference":"Appointment/o1"}}`, patient), "", "o1 [p1]"},
		{"path and id agree", "o1", body(param("appt-id", "Appointment/o1"), patient), "", "o1 [p1]"},
		{"path and id disagree", "o1", body(param("appt-id", "o2"), patient), bad, ""},
		{"two ids disagree", "", body(param("appt-id", "o1"), param("appointment-reference", "o2")), bad, ""},
		{"path and resource disagree", offer, body(resource("appt-resource", `,"id":"`+scheduling.OfferID("napa", 0, "s2")+`"`)), bad, ""},
		{"several patients, one of them twice", "o1", body(patient, param("patient-id", "p2"), param("patient-id", "p1")), "", "o1 [p1 p2]"},
		{"a patient of the source", offer, body(param("patient-id", "https://napa.example.org/fhir/Patient/p9")), "", offer + " [p9]"},
		{"a patient of another source", offer, body(param("patient-id", "https://york.example.org/fhir/Patient/p9")), no, ""},
		{"a patient of nowhere", offer, body(param("patient-id", "https://evil.example.org/Patient/p9")), no, ""},
		{"a patient that is a practitioner", "o1", body(param("patient-id", "Practitioner/p9")), bad, ""},
		{"a patient by identifier", "o1", body(`{"name":"patient-id","valueIdentifier":{"system":"urn:x","value":"1"}}`), bad, ""},
		{"a patient as a resource", "o1", body(somebody("x")), "", "o1 [] and 1 more"},
		{"two as resources, and a known one", "o1", body(patient, somebody("x"), somebody("y")), "", "o1 [p1] and 2 more"},
		{"a patient as another resource", "o1", body(`{"name":"patient-resource","resource":{"resourceType":"Practitioner"}}`), bad, ""},
		{"a patient as an address", "o1", body(param("patient-resource", "Patient/1")), bad, ""},
		{"a patient with markup", "o1", body(somebody("<b>")), no, ""},
		{"too many as resources", "o1", body(slices.Repeat([]string{somebody("x")}, 51)...), bad, ""},
		{"a coverage that names nobody", "o1", body(somebody("x"), covers(`"subscriber":{"display":"me"},`)), "", "o1 [] and 1 more covered by  resource"},
		{"a coverage of the patient that came with it", "o1", body(somebody("x"), somebody("y"), covers(`"subscriber":{"reference":"Patient/x"},`)), "", "o1 [] and 2 more covered by  resource"},
		{"a coverage of neither", "o1", body(somebody("x"), somebody("y"), covers(`"subscriber":{"display":"me"},`)), missing, ""},
		{"a coverage of somebody else", "o1", body(somebody("x"), covers(`"subscriber":{"reference":"Patient/`+parent+`"},`)), no, ""},
		{"a coverage of an EHR's patient", "o1", body(patient, covers(`"subscriber":{"display":"me"},`)), missing, ""},
		{"a coverage of a registered patient", "o1", body(param("patient-id", parent), covers("")), "", "o1 [" + parent + "] covered by  resource"},
		{"a coverage of ours", "o1", body(patient, param("coverage", "Coverage/cv-1"), param("coverage", "https://slots.example.org/fhir/r4/Coverage/cv-1"), param("coverage", "cv-2")), "", "o1 [p1] covered by cv-1 covered by cv-2"},
		{"a coverage of another server", "o1", body(patient, param("coverage", "https://napa.example.org/fhir/Coverage/1")), scheduling.UnknownID, ""},
		{"no coverage", "o1", body(patient, `{"name":"coverage","resource":{"resourceType":"Patient"}}`), bad, ""},
		{"a coverage without a value", "o1", body(patient, `{"name":"coverage"}`), bad, ""},
		{"no patient is for the desk", "o1", body(), "", "o1 []"},
		{"an id of another server", "", body(param("appt-id", "https://napa.example.org/fhir/Appointment/1")), scheduling.UnknownID, ""},
		{"an id of another type", "", body(param("appt-id", "Slot/1")), bad, ""},
		{"an id of other characters", "", body(param("appt-id", "a b")), bad, ""},
		{"an id without a value", "", body(`{"name":"appt-id"}`), bad, ""},
		{"a path of other characters", "a_b", body(patient), bad, ""},
		{"nothing at all", "", body(), missing, ""},
		{"two resources", "", body(resource("appt-resource", ""), resource("appt-resource", "")), bad, ""},
		{"another resource", "", body(`{"name":"appt-resource","resource":{"resourceType":"Slot"}}`), bad, ""},
		{"by slot", "", body(resource("appt-resource", `,"slot":[{"reference":"Slot/`+slot+`"}],"participant":[{"actor":{"reference":"Patient/p1"}}]`)), "", "by resource " + slot + " [p1]"},
		{"by the source's slot", "", body(resource("appt-resource", `,"slot":[{"reference":"https://napa.example.org/fhir/Slot/s1"}]`), patient), "", "by resource " + slot + " [p1]"},
		{"by a slot of nowhere", "", body(resource("appt-resource", `,"slot":[{"reference":"https://evil.example.org/Slot/s1"}]`), patient), no, ""},
		{"by a contained slot", "", body(resource("appt-resource", `,"slot":[{"reference":"#s"}]`), patient), no, ""},
		{"an id of the client's own beside the slot", "", body(resource("appt-resource", `,"id":"draft","slot":[{"reference":"Slot/`+slot+`"}]`), patient), "", "by resource " + slot + " [p1]"},
		{"our id beside the slot", "", body(resource("appt-resource", `,"id":"`+offer+`","slot":[{"reference":"Slot/`+slot+`"}]`), patient), "", offer + " by resource " + slot + " [p1]"},
		{"times", "", body(resource("appt-resource", `,"id":"o1","start":"2026-11-24T09:00:00-08:00","end":"2026-11-24T17:30:00Z"`), patient), "", "o1 by resource 2026-11-24T17:00:00Z 2026-11-24T17:30:00Z [p1]"},
		{"a time without an offset", "", body(resource("appt-resource", `,"id":"o1","start":"2026-11-24T09:00:00"`), patient), bad, ""},
		{"a time that is none", "", body(resource("appt-resource", `,"id":"o1","end":"soon"`), patient), bad, ""},
		{"a status that nobody books", "", body(resource("appt-resource", `,"id":"o1","status":"fulfilled"`), patient), no, ""},
		{"a contained patient", "", body(resource("appt-resource", `,"id":"o1","contained":[{"resourceType":"Patient","id":"p"}],"participant":[{"actor":{"reference":"#p"}}]`)), no, ""},
		{"IHE: a move", "", body(resource("appointment-resource", `,"id":"o1","status":"booked","slot":[{"reference":"Slot/`+slot+`"}]`), patient), "", "move replaces o1 by resource " + slot + " [p1]"},
		{"IHE: a move to nowhere", "", body(resource("appointment-resource", `,"id":"o1","status":"booked"`), patient), missing, ""},
		{"IHE: a cancel of whomever", "", body(resource("appointment-resource", `,"id":"o1","status":"cancelled"`), somebody("<b>"), covers("")), "", "cancel o1 [] not applied patient-resource coverage"},
		{"IHE: a cancel", "", body(resource("appointment-resource", `,"id":"o1","status":"cancelled"`)), "", "cancel o1 []"},
		{"the old one", "o1", body(patient, param("cancelled-appt-id", "Appointment/o0")), "", "replaces o0 o1 [p1]"},
		{"two old ones", "o1", body(patient, param("cancelled-appt-id", "o0"), param("cancelled-appt-id", "o9")), bad, ""},
		{"a comment", "o1", body(patient, `{"name":"comment","valueString":"ring twice"}`), "", "o1 \"ring twice\" [p1]"},
		{"two comments", "o1", body(`{"name":"comment","valueString":"a"}`, `{"name":"comment","valueString":"b"}`), bad, ""},
		{"a comment with a bell", "o1", body(patient, `{"name":"comment","valueString":"a\u0007"}`), bad, ""},
		{"too many patients", "o1", body(slices.Repeat([]string{patient}, 51)...), bad, ""},
		{"a bare Patient", "o1", `{"resourceType":"Patient"}`, no, ""},
		{"an unknown resource", "o1", `{"resourceType":"Spaceship"}`, no, ""},
		{"what nobody knows", "o1", body(patient, param("colour", "blue")), "", "o1 [p1] unknown colour"},
	}
}

// somebody is a patient-resource.
func somebody(id string) string {
	return `{"name":"patient-resource","resource":{"resourceType":"Patient","id":"` + strings.Trim(id, "<>") + `","name":[{"family":"` + id + `"}],"birthDate":"1990-01-01"}}`
}

// covers is a coverage as a resource.
func covers(elements string) string { return `{"name":"coverage","resource":` + cover(elements) + `}` }

// shown is what was read, as one line.
func shown(b fhir.Booked) string {
	var words []string
	add := func(when bool, list ...string) {
		if when {
			words = append(words, list...)
		}
	}
	add(b.Act != fhir.ActBook, string(b.Act))
	add(b.Replaces != "", "replaces", b.Replaces)
	add(b.ID != "", b.ID)
	add(b.ByResource, "by resource")
	add(len(b.Slots) > 0, b.Slots...)
	for _, at := range []time.Time{b.Start, b.End} {
		add(!at.IsZero(), at.Format(time.RFC3339))
	}
	add(b.Comment != "", `"`+b.Comment+`"`)
	words = append(words, "["+strings.Join(b.Patients, " ")+"]")
	add(len(b.People) > 0, fmt.Sprintf("and %d more", len(b.People)))
	for _, c := range b.Coverages {
		add(true, "covered by "+c.ID)
		add(c.Resource(), "resource")
	}
	add(len(b.Unknown) > 0, "unknown", strings.Join(b.Unknown, " "))
	add(len(b.NotApplied) > 0, "not applied", strings.Join(b.NotApplied, " "))
	return strings.Join(words, " ")
}

func TestWhatABookAsks(t *testing.T) {
	t.Parallel()
	for _, tc := range bookCases() {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			res, err := fhir.Read(rel, fhir.JSON, []byte(tc.body))
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
				continue
			}
			b, err := fhir.ParseBook(tc.path, res, bookOptions())
			if scheduling.CodeOf(err) != tc.code || err == nil && shown(b) != tc.want {
				t.Errorf("%s, %s: %q, %v", tc.name, rel, shown(b), err)
			}
		}
	}
}

func TestWhatAHoldAsks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, path, body string
		code             scheduling.Code
		want             string
	}{
		{"by path, with patients", "o1", body(param("patient-id", "p1")), "", "o1 [p1]"},
		{"what a book has", "o1", body(param("cancelled-appt-id", "o0"), `{"name":"comment","valueString":"x"}`), "", "o1 [] not applied comment cancelled-appt-id"},
		{"a patient as a resource", "o1", body(`{"name":"patient-resource","resource":{"resourceType":"Patient"}}`), "", "o1 [] not applied patient-resource"},
		{"what is cancelled", "", body(resource("appointment-resource", `,"id":"o1","status":"cancelled"`)), scheduling.NotAcceptable, ""},
	} {
		res, err := fhir.Read(scheduling.R4, fhir.JSON, []byte(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		h, err := fhir.ParseHold(tc.path, res, bookOptions())
		if scheduling.CodeOf(err) != tc.code || err == nil && shown(fhir.Booked{Held: h, Act: fhir.ActBook}) != tc.want {
			t.Errorf("%s: %+v, %v", tc.name, h, err)
		}
	}
	if h, err := fhir.ParseHold("o1", nil, bookOptions()); err != nil || h.ID != "o1" || h.ByResource {
		t.Errorf("no body: %+v, %v", h, err)
	}
}

// fuzzed: whatever was sent, the ids that come out are ids, and errors are the
// client's.
func fuzzed(t *testing.T, h fhir.Held, replaces string, err error) {
	t.Helper()
	if err != nil {
		switch scheduling.CodeOf(err) {
		case scheduling.BadRequest, scheduling.NotAcceptable, scheduling.MissingData, scheduling.UnknownID:
		default:
			t.Fatalf("an error of another kind: %v", err)
		}
		return
	}
	for _, id := range append(append([]string{h.ID, replaces}, h.Slots...), h.Patients...) {
		if id != "" && !scheduling.ValidID(id) {
			t.Fatalf("%q came out as an id", id)
		}
	}
	if h.ID == "" && len(h.Slots) == 0 {
		t.Fatal("nothing is named")
	}
}

func FuzzParseBook(f *testing.F) {
	for _, tc := range bookCases() {
		f.Add(tc.path, []byte(tc.body))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			if res, err := fhir.Read(rel, fhir.JSON, data); err == nil {
				b, err := fhir.ParseBook(path, res, bookOptions())
				fuzzed(t, b.Held, b.Replaces, err)
			}
		}
	})
}

func FuzzParseHold(f *testing.F) {
	for _, tc := range bookCases() {
		f.Add(tc.path, []byte(tc.body))
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		for _, format := range []fhir.Format{fhir.JSON, fhir.XML} {
			if res, err := fhir.Read(scheduling.R4, format, data); err == nil {
				h, err := fhir.ParseHold(path, res, bookOptions())
				fuzzed(t, h, "", err)
			}
		}
	})
}

func TestAnEHRsAppointmentIsReadAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	napa, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	nine := time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, json string
		check      func(a scheduling.Appointment) bool
	}{
		{"whole", `,"id":"a1","meta":{"versionId":"7","lastUpdated":"2026-11-23T00:00:00Z"},"status":"booked","start":"2026-11-24T09:00:00-08:00","end":"2026-11-24T09:30:00-08:00","slot":[{"reference":"Slot/s1"}],"identifier":[{"system":"urn:ours","value":"x"},{"system":"urn:theirs","value":"y"}],"participant":[{"actor":{"reference":"https://ehr/fhir/Patient/p1"},"status":"accepted"},{"actor":{"reference":"Practitioner/d1","display":"Dr D"},"status":"accepted"}]`, func(a scheduling.Appointment) bool {
			return a.ID == "a1" && a.ETag == `W/"7"` && a.Status == scheduling.ApptBooked && a.Start.Equal(nine) && slices.Equal(a.Slots, []string{"s1"}) &&
				slices.Equal(a.Patient, []string{"p1"}) && a.HasIdentifier("x") && !a.HasIdentifier("y") && len(a.Actors) == 1 && a.Actors[0].ID == "d1" && !a.Updated.IsZero()
		}},
		{"no status", `,"id":"a1"`, func(a scheduling.Appointment) bool { return a.Status == "" && a.ETag == "" && a.Start.IsZero() }},
		{"times without a zone", `,"start":"2026-11-24T09:00:00","end":"2026-11-24T09:30:00"`, func(a scheduling.Appointment) bool {
			return a.Start.Equal(nine) && a.End.Sub(a.Start) == 30*time.Minute
		}},
		{"a duration in place of the end", `,"start":"2026-11-24T09:00:00-08:00","minutesDuration":20`, func(a scheduling.Appointment) bool { return a.End.Sub(a.Start) == 20*time.Minute }},
		{"times that are none", `,"start":"soon","end":"later"`, func(a scheduling.Appointment) bool { return a.Start.IsZero() && a.End.IsZero() }},
		{"a contained patient", `,"contained":[{"resourceType":"Patient","id":"p"}],"participant":[{"actor":{"reference":"#p"}}]`, func(a scheduling.Appointment) bool { return len(a.Patient) == 0 }},
	} {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			res, err := fhir.Read(rel, fhir.JSON, []byte(`{"resourceType":"Appointment"`+tc.json+`}`))
			if err != nil {
				t.Fatal(err)
			}
			if a := fhir.AppointmentIn(res.(*model.Appointment), napa, "urn:ours"); !tc.check(a) {
				t.Errorf("%s, %s: %+v", tc.name, rel, a)
			}
		}
	}
}
