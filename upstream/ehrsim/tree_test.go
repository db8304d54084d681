package ehrsim

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheGuidesExamplesSurviveJSONAndXML(t *testing.T) {
	t.Parallel()
	dir := shared(t, "data/argonaut/examples")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o, err := readJSON(data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !sameJSON(t, appendJSON(nil, o), data) {
			t.Errorf("%s differs after JSON", file)
		}
		if _, known := orders[o.str("resourceType")]; !known {
			continue
		}
		back, err := readXML(appendXML(nil, o), STU3)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if !sameJSON(t, appendJSON(nil, back), data) {
			t.Errorf("%s differs after XML:\n%s", file, appendJSON(nil, back))
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

func TestAGeneratedPracticeSurvivesXMLInBothVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []FHIR{STU3, R4} {
		w := start(t, Options{FHIR: version})
		for _, path := range []string{"/Practitioner", "/PractitionerRole", "/Location", "/Organization", "/HealthcareService", "/Schedule", "/Slot?_count=20", "/Appointment/$find?_count=9"} {
			want, got := w.get(path), w.get(path, "Accept", "application/fhir+xml")
			back, err := readXML([]byte(got.text), version)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			a, err := readJSON([]byte(want.text))
			if err != nil {
				t.Fatal(err)
			}
			// Links differ: the XML page's next asks for XML again.
			if !sameJSON(t, appendJSON(nil, a.with("link", list{}, "")), appendJSON(nil, back.with("link", list{}, ""))) {
				t.Errorf("%s %s: XML says\n%s\nJSON\n%s", version, path, appendJSON(nil, back), want.text)
			}
		}
	}
}

func TestDateTimesAreReadAsRealServersWriteThem(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2026-02-03T08:00:00Z":             "2026-02-03T08:00:00Z",
		"2026-02-03T08:00:00.250-05:00":    "2026-02-03T13:00:00.25Z",
		"2026-02-03T08:00:00-05":           "2026-02-03T13:00:00Z",
		"2026-02-03T08:00:00-0530":         "2026-02-03T13:30:00Z",
		"2026-02-03T08:00:00 01:00":        "2026-02-03T07:00:00Z",
		"2026-02-03T08:00":                 "2026-02-03T16:00:00Z",
		"2026-07-03T08:00:00":              "2026-07-03T15:00:00Z",
		"2026-02-03":                       "2026-02-03T08:00:00Z",
		"2026-02-30":                       "",
		"2026-02-03T25:00:00Z":             "",
		"2026-02-03T08:00:00+99:00":        "",
		"tomorrow":                         "",
		"":                                 "",
		"2026-02-03T08:00:00Z; drop table": "",
	} {
		sp, err := parseSpan(text, zone)
		if want == "" {
			if err == nil {
				t.Errorf("%q was read as %s", text, sp.from)
			}
			continue
		}
		if err != nil || sp.from.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %s %v, want %s", text, sp.from.UTC().Format(time.RFC3339Nano), err, want)
		}
	}
}

func TestTheBookStaysInOrderWhateverIsDoneToIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := newStore(Options{})
		model := map[string]time.Time{}
		id := rapid.StringMatching(`[a-f]`)
		minutes := rapid.IntRange(-600, 600)
		at := func(label string) time.Time { return monday.Add(time.Duration(minutes.Draw(t, label)) * time.Minute) }
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				s := &slot{id: id.Draw(t, "id"), start: at("start")}
				st.insert(s)
				model[s.id] = s.start
			},
			"remove": func(t *rapid.T) {
				name := id.Draw(t, "id")
				_, there := model[name]
				if st.remove(name) != there {
					t.Fatal("remove told otherwise")
				}
				delete(model, name)
			},
			"change": func(t *rapid.T) {
				name, to := id.Draw(t, "id"), at("to")
				if st.change(name, monday, func(s *slot) { s.start = to }) {
					model[name] = to
				}
			},
			"": func(t *rapid.T) {
				from, to := at("from"), at("to")
				n := 0
				for _, start := range model {
					if !start.Before(from) && start.Before(to) {
						n++
					}
				}
				if got := st.between(from, to, func(*slot) bool { return true }); len(got) != n || len(st.book) != len(model) || len(st.slots) != len(model) {
					t.Fatalf("%d in the period, want %d; book %d, model %d", len(got), n, len(st.book), len(model))
				}
			},
		})
	})
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"dialect": {Dialect: "hl7v2"}, "fhir": {FHIR: "r5"}, "zone": {Zone: "Mars/Olympus"}, "local zone": {Zone: "Local"},
		"practitioners": {Practitioners: -1}, "days": {Days: 5000}, "rate": {ErrorRate: 2}, "scale": {TimeScale: -1},
		"not a number": {TimeScale: math.Inf(-1)}, "paging": {Paging: "scroll"}, "fault": {Faults: []Fault{{Kind: "x"}}}, "latency": {Latency: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := (Options{}).Validate(); err != nil {
		t.Errorf("the zero options: %v", err)
	}
}

