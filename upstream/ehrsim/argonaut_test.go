package ehrsim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPrefetchGivesEveryFreeSlotOfAPeriod(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := start(t, Options{FHIR: version})
		b := w.ok("/Slot/$prefetch?start=2026-02-02T09:00:00Z&end=2026-02-10T09:00:00Z")
		want := 0
		for _, sl := range w.srv.Slots("free") {
			if sl.Start.After(monday) && sl.Start.Before(monday.AddDate(0, 0, 8)) {
				want++
			}
		}
		got := resources(b, "match")
		if len(got) != want || total(b) != want || want < 300 || digString(b, "type") != "searchset" {
			t.Fatalf("%s: %d slots, total %d, want %d", version, len(got), total(b), want)
		}
		for _, r := range got {
			if digString(r, "status") != "free" || strings.HasSuffix(digString(r, "start"), "Z") {
				t.Fatalf("%v", r)
			}
			begin, err := time.Parse(time.RFC3339, digString(r, "start"))
			if sl, _ := w.srv.Slot(digString(r, "id")); err != nil || !begin.Equal(sl.Start) {
				t.Fatalf("%s is not %s", digString(r, "start"), sl.Start)
			}
		}
	}
}

func TestPrefetchActorsAreJoinedByAndRepeatedOnesByOr(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	n := func(query string) int { return total(w.ok("/Slot/$prefetch?" + query)) }
	one, other := n("practitioner=Practitioner/prac-301"), n("practitioner=Practitioner/prac-302")
	if both := n("practitioner=Practitioner/prac-301&practitioner=prac-302"); one == 0 || other == 0 || both != one+other {
		t.Errorf("or: %d + %d = %d", one, other, both)
	}
	if got := n("practitioner=Practitioner/prac-301&location-reference=Location/loc-201"); got == 0 || got > one {
		t.Errorf("and: %d of %d", got, one)
	}
	if got := n("practitioner=Practitioner/prac-301&organization=Organization/org-102"); got != 0 {
		t.Errorf("another organization's: %d", got)
	}
	if all, org := n(""), n("organization=org-101")+n("organization=org-102")+n("organization=org-103"); all != org {
		t.Errorf("%d of all organizations, %d in all", org, all)
	}
	if got := n("location-string=boston"); got == 0 || got != n("location-string=02118") {
		t.Errorf("by town %d, by postal code %d", got, n("location-string=02118"))
	}
	if got := n("practitioner=http://elsewhere.example/fhir/Practitioner/prac-301"); got != one {
		t.Errorf("by absolute reference: %d", got)
	}
}

func TestPrefetchTakesParametersInJSONXMLAndForm(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	want := total(w.ok("/Slot/$prefetch?start=2026-02-03&end=2026-02-04&practitioner=Practitioner/prac-301"))
	for media, body := range map[string]string{
		"application/fhir+json": `{"resourceType":"Parameters","parameter":[{"name":"start","valueDateTime":"2026-02-03"},{"name":"end","valueDate":"2026-02-04"},{"name":"practitioner","valueUri":"Practitioner/prac-301"}]}`,
		"application/json":      `{"resourceType":"Parameters","parameter":[{"name":"start","valueDateTime":"2026-02-03"},{"name":"end","valueDate":"2026-02-04"},{"name":"practitioner","valueReference":{"reference":"Practitioner/prac-301"}}]}`,
		"application/fhir+xml": `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="start"/><valueDateTime value="2026-02-03"/></parameter>
			<parameter><name value="end"/><valueDate value="2026-02-04"/></parameter><parameter><name value="practitioner"/><valueUri value="Practitioner/prac-301"/></parameter></Parameters>`,
		"application/x-www-form-urlencoded": "start=2026-02-03&end=2026-02-04&practitioner=Practitioner/prac-301",
	} {
		for _, path := range []string{"/Slot/$prefetch", "/Slot/%24prefetch"} {
			a, err := w.do(t.Context(), http.MethodPost, path, body, "Content-Type", media)
			if err != nil {
				t.Fatal(err)
			}
			if got := total(a.json(t)); got != want || want == 0 {
				t.Errorf("%s: %d, want %d", media, got, want)
			}
		}
	}
}

func TestFindOffersProposedAppointmentsSoonestFirst(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{FHIR: STU3}, {FHIR: R4}, {FHIR: R4, FindNoSlot: true}} {
		w := start(t, o)
		b := w.ok("/Appointment/$find?start=2026-02-03&end=2026-02-05&_count=25")
		got := resources(b, "match")
		if len(got) != 25 || total(b) != 25 {
			t.Fatalf("%d offers, total %d", len(got), total(b))
		}
		var before time.Time
		for _, r := range got {
			begin, err := time.Parse(time.RFC3339, digString(r, "start"))
			if err != nil || begin.Before(before) || digString(r, "status") != "proposed" || digString(r, "requestedPeriod", 0, "start") != "2026-02-03" {
				t.Fatalf("%v", r)
			}
			before = begin
			if named := digString(r, "slot", 0, "reference") != ""; named == o.FindNoSlot {
				t.Errorf("slot reference given: %v", named)
			}
			if !strings.HasPrefix(digString(r, "participant", 0, "actor", "reference"), "Practitioner/") || !strings.HasPrefix(digString(r, "participant", 1, "actor", "reference"), "Location/") {
				t.Errorf("participants %v", r["participant"])
			}
		}
	}
}

