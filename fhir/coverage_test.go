package fhir_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/config/testenv"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// parent and child are two patients who are registered here.
var (
	parent = scheduling.NewPatientID([26]byte{1})
	child  = scheduling.NewPatientID([26]byte{2})
	coverB = []string{"https://gw.example.org/fhir/r4", "https://gw.example.org/fhir/stu3"}
)

// guideCoverage reads one of the guide's examples, whose patients were
// registered here as parent and child.
func guideCoverage(t *testing.T, n string) (text string, c scheduling.Coverage) {
	t.Helper()
	data := readFile(t, filepath.Join(testenv.Shared(t, "argonaut/examples"), "Coverage-argo-sch-"+n+".json"))
	c, err := fhir.ReadCoverage(scheduling.STU3, fhir.JSON, data, fhir.CoverageContext{
		Bases: coverB, Patients: map[string]string{"Patient/argo-sch-patient-1": parent, "Patient/argo-sch-patient-2": child},
	})
	if err != nil {
		t.Fatal(n, err)
	}
	return string(data), c
}

// inR4 is what a text of STU3 says in R4.
func inR4(text string) string {
	return strings.NewReplacer(
		"http://hl7.org/fhir/v3/ActCode", "http://terminology.hl7.org/CodeSystem/v3-ActCode",
		"http://hl7.org/fhir/policyholder-relationship", "http://terminology.hl7.org/CodeSystem/subscriber-relationship",
	).Replace(text)
}

// unnamed drops the names beside references to Patients: an EHR is told of people
// by its own ids and by nothing else.
func unnamed(value any) {
	switch v := value.(type) {
	case map[string]any:
		if at, _ := v["reference"].(string); strings.HasPrefix(at, "Patient/") {
			delete(v, "display")
		}
		for _, inner := range v {
			unnamed(inner)
		}
	case []any:
		for _, inner := range v {
			unnamed(inner)
		}
	}
}

// TestTheGuidesCoveragesGoThroughUnchanged follows the two examples, whose
// subscriber is the patient, and a contained parent, to sources of both releases
// and in both formats, and compares every element.
func TestTheGuidesCoveragesGoThroughUnchanged(t *testing.T) {
	t.Parallel()
	for n, patient := range map[string]string{"1": parent, "2": child} {
		text, c := guideCoverage(t, n)
		if c.Patient != patient {
			t.Fatalf("%s covers %s", n, c.Patient)
		}
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			said := text
			if rel == scheduling.R4 {
				said = inR4(text)
			}
			want := generic(t, []byte(strings.NewReplacer("argo-sch-patient-1", "native-1", "argo-sch-patient-2", "native-2").Replace(said)))
			delete(want, "id")
			delete(want, "text")
			unnamed(want)
			want["identifier"] = append(want["identifier"].([]any), map[string]any{"system": scheduling.CoverageIdentifierSystem, "value": "ours-1"})
			if rel == scheduling.R4 {
				grouping := want["grouping"].(map[string]any)
				delete(want, "grouping")
				want["class"] = []any{map[string]any{
					"type":  map[string]any{"coding": []any{map[string]any{"system": "http://terminology.hl7.org/CodeSystem/coverage-class", "code": "plan"}}},
					"value": grouping["plan"], "name": grouping["planDisplay"],
				}}
				want["beneficiary"] = map[string]any{"reference": "Patient/native-" + n}
			}
			for _, format := range []fhir.Format{fhir.JSON, fhir.XML} {
				sent, err := fhir.CoverageToSend(c, map[string]string{parent: "native-1", child: "native-2"}, "ours-1")
				if err != nil {
					t.Fatal(err)
				}
				body, dropped, err := fhir.WriteCounting(rel, format, sent)
				if err != nil || dropped != 0 {
					t.Fatalf("%s to %s: %d lost, %v", n, rel, dropped, scheduling.AsError(err).Err)
				}
				back, err := fhir.Read(rel, format, body)
				if err != nil {
					t.Fatal(err)
				}
				again, err := fhir.Write(rel, fhir.JSON, back)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, generic(t, again)); diff != "" {
					t.Errorf("%s to %s in %v (-want +got):\n%s", n, rel, format, diff)
				}
			}
		}
	}
}

