package ehrsim

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestSlotSearchKeepsToStatusScheduleAndStart(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots, Zone: "America/Chicago"})
	schedule := digString(w.ok("/Schedule?_count=1"), "entry", 0, "resource", "id")
	for name, tc := range map[string]struct{ query, from, to string }{
		"ge and lt of instants":       {"start=ge2026-02-03T15:00:00Z&start=lt2026-02-03T20:00:00Z", "2026-02-03T15:00:00Z", "2026-02-03T20:00:00Z"},
		"an offset counts":            {"start=ge2026-02-03T09:00:00-06:00&start=lt2026-02-03T14:00:00-06:00", "2026-02-03T15:00:00Z", "2026-02-03T20:00:00Z"},
		"a plus that became a blank":  {"start=ge2026-02-03T16:00:00+01:00&start=lt2026-02-03T20:00:00Z", "2026-02-03T15:00:00Z", "2026-02-03T20:00:00Z"},
		"a day in the server's zone":  {"start=2026-02-03", "2026-02-03T06:00:00Z", "2026-02-04T06:00:00Z"},
		"le of a day takes it whole":  {"start=ge2026-02-03&start=le2026-02-04", "2026-02-03T06:00:00Z", "2026-02-05T06:00:00Z"},
		"gt of a day begins after it": {"start=gt2026-02-03&start=lt2026-02-05", "2026-02-04T06:00:00Z", "2026-02-05T06:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, who := range []string{"", "&schedule=" + schedule, "&schedule=Schedule/" + schedule} {
				got := w.ok("/Slot?status=free&_count=1000&" + tc.query + who)
				want := 0
				for _, sl := range w.srv.Slots("free") {
					if at := sl.Start.Format(time.RFC3339); at >= tc.from && at < tc.to && (who == "" || sl.Schedule == "Schedule/"+schedule) {
						want++
					}
				}
				if total(got) != want || len(resources(got, "match")) != want || who == "" && want == 0 {
					t.Errorf("%q: total %d, %d entries, want %d", who, total(got), len(resources(got, "match")), want)
				}
			}
		})
	}
}

func TestIncludesBringScheduleAndActorsOnceAndOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		query string
		types string
	}{
		"none":                  {"", ""},
		"schedule":              {"&_include=Slot:schedule", "Schedule"},
		"iterate":               {"&_include=Slot:schedule&_include:iterate=Schedule:actor", "Location Practitioner Schedule"},
		"recurse, as in STU3":   {"&_include=Slot:schedule&_include:recurse=Schedule:actor", "Location Practitioner Schedule"},
		"one type of actor":     {"&_include=Slot:schedule&_include:iterate=Schedule:actor:Location", "Location Schedule"},
		"plain does not repeat": {"&_include=Slot:schedule&_include=Schedule:actor", "Schedule"},
		"organization too":      {"&_include=Slot:schedule&_include:iterate=Schedule:actor&_include:iterate=Location:organization", "Location Organization Practitioner Schedule"},
		"unknown is ignored":    {"&_include=Slot:nonsense&_include=Slot", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, Options{Dialect: Slots})
			got := w.ok("/Slot?status=free&_count=200" + tc.query)
			seen, types := map[string]bool{}, map[string]bool{}
			for _, r := range resources(got, "include") {
				key := digString(r, "resourceType") + "/" + digString(r, "id")
				if seen[key] {
					t.Errorf("%s came twice", key)
				}
				seen[key], types[digString(r, "resourceType")] = true, true
			}
			var have []string
			for _, typ := range []string{"Location", "Organization", "Practitioner", "Schedule"} {
				if types[typ] {
					have = append(have, typ)
				}
			}
			if strings.Join(have, " ") != tc.types || len(resources(got, "match")) != 200 {
				t.Errorf("included %v, matched %d", have, len(resources(got, "match")))
			}
		})
	}
}

func TestDirectorySearchesFindByEachParameter(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	doctor := resources(w.ok("/Practitioner?_id=prac-303"), "match")[0]
	npi := digString(doctor, "identifier", 0, "value")
	for query, want := range map[string]string{
		"/Practitioner?identifier=" + sysNPI + "|" + npi:                                             "prac-303",
		"/Practitioner?identifier=" + npi:                                                            "prac-303",
		"/Practitioner?name=" + url.QueryEscape(digString(doctor, "name", 0, "text")):                "prac-303",
		"/Practitioner?_id=prac-303,prac-304":                                                        "prac-303 prac-304",
		"/Practitioner?identifier=http://other|" + npi:                                               "",
		"/PractitionerRole?practitioner=Practitioner/prac-301&specialty=" + sysSNOMED + "|419772000": "role-301-201",
		"/PractitionerRole?practitioner=prac-301&_count=1":                                           "role-301-201",
		"/Location?address-city=phoen&organization=Organization/org-101":                             "loc-202",
		"/Location?address-state=CA&_id=loc-203":                                                     "loc-203",
		"/Organization?name=Lakeside":                                                                "org-101",
		"/HealthcareService?organization=org-101&specialty=394579002":                                "hs-101-394579002",
		"/Schedule?actor=Practitioner/prac-301":                                                      "sched-301-201",
		"/Schedule?actor=http://example.org/fhir/Practitioner/prac-301":                              "sched-301-201",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			var ids []string
			for _, r := range resources(w.ok(strings.ReplaceAll(query, "|", "%7C")), "match") {
				ids = append(ids, digString(r, "id"))
			}
			if got := strings.Join(ids, " "); got != want {
				t.Errorf("found %q, want %q", got, want)
			}
		})
	}
}

