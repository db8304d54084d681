package upstream

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"

	"slotgate/fhir/model"
	"slotgate/fhir/stu3"
	"slotgate/scheduling"
)

// Code systems of the reason for a cancellation.
const (
	reasonsSTU3 = "http://fhir.org/guides/argonaut-scheduling/CodeSystem/status-reason"
	reasonsR4   = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
)

// patch makes an appointment cancelled, in each format. R4 has a cancelationReason; STU3
// says the same by the guide's extension.
type patch struct {
	release  scheduling.Release
	from     scheduling.AppointmentStatus // what it must still be; "": not told
	reason   string                       // a code; "": none is given
	extended bool                         // it has extensions already
	had      bool                         // it has a reason already
}

func (p patch) system() string {
	if p.release == scheduling.STU3 {
		return reasonsSTU3
	}
	return reasonsR4
}

// concept is the reason as a CodeableConcept.
func (p patch) concept() map[string]any {
	return map[string]any{"coding": []map[string]string{{"system": p.system(), "code": p.reason}}}
}

func (p patch) extension() map[string]any {
	return map[string]any{"url": stu3.StatusReason, "valueCodeableConcept": p.concept()}
}

// json is a JSON Patch (RFC 6902). Its test makes it conditional.
func (p patch) json() ([]byte, error) {
	type op map[string]any
	var ops []op
	if p.from != "" {
		ops = append(ops, op{"op": "test", "path": "/status", "value": string(p.from)})
	}
	ops = append(ops, op{"op": "replace", "path": "/status", "value": string(scheduling.ApptCancelled)})
	switch {
	case p.reason == "":
	case p.release == scheduling.R4:
		ops = append(ops, op{"op": "add", "path": "/cancelationReason", "value": p.concept()})
	case p.extended:
		ops = append(ops, op{"op": "add", "path": "/extension/-", "value": p.extension()})
	default:
		ops = append(ops, op{"op": "add", "path": "/extension", "value": []any{p.extension()}})
	}
	return json.Marshal(ops) //nolint:wrapcheck // told by cancellation
}

// xml is an XML Patch (RFC 5261). What is added goes to the end: servers read
// elements in any order, and not all of them know the attribute pos.
func (p patch) xml() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?><diff xmlns:f="http://hl7.org/fhir">` +
		`<replace sel="f:Appointment/f:status/@value">cancelled</replace>`)
	if p.reason != "" {
		var code bytes.Buffer
		if err := xml.EscapeText(&code, []byte(p.reason)); err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
		concept := `<coding><system value="` + p.system() + `"/><code value="` + code.String() + `"/></coding>`
		if p.release == scheduling.R4 {
			out.WriteString(`<add sel="f:Appointment"><cancelationReason xmlns="http://hl7.org/fhir">` + concept + `</cancelationReason></add>`)
		} else {
			out.WriteString(`<add sel="f:Appointment"><extension xmlns="http://hl7.org/fhir" url="` + stu3.StatusReason +
				`"><valueCodeableConcept>` + concept + `</valueCodeableConcept></extension></add>`)
		}
	}
	out.WriteString(`</diff>`)
	return out.Bytes(), nil
}

// fhirpath is a FHIRPath Patch (https://hl7.org/fhir/R4/fhirpatch.html).
func (p patch) fhirpath() *model.Parameters {
	operation := func(kind, path string, more ...model.Parameter) model.Parameter {
		parts := []model.Parameter{{Name: "type", ValueCode: kind}, {Name: "path", ValueString: path}}
		return model.Parameter{Name: "operation", Part: append(parts, more...)}
	}
	out := &model.Parameters{Parameter: []model.Parameter{
		operation("replace", "Appointment.status", model.Parameter{Name: "value", ValueCode: string(scheduling.ApptCancelled)}),
	}}
	if p.reason == "" {
		return out
	}
	concept := &model.CodeableConcept{Coding: []model.Coding{{System: p.system(), Code: p.reason}}}
	add := operation("add", "Appointment",
		model.Parameter{Name: "name", ValueString: "cancelationReason"},
		model.Parameter{Name: "value", ValueCodeableConcept: concept})
	switch {
	case p.release == scheduling.STU3:
		add = operation("add", "Appointment",
			model.Parameter{Name: "name", ValueString: "extension"},
			model.Parameter{Name: "value", Part: []model.Parameter{
				{Name: "url", ValueURI: stu3.StatusReason}, {Name: "value", ValueCodeableConcept: concept},
			}})
	case p.had:
		add = operation("replace", "Appointment.cancelationReason", model.Parameter{Name: "value", ValueCodeableConcept: concept})
	}
	out.Parameter = append(out.Parameter, add)
	return out
}

// members is what a PUT changes.
func (p patch) members(d *document) map[string]any {
	out := map[string]any{"status": string(scheduling.ApptCancelled)}
	switch {
	case p.reason == "":
	case p.release == scheduling.R4:
		out["cancelationReason"] = p.concept()
	default:
		out["extension"] = append(d.rawList("extension"), p.extension())
	}
	return out
}