func FuzzXMLThatIsReadGivesJSON(f *testing.F) {
	f.Add([]byte(`<Slot xmlns="http://hl7.org/fhir"><id value="1"/><meta><tag><code value="&lt;"/></tag></meta><start value="2026"/></Slot>`))
	f.Add([]byte(`<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Location><text><div xmlns="http://www.w3.org/1999/xhtml">a<b/></div></text></Location></resource></entry></Bundle>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><Slot xmlns="http://hl7.org/fhir"/>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readXML(data, R4)
		if err != nil {
			return
		}
		if !json.Valid(appendJSON(nil, o)) {
			t.Errorf("not JSON: %s", appendJSON(nil, o))
		}
	})
}

func FuzzJSONThatIsReadIsWrittenAlike(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Slot","a":[1,2.50,"x\u0000",true,null,{}]}`))
	f.Add([]byte(`{"a":{"a":{"a":[[[[1e400]]]]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readJSON(data)
		if err != nil {
			return
		}
		out := appendJSON(nil, o)
		again, err := readJSON(out)
		if err != nil || string(appendJSON(nil, again)) != string(out) {
			t.Errorf("%s reads back as %s: %v", out, appendJSON(nil, again), err)
		}
	})
}

// No request, however wrong, is the server's own failure.
func FuzzRequestsAreAnsweredOrRefused(f *testing.F) {
	s, err := New(Options{Practitioners: 2, Days: 2, Now: frozen(monday)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/Slot/$prefetch", "start=2026-02-02&end=2026-02-03&practitioner=x&location-string=b", "", "")
	f.Add("/Slot", "start=ge2026-02-02&_include=Slot:schedule&_include:iterate=Schedule:actor&_count=3&_offset=1&status=free,busy", "", "")
	f.Add("/Appointment/$find", "specialty=|&visit-type=a|b&_count=0", "application/fhir+json", `{"resourceType":"Parameters","parameter":[{"name":"start","valueDate":"2026-02-02"}]}`)
	f.Add("/Schedule/_search", "", "application/x-www-form-urlencoded", "actor=a,b,/&identifier=|&_id=")
	f.Add("", "_getpages=r1&_getpagesoffset=5&_page=2", "application/fhir+xml", `<Parameters xmlns="http://hl7.org/fhir"/>`)
	f.Fuzz(func(t *testing.T, path, query, media, body string) {
		method := http.MethodGet
		if media != "" {
			method = http.MethodPost
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "http://ehr.example/fhir", strings.NewReader(body))
		r.URL.Path, r.URL.RawQuery = BasePath+path, query
		r.Header.Set("Content-Type", media)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s?%s: %d %s", method, path, query, w.Code, w.Body)
		}
	})
}

func FuzzDateTime(f *testing.F) {
	for _, s := range []string{"2026-02-03", "2026-02-03T08:00:00-05", "2026-02-03 08:00 01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sp, err := parseSpan(text, time.UTC)
		if err == nil && sp.to.Before(sp.from) {
			t.Errorf("%q ends before it begins", text)
		}
	})
}

func TestExtensionsOfPrimitivesCrossBetweenJSONAndXML(t *testing.T) {
	t.Parallel()
	in := `{"resourceType":"Slot","id":"s","status":"free","start":"2026-02-03T08:00:00","_start":{"id":"t1","extension":[{"url":"http://example.org/a","valueBoolean":true}]},"comment":"a < b & \"c\""}`
	o, err := readJSON([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	text := appendXML(nil, o)
	back, err := readXML(text, R4)
	if err != nil || !sameJSON(t, appendJSON(nil, back), []byte(in)) {
		t.Errorf("%s\n%s\n%v", text, appendJSON(nil, back), err)
	}
}
