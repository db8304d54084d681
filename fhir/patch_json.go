package fhir

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/fhirxml"
)

// jsonOp is one operation of a JSON Patch (RFC 6902, 4).
type jsonOp struct {
	Op    string         `json:"op"`
	Path  *string        `json:"path"`
	Value jsontext.Value `json:"value"`
}

// readJSONPatch reads a JSON Patch.
func readJSONPatch(data []byte) ([]patchOp, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if tooDeep(data, fhirxml.MaxJSONDepth) {
		return nil, unreadable("the patch is nested too deep", nil)
	}
	if v := jsontext.Value(data); !v.IsValid() || v.Kind() != '[' {
		return nil, unreadable("a JSON Patch is a well-formed list of operations", nil)
	}
	var list []jsonOp
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, unreadable("the operations of the JSON Patch could not be read", err)
	}
	if len(list) > maxOps {
		return nil, unreadable("the patch has too many operations", nil)
	}
	ops := make([]patchOp, 0, len(list))
	for _, one := range list {
		op, err := one.op()
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func (o jsonOp) op() (patchOp, error) {
	if o.Path == nil {
		return patchOp{}, unreadable("an operation of the JSON Patch has no path", nil)
	}
	if len(*o.Path) > maxText {
		return patchOp{}, unreadable("a path of the JSON Patch is too long", nil)
	}
	at, ok := pointer(*o.Path)
	if !ok {
		return patchOp{}, unreadable("a path of the JSON Patch is no JSON pointer", nil)
	}
	op := patchOp{at: at, path: steps(at)}
	switch o.Op {
	case "test", "replace", "add":
		op.kind = opKind(o.Op)
	case "remove", "move", "copy":
		op.kind = opOther
		return op, nil
	default:
		return patchOp{}, unreadable("the JSON Patch has an operation that is none of RFC 6902", nil)
	}
	if len(o.Value) == 0 {
		return patchOp{}, unreadable("an operation of the JSON Patch has no value", nil)
	}
	if err := json.Unmarshal(o.Value, &op.value); err != nil {
		return patchOp{}, unreadable("a value of the JSON Patch could not be read", err)
	}
	return op, nil
}

// pointer cuts a JSON pointer (RFC 6901) in its parts. Clients that know
// FHIRPath better write status or Appointment.status.
func pointer(text string) ([]string, bool) {
	if text == "" {
		return nil, true
	}
	var parts []string
	if rest, ok := strings.CutPrefix(text, "/"); ok {
		parts = strings.Split(rest, "/")
	} else {
		parts = strings.Split(text, ".")
	}
	for i, part := range parts {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(part), "~") {
			return nil, false
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	if parts[0] == "Appointment" {
		parts = parts[1:]
	}
	return parts, true
}

// steps joins the places in lists to the elements that they belong to; the
// place behind the last is like none.
func steps(at []string) []step {
	var path []step
	for _, part := range at {
		last := len(path) - 1
		switch i, err := strconv.Atoi(part); {
		case last >= 0 && path[last].index == anyIndex && part == "-":
		case last >= 0 && path[last].index == anyIndex && err == nil && i >= 0:
			path[last].index = i
		default:
			path = append(path, step{name: part, index: anyIndex})
		}
	}
	return path
}
