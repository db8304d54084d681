package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func TestFindGivesTheSoonestOffersOfAllSources(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, rel := range releases() {
		for _, format := range []string{"json", "xml"} {
			t.Run(string(rel)+" "+format, func(t *testing.T) {
				r := w.get("/fhir/" + string(rel) + "/Appointment/$find?_format=" + format)
				if got := r.header.Get(headerComplete); got != "true" {
					t.Errorf("%s: %q", headerComplete, got)
				}
				if !strings.Contains(r.header.Get("Content-Type"), "application/fhir+"+format) {
					t.Errorf("content type %q", r.header.Get("Content-Type"))
				}
				b := w.bundle(r, rel)
				list, outcome := offers(t, b)
				if b.Type != "searchset" || *b.Total != 72 || len(list) != 20 {
					t.Errorf("%s, total %d, %d offers", b.Type, *b.Total, len(list))
				}
				if !slices.IsSortedFunc(list, func(a, b *model.Appointment) int { return at(t, a.Start).Compare(at(t, b.Start)) }) {
					t.Error("not in order of start")
				}
				if got := told(outcome); !strings.Contains(got, "Napa Valley Health: ok") || !strings.Contains(got, "York Street Clinic: ok") {
					t.Errorf("told: %s", got)
				}
				first := list[0]
				if first.Status != "proposed" || first.Start != "2026-11-24T09:00:00-05:00" || *first.MinutesDuration != 30 || len(first.Slot) != 1 {
					t.Errorf("first: %+v", first)
				}
				if first.Meta == nil || first.Meta.Source != "urn:slotgate:source:york" {
					t.Errorf("meta: %+v", first.Meta)
				}
				if e := b.Entry[0]; e.FullURL != w.base+"/fhir/"+string(rel)+"/Appointment/"+first.ID {
					t.Errorf("fullUrl %q", e.FullURL)
				}
			})
		}
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestFindMayArriveWithItsDollarEscaped(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, path := range []string{"/Appointment/$find", "/Appointment/%24find"} {
		if r := w.get("/fhir/r4" + path + "?_count=1"); r.status != http.StatusOK {
			t.Errorf("GET %s: %d", path, r.status)
		}
		r := w.ask(http.MethodPost, "/fhir/stu3"+path, `{"resourceType":"Parameters"}`, "Content-Type: application/fhir+json")
		if r.status != http.StatusOK {
			t.Errorf("POST %s: %d %s", path, r.status, r.body)
		}
	}
}

func TestFindSelects(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	napaDoc := scheduling.ResourceID("napa", scheduling.KindPractitioner, "dr-1")
	for _, tc := range []struct {
		name, query string
		total       int
	}{
		{"everything", "", 72},
		{"one source", "source=york", 24},
		{"a specialty with its system", "specialty=" + url.QueryEscape(snomed+"|"+dermatology), 48},
		{"a specialty without", "specialty=" + dermatology, 48},
		{"one of two specialties", "specialty=" + dermatology + "," + familyDoctor, 72},
		{"a practitioner by our id", "practitioner=" + napaDoc, 24},
		{"a practitioner by reference", "practitioner=Practitioner/" + napaDoc, 24},
		{"a practitioner by our own address", "practitioner=" + url.QueryEscape(w.base+"/fhir/r4/Practitioner/"+napaDoc), 24},
		{"a practitioner by identifier", "practitioner=" + url.QueryEscape(scheduling.NPISystem+"|York-npi-1"), 24},
		{"a practitioner by the source's id", "source=napa&practitioner=dr-2", 24},
		{"a source's id without the source is nobody's", "practitioner=dr-2", 0},
		{"IHE's name of it", "provider=" + napaDoc, 24},
		{"a place by its address", "location-string=york+city", 24},
		{"a place nearby", "near=38.3|-122.3|10|km&source=napa", 24},
		{"one day is a day of the place", "start=2026-11-24&end=2026-11-24", 24},
		{"an instant", "start=2026-11-26T00:00:00Z", 24},
		{"a plus that became a space", "start=2026-11-26T01:00:00+01:00", 24},
		{"kinds are joined by AND", "source=york&specialty=" + dermatology, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := w.find(tc.query)
			if *b.Total != tc.total {
				t.Errorf("total %d, want %d", *b.Total, tc.total)
			}
			list, _ := offers(t, b)
			if len(list) != min(tc.total, 20) {
				t.Errorf("%d offers of %d", len(list), tc.total)
			}
		})
	}
}

func TestFindByPostIsFindByGet(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	want := w.find("specialty=" + dermatology + "&_count=3")
	wanted, _ := offers(t, want)
	for _, tc := range []struct{ name, path, body, contentType string }{
		{
			"JSON, _count in the body", "", `{"resourceType":"Parameters","parameter":[
				{"name":"specialty","valueCoding":{"system":"` + snomed + `","code":"` + dermatology + `"}},{"name":"_count","valueInteger":3}]}`,
			"application/fhir+json",
		},
		{
			"JSON, _count in the address", "?_count=3", `{"resourceType":"Parameters","parameter":[{"name":"specialty","valueCode":"` + dermatology + `"}]}`,
			"application/json",
		},
		{
			"XML", "?_format=json", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="specialty"/><valueString value="` + dermatology +
				`"/></parameter><parameter><name value="_count"/><valueInteger value="3"/></parameter></Parameters>`,
			"application/fhir+xml; charset=utf-8",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := w.bundle(w.ask(http.MethodPost, "/fhir/r4/Appointment/$find"+tc.path, tc.body, "Content-Type: "+tc.contentType), scheduling.R4)
			got, _ := offers(t, b)
			if *b.Total != *want.Total || len(got) != 3 || got[0].ID != wanted[0].ID || got[2].ID != wanted[2].ID {
				t.Errorf("total %d, %d offers", *b.Total, len(got))
			}
			// A POST is paged by GET.
			next := w.bundle(w.get(path(t, b.LinkURL("next"))), scheduling.R4)
			if more, _ := offers(t, next); len(more) != 3 || more[0].ID == got[2].ID {
				t.Errorf("next: %d offers", len(more))
			}
		})
	}
}

