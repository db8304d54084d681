package ehrsim

import (
	"net/http"
	"testing"
)

const (
	jsonPatchType = "application/json-patch+json"
	xmlPatchType  = "application/xml-patch+xml"
)

// cancelling in every form that is understood.
var cancelling = map[string]struct{ media, body string }{
	"JSON Patch":               {jsonPatchType, `[{"op":"test","path":"/status","value":"booked"},{"op":"replace","path":"/status","value":"cancelled"}]`},
	"JSON Patch as plain JSON": {"application/json", `[{"op":"replace","path":"/status","value":"cancelled"}]`},
	"XML Patch":                {xmlPatchType, `<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Appointment/f:status/@value">cancelled</replace></diff>`},
	"XML Patch without prefix": {xmlPatchType, `<diff><replace sel="/Appointment/status/@value">cancelled</replace></diff>`},
	"XML Patch of an element":  {xmlPatchType, `<diff xmlns="http://hl7.org/fhir"><replace sel="Appointment/status"><status value="cancelled"/></replace></diff>`},
	"FHIRPath Patch in JSON":   {"application/fhir+json", pathPatchJSON},
	"FHIRPath Patch, own type": {"application/fhirpath-patch+fhirpath", pathPatchJSON},
	"FHIRPath Patch in XML": {"application/fhir+xml", `<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
		<part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="Appointment.status"/></part>
		<part><name value="value"/><valueCode value="cancelled"/></part></parameter></Parameters>`},
}

const pathPatchJSON = `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Appointment.status"},{"name":"value","valueCode":"cancelled"}]}]}`

func TestEveryFormOfPatchCancelsAndFreesTheSlot(t *testing.T) {
	t.Parallel()
	for name, tc := range cancelling {
		for _, version := range []FHIR{STU3, R4} {
			t.Run(name+" "+string(version), func(t *testing.T) {
				t.Parallel()
				w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
				slot := w.open(1)[0].ID
				id := "offer-" + slot
				w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-1"))
				a := w.send(http.MethodPatch, "/Appointment/"+id, tc.media, tc.body)
				if o := a.json(t); a.StatusCode != 200 || digString(o, "status") != "cancelled" || digString(o, "participant", 0, "status") != "declined" || w.status(slot) != "free" {
					t.Errorf("%d %s; slot %s", a.StatusCode, a.text, w.status(slot))
				}
			})
		}
	}
}

func TestAReasonIsKeptAsEachVersionWritesIt(t *testing.T) {
	t.Parallel()
	for version, tcs := range map[FHIR][]struct{ media, body string }{
		R4: {
			{jsonPatchType, `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"add","path":"/cancelationReason","value":{"text":"ill"}}]`},
			{xmlPatchType, `<diff xmlns="http://hl7.org/fhir"><replace sel="Appointment/status/@value">cancelled</replace><add sel="Appointment"><cancelationReason><text value="ill"/></cancelationReason></add></diff>`},
			{"application/fhir+json", pathPatchJSON[:len(pathPatchJSON)-2] + `,{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Appointment"},{"name":"name","valueString":"cancelationReason"},{"name":"value","valueCodeableConcept":{"text":"ill"}}]}]}`},
		},
		STU3: {
			{jsonPatchType, `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"add","path":"/extension","value":[{"url":"` + extReason + `","valueCodeableConcept":{"text":"ill"}}]}]`},
			{jsonPatchType, `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"add","path":"/extension/-","value":{"url":"` + extReason + `","valueCodeableConcept":{"text":"ill"}}}]`},
			{xmlPatchType, `<diff xmlns="http://hl7.org/fhir"><replace sel="Appointment/status/@value">cancelled</replace><add sel="Appointment"><extension url="` + extReason + `"><valueCodeableConcept><text value="ill"/></valueCodeableConcept></extension></add></diff>`},
			{"application/fhir+json", pathPatchJSON[:len(pathPatchJSON)-2] + `,{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Appointment"},{"name":"name","valueString":"extension"},{"name":"value","part":[{"name":"url","valueUri":"` + extReason + `"},{"name":"value","valueCodeableConcept":{"text":"ill"}}]}]}]}`},
		},
	} {
		w := start(t, smallWith(func(o *Options) { o.FHIR = version }))
		for i, tc := range tcs {
			id := "offer-" + w.open(9)[8-i].ID
			w.post("/Appointment/"+id+"/$book", params("patient-id", "Patient/pat-1"))
			a := w.send(http.MethodPatch, "/Appointment/"+id, tc.media, tc.body)
			got, err := w.srv.Appointment(id)
			if err != nil || a.StatusCode != 200 || got.Status != "cancelled" || got.Reason != "ill" {
				t.Errorf("%s %d: %d %s: %+v", version, i, a.StatusCode, a.text, got)
			}
		}
	}
}

func TestAPatchThatDoesNotFitChangesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, smallWith(func(o *Options) { o.PatchFormats = []string{"json", "xml"} }))
	id := "offer-" + w.open(1)[0].ID
	w.post("/Appointment/"+id+"/$hold", "")
	for name, tc := range map[string]struct {
		media, body string
		want        int
	}{
		"a test that fails":        {jsonPatchType, `[{"op":"test","path":"/status","value":"booked"},{"op":"replace","path":"/status","value":"cancelled"}]`, 422},
		"a path that is not there": {jsonPatchType, `[{"op":"replace","path":"/nothing/0/here","value":"x"}]`, 422},
		"an item that is none":     {jsonPatchType, `[{"op":"remove","path":"/participant/17"}]`, 422},
		"a status that is none":    {jsonPatchType, `[{"op":"replace","path":"/status","value":"done"}]`, 422},
		"a leap":                   {jsonPatchType, `[{"op":"replace","path":"/status","value":"fulfilled"}]`, 422},
		"the id":                   {jsonPatchType, `[{"op":"replace","path":"/id","value":"other"}]`, 422},
		"the type":                 {jsonPatchType, `[{"op":"replace","path":"/resourceType","value":"Slot"}]`, 422},
		"an unknown patient":       {jsonPatchType, `[{"op":"add","path":"/participant/-","value":{"actor":{"reference":"Patient/nobody"}}}]`, 422},
		"move":                     {jsonPatchType, `[{"op":"move","path":"/status","from":"/id"}]`, 422},
		"no list":                  {jsonPatchType, `{"op":"remove"}`, 400},
		"half":                     {jsonPatchType, `[{"op":`, 400},
		"another resource in XML":  {xmlPatchType, `<diff><replace sel="Slot/status/@value">free</replace></diff>`, 422},
		"half XML":                 {xmlPatchType, `<diff><replace sel="Appointment/status/@value">cancelled`, 400},
		"XML with a DTD":           {xmlPatchType, `<!DOCTYPE x><diff><replace sel="Appointment/status/@value">cancelled</replace></diff>`, 400},
		"no step at all":           {xmlPatchType, `<diff></diff>`, 400},
		"a form that is not taken": {"application/fhir+json", pathPatchJSON, 415},
		"no type":                  {"", `[]`, 415},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.send(http.MethodPatch, "/Appointment/"+id, tc.media, tc.body); a.StatusCode != tc.want || digString(a.json(t), "resourceType") != "OperationOutcome" {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		})
	}
	if got, _ := w.srv.Appointment(id); got.Version != 1 || got.Status != "pending" {
		t.Errorf("%+v", got)
	}
	if a := w.cancelBy("offer-none"); a.StatusCode != 404 {
		t.Errorf("an unknown id: %d", a.StatusCode)
	}
}

func TestIfMatchIsHeededIgnoredOrRequired(t *testing.T) {
	t.Parallel()
	for kind, want := range map[IfMatch][3]int{IfMatchHeeded: {412, 200, 200}, IfMatchIgnored: {200, 200, 200}, IfMatchRequired: {412, 412, 200}} {
		for i, header := range [][]string{{"If-Match", `W/"7"`}, nil, {"If-Match", `W/"1"`}} {
			w := start(t, smallWith(func(o *Options) { o.PatchIfMatch = kind }))
			id := "offer-" + w.open(1)[0].ID
			w.post("/Appointment/"+id+"/$hold", "")
			if a := w.cancelBy(id, header...); a.StatusCode != want[i] {
				t.Errorf("%s %v: %d", kind, header, a.StatusCode)
			}
		}
	}
}