func TestAPostedSearchAnswersAsAGetDoes(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots})
	a, err := w.do(t.Context(), http.MethodPost, "/Slot/_search?_count=3", "status=free&start=ge2026-02-04", "Content-Type", "application/x-www-form-urlencoded")
	if err != nil {
		t.Fatal(err)
	}
	got, want := a.json(t), w.ok("/Slot?status=free&start=ge2026-02-04&_count=3")
	if total(got) != total(want) || len(resources(got, "match")) != 3 || total(got) == 0 {
		t.Errorf("POST %d, GET %d", total(got), total(want))
	}
	if next := w.ok(link(got, "next")); len(resources(next, "match")) != 3 {
		t.Errorf("its next page: %v", next)
	}
}

func TestReadGivesEachResourceAsTheBundleNamesIt(t *testing.T) {
	t.Parallel()
	w := start(t, Options{Dialect: Slots})
	entries, _ := w.ok("/Slot?_count=3&_include=Slot:schedule&_include:iterate=Schedule:actor")["entry"].([]any)
	for _, e := range entries {
		full := digString(e, "fullUrl")
		if got := w.ok(full); digString(got, "id") != digString(e, "resource", "id") || digString(got, "meta", "versionId") == "" || digString(got, "meta", "lastUpdated") == "" {
			t.Errorf("%s reads as %v", full, got)
		}
	}
	if len(entries) < 6 {
		t.Errorf("%d entries", len(entries))
	}
}

func TestWrongRequestsAreRefusedAsAnOperationOutcome(t *testing.T) {
	t.Parallel()
	w := start(t, Options{MaxWindow: 31 * 24 * time.Hour})
	post := func(path, media, body string) func() (answer, error) {
		return func() (answer, error) {
			return w.do(t.Context(), http.MethodPost, path, body, "Content-Type", media)
		}
	}
	get := func(path string) func() (answer, error) {
		return func() (answer, error) { return w.do(t.Context(), http.MethodGet, path, "") }
	}
	for name, tc := range map[string]struct {
		do   func() (answer, error)
		want int
	}{
		"unknown type":             {get("/Medication"), 404},
		"unknown id":               {get("/Practitioner/nobody"), 404},
		"unknown operation":        {get("/Slot/$frob"), 404},
		"appointments are not yet": {get("/Appointment/1"), 404},
		"no date":                  {get("/Slot?start=tomorrow"), 400},
		"a month that is none":     {get("/Slot/$prefetch?start=2026-13-01"), 400},
		"an unknown prefix":        {get("/Slot?start=xx2026-02-03"), 400},
		"end before start":         {get("/Slot/$prefetch?start=2026-02-04T00:00:00Z&end=2026-02-03T00:00:00Z"), 400},
		"count of words":           {get("/Schedule?_count=many"), 400},
		"negative offset":          {get("/Schedule?_offset=-1"), 400},
		"a period too long":        {get("/Slot/$prefetch?start=2026-02-03&end=2026-06-03"), 400},
		"no end to the period":     {get("/Slot?start=ge2026-02-03"), 400},
		"an expired page":          {get("?_getpages=r999"), 410},
		"unknown and strict": {func() (answer, error) {
			return w.do(t.Context(), http.MethodGet, "/Schedule?colour=red", "", "Prefer", "handling=strict")
		}, 400},
		"a method that is none": {func() (answer, error) { return w.do(t.Context(), http.MethodDelete, "/Slot/1", "") }, 405},
		"body of another type":  {post("/Slot/$prefetch", "text/csv", "a,b"), 415},
		"body without a type":   {post("/Slot/$prefetch", "", "{}"), 415},
		"half a body":           {post("/Slot/$prefetch", "application/fhir+json", `{"resourceType":"Par`), 400},
		"text behind the body":  {post("/Slot/$prefetch", "application/fhir+json", `{"resourceType":"Parameters"} x`), 400},
		"a body too large":      {post("/Slot/$prefetch", "application/fhir+json", strings.Repeat(" ", maxBody+1)), 413},
		"a body of other kind":  {post("/Slot/$prefetch", "application/fhir+json", `{"resourceType":"Slot"}`), 422},
		"deep JSON":             {post("/Slot/$prefetch", "application/fhir+json", strings.Repeat(`{"a":`, 200)+"1"+strings.Repeat("}", 200)), 400},
		"XML with a DTD":        {post("/Slot/$prefetch", "application/fhir+xml", `<!DOCTYPE x><Parameters xmlns="http://hl7.org/fhir"/>`), 400},
		"XML of no FHIR":        {post("/Slot/$prefetch", "application/fhir+xml", `<Parameters/>`), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := tc.do()
			if err != nil {
				t.Fatal(err)
			}
			if got := a.json(t); a.StatusCode != tc.want || digString(got, "resourceType") != "OperationOutcome" || digString(got, "issue", 0, "severity") != "error" {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		})
	}
}

func TestUnknownParametersAreIgnoredAndLeftOutOfTheSelfLink(t *testing.T) {
	t.Parallel()
	w := start(t, Options{})
	got := w.ok("/Schedule?colour=red&active=true")
	if self := link(got, "self"); strings.Contains(self, "colour") || !strings.Contains(self, "active=true") {
		t.Errorf("self %s", self)
	}
	if total(got) == 0 {
		t.Error("nothing found")
	}
}

func TestABearerTokenIsWantedWhereTheOptionsSaySo(t *testing.T) {
	t.Parallel()
	w := start(t, Options{RequireBearer: "s3cret"})
	for header, want := range map[string]int{"": 401, "Bearer wrong": 401, "Bearer s3cret": 200} {
		if a := w.get("/Schedule", "Authorization", header); a.StatusCode != want {
			t.Errorf("%q: %d", header, a.StatusCode)
		}
	}
	if a := w.get("/metadata"); a.StatusCode != 200 {
		t.Errorf("metadata is open: %d", a.StatusCode)
	}
}
