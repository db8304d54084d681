package r4

import "slotgate/fhir/model"

// Wire is the resource as R4 writes it, ready for a JSON encoder that knows
// how to write a model.Resource.
func Wire(res model.Resource) any {
	switch r := res.(type) {
	case *model.Patient:
		out := *r
		out.X = model.Without(r.X, "animal")
		return model.Plain(&out)
	case *model.Coverage:
		out := *r
		out.X = model.Without(r.X, "sequence", "grouping")
		out.Class = classes(r.Class)
		return model.Plain(&out)
	case *model.CapabilityStatement:
		out := *r
		out.AcceptUnknown = ""
		return model.Plain(&out)
	}
	return model.Plain(res)
}

// classes gives each class the value that R4 requires: where STU3 told the name
// alone, that is what it is known by.
func classes(list []model.CoverageClass) []model.CoverageClass {
	for i := range list {
		if list[i].Value != "" || list[i].Name == "" {
			continue
		}
		out := append([]model.CoverageClass(nil), list...)
		for j := i; j < len(out); j++ {
			if out[j].Value == "" {
				out[j].Value = out[j].Name
			}
		}
		return out
	}
	return list
}

// Open gives the value to decode a resource of a type into, and what makes the
// union of it. into is nil for a type without fields.
func Open(resourceType string) (into any, done func() model.Resource) {
	res, into := model.Open(resourceType)
	return into, func() model.Resource { return res }
}
