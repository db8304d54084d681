package upstream

import (
	"net/http"
	"strings"
	"testing"

	"slotgate/config/testenv"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

const codesCSV = "system,code,common_system,common_code,display\n" +
	"urn:ehr:specialty,DERM,http://snomed.info/sct,394582007,Dermatology\n" +
	"# a comment\n" +
	",FU,http://fhir.org/guides/argonaut-scheduling/CodeSystem/visit-type,follow-up,\n"

func concept(codings ...string) scheduling.Concept {
	var c scheduling.Concept
	for _, text := range codings {
		system, code, _ := strings.Cut(text, "|")
		c.Codings = append(c.Codings, scheduling.Coding{System: system, Code: code})
	}
	return c
}

func TestTheCommonCodeGoesFirstAndTheSourcesOwnStays(t *testing.T) {
	t.Parallel()
	m, err := parseCodes([]byte(codesCSV))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		in       scheduling.Concept
		first    string
		codings  int
		unmapped int
	}{
		"mapped":                     {concept("urn:ehr:specialty|DERM"), "http://snomed.info/sct|394582007", 2, 0},
		"in any system":              {concept("urn:other|FU"), "http://fhir.org/guides/argonaut-scheduling/CodeSystem/visit-type|follow-up", 2, 0},
		"without a system":           {concept("|FU"), "http://fhir.org/guides/argonaut-scheduling/CodeSystem/visit-type|follow-up", 2, 0},
		"in another system":          {concept("urn:other|DERM"), "urn:other|DERM", 1, 1},
		"unknown":                    {concept("urn:ehr:specialty|CARD"), "urn:ehr:specialty|CARD", 1, 1},
		"common already":             {concept("http://snomed.info/sct|1"), "http://snomed.info/sct|1", 1, 0},
		"with the common one beside": {concept("urn:ehr:specialty|DERM", "http://snomed.info/sct|394582007"), "urn:ehr:specialty|DERM", 2, 0},
	} {
		in := []scheduling.Concept{tc.in, {Text: "words only"}}
		out, unmapped := m.concepts(in)
		first := out[0].Codings[0]
		if first.System+"|"+first.Code != tc.first || len(out[0].Codings) != tc.codings || unmapped != tc.unmapped || len(out) != 2 {
			t.Errorf("%s: %+v, %d unmapped", name, out, unmapped)
		}
		if len(in[0].Codings) != len(tc.in.Codings) {
			t.Errorf("%s: the concept given was changed", name)
		}
	}
}

func TestConceptMapsOfTheGuideAreRead(t *testing.T) {
	t.Parallel()
	m, err := loadCodes(testenv.Shared(t, "argonaut/definitions/ConceptMap-visit-appt-map.json"))
	if err != nil {
		t.Fatal(err)
	}
	// The guide's map is STU3 and names no source system.
	out, unmapped := m.concepts([]scheduling.Concept{concept("urn:any|walk-in")})
	want := scheduling.Coding{System: "http://terminology.hl7.org/CodeSystem/v2-0276", Code: "WALKIN"}
	if got := out[0].Codings[0]; got != want || unmapped != 0 {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestBadMapsOfCodesAreRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	head := "system,code,common_system,common_code,display\n"
	for text, want := range map[string]string{
		"":                              "begins with no header",
		"a,b\n":                         "begins with no header",
		head:                            "maps no code",
		head + "x,y\n":                  "line 2: needs 4 or 5 fields",
		head + "x,\"y\n":                "line 2: is not CSV",
		head + "x,,y,z\n":               "line 2: code, common_system and common_code must not be empty",
		head + "x,y,z,1\nx,y,z,2\n":     `line 3: "y" is mapped twice`,
		"{}":                            "is JSON but no ConceptMap",
		`{"resourceType":"ConceptMap"}`: "maps no code",
		`{"resourceType":`:              "is JSON but no ConceptMap",
		`{"resourceType":"ConceptMap","group":[{"target":"t","element":[{"code":"a","target":[{"code":"b","equivalence":"unmatched"}]}]}]}`: "maps no code",
	} {
		if _, err := parseCodes([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestSlotsAndDirectoryAreMappedAndTheUnmappedCounted(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "codes.csv", codesCSV)
	slot := func(id, code string, n int) string {
		return strings.Replace(slotJSON(id, n), `"status"`, `"specialty":[{"coding":[{"system":"urn:ehr:specialty","code":"`+code+`"}]}],"status"`, 1)
	}
	c := client(t, serve(t, tiny(func(w http.ResponseWriter, _ *http.Request) {
		page(w, 2, "", slot("a", "DERM", 0), slot("b", "CARD", 1))
	})), func(o *Options) { utc(o); o.Codes = path })
	got := fetch(t, c, ahead(noon, 2))
	if got.Slots() != 2 || got.Unmapped["specialty"] != 1 || got.Unmapped.Total() != 1 || got.Unusable.Total() != 0 {
		t.Fatalf("%d slots, unmapped %v, unusable %v", got.Slots(), got.Unmapped, got.Unusable)
	}
	want := scheduling.Token{System: "http://snomed.info/sct", Code: "394582007", Scoped: true}
	for _, window := range got.Windows {
		if !want.MatchesAny(window[0].Specialty) || len(window[0].Specialty[0].Codings) != 2 {
			t.Errorf("%+v", window[0].Specialty)
		}
	}
	_, base := sim(t, practice(func(o *ehrsim.Options) { o.LocalCodes = true }))
	c = client(t, base, func(o *Options) { o.Dialect, o.Codes = Argonaut, path })
	if _, tally, err := c.Directory(t.Context()); err != nil || tally[scheduling.Unmapped] == 0 {
		t.Errorf("tally %v, %v", tally, err)
	}
	c = client(t, base, func(o *Options) { o.Dialect = Argonaut })
	if got := fetch(t, c, ahead(noon, 2)); got.Unmapped.Total() != 0 {
		t.Errorf("without a map %v are unmapped", got.Unmapped)
	}
}

func FuzzCodes(f *testing.F) {
	f.Add([]byte(codesCSV))
	f.Add([]byte(`{"resourceType":"ConceptMap","group":[{"source":"s","target":"t","element":[{"code":"a","target":[{"code":"b"}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseCodes(data)
		if err == nil && len(m.to) == 0 {
			t.Error("a map of nothing was taken")
		}
	})
}
