package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Served is what a base really serves; a CapabilityStatement tells just that.
type Served struct {
	Release  scheduling.Release
	Base     string // our base URL of this version, without a slash at its end
	Software string // name of the program
	Version  string // of the program
	Date     string // of this statement: a dateTime
	// Security tells in words how callers log in; "" for no word of it.
	Security string
	// Formats are media types; PatchFormats those of PATCH, none if there is no
	// PATCH.
	Formats      []string
	PatchFormats []string
	Resources    []ServedType
	// System are the interactions with the base itself, such as transaction.
	System     []string
	Operations []Operation
}

// ServedType is what is served of one resource type.
type ServedType struct {
	Type         string
	Interactions []string // read, search-type, create, ...
	Search       []ServedSearch
}

// ServedSearch is a search parameter. Type is one of FHIR's: token, string,
// reference, date.
type ServedSearch struct{ Name, Type, Doc string }

// Capability writes the CapabilityStatement. STU3 has the operations of a type
// at rest.operation, and refers to their definitions; R4 has them at
// rest.resource.operation, by canonical.
func Capability(s Served) *model.CapabilityStatement {
	rest := model.CapabilityRest{Mode: "server"}
	if s.Security != "" {
		rest.Security = &model.CapabilitySecurity{Description: s.Security}
	}
	for _, t := range s.Resources {
		rest.Resource = append(rest.Resource, servedType(t))
	}
	for _, code := range s.System {
		rest.Interaction = append(rest.Interaction, model.CapabilityInteraction{Code: code})
	}
	for _, op := range s.Operations {
		entry := model.CapabilityOperation{Name: op.Code, Definition: model.Canonical(definitionURL(s.Base, op))}
		if s.Release == scheduling.STU3 {
			rest.Operation = append(rest.Operation, entry)
			continue
		}
		at := typeAt(&rest, op.Resource)
		at.Operation = append(at.Operation, entry)
	}
	return &model.CapabilityStatement{
		URL:  s.Base + "/metadata",
		Name: "Slotgate", Title: "Slotgate", Status: "active", Date: s.Date, Kind: "instance",
		Description:    "Open appointment slots of several EHRs, found through one FHIR API.",
		Software:       &model.CapabilitySoftware{Name: s.Software, Version: s.Version},
		Implementation: &model.CapabilityImplementation{Description: "Slotgate gateway", URL: s.Base},
		FHIRVersion:    FHIRVersion(s.Release),
		Format:         s.Formats,
		PatchFormat:    s.PatchFormats,
		Rest:           []model.CapabilityRest{rest},
	}
}

// FHIRVersion is the version number of a release, as fhirVersion has it.
func FHIRVersion(rel scheduling.Release) string {
	if rel == scheduling.STU3 {
		return "3.0.1"
	}
	return "4.0.1"
}

func servedType(t ServedType) model.CapabilityResource {
	out := model.CapabilityResource{Type: t.Type}
	for _, code := range t.Interactions {
		out.Interaction = append(out.Interaction, model.CapabilityInteraction{Code: code})
	}
	for _, p := range t.Search {
		out.SearchParam = append(out.SearchParam, model.CapabilitySearchParam{
			Name: p.Name, Type: p.Type, Documentation: p.Doc,
		})
	}
	return out
}

// typeAt is the entry of a type, made where there is none yet.
func typeAt(rest *model.CapabilityRest, name string) *model.CapabilityResource {
	for i := range rest.Resource {
		if rest.Resource[i].Type == name {
			return &rest.Resource[i]
		}
	}
	rest.Resource = append(rest.Resource, model.CapabilityResource{Type: name})
	return &rest.Resource[len(rest.Resource)-1]
}
