package ehrsim

import (
	"maps"
	"slices"
)

const guide = "http://fhir.org/guides/argonaut-scheduling/OperationDefinition/"

// capability says what is served: operations stand at rest.operation with a
// Reference in STU3, at rest.resource.operation with a canonical in R4.
func capability(o Options, f flavour, base string) object {
	ops := map[string][]string{}
	if o.Dialect == Argonaut {
		ops["Appointment"] = []string{"find"}
		if !o.NoPrefetch {
			ops["Slot"] = []string{"prefetch"}
		}
	}
	var resources, operations list
	types := slices.Sorted(maps.Keys(searchParams))
	if o.Dialect == Argonaut {
		types = append([]string{"Appointment"}, types...)
	}
	for _, typ := range types {
		r := restResource(typ)
		for _, op := range ops[typ] {
			url := guide + map[string]string{"find": "appointment-find", "prefetch": "slot-prefetch"}[op]
			if f.fhir == STU3 {
				operations = append(operations, obj("name", op, "definition", obj("reference", url)))
			} else {
				r = append(r, member{"operation", list{obj("name", op, "definition", url)}})
			}
		}
		if typ != "Appointment" || f.fhir == R4 { // STU3 wants an interaction, and $find is none
			resources = append(resources, r)
		}
	}
	acceptUnknown := ""
	if f.fhir == STU3 {
		acceptUnknown = "no" // required there, gone in R4
	}
	return obj(
		"resourceType", "CapabilityStatement",
		"status", "active",
		"date", f.instant(f.made, f.zone),
		"publisher", o.Name,
		"kind", "instance",
		"software", obj("name", "ehrsim", "version", string(o.Dialect)),
		"implementation", obj("description", o.Name+" (simulated)", "url", base),
		"fhirVersion", f.release(),
		"acceptUnknown", acceptUnknown,
		"format", list{"application/fhir+xml", "application/fhir+json"},
		"rest", list{obj("mode", "server", "resource", resources, "operation", operations)},
	)
}

func restResource(typ string) object {
	var params list
	for _, name := range slices.Sorted(maps.Keys(searchParams[typ])) {
		kind := [...]string{token: "token", refer: "reference", text: "string"}[searchParams[typ][name].kind]
		params = append(params, obj("name", name, "type", kind))
	}
	interactions := list{obj("code", "read"), obj("code", "search-type")}
	switch typ {
	case "Slot":
		params = append(params, obj("name", "start", "type", "date"))
	case "Appointment":
		interactions = nil // $find only
	}
	return obj("type", typ, "interaction", interactions, "searchParam", params)
}
