package fhir_test

import (
	"strings"
	"testing"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// hostile is what strangers send. marker occurs in none of our error texts.
const marker = "CANARY"

func hostileJSON() map[string]string {
	return map[string]string{
		"nothing":               "",
		"blanks":                " \n ",
		"half":                  `{"resourceType":"Parameters","parameter":[{"name":"CANARY`,
		"a list":                `[{"resourceType":"Parameters"}]`,
		"a string":              `"CANARY"`,
		"HTML":                  `<html>CANARY</html>`,
		"two documents":         `{"resourceType":"Patient"}{"resourceType":"CANARY"}`,
		"no type":               `{"id":"CANARY"}`,
		"a type that is none":   `{"resourceType":5}`,
		"duplicate names":       `{"resourceType":"Patient","gender":"male","gender":"CANARY"}`,
		"duplicates below":      `{"resourceType":"Patient","name":[{"family":"a","family":"CANARY"}]}`,
		"duplicates by escape":  `{"resourceType":"Patient","gender":"a","gend\u0065r":"CANARY"}`,
		"invalid UTF-8":         "{\"resourceType\":\"Patient\",\"gender\":\"CANARY\xff\"}",
		"half a surrogate":      `{"resourceType":"Patient","gender":"\ud800"}`,
		"deep lists":            `{"resourceType":"Patient","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"deep objects":          `{"resourceType":"Patient","x":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + `}`,
		"deep and unfinished":   strings.Repeat(`{"a":[`, 1_000_000),
		"deep contained":        strings.Repeat(`{"resourceType":"Patient","contained":[`, 150) + strings.Repeat("]}", 150),
		"an element that is no": `{"resourceType":"Slot","status":{"CANARY":1}}`,
		"a list for a text":     `{"resourceType":"Slot","id":["CANARY"]}`,
		"a NUL":                 "{\"resourceType\":\"Slot\",\"id\":\"\x00CANARY\"}",
		"comments":              "{\"resourceType\":\"Slot\" /* CANARY */}",
		"a decimal that is no":  `{"resourceType":"Location","position":{"longitude":"CANARY","latitude":1}}`,
	}
}

func hostileXML() map[string]string {
	const ns = `xmlns="http://hl7.org/fhir"`
	return map[string]string{
		"nothing":                    "",
		"half":                       `<Patient ` + ns + `><id value="CANARY"`,
		"crossed tags":               `<Patient ` + ns + `><name><family value="a"/></Patient></name>`,
		"a DTD":                      `<!DOCTYPE Patient SYSTEM "http://127.0.0.1/CANARY"><Patient ` + ns + `/>`,
		"an entity":                  `<!DOCTYPE p [<!ENTITY CANARY SYSTEM "file:///etc/passwd">]><Patient ` + ns + `><id value="&CANARY;"/></Patient>`,
		"a billion laughs":           `<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><Patient ` + ns + `><id value="&b;"/></Patient>`,
		"an undeclared entity":       `<Patient ` + ns + `><id value="&CANARY;"/></Patient>`,
		"an HTML entity":             `<Patient ` + ns + `><text><div xmlns="http://www.w3.org/1999/xhtml">&nbsp;</div></text></Patient>`,
		"a style sheet":              `<?xml-stylesheet href="CANARY.xsl"?><Patient ` + ns + `/>`,
		"an instruction inside":      `<Patient ` + ns + `><?php CANARY ?></Patient>`,
		"an instruction in the text": `<Patient ` + ns + `><text><div xmlns="http://www.w3.org/1999/xhtml"><?php CANARY ?></div></text></Patient>`,
		"no namespace":               `<Patient><id value="CANARY"/></Patient>`,
		"another namespace":          `<Patient xmlns="urn:CANARY"/>`,
		"two roots":                  `<Patient ` + ns + `/><Patient ` + ns + `/>`,
		"text after the root":        `<Patient ` + ns + `/>CANARY`,
		"an unknown root":            `<CANARY ` + ns + `/>`,
		"deep":                       `<Patient ` + ns + `>` + strings.Repeat("<extension>", 5000) + strings.Repeat("</extension>", 5000) + `</Patient>`,
		"deep in the narrative":      `<Patient ` + ns + `><text><div xmlns="http://www.w3.org/1999/xhtml">` + strings.Repeat("<b>", 5000) + strings.Repeat("</b>", 5000) + `</div></text></Patient>`,
		"many attributes":            `<Patient ` + ns + ` ` + manyAttributes(10_000) + `/>`,
		"an attribute twice":         `<Patient ` + ns + `><id value="a" value="CANARY"/></Patient>`,
		"invalid UTF-8":              "<Patient " + ns + "><id value=\"CANARY\xff\"/></Patient>",
		"another encoding":           `<?xml version="1.0" encoding="UTF-16"?><Patient ` + ns + `/>`,
		"a NUL":                      "<Patient " + ns + "><id value=\"\x00\"/></Patient>",
		"JSON":                       `{"resourceType":"Patient"}`,
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("a" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + "=\"1\" ")
	}
	return b.String()
}

func TestHostileBodiesAreBadRequestsAndAreNotRepeated(t *testing.T) {
	t.Parallel()
	for format, bodies := range map[fhir.Format]map[string]string{fhir.JSON: hostileJSON(), fhir.XML: hostileXML()} {
		for name, body := range bodies {
			for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
				_, err := fhir.Read(rel, format, []byte(body))
				if scheduling.CodeOf(err) != scheduling.BadRequest {
					t.Errorf("%s %s: %v", format, name, err)
					continue
				}
				if text := scheduling.AsError(err).Message; text == "" || strings.Contains(text, marker) {
					t.Errorf("%s %s: the caller is told %q", format, name, text)
				}
				if _, err := fhir.ReadBundle(rel, format, []byte(body)); scheduling.CodeOf(err) != scheduling.BadRequest {
					t.Errorf("%s %s as a page: %v", format, name, err)
				}
			}
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Slot","comment":"\ud800\x"}}]}`))
	f.Add([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","resource":{"resourceType":"Bundle","entry":[{"x":"\u12","x":1}]}}]}`))
	for _, body := range hostileJSON() {
		if len(body) < 1000 {
			f.Add([]byte(body))
		}
	}
	for _, body := range goodJSON() {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
			settles(t, rel, fhir.JSON, data)
			page, err := fhir.ReadBundle(rel, fhir.JSON, data)
			if err == nil && page.Broken == nil {
				t.Error("a page without a tally")
			}
		}
	})
}

func FuzzReadXML(f *testing.F) {
	for _, body := range hostileXML() {
		if len(body) < 1000 {
			f.Add([]byte(body))
		}
	}
	for _, body := range goodXML() {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		settles(t, scheduling.STU3, fhir.XML, data)
		settles(t, scheduling.R4, fhir.XML, data)
	})
}

// settles: what was read and written once reads and writes again the same.
func settles(t *testing.T, rel scheduling.Release, format fhir.Format, data []byte) {
	t.Helper()
	res, err := fhir.Read(rel, format, data)
	if err != nil {
		if scheduling.CodeOf(err) != scheduling.BadRequest {
			t.Fatalf("an error of another kind: %v", err)
		}
		return
	}
	for _, out := range []fhir.Format{fhir.JSON, fhir.XML} {
		first, err := fhir.Write(rel, out, res)
		if err != nil {
			continue // readable, but nothing that we would write
		}
		again, err := fhir.Read(rel, out, first)
		if err != nil {
			t.Fatalf("%s that we wrote cannot be read: %v\n%s", out, err, first)
		}
		second, err := fhir.Write(rel, out, again)
		if err != nil || string(second) != string(first) {
			t.Fatalf("%s: %v\n%s\n%s", out, err, first, second)
		}
	}
}

func goodJSON() []string {
	return []string{
		`{"resourceType":"Slot","id":"s","schedule":{"reference":"Schedule/1"},"status":"free","start":"2026-01-01T08:00:00Z","end":"2026-01-01T08:15:00Z","_status":{"id":"x"},"serviceCategory":{"text":"c"}}`,
		`{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"fullUrl":"http://a/Slot/1","resource":{"resourceType":"Slot","id":"1"},"search":{"mode":"match"}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"start","valueDateTime":"2026-01-01"},{"name":"p","part":[{"name":"q","valueBoolean":false}]}]}`,
		`{"resourceType":"Location","position":{"longitude":-71.50,"latitude":42}}`,
		`{"resourceType":"Unheard","id":"1","a":[1,null]}`,
		`{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"u","valueCode":"x"}]}]}],"contained":[{"resourceType":"Organization","id":"o"}]}`,
	}
}

func goodXML() []string {
	return []string{
		`<Slot xmlns="http://hl7.org/fhir"><id value="s"/><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a &amp; b<br/></div></text><schedule><reference value="Schedule/1"/></schedule><status value="free" id="x"/><start value="2026-01-01T08:00:00Z"/><end value="2026-01-01T08:15:00Z"/></Slot>`,
		`<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="specialty"/><valueString value="a|b"/></parameter></Parameters>`,
		`<f:Patient xmlns:f="http://hl7.org/fhir"><f:name><f:given value="A"/><f:given><f:extension url="u"><f:valueCode value="x"/></f:extension></f:given></f:name></f:Patient>`,
	}
}