// TestACoverageThatNamesNobodyNamesItsPatientAtTheSource: STU3 does not require
// a beneficiary, and without one this would be nobody's.
func TestACoverageThatNamesNobodyNamesItsPatientAtTheSource(t *testing.T) {
	t.Parallel()
	for _, from := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		c, err := fhir.ReadCoverage(from, fhir.JSON, []byte(cover("")), fhir.CoverageContext{Patient: child})
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			sent, err := fhir.CoverageToSend(c, map[string]string{child: "native-2"}, "")
			if err != nil {
				t.Fatal(err)
			}
			body, err := fhir.Write(to, fhir.JSON, sent)
			if err != nil || !strings.Contains(string(body), `"beneficiary":{"reference":"Patient/native-2"}`) {
				t.Errorf("%s to %s: %v %s", from, to, err, body)
			}
		}
	}
}

func TestACoverageIsShownAsItCame(t *testing.T) {
	t.Parallel()
	text, c := guideCoverage(t, "2")
	c.ID, c.Version, c.Updated = "cv-1", 3, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	shown, err := fhir.CoverageFor(c)
	if err != nil {
		t.Fatal(err)
	}
	body, err := fhir.Write(scheduling.STU3, fhir.JSON, shown)
	if err != nil {
		t.Fatal(err)
	}
	want := generic(t, []byte(strings.ReplaceAll(text, `"Patient/argo-sch-patient-2"`, `"Patient/`+child+`"`)))
	want["id"] = "cv-1"
	meta := want["meta"].(map[string]any)
	meta["versionId"], meta["lastUpdated"] = "3", "2026-11-23T12:00:00Z"
	if diff := cmp.Diff(want, generic(t, body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	body, err = fhir.Write(scheduling.R4, fhir.XML, shown)
	if err != nil || !strings.Contains(string(body), `<beneficiary><reference value="Patient/`+child) {
		t.Errorf("in R4: %v %s", err, body)
	}
}

// cover is a Coverage with these elements, and what every one has.
func cover(elements string) string {
	return `{"resourceType":"Coverage","status":"active","payor":[{"display":"Anthem"}],` + elements + `"subscriberId":"1"}`
}

func related(patient string) string {
	return `"contained":[{"resourceType":"RelatedPerson","id":"r","patient":{"reference":"` + patient + `"},"name":[{"family":"Canary"}]}],"subscriber":{"reference":"#r"},`
}

const relationship = `"relationship":{"coding":[{"system":"http://hl7.org/fhir/policyholder-relationship","code":"`

func TestWhomACoverageCovers(t *testing.T) {
	t.Parallel()
	p, k := `{"reference":"Patient/`+parent+`"},`, `{"reference":"Patient/`+child+`"},`
	for name, c := range map[string]struct {
		text, otherwise, want string
		code                  scheduling.Code
	}{
		"the beneficiary":                          {cover(`"beneficiary":` + k + `"subscriber":` + p), "", child, ""},
		"the subscriber":                           {cover(`"subscriber":` + p), "", parent, ""},
		"the subscriber, who says so":              {cover(`"subscriber":` + p + relationship + `self"}]},`), "", parent, ""},
		"the patient of a related person":          {cover(related("Patient/" + child)), "", child, ""},
		"an address below our base":                {cover(`"subscriber":{"reference":"https://gw.example.org/fhir/stu3/Patient/` + parent + `"},`), "", parent, ""},
		"a version of the patient":                 {cover(`"subscriber":{"reference":"Patient/` + parent + `/_history/1"},`), "", parent, ""},
		"one that came with it":                    {cover(`"subscriber":{"reference":"urn:uuid:1"},`), "", parent, ""},
		"who is meant":                             {cover(`"subscriber":{"display":"me"},`), child, child, ""},
		"who is meant, as a child":                 {cover(`"subscriber":` + p + relationship + `child"}]},`), child, child, ""},
		"a subscriber's child, nobody knows which": {cover(`"subscriber":` + p + relationship + `child"}]},`), "", "", scheduling.MissingData},
		"nobody":                     {cover(""), "", "", scheduling.MissingData},
		"two":                        {cover(related("Patient/"+child) + `"beneficiary":` + p), "", "", scheduling.NotAcceptable},
		"a contained patient":        {cover(`"contained":[{"resourceType":"Patient","id":"p"}],"beneficiary":{"reference":"#p"},`), "", "", scheduling.NotAcceptable},
		"an EHR's own patient":       {cover(`"subscriber":{"reference":"Patient/123"},`), "", "", scheduling.NotAcceptable},
		"another server's":           {cover(`"subscriber":{"reference":"https://ehr.example.org/Patient/` + parent + `"},`), "", "", scheduling.NotAcceptable},
		"what did not come with it":  {cover(`"subscriber":{"reference":"urn:uuid:2"},`), child, "", scheduling.NotAcceptable},
		"a related person elsewhere": {cover(`"subscriber":{"reference":"RelatedPerson/1"},`), child, "", scheduling.NotAcceptable},
		"what is not contained":      {cover(`"subscriber":{"reference":"#r"},`), child, "", scheduling.NotAcceptable},
	} {
		got, err := fhir.ReadCoverage(scheduling.STU3, fhir.JSON, []byte(c.text), fhir.CoverageContext{
			Bases: coverB, Patients: map[string]string{"urn:uuid:1": parent}, Patient: c.otherwise,
		})
		if scheduling.CodeOf(err) != c.code || got.Patient != c.want {
			t.Errorf("%s: %q, %v", name, got.Patient, err)
		}
		if err != nil && strings.Contains(err.Error(), "123") {
			t.Errorf("%s: the refusal repeats what was sent: %v", name, err)
		}
	}
}

func TestARelatedPersonThatCameBesideBecomesPartOfTheCoverage(t *testing.T) {
	t.Parallel()
	res, err := fhir.Read(scheduling.STU3, fhir.JSON, []byte(`{"resourceType":"RelatedPerson","id":"theirs","meta":{"versionId":"1"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},
		"patient":{"reference":"urn:uuid:kid"},"relationship":{"coding":[{"system":"http://hl7.org/fhir/v3/RoleCode","code":"MTH"}]},"name":[{"family":"Canary"}],"gender":"female","birthDate":"1964-06-19"}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := fhir.ReadCoverage(scheduling.STU3, fhir.JSON, []byte(cover(`"contained":[{"resourceType":"Organization","id":"related-1","name":"Anthem"}],"policyHolder":{"reference":"urn:uuid:mum"},"subscriber":{"reference":"urn:uuid:mum","display":"Mum"},`)),
		fhir.CoverageContext{Patients: map[string]string{"urn:uuid:kid": child}, Related: map[string]*model.RelatedPerson{"urn:uuid:mum": res.(*model.RelatedPerson)}})
	if err != nil || c.Patient != child {
		t.Fatal(c.Patient, err)
	}
	got := generic(t, c.Resource)
	want := []any{
		map[string]any{"resourceType": "Organization", "id": "related-1", "name": "Anthem"},
		map[string]any{
			"resourceType": "RelatedPerson", "id": "related-2", "patient": map[string]any{"reference": "Patient/" + child},
			"relationship": map[string]any{"coding": []any{map[string]any{"system": "http://hl7.org/fhir/v3/RoleCode", "code": "MTH"}}},
			"name":         []any{map[string]any{"family": "Canary"}}, "gender": "female", "birthDate": "1964-06-19",
		},
	}
	if diff := cmp.Diff(want, got["contained"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"reference": "#related-2", "display": "Mum"}, got["subscriber"]); diff != "" || got["policyHolder"].(map[string]any)["reference"] != "#related-2" {
		t.Errorf("subscriber: %s, policy holder %v", diff, got["policyHolder"])
	}
	if base := res.Common(); base.ID != "theirs" || base.Text == nil {
		t.Error("what came was changed")
	}
}

func TestWhatIsSentOfACoverage(t *testing.T) {
	t.Parallel()
	c, err := fhir.ReadCoverage(scheduling.R4, fhir.JSON, []byte(`{"resourceType":"Coverage","id":"x","status":"active","beneficiary":{"reference":"Patient/`+child+`","type":"Patient"},
		"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">narrated</div>"},
		"contained":[{"resourceType":"Organization","id":"o","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">narrated</div>"},"name":"Anthem"}],
		"subscriber":{"reference":"Patient/`+parent+`"},"payor":[{"reference":"#o"},{"reference":"Organization/ours-1","display":"Blue"}],
		"contract":[{"reference":"Contract/1"}],"extension":[{"url":"urn:a","valueReference":{"reference":"https://elsewhere.example.org/x"}},{"url":"urn:b","valueDecimal":1.10}]}`), fhir.CoverageContext{})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := fhir.PatientsOf(c); err != nil || len(ids) != 2 || ids[0] != child || ids[1] != parent {
		t.Errorf("names %v, %v", ids, err)
	}
	sent, err := fhir.CoverageToSend(c, map[string]string{parent: "n-p", child: "n-c"}, "ours-1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := fhir.Write(scheduling.R4, fhir.JSON, sent)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"narrated", "pt-", "ours-1\",\"display", "Contract", "elsewhere", "urn:a", `"id":"x"`} {
		if strings.Contains(string(body), gone) {
			t.Errorf("%s is sent: %s", gone, body)
		}
	}
	for _, kept := range []string{`"Patient/n-c","type":"Patient"`, `"Patient/n-p"`, "#o", `"Blue"`, "1.10", `{"system":"urn:slotgate:coverage","value":"ours-1"}`} {
		if !strings.Contains(string(body), kept) {
			t.Errorf("%s is lost: %s", kept, body)
		}
	}
	for _, natives := range []map[string]string{nil, {child: "n-c"}, {parent: "n-p"}} {
		if _, err := fhir.CoverageToSend(c, natives, ""); scheduling.CodeOf(err) != scheduling.NotAcceptable {
			t.Errorf("with %v: %v", natives, err)
		}
	}
}

func TestWhatMakesNoCoverage(t *testing.T) {
	t.Parallel()
	me := `"subscriber":{"reference":"Patient/` + parent + `"},`
	for name, c := range map[string]struct {
		body string
		code scheduling.Code
	}{
		"not JSON":                  {`{`, scheduling.BadRequest},
		"another resource":          {`{"resourceType":"Patient"}`, scheduling.BadRequest},
		"a number for a text":       {`{"resourceType":"Coverage","status":5}`, scheduling.BadRequest},
		"nobody who pays":           {`{"resourceType":"Coverage","status":"active",` + me + `"dependent":"1"}`, scheduling.MissingData},
		"a payer elsewhere":         {strings.Replace(cover(me), `"display":"Anthem"`, `"reference":"https://x.example.org/Organization/1"`, 1), scheduling.MissingData},
		"a status of none":          {strings.Replace(cover(me), `"active"`, `"current"`, 1), scheduling.NotAcceptable},
		"an order of nought":        {cover(me + `"order":0,`), scheduling.NotAcceptable},
		"our identifier":            {cover(me + `"identifier":[{"system":"urn:slotgate:coverage","value":"x"}],`), scheduling.NotAcceptable},
		"rules of their own":        {cover(me + `"implicitRules":"urn:x",`), scheduling.NotAcceptable},
		"a modifier":                {cover(me + `"modifierExtension":[{"url":"urn:x","valueBoolean":true}],`), scheduling.NotAcceptable},
		"a modifier within":         {cover(`"contained":[{"resourceType":"RelatedPerson","id":"r","modifierExtension":[{"url":"urn:x","valueBoolean":true}],"patient":{"reference":"Patient/` + child + `"}}],"subscriber":{"reference":"#r"},`), scheduling.NotAcceptable},
		"a related person of none":  {cover(`"contained":[{"resourceType":"RelatedPerson","id":"r"}],"subscriber":{"reference":"#r"},"beneficiary":{"reference":"Patient/` + child + `"},`), scheduling.MissingData},
		"an impossible date":        {cover(me + `"period":{"start":"2026-02-30"},`), scheduling.NotAcceptable},
		"no date":                   {cover(me + `"period":{"end":"soon"},`), scheduling.NotAcceptable},
		"an end before the start":   {cover(me + `"period":{"start":"2026-02-03","end":"2026-02"},"identifier":[{"system":"a","value":"b","period":{"start":"2026-02-03","end":"2026-01"}}],`), scheduling.NotAcceptable},
		"a birthday of none":        {cover(`"contained":[{"resourceType":"RelatedPerson","id":"r","birthDate":"1990-13-01","patient":{"reference":"Patient/` + child + `"}}],"subscriber":{"reference":"#r"},`), scheduling.NotAcceptable},
		"markup in a name":          {cover(`"contained":[{"resourceType":"RelatedPerson","id":"r","name":[{"family":"<b>x</b>"}],"patient":{"reference":"Patient/` + child + `"}}],"subscriber":{"reference":"#r"},`), scheduling.NotAcceptable},
		"markup in an unknown one":  {cover(me + `"<script>":"x",`), scheduling.NotAcceptable},
		"a script":                  {cover(me + `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"},`), scheduling.NotAcceptable},
		"too many names":            {cover(`"contained":[{"resourceType":"RelatedPerson","id":"r","name":[` + strings.Repeat(`{"family":"x"},`, 299) + `{"family":"x"}],"patient":{"reference":"Patient/` + child + `"}}],"subscriber":{"reference":"#r"},`), scheduling.NotAcceptable},
		"too many identifiers":      {cover(me + `"identifier":[` + strings.Repeat(`{"value":"x"},`, 60) + `{"value":"x"}],`), scheduling.NotAcceptable},
		"too much":                  {cover(me + `"network":"` + strings.Repeat("x", 70_000) + `",`), scheduling.NotAcceptable},
		"an extension without name": {cover(me + `"extension":[{"valueString":"x"}],`), scheduling.NotAcceptable},
	} {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			if _, err := fhir.ReadCoverage(rel, fhir.JSON, []byte(c.body), fhir.CoverageContext{}); scheduling.CodeOf(err) != c.code {
				t.Errorf("%s in %s: %v, want %s", name, rel, err, c.code)
			}
		}
	}
	for element, rel := range map[string]scheduling.Release{
		`"grouping":{"plan":"x"},`: scheduling.R4, `"sequence" : "1",`: scheduling.R4, `"subrogation":true,`: scheduling.STU3, `"costToBeneficiary":[{"type":{"text":"x"}}],`: scheduling.STU3,
	} {
		if _, err := fhir.ReadCoverage(rel, fhir.JSON, []byte(cover(me+element)), fhir.CoverageContext{}); scheduling.CodeOf(err) != scheduling.NotAcceptable {
			t.Errorf("%s in %s is lost: %v", element, rel, err)
		}
	}
	if _, err := fhir.ReadCoverage(scheduling.R4, fhir.XML, []byte(`<Coverage xmlns="http://hl7.org/fhir"><grouping><plan value="x"/></grouping></Coverage>`), fhir.CoverageContext{}); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("what cannot be kept: %v", err)
	}
}

func FuzzReadCoverage(f *testing.F) {
	f.Add([]byte(cover(`"subscriber":{"reference":"Patient/` + parent + `"},"grouping":{"plan":"a","groupDisplay":"b"},"sequence":"1",`)))
	f.Add([]byte(cover(related("Patient/"+child) + relationship + `child"}]},"period":{"start":"2016-01-01"},`)))
	f.Add([]byte(cover(`"beneficiary":{"reference":"urn:uuid:1"},"extension":[{"url":"a","valueReference":{"reference":"b"}}],"class":[{"type":{"text":"x"},"value":"y"}],`)))
	f.Add([]byte(cover(`"subscriber":{"reference":"urn:uuid:2"},"contained":[{"id":"#x"},{"resourceType":"X","id":"related-1"}],`)))
	within := fhir.CoverageContext{
		Patients: map[string]string{"urn:uuid:1": parent}, Patient: child,
		Related: map[string]*model.RelatedPerson{"urn:uuid:2": {Patient: &model.Reference{Reference: "urn:uuid:1"}}},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			c, err := fhir.ReadCoverage(rel, fhir.JSON, data, within)
			if err != nil {
				continue
			}
			if !scheduling.OwnPatientID(c.Patient) {
				t.Fatalf("covers %q", c.Patient)
			}
			ids, err := fhir.PatientsOf(c)
			if err != nil {
				t.Fatal(err)
			}
			natives := map[string]string{}
			for _, id := range ids {
				natives[id] = "n-" + id
			}
			sent, err := fhir.CoverageToSend(c, natives, "ours")
			if err != nil {
				t.Fatalf("what was read cannot be sent: %v", err)
			}
			shown, err := fhir.CoverageFor(c)
			if err != nil {
				t.Fatalf("what was read cannot be shown: %v", err)
			}
			for _, out := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
				for _, res := range []model.Resource{sent, shown} {
					body, err := fhir.Write(out, fhir.JSON, res)
					if err != nil {
						t.Fatalf("%s to %s: %v", rel, out, scheduling.AsError(err).Err)
					}
					if res == sent && strings.Contains(string(body), `"reference":"Patient/pt-`) {
						t.Fatalf("an id of ours is sent: %s", body)
					}
				}
			}
		}
	})
}

func TestOnlyCodeSystemsAreRenamed(t *testing.T) {
	t.Parallel()
	text := `{"resourceType":"Patient","name":[{"text":"http://hl7.org/fhir/v2/0203"}],"identifier":[{"system":"urn:a","value":"http://hl7.org/fhir/v3/x"},{"value":"a\"b\\"}],"birthDate":"1990-01-01"}`
	res, err := fhir.Read(scheduling.STU3, fhir.JSON, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		body, err := fhir.Write(rel, fhir.JSON, res)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		want = maps.Clone(generic(t, []byte(text)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", rel, diff)
		}
	}
}