func TestFindKeepsToSpecialtyAndVisitTypeAndSaysWhenThereIsNothing(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	b := w.ok("/Appointment/$find?specialty=http://snomed.info/sct%7C394537008&visit-type=well-child")
	got := resources(b, "match")
	for _, r := range got {
		if digString(r, "specialty", 0, "coding", 0, "code") != "394537008" || digString(r, "serviceType", 0, "coding", 0, "code") != "well-child" {
			t.Fatalf("%v", r)
		}
	}
	if len(got) == 0 {
		t.Error("no well child visits")
	}
	none := w.ok("/Appointment/$find?specialty=http://other%7C394537008")
	if notes := resources(none, "outcome"); total(none) != 0 || len(notes) != 1 || digString(notes[0], "resourceType") != "OperationOutcome" {
		t.Errorf("%v", none)
	}
}

func TestSlotsThatHaveBegunAreNotOffered(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 2, 3, 20, 0, 0, 0, time.UTC)
	w := start(t, Options{Zone: "America/Denver", Now: frozen(noon)})
	for _, r := range resources(w.ok("/Slot/$prefetch?start=2026-02-03&end=2026-02-04"), "match") {
		if begin, _ := time.Parse(time.RFC3339, digString(r, "start")); !begin.After(noon) {
			t.Fatalf("%v", r)
		}
	}
}

func TestAServerWithoutPrefetchSaysSoAndStillFinds(t *testing.T) {
	t.Parallel()
	for want, o := range map[int]Options{404: {NoPrefetch: true}, 501: {NoPrefetch: true, NoPrefetchStatus: 501}} {
		w := start(t, o)
		if a := w.get("/Slot/$prefetch"); a.StatusCode != want || digString(a.json(t), "issue", 0, "code") != "not-supported" {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
		if a := w.get("/metadata"); strings.Contains(a.text, "prefetch") {
			t.Error("metadata still names it")
		}
		if total(w.ok("/Appointment/$find")) == 0 {
			t.Error("finds nothing")
		}
	}
	if a := start(t, Options{Dialect: Slots}).get("/Slot/$prefetch"); a.StatusCode != 404 {
		t.Errorf("a plain server has no such operation: %d", a.StatusCode)
	}
}

func TestEachVersionNamesItsOperationsInItsOwnPlace(t *testing.T) {
	t.Parallel()
	stu3 := start(t, Options{FHIR: STU3}).ok("/metadata")
	if digString(stu3, "fhirVersion") != "3.0.1" || digString(stu3, "rest", 0, "operation", 1, "definition", "reference") == "" || digString(stu3, "acceptUnknown") != "no" {
		t.Errorf("STU3: %v", dig(stu3, "rest", 0, "operation"))
	}
	r4 := start(t, Options{FHIR: R4}).ok("/metadata")
	if digString(r4, "fhirVersion") != "4.0.1" || digString(r4, "rest", 0, "resource", 0, "operation", 0, "definition") == "" || dig(r4, "rest", 0, "operation") != nil || r4["acceptUnknown"] != nil {
		t.Errorf("R4: %v", dig(r4, "rest", 0))
	}
}

func TestTheVersionsAndDialectsWriteWhatTheirRealCounterpartsDo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o         Options
		system, z string
	}{
		"Argonaut STU3": {Options{FHIR: STU3, Zone: "America/Phoenix"}, "http://hl7.org/fhir/v2/0276", "-07:00"},
		"Argonaut R4":   {Options{FHIR: R4, Zone: "America/Phoenix"}, "http://terminology.hl7.org/CodeSystem/v2-0276", "-07:00"},
		"plain R4":      {Options{Dialect: Slots, Zone: "America/Phoenix"}, "http://terminology.hl7.org/CodeSystem/v2-0276", ".000Z"},
	} {
		s := start(t, tc.o).ok("/Slot?_count=1")
		if got := digString(s, "entry", 0, "resource", "appointmentType", "coding", 0, "system"); got != tc.system {
			t.Errorf("%s: %s", name, got)
		}
		if got := digString(s, "entry", 0, "resource", "start"); !strings.HasSuffix(got, tc.z) {
			t.Errorf("%s: %s", name, got)
		}
	}
	w := start(t, Options{NoTimezone: true, LocalCodes: true})
	if a := w.get("/Location"); strings.Contains(a.text, extTimezone) {
		t.Error("a zone in spite of NoTimezone")
	}
	if a := w.get("/Slot?_count=5"); strings.Contains(a.text, sysVisitType) || !strings.Contains(a.text, "/ids/visit-type") {
		t.Error("common codes in spite of LocalCodes")
	}
}

func TestFindTakesCodedAndIdentifiedParameterValues(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	want := total(w.ok("/Appointment/$find?specialty=http://snomed.info/sct%7C394537008&visit-type=well-child&_count=1000"))
	for _, value := range []string{
		`"valueCoding":{"system":"http://snomed.info/sct","code":"394537008"}`,
		`"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"394537008"}]}`,
		`"valueIdentifier":{"system":"http://snomed.info/sct","value":"394537008"}`,
		`"valueString":"http://snomed.info/sct|394537008"`,
	} {
		body := `{"resourceType":"Parameters","parameter":[{"name":"specialty",` + value + `},{"name":"visit-type","valueCode":"well-child"},{"name":"_count","valueInteger":1000}]}`
		a, err := w.do(t.Context(), http.MethodPost, "/Appointment/$find", body, "Content-Type", "application/fhir+json")
		if err != nil {
			t.Fatal(err)
		}
		if got := total(a.json(t)); got != want || want == 0 {
			t.Errorf("%s: %d, want %d", value, got, want)
		}
	}
}
