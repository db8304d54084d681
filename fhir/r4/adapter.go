package r4

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
)

// Wire is the resource as R4 writes it, ready for a JSON encoder that knows
// how to write a model.Resource.
func Wire(res model.Resource) any {
	switch r := res.(type) {
	case *model.Patient:
		out := *r
		out.X = without(r.X, "animal")
		return model.Plain(&out)
	case *model.Coverage:
		out := *r
		out.X = without(r.X, "sequence", "grouping")
		return model.Plain(&out)
	case *model.CapabilityStatement:
		out := *r
		out.AcceptUnknown = ""
		return model.Plain(&out)
	}
	return model.Plain(res)
}

// Open gives the value to decode a resource of a type into, and what makes the
// union of it. into is nil for a type without fields.
func Open(resourceType string) (into any, done func() model.Resource) {
	res, into := model.Open(resourceType)
	return into, func() model.Resource { return res }
}

// without gives the unknown elements but for those that R4 does not have.
func without(unknown jsontext.Value, names ...string) jsontext.Value {
	if len(unknown) == 0 {
		return nil
	}
	var all map[string]jsontext.Value
	if json.Unmarshal(unknown, &all) != nil {
		return unknown
	}
	for _, name := range names {
		delete(all, name)
		delete(all, "_"+name)
	}
	if len(all) == 0 {
		return nil
	}
	rest, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return unknown
	}
	return rest
}
