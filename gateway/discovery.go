package gateway

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// jwks serves the public keys that the sources know us by.
func (x *exchange) jwks() error {
	if x.s.deps.KeySet == nil {
		return scheduling.Refuse(scheduling.UnknownID, "", "no source is logged in at with a key of ours")
	}
	x.cacheable()
	x.c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return x.c.Send(x.s.deps.KeySet)
}

// smartConfiguration is not there: no issuer of tokens is configured.
func (x *exchange) smartConfiguration() error {
	return scheduling.Refuse(scheduling.UnknownID, "", "no issuer of tokens is configured; callers have API keys")
}

// defined is when the operations last changed.
const defined = "2026-11-23"

// operations are those that are served, each with its OperationDefinition.
func (s *Server) operations() []fhir.Operation {
	list := []fhir.Operation{fhir.FindOperation()}
	if s.deps.Desk != nil {
		list = append(list, fhir.HoldOperation(), fhir.BookOperation())
	}
	return list
}

// cacheable says that an answer is everybody's, for a while.
func (x *exchange) cacheable() { x.c.Set(fiber.HeaderCacheControl, "public, max-age=300") }

// metadata answers with the CapabilityStatement.
func (x *exchange) metadata() error {
	x.cacheable()
	return x.resource(fiber.StatusOK, fhir.Capability(x.s.served(x.release)))
}

// served is what routes registers, in the words of FHIR; a test holds the two
// together.
func (s *Server) served(rel scheduling.Release) fhir.Served {
	served := fhir.Served{
		Release: rel, Base: s.root(rel), Software: "Slotgate", Version: s.deps.Version, Date: defined,
		Security:   "Callers show an API key as Authorization: Bearer KEY. A user's own token for the one source that a request is about goes in X-Source-Authorization: Bearer TOKEN.",
		Formats:    []string{"application/fhir+json", "application/fhir+xml"},
		Operations: s.operations(),
	}
	if s.deps.Desk != nil {
		served.PatchFormats = fhir.PatchTypes()
		served.Resources = append(served.Resources, fhir.ServedType{
			Type: "Appointment", Interactions: []string{"read", "search-type", "patch"}, Search: listSearch(),
		})
	}
	if s.deps.Patients != nil {
		t := patientServed()
		if s.deps.Elsewhere != nil {
			t.Search = append(t.Search, fhir.ServedSearch{Name: "source", Type: "string", Doc: "The source whose own patients are meant, for its users and for callers that it trusts."})
		}
		served.Resources = append(served.Resources, t)
	}
	if s.deps.Coverages != nil {
		served.Resources = append(served.Resources, coverageServed())
		served.System = []string{"transaction"}
	}
	for _, kind := range directoryKinds() {
		t := fhir.ServedType{Type: string(kind), Interactions: []string{"read", "search-type"}}
		for _, name := range searchNames(kind) {
			t.Search = append(t.Search, fhir.ServedSearch{Name: name, Type: searchType(name)})
		}
		served.Resources = append(served.Resources, t)
	}
	served.Resources = append(served.Resources, fhir.ServedType{
		Type: "OperationDefinition", Interactions: []string{"read", "search-type"},
		Search: []fhir.ServedSearch{{Name: "_id", Type: "token"}, {Name: "name", Type: "string"}, {Name: "code", Type: "token"}},
	})
	return served
}

// searchType is the FHIR type of a parameter of the directory.
func searchType(name string) string {
	switch name {
	case "organization", "practitioner", "location", "schedule":
		return "reference"
	case "name", "address":
		return "string"
	case "start":
		return "date"
	default:
		return "token"
	}
}

// readOperation answers with one OperationDefinition.
func (x *exchange) readOperation() error {
	id := x.param("id")
	for _, op := range x.s.operations() {
		if op.ID == id {
			x.cacheable()
			return x.resource(fiber.StatusOK, x.definition(op))
		}
	}
	return scheduling.Refuse(scheduling.UnknownID, "id", "there is no OperationDefinition of this id")
}

func (x *exchange) definition(op fhir.Operation) model.Resource {
	return fhir.OperationDefinition(x.release, x.s.root(x.release), defined, op)
}

// searchOperations answers with the OperationDefinitions that there are.
func (x *exchange) searchOperations() error {
	values, err := x.query()
	if err != nil {
		return err
	}
	var f fhir.Find
	for _, name := range sortedNames(values) {
		if !slices.Contains([]string{"_id", "name", "code"}, name) {
			f.Unknown = noteUnknown(f.Unknown, name)
		}
	}
	if x.strict() && len(f.Unknown) > 0 {
		return refuseUnknown(f.Unknown)
	}
	bundle := fhir.SearchSet(0, x.s.root(x.release)+"/OperationDefinition", "")
	for _, op := range x.s.operations() {
		if asksFor(values["_id"], op.ID) && asksFor(values["code"], op.Code) && asksFor(values["name"], op.Name) {
			fhir.AddMatch(bundle, x.s.root(x.release), x.definition(op))
		}
	}
	*bundle.Total = len(bundle.Entry)
	if len(f.Unknown) > 0 {
		addOutcome(bundle, fhir.FindOutcome(f, scheduling.Found{}))
	}
	x.cacheable()
	return x.resource(fiber.StatusOK, bundle)
}

// asksFor tells whether value is among what was asked for, or nothing was.
func asksFor(asked []string, value string) bool {
	for _, list := range asked {
		if !slices.ContainsFunc(splitList(list), func(one string) bool { return strings.EqualFold(one, value) }) {
			return false
		}
	}
	return true
}
