package fhir

import (
	"bytes"
	"errors"
	"mime"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// PatchFormat is how a change of an Appointment is written.
type PatchFormat uint8

// The formats of a patch (https://hl7.org/fhir/R4/http.html#patch).
const (
	JSONPatch         PatchFormat = iota // RFC 6902
	XMLPatch                             // RFC 5261
	FHIRPathPatchJSON                    // https://hl7.org/fhir/R4/fhirpatch.html
	FHIRPathPatchXML
)

// PatchTypes are the media types of patches that are read.
func PatchTypes() []string {
	return []string{"application/json-patch+json", "application/xml-patch+xml", "application/fhir+json", "application/fhir+xml"}
}

// PatchFormatOf finds the format of a body by its media type and, where that
// leaves it open, by how it begins. It is false for a type that is not read
// (415).
func PatchFormatOf(contentType string, body []byte) (PatchFormat, bool) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil && kind == "" {
		return 0, false
	}
	if set := strings.ToLower(params["charset"]); set != "" && set != "utf-8" && set != "utf8" && set != "us-ascii" {
		return 0, false
	}
	begin := firstByte(body)
	switch kind {
	case "application/json-patch+json":
		return JSONPatch, true
	case "application/xml-patch+xml":
		return XMLPatch, true
	case "application/fhirpath-patch+fhirpath": // the guide's own; either format
		if begin == '<' {
			return FHIRPathPatchXML, true
		}
		return FHIRPathPatchJSON, true
	case "application/json", "text/json":
		if begin == '[' {
			return JSONPatch, true
		}
	}
	f, ok := formatOfType(kind)
	if f == XML {
		return FHIRPathPatchXML, ok
	}
	return FHIRPathPatchJSON, ok
}

func firstByte(body []byte) byte {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(body) == 0 {
		return 0
	}
	return body[0]
}

// Patch is a change of an Appointment that may be asked for: it is cancelled,
// or nothing changes.
type Patch struct {
	// Cancel: its status becomes cancelled. A patch that has the patients
	// decline, every one of them, asks for the same.
	Cancel bool
	// Reason is the code of the reason, "" where none was given.
	Reason string
	// declines are the participants that are to be declined.
	declines []step
	tests    []patchTest
}

// patchTest wants a value at a place of the Appointment as JSON has it.
type patchTest struct {
	at    []string
	value any
}

// ErrTest is behind the refusal of a patch whose test failed (409).
var ErrTest = errors.New("fhir: a test of the patch failed")

// ParsePatch reads a patch.
//
// Errors: bad-request for what is malformed, not-acceptable for what may not be
// changed, or not by a patch.
func ParsePatch(rel scheduling.Release, f PatchFormat, body []byte) (Patch, error) {
	var ops []patchOp
	var err error
	switch f {
	case JSONPatch:
		ops, err = readJSONPatch(body)
	case XMLPatch:
		ops, err = readXMLPatch(body)
	case FHIRPathPatchXML:
		ops, err = readFHIRPathPatch(rel, XML, body)
	default:
		ops, err = readFHIRPathPatch(rel, JSON, body)
	}
	if err != nil {
		return Patch{}, err
	}
	return judge(rel, ops)
}

// Expects is the status that a test wants, "" where none does.
func (p Patch) Expects() scheduling.AppointmentStatus {
	for _, t := range p.tests {
		if text, ok := t.value.(string); ok && len(t.at) == 1 && t.at[0] == "status" {
			return scheduling.AppointmentStatus(text)
		}
	}
	return ""
}

// Agree judges the patch by the Appointment that it is for, as this version
// writes it: whether its tests hold, and whether those who are to be declined
// are patients. Nothing may be done where it gives an error.
//
// Errors: not-acceptable; one around ErrTest where a test failed.
func (p Patch) Agree(rel scheduling.Release, a *model.Appointment) error {
	data, err := Write(rel, JSON, a)
	if err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return scheduling.Fault(scheduling.Internal, err, "the appointment could not be looked at")
	}
	for _, t := range p.tests {
		if got, ok := lookUp(tree, t.at); !ok || !reflect.DeepEqual(got, t.value) {
			e := scheduling.Refuse(scheduling.NotAcceptable, "", "a test of the patch failed: the appointment is not as it expects")
			e.Err = ErrTest
			return e
		}
	}
	return p.agreeDeclines(tree)
}

// agreeDeclines wants patients only, and all of them where that alone asks for
// the cancel: of a visit of several, nobody can step back by a patch.
func (p Patch) agreeDeclines(tree any) error {
	if len(p.declines) == 0 {
		return nil
	}
	declined := map[int]bool{}
	list, _ := lookUp(tree, []string{"participant"})
	all, _ := list.([]any)
	for _, s := range p.declines {
		at := s.find(all)
		if at < 0 || !isPatient(all[at]) {
			return unpatchable("only a patient who takes part can be set to declined")
		}
		declined[at] = true
	}
	for i, participant := range all {
		if !p.Cancel && isPatient(participant) && !declined[i] {
			return unpatchable("of several patients one cannot decline alone")
		}
	}
	return nil
}

// isPatient tells whether a participant is a patient, in a tree of JSON.
func isPatient(participant any) bool { return strings.HasPrefix(actorOf(participant), "Patient/") }

func actorOf(participant any) string {
	reference, _ := lookUp(participant, []string{"actor", "reference"})
	text, _ := reference.(string)
	return text
}

func unpatchable(message string) error {
	return scheduling.Refuse(scheduling.NotAcceptable, "", "%s", message)
}
