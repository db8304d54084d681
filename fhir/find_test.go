package fhir_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func day(y int, m time.Month, d int) scheduling.Bound {
	return scheduling.DayBound(scheduling.Date(y, m, d))
}

func at(text string) scheduling.Bound {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return scheduling.InstantBound(t)
}

func options() fhir.FindOptions {
	o := fhir.DefaultFindOptions()
	o.Bases = []string{"https://slots.example/fhir/r4", "https://slots.example/fhir/stu3"}
	return o
}

func findURL(t testing.TB, query string) (fhir.Find, error) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return fhir.ParseFind(values, nil, options())
}

func findBody(t testing.TB, parameters string) (fhir.Find, error) {
	t.Helper()
	res, err := fhir.Read(scheduling.R4, fhir.JSON, []byte(`{"resourceType":"Parameters","parameter":[`+parameters+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return fhir.ParseFind(nil, res.(*model.Parameters), options())
}

type want func(*fhir.Find)

func TestWhatFindUnderstandsInAURL(t *testing.T) {
	t.Parallel()
	snomed := scheduling.Token{System: "http://snomed.info/sct", Code: "394582007", Scoped: true}
	for query, want := range map[string]want{
		"": func(*fhir.Find) {},
		"start=2026-12-01&end=2026-12-03": func(f *fhir.Find) {
			f.Query.Start, f.Query.End = day(2026, 12, 1), day(2026, 12, 3)
		},
		"start=2026&end=2026": func(f *fhir.Find) { f.Query.Start, f.Query.End = day(2026, 1, 1), day(2026, 12, 31) },
		"start=2028-02&end=2028-02": func(f *fhir.Find) {
			f.Query.Start, f.Query.End = day(2028, 2, 1), day(2028, 2, 29)
		},
		"start=2026-12-01T08:00:00Z&end=2026-12-01T08:00:00.999-08:00": func(f *fhir.Find) {
			f.Query.Start, f.Query.End = at("2026-12-01T08:00:00Z"), at("2026-12-01T16:00:00Z")
		},
		"start=2026-12-01T08:00:00+01:00":            func(f *fhir.Find) { f.Query.Start = at("2026-12-01T07:00:00Z") }, // + is a space
		"start=2026-12-01T08:00-05":                  func(f *fhir.Find) { f.Query.Start = at("2026-12-01T13:00:00Z") },
		"start=2026-12-01&end=2026-12-01":            func(f *fhir.Find) { f.Query.Start, f.Query.End = day(2026, 12, 1), day(2026, 12, 1) },
		"specialty=http://snomed.info/sct|394582007": func(f *fhir.Find) { f.Query.Specialty = []scheduling.Token{snomed} },
		"specialty=394582007,|x&specialty=sys|": func(f *fhir.Find) {
			f.Query.Specialty = []scheduling.Token{{Code: "394582007"}, {Code: "x", Scoped: true}, {System: "sys", Scoped: true}}
		},
		`specialty=a\,b,c\|d`: func(f *fhir.Find) { f.Query.Specialty = []scheduling.Token{{Code: "a,b"}, {Code: "c|d"}} },
		"visit-type=a&service-type=b": func(f *fhir.Find) {
			f.Query.VisitType = []scheduling.Token{{Code: "b"}, {Code: "a"}} // in order of names
		},
		"visit-type=http://hl7.org/fhir/v2/0276|ROUTINE": func(f *fhir.Find) {
			f.Query.VisitType = []scheduling.Token{{System: "http://terminology.hl7.org/CodeSystem/v2-0276", Code: "ROUTINE", Scoped: true}}
		},
		"practitioner=Practitioner/abc&practitioner=def": func(f *fhir.Find) {
			f.Query.Practitioners = []scheduling.Ref{{Kind: "Practitioner", ID: "abc"}, {Kind: "Practitioner", ID: "def"}}
		},
		"provider=PractitionerRole/r": func(f *fhir.Find) { f.Query.Practitioners = []scheduling.Ref{{Kind: "PractitionerRole", ID: "r"}} },
		"practitioner=https://slots.example/fhir/stu3/Practitioner/abc": func(f *fhir.Find) {
			f.Query.Practitioners = []scheduling.Ref{{Kind: "Practitioner", ID: "abc"}}
		},
		"practitioner=https://ehr.example/fhir/Practitioner/9": func(f *fhir.Find) {
			f.Query.Practitioners = []scheduling.Ref{{Kind: "Practitioner", ID: "9", URL: "https://ehr.example/fhir/Practitioner/9"}}
		},
		"practitioner=http://hl7.org/fhir/sid/us-npi|1234567893": func(f *fhir.Find) {
			f.Query.Practitioners = []scheduling.Ref{{Kind: "Practitioner", Identifier: scheduling.Identifier{System: scheduling.NPISystem, Value: "1234567893"}}}
		},
		"organization=Organization/o&location-reference=Location/l": func(f *fhir.Find) {
			f.Query.Organizations = []scheduling.Ref{{Kind: "Organization", ID: "o"}}
			f.Query.Locations = []scheduling.Ref{{Kind: "Location", ID: "l"}}
		},
		"location=Location/l": func(f *fhir.Find) { f.Query.Locations = []scheduling.Ref{{Kind: "Location", ID: "l"}} },
		"location=San%20Jose": func(f *fhir.Find) { f.Query.LocationText = []string{"San Jose"} },
		"location-string=Napa, CA": func(f *fhir.Find) {
			f.Query.LocationText = []string{"Napa, CA"} // a text, not a list
		},
		"near=38.3|-122.3|10|km": func(f *fhir.Find) {
			f.Query.Near = &scheduling.Near{Position: scheduling.Position{Latitude: 38.3, Longitude: -122.3}, Metres: 10_000}
		},
		"near=0|0|2|mi": func(f *fhir.Find) { f.Query.Near = &scheduling.Near{Metres: 3218.688} },
		"near=0|0":      func(f *fhir.Find) { f.Query.Near = &scheduling.Near{Metres: 50_000} },
		"source=napa,sonoma&_count=5&_max-age=60&strict=true": func(f *fhir.Find) {
			f.Query.Sources = []scheduling.SourceID{"napa", "sonoma"}
			f.Query.Count, f.Query.MaxAge, f.Strict = 5, time.Minute, true
		},
		"_count=0":             func(f *fhir.Find) { f.Query.Count = 0 },
		"_count=5000":          func(f *fhir.Find) { f.Query.Count, f.Cut = 1000, []string{"_count"} },
		"_cursor=abc":          func(f *fhir.Find) { f.Cursor = "abc" },
		"_format=json&start=":  func(*fhir.Find) {},
		"reason=x&coverage=y":  func(f *fhir.Find) { f.NotApplied = []string{"coverage", "reason"} },
		"timing=a&timing=b":    func(f *fhir.Find) { f.NotApplied = []string{"timing"} },
		"colour=red&a%3Cb=1":   func(f *fhir.Find) { f.Unknown = []string{"(unreadable name)", "colour"} },
		"specialty:not=1":      func(f *fhir.Find) { f.Unknown = []string{"specialty:not"} },
		"referral-identifier=": func(*fhir.Find) {},
	} {
		got, err := findURL(t, query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		expect := fhir.Find{Query: scheduling.Query{Count: 20}}
		want(&expect)
		if diff := cmp.Diff(expect, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestEveryValueOfABodyIsReadAlike(t *testing.T) {
	t.Parallel()
	ref := []scheduling.Ref{{Kind: "Practitioner", ID: "p"}}
	for body, want := range map[string]want{
		`{"name":"practitioner","valueUri":"Practitioner/p"}`:                    func(f *fhir.Find) { f.Query.Practitioners = ref },
		`{"name":"practitioner","valueUrl":"Practitioner/p"}`:                    func(f *fhir.Find) { f.Query.Practitioners = ref },
		`{"name":"practitioner","valueString":"Practitioner/p"}`:                 func(f *fhir.Find) { f.Query.Practitioners = ref },
		`{"name":"practitioner","valueId":"p"}`:                                  func(f *fhir.Find) { f.Query.Practitioners = ref },
		`{"name":"provider","valueReference":{"reference":"Practitioner/p"}}`:    func(f *fhir.Find) { f.Query.Practitioners = ref },
		`{"name":"location","valueReference":{"reference":"Location/l"}}`:        func(f *fhir.Find) { f.Query.Locations = []scheduling.Ref{{Kind: "Location", ID: "l"}} },
		`{"name":"location","valueString":"Napa"}`:                               func(f *fhir.Find) { f.Query.LocationText = []string{"Napa"} },
		`{"name":"start","valueDateTime":"2026-12-01"}`:                          func(f *fhir.Find) { f.Query.Start = day(2026, 12, 1) },
		`{"name":"start","valueDate":"2026-12-01"}`:                              func(f *fhir.Find) { f.Query.Start = day(2026, 12, 1) },
		`{"name":"start","valueString":"2026-12-01"}`:                            func(f *fhir.Find) { f.Query.Start = day(2026, 12, 1) },
		`{"name":"end","valueInstant":"2026-12-01T00:00:00Z"}`:                   func(f *fhir.Find) { f.Query.End = at("2026-12-01T00:00:00Z") },
		`{"name":"specialty","valueString":"s|c"}`:                               tokens("s", "c"),
		`{"name":"specialty","valueCode":"s|c"}`:                                 tokens("s", "c"),
		`{"name":"specialty","valueCoding":{"system":"s","code":"c"}}`:           tokens("s", "c"),
		`{"name":"specialty","valueIdentifier":{"system":"s","value":"c"}}`:      tokens("s", "c"),
		`{"name":"specialty","valueCodeableConcept":{"coding":[{"code":"c"}]}}`:  func(f *fhir.Find) { f.Query.Specialty = []scheduling.Token{{Code: "c"}} },
		`{"name":"specialty","valueString":"a,b"}`:                               func(f *fhir.Find) { f.Query.Specialty = []scheduling.Token{{Code: "a,b"}} },
		`{"name":"_count","valueInteger":7}`:                                     func(f *fhir.Find) { f.Query.Count = 7 },
		`{"name":"_count","valueUnsignedInt":7}`:                                 func(f *fhir.Find) { f.Query.Count = 7 },
		`{"name":"_count","valueString":"7"}`:                                    func(f *fhir.Find) { f.Query.Count = 7 },
		`{"name":"strict","valueBoolean":true}`:                                  func(f *fhir.Find) { f.Strict = true },
		`{"name":"coverage","resource":{"resourceType":"Coverage"}}`:             func(f *fhir.Find) { f.NotApplied = []string{"coverage"} },
		`{"name":"patient-resource","resource":{"resourceType":"Patient"}}`:      func(f *fhir.Find) { f.NotApplied = []string{"patient-resource"} },
		`{"name":"timing","valueTiming":{"event":["2026-12-01T08:00:00Z"]}}`:     func(f *fhir.Find) { f.NotApplied = []string{"timing"} },
		`{"name":"insurance-reference","valueReference":{"reference":"Plan/1"}}`: func(f *fhir.Find) { f.NotApplied = []string{"insurance-reference"} },
		`{"name":"odd","part":[{"name":"x","valueString":"y"}]}`:                 func(f *fhir.Find) { f.Unknown = []string{"odd"} },
		`{"name":"organization","valueIdentifier":{"system":"s","value":"v"}}`:   func(f *fhir.Find) { f.Query.Organizations = logical("Organization") },
		`{"name":"organization","valueReference":{"identifier":{"system":"s","value":"v"}}}`: func(f *fhir.Find) {
			f.Query.Organizations = logical("Organization")
		},
	} {
		got, err := findBody(t, body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		expect := fhir.Find{Query: scheduling.Query{Count: 20}}
		want(&expect)
		if diff := cmp.Diff(expect, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func tokens(system, code string) want {
	return func(f *fhir.Find) { f.Query.Specialty = []scheduling.Token{{System: system, Code: code, Scoped: true}} }
}

func logical(kind scheduling.Kind) []scheduling.Ref {
	return []scheduling.Ref{{Kind: kind, Identifier: scheduling.Identifier{System: "s", Value: "v"}}}
}

func TestURLAndBodyAreReadTogether(t *testing.T) {
	t.Parallel()
	body := &model.Parameters{Parameter: []model.Parameter{{Name: "start", ValueDateTime: "2026-12-01"}}}
	got, err := fhir.ParseFind(url.Values{"_count": {"3"}, "start": {"2026-12-01"}}, body, options())
	if err != nil || got.Query.Count != 3 || got.Query.Start != day(2026, 12, 1) {
		t.Fatal(got, err)
	}
	_, err = fhir.ParseFind(url.Values{"start": {"2026-12-02"}}, body, options())
	if e := scheduling.AsError(err); e == nil || e.Param != "start" {
		t.Errorf("two different starts: %v", err)
	}
}

func TestWhatFindRefusesNamesTheParameterAndNotTheValue(t *testing.T) {
	t.Parallel()
	for query, param := range map[string]string{
		"start=CANARY":                                        "start",
		"start=2026-13-01":                                    "start",
		"start=2026-02-30":                                    "start",
		"start=20261201":                                      "start",
		"start=2026-12-01T08:00:00":                           "start", // no offset: whose time?
		"start=2026-12-01T25:00:00Z":                          "start",
		"end=tomorrow":                                        "end",
		"start=2026-12-02&end=2026-12-01":                     "end",
		"start=2026-12-02T08:00:00Z&end=2026":                 "",
		"start=2026-12-05&end=2026-12-01T08:00:00Z":           "end",
		"start=2026-12-05T08:00:00Z&end=2026-12-01":           "end",
		"start=2026-12-05T08:00:00Z&end=2026-12-05T07:00:00Z": "end",
		"start=2026-12-01&start=2026-12-02":                   "start",
		"_count=-1":                                           "_count",
		"_count=CANARY":                                       "_count",
		"_count=1.5":                                          "_count",
		"_count=99999999999999999999":                         "_count",
		"specialty=|":                                         "specialty",
		"specialty=,":                                         "specialty",
		"specialty=a,,b":                                      "specialty",
		"near=north":                                          "near",
		"near=91|0|1|km":                                      "near",
		"near=NaN|0|1|km":                                     "near",
		"near=0|0|Inf|km":                                     "near",
		"near=0|0|-1|km":                                      "near",
		"near=0|0|0|km":                                       "near",
		"near=0|0|1|parsec":                                   "near",
		"near=0|0|1|km|x":                                     "near",
		"near=0|0&near=1|1":                                   "near",
		"practitioner=Location/1":                             "practitioner",
		"practitioner=a/b/c":                                  "practitioner",
		"practitioner=%23contained":                           "practitioner",
		"practitioner=sys|":                                   "practitioner",
		"practitioner=Practitioner/CANARY%20x":                "practitioner",
		"location-reference=urn:uuid:1":                       "location-reference",
		"organization=" + strings.Repeat("a", 65):             "organization",
		"location-string=%20":                                 "location-string",
		"strict=maybe":                                        "strict",
		"_max-age=-5":                                         "_max-age",
		"_max-age=soon":                                       "_max-age",
		"source=,":                                            "source",
		"source=" + strings.Repeat("s", 65):                   "source",
		"location=" + strings.Repeat("CANARY", 500):           "location",
	} {
		_, err := findURL(t, query)
		if param == "" {
			if err != nil {
				t.Errorf("%s: %v", query, err)
			}
			continue
		}
		e := scheduling.AsError(err)
		if e == nil || e.Code != scheduling.BadRequest || e.Param != param || e.Who != scheduling.Client {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if strings.Contains(e.Error(), marker) || len(e.Error()) > 300 {
			t.Errorf("%s: the caller is told %q", query, e.Error())
		}
	}
}

func TestTenThousandParametersAreRefused(t *testing.T) {
	t.Parallel()
	values := url.Values{}
	body := &model.Parameters{}
	for i := range 10_000 {
		values.Add("p"+strconv.Itoa(i), "x")
		body.Parameter = append(body.Parameter, model.Parameter{Name: "specialty", ValueCode: "x"})
	}
	if _, err := fhir.ParseFind(values, nil, options()); scheduling.CodeOf(err) != scheduling.BadRequest {
		t.Error(err)
	}
	if _, err := fhir.ParseFind(nil, body, options()); scheduling.CodeOf(err) != scheduling.BadRequest {
		t.Error(err)
	}
	if _, err := findURL(t, "specialty="+strings.Repeat("a,", 400)+"a"); scheduling.CodeOf(err) != scheduling.BadRequest {
		t.Error("hundreds of alternatives in one value were taken", err)
	}
}

func FuzzParseFind(f *testing.F) {
	for _, s := range []string{
		"start=2026-12-01&end=2026-12-03", "near=1|2|3|km", `specialty=a\,b,c`, "practitioner=Practitioner/1",
		"practitioner=http://x/Practitioner/1&location=%23&_count=1", "source=a,b&strict=true&_max-age=0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		got, err := fhir.ParseFind(values, nil, options())
		if err != nil {
			if scheduling.CodeOf(err) != scheduling.BadRequest || len(err.Error()) > 300 {
				t.Fatal(err)
			}
			return
		}
		q := got.Query
		if q.Count < 0 || q.Count > 1000 || q.MaxAge < 0 {
			t.Fatalf("%+v", q)
		}
		if q.Near != nil && !(q.Near.Valid() && q.Near.Metres > 0) {
			t.Fatalf("%+v", q.Near)
		}
		for _, ref := range q.Practitioners {
			if ref.ID == "" && ref.Identifier.Value == "" {
				t.Fatalf("%+v names nobody", ref)
			}
		}
	})
}