func TestFindTellsWhatItDidNotDo(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, tc := range []struct{ name, query, want string }{
		{"an unknown parameter", "colour=blue", "parameter colour is not known"},
		{"a reason is not judged", "reason=22298006", "parameter reason was not applied"},
		{"a patient is not judged", "patient-reference=Patient/1", "parameter patient-reference was not applied"},
		{"a count over the cap", "_count=5000", "parameter _count was brought down"},
		{"a period beyond the horizon", "start=2026-11-24&end=2028-01-01", "parameter end was brought down"},
		{"a start beyond the horizon", "start=2028-01-01", "parameter start was brought down"},
		{"_max-age without a key", "_max-age=60", "parameter _max-age was not applied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, outcome := offers(t, w.find(tc.query))
			if got := told(outcome); !strings.Contains(got, tc.want) {
				t.Errorf("told: %s", got)
			}
		})
	}
	_, outcome := offers(t, w.find("start=2026-11-24&end=2026-12-24"))
	if got := told(outcome); strings.Contains(got, "brought down") {
		t.Errorf("a period within the horizon: %s", got)
	}
}

func TestStrictHandlingRefusesUnknownParameters(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, prefer := range []string{"handling=strict", "return=minimal, handling=strict", "respond-async; handling = strict", `handling="strict"`, `return="minimal"; wait=10, Handling="STRICT"`} {
		r := w.get("/fhir/r4/Appointment/$find?colour=blue", "Prefer: "+prefer)
		if r.status != http.StatusBadRequest || w.code(r, scheduling.R4) != "bad-request" || !strings.Contains(r.body, "colour") {
			t.Errorf("%s: %d %s", prefer, r.status, r.body)
		}
	}
	two, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/fhir/r4/Appointment/$find?colour=blue", nil)
	if err != nil {
		t.Fatal(err)
	}
	two.Header["Prefer"] = []string{"return=minimal", "handling=strict"}
	res, err := w.client.Do(two)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("in a second line: %d", res.StatusCode)
	}
	if r := w.get("/fhir/r4/Appointment/$find?colour=blue", "Prefer: handling=lenient"); r.status != http.StatusOK {
		t.Errorf("lenient: %d", r.status)
	}
}

