package fhir_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// drawText draws what sources write, quotes, markup and blanks included.
func drawText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Just(""),
		rapid.SampledFrom([]string{`a"b\c`, "<b>&amp;", "Zoë\n\t", "2000-01-01T00:00:00Z", `"valueDateTime":"2000-01-01T00:00:00Z"`, "\u2028"}),
		rapid.StringN(1, 12, 40),
	)
}

func drawConcepts() *rapid.Generator[[]scheduling.Concept] {
	coding := rapid.Custom(func(t *rapid.T) scheduling.Coding {
		return scheduling.Coding{
			System:  rapid.OneOf(drawText(), rapid.Just("http://terminology.hl7.org/CodeSystem/v2-0276")).Draw(t, "system"),
			Code:    drawText().Draw(t, "code"),
			Display: drawText().Draw(t, "display"),
		}
	})
	concept := rapid.Custom(func(t *rapid.T) scheduling.Concept {
		return scheduling.Concept{Codings: rapid.SliceOfN(coding, 0, 2).Draw(t, "codings"), Text: drawText().Draw(t, "text")}
	})
	return rapid.SliceOfN(concept, 0, 3)
}

func drawSetting(t *rapid.T) *scheduling.Setting {
	zone, err := time.LoadLocation(rapid.SampledFrom([]string{"America/Los_Angeles", "Europe/London", "Asia/Kathmandu", "UTC"}).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	s := &scheduling.Setting{
		Source: "napa", Schedule: &scheduling.Schedule{ID: "1"}, Zone: zone,
		ServiceCategory: drawConcepts().Draw(t, "category"),
		ServiceType:     drawConcepts().Draw(t, "type"),
		Specialty:       drawConcepts().Draw(t, "specialty"),
	}
	if rapid.Bool().Draw(t, "practitioner") {
		s.Practitioners = []*scheduling.Practitioner{{ID: "p", Name: scheduling.HumanName{Text: drawText().Draw(t, "name")}}}
		s.Role = &scheduling.Role{ID: "r"}
		s.Organization = &scheduling.Organization{Name: drawText().Draw(t, "organization")}
	}
	if rapid.Bool().Draw(t, "location") {
		s.Locations = []*scheduling.Location{{ID: "l", Name: drawText().Draw(t, "place")}}
	}
	if len(s.Practitioners)+len(s.Locations) == 0 {
		if rapid.Bool().Draw(t, "service") {
			s.Service = &scheduling.Service{ID: "s", Name: drawText().Draw(t, "service name")}
		} else {
			s.Unlinked = []scheduling.Actor{{Display: "Napa Office"}}
		}
	}
	return s
}

func drawHit(t *rapid.T, r *fhir.Renderer) scheduling.Hit {
	s := drawSetting(t)
	start := time.Unix(rapid.Int64Range(1_790_000_000, 1_830_000_000).Draw(t, "start"), 0).UTC()
	first := scheduling.Slot{
		ID: "a/b?", Virtual: rapid.Bool().Draw(t, "virtual"), Start: start,
		End:             start.Add(time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second),
		ServiceCategory: drawConcepts().Draw(t, "own category"),
		ServiceType:     drawConcepts().Draw(t, "own type"),
		Specialty:       drawConcepts().Draw(t, "own specialty"),
		Comment:         drawText().Draw(t, "comment"),
		Portal: rapid.SampledFrom([]*scheduling.Portal{
			nil, {URL: "https://book.example/?slot=1&x=%C3%A4"}, {Phone: "555-1000"}, {URL: `https://book.example/"2`, Phone: "<555>"},
		}).Draw(t, "portal"),
	}
	if c := drawConcepts().Draw(t, "appointment type"); len(c) > 0 {
		first.AppointmentType = &c[0]
	}
	slots := []scheduling.Slot{first}
	if rapid.Bool().Draw(t, "two slots") {
		slots = append(slots, scheduling.Slot{ID: "next", Start: first.End, End: first.End.Add(time.Hour)})
	}
	hit := scheduling.Hit{Offer: scheduling.Offer{ID: scheduling.OfferID("napa", 0, "a"), Slots: slots, Setting: s}}
	if rapid.Bool().Draw(t, "checked") {
		hit.Checked = start.Add(-time.Hour)
	}
	if rapid.Bool().Draw(t, "rendered before") {
		hit.Fragment = r.Render(scheduling.Source{}, s)
	}
	return hit
}

func drawAnswer(t *rapid.T, r *fhir.Renderer) fhir.FindAnswer {
	a := fhir.FindAnswer{
		Release: rapid.SampledFrom([]scheduling.Release{scheduling.STU3, scheduling.R4}).Draw(t, "release"),
		Base:    "https://slots.example/fhir/r4",
		Self:    "https://slots.example/fhir/r4/Appointment/$find?specialty=a%7Cb&x=\"",
		Found:   scheduling.Found{Total: rapid.IntRange(0, 1e9).Draw(t, "total")},
	}
	for range rapid.IntRange(0, 3).Draw(t, "offers") {
		a.Found.Offers = append(a.Found.Offers, drawHit(t, r))
	}
	if rapid.Bool().Draw(t, "next") {
		a.Next = a.Self + "&_cursor=abc"
	}
	if rapid.Bool().Draw(t, "period") {
		a.Found.From = time.Unix(1_790_000_000, 0)
	}
	if rapid.Bool().Draw(t, "end") {
		a.Found.To = time.Unix(1_830_000_000, 0)
	}
	if rapid.Bool().Draw(t, "outcome") {
		a.Outcome = fhir.FindOutcome(fhir.Find{Unknown: []string{"x"}}, a.Found)
	}
	return a
}

func TestFragmentsSayWhatTheOrdinaryWriterSays(t *testing.T) {
	t.Parallel()
	r := fhir.NewRenderer(nil)
	rapid.Check(t, func(t *rapid.T) {
		a := drawAnswer(t, r)
		want, err := fhir.Write(a.Release, fhir.JSON, a.Bundle())
		if err != nil {
			t.Fatal(scheduling.AsError(err).Err)
		}
		got, err := r.Find(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		res, err := fhir.Read(a.Release, fhir.JSON, got)
		if err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		if err := fhir.Check(a.Release, res); err != nil {
			t.Fatal(err)
		}
		wantRes, err := fhir.Read(a.Release, fhir.JSON, want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantRes, res); diff != "" {
			t.Fatalf("(-writer +renderer):\n%s", diff)
		}
	})
}

func TestASourceWithoutAURIAndAnOfferNeverCheckedHaveNoMeta(t *testing.T) {
	t.Parallel()
	r := fhir.NewRenderer(func(scheduling.SourceID) string { return "" })
	hit := sampleHit(t)
	hit.Checked = time.Time{}
	data := r.Appointment(nil, scheduling.R4, hit, nil)
	res, err := fhir.Read(scheduling.R4, fhir.JSON, data)
	if err != nil || res.Common().Meta != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

func sampleHit(t testing.TB) scheduling.Hit {
	t.Helper()
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	snomed := []scheduling.Concept{{Codings: []scheduling.Coding{{System: "http://snomed.info/sct", Code: "394582007", Display: "Dermatology"}}}}
	routine := scheduling.Concept{Codings: []scheduling.Coding{{System: "http://terminology.hl7.org/CodeSystem/v2-0276", Code: "ROUTINE"}}}
	start := time.Date(2026, 12, 1, 16, 0, 0, 0, time.UTC)
	s := &scheduling.Setting{
		Source: "napa", Zone: zone, Schedule: &scheduling.Schedule{ID: "sch"}, Specialty: snomed,
		ServiceCategory: []scheduling.Concept{{Text: "Derm"}, {Text: "Other"}},
		Practitioners:   []*scheduling.Practitioner{{ID: "dr-y", Name: scheduling.HumanName{Text: "Dr Y"}}},
		Role:            &scheduling.Role{ID: "role"},
		Locations:       []*scheduling.Location{{ID: "office", Name: "Napa Office"}},
	}
	return scheduling.Hit{Offer: scheduling.Offer{
		ID: "abcde-fghij", Setting: s, Checked: start.Add(-24 * time.Hour),
		Slots: []scheduling.Slot{{ID: "s1", Schedule: "sch", Status: scheduling.SlotFree, Start: start, End: start.Add(15 * time.Minute), AppointmentType: &routine, Comment: "first floor"}},
	}}
}

func TestTheAppointmentOfAnOfferIsAsTheContractHasIt(t *testing.T) {
	t.Parallel()
	hit := sampleHit(t)
	ref := func(kind scheduling.Kind, id string) string {
		return string(kind) + "/" + scheduling.ResourceID("napa", kind, id)
	}
	const stu3 = `{"resourceType":"Appointment","id":"abcde-fghij",
"meta":{"extension":[{"url":"http://hl7.org/fhir/4.0/StructureDefinition/extension-Meta.source","valueUri":"urn:slotgate:source:napa"},{"url":"http://hl7.org/fhir/StructureDefinition/lastSourceSync","valueDateTime":"2026-11-30T16:00:00Z"}]},
"status":"proposed","serviceCategory":{"text":"Derm"},"specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394582007","display":"Dermatology"}]}],
"appointmentType":{"coding":[{"system":"http://hl7.org/fhir/v2/0276","code":"ROUTINE"}]},
"start":"2026-12-01T08:00:00-08:00","end":"2026-12-01T08:15:00-08:00","minutesDuration":15,"slot":[{"reference":"SLOT"}],"comment":"first floor",
"participant":[{"actor":{"reference":"PRACTITIONER","display":"Dr Y"},"required":"required","status":"needs-action"},{"actor":{"reference":"LOCATION","display":"Napa Office"},"required":"required","status":"needs-action"}],
"requestedPeriod":[{"start":"2026-12-01T00:00:00Z"}]}`
	const r4 = `{"resourceType":"Appointment","id":"abcde-fghij",
"meta":{"source":"urn:slotgate:source:napa","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/lastSourceSync","valueDateTime":"2026-11-30T16:00:00Z"}]},
"status":"proposed","serviceCategory":[{"text":"Derm"},{"text":"Other"}],"specialty":[{"coding":[{"system":"http://snomed.info/sct","code":"394582007","display":"Dermatology"}]}],
"appointmentType":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0276","code":"ROUTINE"}]},
"start":"2026-12-01T08:00:00-08:00","end":"2026-12-01T08:15:00-08:00","minutesDuration":15,"slot":[{"reference":"SLOT"}],"comment":"first floor",
"participant":[{"actor":{"reference":"PRACTITIONER","display":"Dr Y"},"required":"required","status":"needs-action"},{"actor":{"reference":"ROLE","display":"Dr Y"},"required":"required","status":"needs-action"},{"actor":{"reference":"LOCATION","display":"Napa Office"},"required":"required","status":"needs-action"}],
"requestedPeriod":[{"start":"2026-12-01T00:00:00Z"}]}`
	names := map[string]string{
		"SLOT": ref("Slot", "s1"), "PRACTITIONER": ref("Practitioner", "dr-y"),
		"LOCATION": ref("Location", "office"), "ROLE": ref("PractitionerRole", "role"),
	}
	for rel, text := range map[scheduling.Release]string{scheduling.STU3: stu3, scheduling.R4: r4} {
		want := tree(t, []byte(replaceAll(text, names)))
		got := fhir.NewRenderer(nil).Appointment(nil, rel, hit, &model.Period{Start: "2026-12-01T00:00:00Z"})
		if diff := cmp.Diff(want, tree(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rel, diff)
		}
		roundTrip(t, rel, got)
	}
}

func BenchmarkRender20Offers(b *testing.B) {
	r := fhir.NewRenderer(nil)
	a := fhir.FindAnswer{Release: scheduling.R4, Base: "https://slots.example/fhir/r4", Self: "https://slots.example/fhir/r4/Appointment/$find"}
	for range 20 {
		hit := sampleHit(b)
		hit.Fragment = r.Render(scheduling.Source{}, hit.Setting)
		a.Found.Offers = append(a.Found.Offers, hit)
	}
	b.Run("fragments", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if buf, err = r.Find(buf[:0], a); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("writer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := fhir.Write(a.Release, fhir.JSON, a.Bundle()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
