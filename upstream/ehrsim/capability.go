package ehrsim

import (
	"maps"
	"slices"
	"strings"
)

const guide = "http://fhir.org/guides/argonaut-scheduling/OperationDefinition/"

// capability says what is served: operations stand at rest.operation with a
// Reference in STU3, at rest.resource.operation with a canonical in R4.
// operations are those that each type has.
func (o Options) operations() map[string][]string {
	ops := map[string][]string{}
	if !o.NoMatch {
		ops["Patient"] = []string{"match"}
	}
	if !o.Dialect.operates() {
		return ops
	}
	ops["Appointment"] = []string{"find", "book"}
	if !o.NoHold && o.Dialect != Epic {
		ops["Appointment"] = []string{"find", "hold", "book"}
	}
	if !o.NoPrefetch && o.Dialect == Argonaut {
		ops["Slot"] = []string{"prefetch"}
	}
	return ops
}

func capability(o Options, f flavour, base string) object {
	ops := o.operations()
	var resources, operations list
	for _, typ := range slices.Sorted(maps.Keys(searchParams)) {
		if typ == "Coverage" && o.NoCoverage || !o.Dialect.knows(typ) {
			continue
		}
		r := o.restResource(typ)
		var own list // a member of that name may stand but once
		for _, op := range ops[typ] {
			url := guide + strings.ToLower(typ) + "-" + op
			if typ == "Patient" {
				url = "http://hl7.org/fhir/OperationDefinition/Patient-" + op
			}
			if f.fhir == STU3 {
				operations = append(operations, obj("name", op, "definition", obj("reference", url)))
			} else {
				own = append(own, obj("name", op, "definition", url))
			}
		}
		if len(own) > 0 {
			r = append(r, member{"operation", own})
		}
		resources = append(resources, r)
	}
	if o.Notify.Offered {
		resources = append(resources, o.Notify.restResource())
	}
	var system list
	if o.Dialect == Slots && !o.NoTransactions {
		system = list{obj("code", "transaction")}
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
		"patchFormat", o.patchTypes(f),
		"rest", list{obj("mode", "server", "resource", resources, "interaction", system, "operation", operations)},
	)
}

// interactions are what can be done with a type besides reading it.
func (o Options) interactions(typ string) []string {
	switch slots := o.Dialect == Slots; {
	case typ == "Appointment" && slots:
		return words("read search-type create update patch")
	case typ == "Appointment" && (o.Dialect == IHE || o.Dialect == Epic && !o.Patches):
		return words("read search-type")
	case typ == "Appointment":
		return words("read search-type patch")
	case typ == "Slot" && slots:
		return words("read search-type update patch")
	case typ == "Patient":
		return words("read search-type create")
	case typ == "Coverage" && (o.Dialect != Argonaut || o.CoverageSearch):
		return words("read search-type create update")
	case typ == "Coverage":
		return words("read create update")
	}
	return words("read search-type")
}

func (o Options) restResource(typ string) object {
	var params, interactions list
	for _, name := range slices.Sorted(maps.Keys(searchParams[typ])) {
		kind := [...]string{token: "token", refer: "reference", actor: "reference", text: "string", date: "date"}[searchParams[typ][name].kind]
		params = append(params, obj("name", name, "type", kind))
	}
	if typ == "Appointment" && o.Dialect == IHE {
		params = append(params, obj("name", "identifier", "type", "token"))
	}
	if typ == "Slot" {
		params = append(params, obj("name", "start", "type", "date"))
	}
	for _, code := range o.interactions(typ) {
		if code != "search-type" || typ != "Appointment" || !o.NoAppointmentSearch {
			interactions = append(interactions, obj("code", code))
		}
	}
	r := obj("type", typ, "interaction", interactions)
	if slices.Contains(o.interactions(typ), "patch") {
		r = append(r, member{"versioning", "versioned-update"})
	}
	if slices.Contains(o.interactions(typ), "create") && (o.Dialect == Slots || o.Dialect == IHE) && !o.NoConditional {
		r = append(r, member{"conditionalCreate", true})
	}
	if typ == "Coverage" && o.Dialect == Argonaut && !o.CoverageSearch {
		return r
	}
	return append(r, member{"searchParam", params})
}

func (n Notify) restResource() object {
	codes := words("read create delete")
	if !n.NoUpdate {
		codes = append(codes, "update")
	}
	if !n.NoSearch {
		codes = append(codes, "search-type")
	}
	var interactions list
	for _, code := range codes {
		interactions = append(interactions, obj("code", code))
	}
	return obj("type", "Subscription", "interaction", interactions)
}

// patchTypes are the media types of the forms of patch.
func (o Options) patchTypes(f flavour) list {
	var out list
	for _, form := range patchFormats {
		if len(o.PatchFormats) > 0 && !slices.Contains(o.PatchFormats, form) {
			continue
		}
		switch form {
		case "json":
			out = append(out, "application/json-patch+json")
		case "xml":
			out = append(out, "application/xml-patch+xml")
		default:
			out = append(out, "application/fhir+json", "application/fhir+xml")
			if f.fhir == STU3 {
				out = append(out, "application/fhirpath-patch+fhirpath")
			}
		}
	}
	return out
}
