package fhirxml_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slotgate/fhir/fhirxml"
)

const ns = ` xmlns="http://hl7.org/fhir"`

func tree(t *testing.T, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

func TestXMLAndJSONSayTheSame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		table     *fhirxml.Table
		xml, json string
	}{
		"texts, numbers and booleans": {
			fhirxml.R4(),
			`<Slot` + ns + `><id value="1"/><status value="free"/><overbooked value="false"/></Slot>`,
			`{"resourceType":"Slot","id":"1","status":"free","overbooked":false}`,
		},
		"a decimal keeps its zeros": {
			fhirxml.R4(),
			`<Location` + ns + `><position><longitude value="-71.500"/><latitude value="42"/></position></Location>`,
			`{"resourceType":"Location","position":{"longitude":-71.500,"latitude":42}}`,
		},
		"a list of one is a list": {
			fhirxml.R4(),
			`<Slot` + ns + `><serviceCategory><text value="a"/></serviceCategory></Slot>`,
			`{"resourceType":"Slot","serviceCategory":[{"text":"a"}]}`,
		},
		"what R4 repeats is single in STU3": {
			fhirxml.STU3(),
			`<Slot` + ns + `><serviceCategory><text value="a"/></serviceCategory></Slot>`,
			`{"resourceType":"Slot","serviceCategory":{"text":"a"}}`,
		},
		"ids and extensions of primitives": {
			fhirxml.R4(),
			`<Patient` + ns + `><active id="x" value="true"/><name><given value="A"/><given><extension url="u"><valueCode value="c"/></extension></given><given value="B" id="y"/></name></Patient>`,
			`{"resourceType":"Patient","active":true,"_active":{"id":"x"},"name":[{"given":["A",null,"B"],"_given":[null,{"extension":[{"url":"u","valueCode":"c"}]},{"id":"y"}]}]}`,
		},
		"an id of an element is an attribute, that of a resource is not": {
			fhirxml.R4(),
			`<Patient` + ns + `><id value="p"/><name id="n"><family value="F"/></name></Patient>`,
			`{"resourceType":"Patient","id":"p","name":[{"id":"n","family":"F"}]}`,
		},
		"resources in resources": {
			fhirxml.R4(),
			`<Bundle` + ns + `><type value="collection"/><entry><resource><Slot><contained><Schedule><id value="c"/></Schedule></contained><status value="busy"/></Slot></resource></entry></Bundle>`,
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Slot","contained":[{"resourceType":"Schedule","id":"c"}],"status":"busy"}}]}`,
		},
		"elements that refer to another one's definition": {
			fhirxml.R4(),
			`<Parameters` + ns + `><parameter><name value="a"/><part><name value="b"/><part><name value="c"/><valueInteger value="1"/></part></part></parameter></Parameters>`,
			`{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","part":[{"name":"c","valueInteger":1}]}]}]}`,
		},
		"a narrative stays as it is": {
			fhirxml.R4(),
			`<Slot` + ns + `><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a &amp; <b class='x'>b</b><br/> &#233;</div></text></Slot>`,
			`{"resourceType":"Slot","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a &amp; <b class='x'>b</b><br/> &#233;</div>"}}`,
		},
		"what XML must escape": {
			fhirxml.R4(),
			`<Slot` + ns + `><comment value="&lt;a&gt; &amp; &quot;b&quot;&#10;c"/></Slot>`,
			`{"resourceType":"Slot","comment":"<a> & \"b\"\nc"}`,
		},
		"R4's url in STU3's Parameters": {
			fhirxml.STU3(),
			`<Parameters` + ns + `><parameter><name value="a"/><valueUrl value="http://x"/></parameter></Parameters>`,
			`{"resourceType":"Parameters","parameter":[{"name":"a","valueUrl":"http://x"}]}`,
		},
	} {
		gotJSON, dropped, err := c.table.ToJSON([]byte(c.xml))
		if err != nil || dropped != 0 {
			t.Errorf("%s: %v, dropped %d", name, err, dropped)
			continue
		}
		if diff := cmp.Diff(tree(t, c.json), tree(t, string(gotJSON))); diff != "" {
			t.Errorf("%s to JSON:\n%s", name, diff)
		}
		gotXML, dropped, err := c.table.ToXML([]byte(c.json))
		if err != nil || dropped != 0 {
			t.Errorf("%s: %v, dropped %d", name, err, dropped)
		}
		// An id comes before the value, as we write it.
		want := strings.Replace(c.xml, `<given value="B" id="y"/>`, `<given id="y" value="B"/>`, 1)
		if _, got, _ := strings.Cut(string(gotXML), "?>"); got != want {
			t.Errorf("%s to XML:\n%s\n%s", name, want, got)
		}
	}
}