func TestTheVersionOfFHIRThatIsAskedForIsThatOfTheBase(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const find, whatever = "/Appointment/$find?_count=1", "Accept: */*"
	body := `{"resourceType":"Parameters"}`
	for _, c := range []struct {
		base, query, header string
		status              int
		kind                string
	}{
		{"r4", "&_format=json;fhirVersion=4.0", whatever, 200, "json"},
		{"r4", "&_format=application/fhir%2Bxml;fhirVersion=4.0", whatever, 200, "xml"},
		{"stu3", "&_format=xml%3BfhirVersion=3.0", whatever, 200, "xml"},
		{"stu3", "&_format=json;fhirVersion=4.0", whatever, 406, "json"},
		{"r4", "", "Accept: application/fhir+xml; fhirVersion=4.0", 200, "xml"},
		{"r4", "", "Accept: application/fhir+xml; fhirVersion=3.0, application/fhir+json; fhirVersion=4.0; q=0.1", 200, "json"},
		{"r4", "", "Accept: application/fhir+xml; fhirVersion=3.0", 406, "json"},
		{"stu3", "", "Accept: application/fhir+xml; fhirVersion=3.0", 200, "xml"},
	} {
		r := w.get("/fhir/"+c.base+find+c.query, c.header)
		if r.status != c.status || !strings.Contains(r.header.Get("Content-Type"), c.kind) {
			t.Errorf("%+v: %d %s", c, r.status, r.header.Get("Content-Type"))
		}
	}
	for version, status := range map[string]int{"4.0": 200, "3.0": 415} {
		r := w.ask(http.MethodPost, "/fhir/r4/Appointment/$find", body, "Content-Type: application/fhir+json; fhirVersion="+version)
		if r.status != status {
			t.Errorf("a body of %s: %d %s", version, r.status, r.body)
		}
	}
}

func TestCountZeroIsTheTotalAlone(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	b := w.find("_count=0")
	list, _ := offers(t, b)
	if *b.Total != 72 || len(list) != 0 || b.LinkURL("next") != "" {
		t.Errorf("total %d, %d offers, next %q", *b.Total, len(list), b.LinkURL("next"))
	}
}

func TestNoMatchStillTellsHowFreshTheSourcesAre(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	b := w.find("specialty=none-such")
	list, outcome := offers(t, b)
	if *b.Total != 0 || len(list) != 0 || !strings.Contains(told(outcome), "as of 2026-11-23T12:00:00Z") {
		t.Errorf("total %d, told: %s", *b.Total, told(outcome))
	}
}

// TestLaw7SourceDownIsNotNoSlots: every $find says, per source, how fresh it is
// and what is missing.
func TestLaw7SourceDownIsNotNoSlots(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.replica.Apply("york", scheduling.Change{Status: &scheduling.Status{
		Source: "york", Tried: noon, LastSync: noon.Add(-48 * time.Hour), Loaded: noon, Failures: 9,
		ErrorCode: scheduling.SourceDown, ErrorAt: noon, Unusable: scheduling.Tally{scheduling.NoZone: 3},
	}})
	r := w.get("/fhir/r4/Appointment/$find?specialty=" + familyDoctor)
	if r.header.Get(headerComplete) != "false" {
		t.Errorf("%s: %q", headerComplete, r.header.Get(headerComplete))
	}
	_, outcome := offers(t, w.bundle(r, scheduling.R4))
	got := told(outcome)
	for _, want := range []string{
		"York Street Clinic: down", "as of 2026-11-21T12:00:00Z", "offers may be missing", "no-zone: 3", "Napa Valley Health: ok",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not told: %s", want, got)
		}
	}
	if !strings.Contains(r.body, "lastSourceSync") || !strings.Contains(r.body, string(scheduling.SourceDown)) {
		t.Errorf("no lastSourceSync or no source-down in %s", r.body)
	}

	strict := w.get("/fhir/r4/Appointment/$find?strict=true&specialty=" + familyDoctor)
	if strict.status != http.StatusServiceUnavailable || w.code(strict, scheduling.R4) != "source-down" || strict.header.Get("Retry-After") == "" {
		t.Errorf("strict: %d %s", strict.status, strict.body)
	}
	if strict.header.Get(headerComplete) != "false" {
		t.Error("strict: the header is missing")
	}
	if b := w.find("strict=true&source=napa"); *b.Total != 48 {
		t.Errorf("strict, of a source that is well: total %d", *b.Total)
	}
}

func TestMaxAgeIsForCallersWithAKey(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.now.set(noon.Add(5 * time.Minute))
	key := "Authorization: Bearer site-key"
	if b := w.find("_max-age=600", key); *b.Total != 72 {
		t.Errorf("within the age: total %d", *b.Total)
	}
	b := w.find("_max-age=60", key)
	if *b.Total != 0 {
		t.Errorf("over the age: total %d", *b.Total)
	}
	if !strings.Contains(b.LinkURL("self"), "_max-age=60") {
		t.Errorf("self %q", b.LinkURL("self"))
	}
	if b := w.find("_max-age=60"); *b.Total != 72 {
		t.Errorf("without a key: total %d", *b.Total)
	}
}