func TestElementsAreWrittenInTheOrderOfTheDefinition(t *testing.T) {
	t.Parallel()
	got, _, err := fhirxml.R4().ToXML([]byte(`{"end":"e","start":"s","id":"1","status":"free","resourceType":"Slot"}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := `<id value="1"/><status value="free"/><start value="s"/><end value="e"/>`; !strings.Contains(string(got), want) {
		t.Errorf("%s", got)
	}
}

func TestElementsOfOneNameNeedNotStandTogether(t *testing.T) {
	t.Parallel()
	got, dropped, err := fhirxml.R4().ToJSON([]byte(`<Slot` + ns + `><specialty><text value="a"/></specialty><status value="free"/><specialty><text value="b"/></specialty></Slot>`))
	if err != nil || dropped != 0 || !strings.Contains(string(got), `"specialty":[{"text":"a"},{"text":"b"}]`) {
		t.Error(string(got), dropped, err)
	}
}

func TestWhatTheTableDoesNotKnowIsLeftOutAndCounted(t *testing.T) {
	t.Parallel()
	for xml, want := range map[string]int{
		`<Slot` + ns + `><colour value="red"/><status value="free"/></Slot>`:                                                           1,
		`<Slot` + ns + ` colour="red"><status value="free" colour="red"/></Slot>`:                                                      2,
		`<Slot` + ns + `>words<status value="free"/></Slot>`:                                                                           1,
		`<Slot` + ns + `><status value="free"/><status value="busy"/></Slot>`:                                                          1,
		`<Slot` + ns + `><x:odd xmlns:x="urn:x"/><status value="free"/></Slot>`:                                                        1,
		`<Slot` + ns + `><contained><Starship><id value="1"/></Starship></contained><status value="free"/></Slot>`:                     1,
		`<Slot` + ns + ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"><status value="free"/></Slot>`: 0,
	} {
		got, dropped, err := fhirxml.R4().ToJSON([]byte(xml))
		if err != nil || dropped != want || tree(t, string(got)).(map[string]any)["status"] != "free" {
			t.Errorf("%s: dropped %d, %v\n%s", xml, dropped, err, got)
		}
	}
	for text, want := range map[string]int{
		`{"resourceType":"Slot","status":"free","colour":"red","_odd":{}}`:                                                                                2,
		`{"resourceType":"Slot","status":"free","start":{"a":1}}`:                                                                                         1,
		`{"resourceType":"Slot","status":"free","schedule":"Schedule/1"}`:                                                                                 1,
		`{"resourceType":"Slot","status":["free","busy"]}`:                                                                                                1,
		`{"resourceType":"Slot","status":"free","schedule":{"colour":"red"}}`:                                                                             1,
		`{"resourceType":"Slot","status":"free","comment":"\u0001"}`:                                                                                      1,
		`{"resourceType":"Slot","status":"free","text":{"div":"<div><script>"}}`:                                                                          1,
		`{"resourceType":"Slot","status":"free","text":{"div":"<!DOCTYPE a><div/>"}}`:                                                                     1,
		`{"resourceType":"Slot","status":"free","text":{"div":"<div xmlns='http://www.w3.org/1999/xhtml'/><id xmlns='http://hl7.org/fhir' value='1'/>"}}`: 1,
		`{"resourceType":"Slot","status":"free","contained":[{"resourceType":"Starship"}]}`:                                                               1,
	} {
		got, dropped, err := fhirxml.R4().ToXML([]byte(text))
		if err != nil || dropped != want || !strings.Contains(string(got), `<status value="free"/>`) {
			t.Errorf("%s: dropped %d, %v\n%s", text, dropped, err, got)
		}
		if strings.Contains(string(got), "script") || strings.Contains(string(got), "<id") || strings.Contains(string(got), "<schedule>") {
			t.Errorf("%s was written as %s", text, got)
		}
	}
}

func TestXMLThatIsNotSafeIsRefusedForWhatItIs(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("<extension>", fhirxml.MaxDepth) + strings.Repeat("</extension>", fhirxml.MaxDepth)
	for xml, want := range map[string]error{
		`<!DOCTYPE Slot><Slot` + ns + `/>`:                 fhirxml.ErrDTD,
		`<Slot` + ns + `><?a b?></Slot>`:                   fhirxml.ErrDTD,
		`<Slot` + ns + `>` + deep + `</Slot>`:              fhirxml.ErrDeep,
		`<Slot` + ns + strings.Repeat(` a="1"`, 40) + `/>`: fhirxml.ErrWide,
		`<Slot` + ns + `><id value="&e;"/></Slot>`:         fhirxml.ErrSyntax,
		`<Slot/>`:               fhirxml.ErrForeign,
		`<Starship` + ns + `/>`: fhirxml.ErrRoot,
		`<CodeableConcept` + ns + `><text value="a"/></CodeableConcept>`: fhirxml.ErrRoot,
	} {
		if _, _, err := fhirxml.R4().ToJSON([]byte(xml)); !errors.Is(err, want) {
			t.Errorf("%.60s: %v, want %v", xml, err, want)
		}
	}
	if _, _, err := fhirxml.R4().ToXML([]byte(`{"resourceType":"CodeableConcept"}`)); !errors.Is(err, fhirxml.ErrRoot) {
		t.Error(err)
	}
	if _, _, err := fhirxml.R4().ToXML([]byte(strings.Repeat("[", 1000))); !errors.Is(err, fhirxml.ErrDeep) {
		t.Error(err)
	}
}

func TestTheTablesHoldWhatTheVersionsDifferIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		table *fhirxml.Table
		xml   string
		known bool
	}{
		{fhirxml.STU3(), `<Appointment` + ns + `><indication><reference value="a"/></indication></Appointment>`, true},
		{fhirxml.R4(), `<Appointment` + ns + `><indication><reference value="a"/></indication></Appointment>`, false},
		{fhirxml.R4(), `<Appointment` + ns + `><cancelationReason><text value="a"/></cancelationReason></Appointment>`, true},
		{fhirxml.STU3(), `<Appointment` + ns + `><cancelationReason><text value="a"/></cancelationReason></Appointment>`, false},
		{fhirxml.STU3(), `<Coverage` + ns + `><grouping><plan value="a"/></grouping></Coverage>`, true},
		{fhirxml.R4(), `<Coverage` + ns + `><grouping><plan value="a"/></grouping></Coverage>`, false},
		{fhirxml.STU3(), `<Patient` + ns + `><animal><species><text value="a"/></species></animal></Patient>`, true},
		{fhirxml.R4(), `<Patient` + ns + `><animal><species><text value="a"/></species></animal></Patient>`, false},
		{fhirxml.R4(), `<Slot` + ns + `><meta><source value="a"/></meta></Slot>`, true},
		{fhirxml.STU3(), `<Slot` + ns + `><meta><source value="a"/></meta></Slot>`, false},
	} {
		_, dropped, err := c.table.ToJSON([]byte(c.xml))
		if err != nil || (dropped == 0) != c.known {
			t.Errorf("%s: dropped %d, %v", c.xml, dropped, err)
		}
	}
}

func FuzzToJSON(f *testing.F) {
	f.Add(`<Slot` + ns + `><id value="1"/></Slot>`)
	f.Add(`<Patient` + ns + `><name><given value="A" id="b"/><given/></name><text><div xmlns="http://www.w3.org/1999/xhtml"/></text></Patient>`)
	f.Add(`<a:Bundle xmlns:a="http://hl7.org/fhir"><a:entry><a:resource/></a:entry></a:Bundle>`)
	f.Fuzz(func(t *testing.T, xml string) {
		for _, table := range []*fhirxml.Table{fhirxml.STU3(), fhirxml.R4()} {
			out, _, err := table.ToJSON([]byte(xml))
			if err != nil {
				continue
			}
			if !json.Valid(out) {
				t.Fatalf("not JSON: %s", out)
			}
			back, _, err := table.ToXML(out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if _, _, err := table.ToJSON(back); err != nil {
				t.Fatalf("%v\n%s", err, back)
			}
		}
	})
}
