package fhir

import (
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Operation describes one operation, for the CapabilityStatement and for its
// OperationDefinition.
type Operation struct {
	ID       string // of the OperationDefinition, such as appointment-find
	Code     string // as in the URL: $find
	Name     string // for programs
	Title    string
	Resource string // the type on which it is called
	Instance bool   // also on /Type/{id}
	Changes  bool   // it changes something
	// Description says what it does; Comment what a caller should know.
	Description, Comment string
	Params               []Param
}

// Param is one parameter of an operation.
type Param struct {
	Name string
	Out  bool
	Min  int
	Max  string // a number or "*"
	// Type is the FHIR type, in R4 and in STU3 (the same where STU3 is "").
	Type, STU3 string
	Search     string // the search type of a string: token, string
	Doc        string
}

// FindOperation is Appointment/$find as Slotgate serves it: the Argonaut
// guide's, with IHE's names and ours beside them.
func FindOperation() Operation {
	return Operation{
		ID: "appointment-find", Code: "find", Name: "AppointmentFind", Title: "Find available appointments",
		Resource: "Appointment",
		Description: "Finds appointments that could be made at any of the sources behind this gateway, soonest " +
			"first, as proposed Appointments.",
		Comment: "Criteria of different kinds are combined with AND, values of one kind with OR. A date without a " +
			"time is the whole day at each place. The last entry of the Bundle is an OperationOutcome that tells, " +
			"for each source, how fresh it is and what is missing. Called by GET or by POST with Parameters.",
		Params: findParams(),
	}
}

func findParams() []Param {
	return append(append(findCriteria(), findOurs()...), Param{
		Name: "return", Out: true, Max: "1", Type: "Bundle",
		Doc: "A searchset of proposed Appointments and one OperationOutcome. total counts all that match, over all pages.",
	})
}

func findCriteria() []Param {
	return []Param{
		{Name: "start", Max: "1", Type: "dateTime", Doc: "Offers that begin at or after it. Default: now."},
		{Name: "end", Max: "1", Type: "dateTime", Doc: "Offers that begin before it; of a date, the day is included. Default: the horizon of each source."},
		{Name: "specialty", Max: "*", Type: "string", Search: "token", Doc: "The specialty, as system|code, code or |code."},
		{Name: "visit-type", Max: "*", Type: "string", Search: "token", Doc: "The type of visit or service. Also taken as service-type."},
		{Name: "practitioner", Max: "*", Type: "Reference", STU3: "uri", Doc: "A Practitioner by reference, or by identifier (system|value). Also taken as provider."},
		{Name: "organization", Max: "*", Type: "Reference", STU3: "uri", Doc: "An Organization by reference, or by identifier (system|value)."},
		{Name: "location-string", Max: "*", Type: "string", Search: "string", Doc: "A part of the address or name of the place. Also taken as location."},
		{Name: "location-reference", Max: "*", Type: "Reference", STU3: "uri", Doc: "A Location by reference, or by identifier (system|value)."},
		{Name: "patient-reference", Max: "*", Type: "Reference", STU3: "uri", Doc: "A Patient registered here: rules of clinics about ages, and about new and known patients, are judged by it."},
		{Name: "patient-resource", Max: "*", Type: "Patient", Doc: "Its birthDate is judged by the rules of clinics about ages; the rest is not looked at."},
		{Name: "coverage", Max: "*", Type: "Coverage", Doc: "Taken, and told as not applied."},
		{Name: "reason", Max: "*", Type: "string", Search: "token", Doc: "Taken, and told as not applied."},
	}
}

func findOurs() []Param {
	return []Param{
		{Name: "near", Max: "1", Type: "string", Search: "string", Doc: "latitude|longitude|distance|unit; the unit is km, m or mi."},
		{Name: "source", Max: "*", Type: "string", Search: "string", Doc: "Only offers of this source."},
		{Name: "strict", Max: "1", Type: "boolean", Doc: "true: an error rather than an answer that is not complete."},
		{Name: "_count", Max: "1", Type: "integer", Doc: "Offers on a page; 0 asks for the total only."},
		{Name: "_max-age", Max: "1", Type: "integer", Doc: "Only offers confirmed within so many seconds. For callers with a key."},
	}
}

// OperationDefinition writes the definition of an operation, at its URL below
// base. date is when it last changed (YYYY-MM-DD).
func OperationDefinition(rel scheduling.Release, base, date string, op Operation) *model.OperationDefinition {
	yes, no := true, false
	out := &model.OperationDefinition{
		Base: model.Base{ID: op.ID},
		URL:  definitionURL(base, op),
		Name: op.Name, Title: op.Title, Status: "active", Kind: "operation", Date: date,
		Description: op.Description, AffectsState: &op.Changes, Code: op.Code, Comment: op.Comment,
		Resource: []string{op.Resource}, System: &no, Type: &yes, Instance: &op.Instance,
	}
	for _, p := range op.Params {
		out.Parameter = append(out.Parameter, parameter(rel, p))
	}
	return out
}

func definitionURL(base string, op Operation) string { return base + "/OperationDefinition/" + op.ID }

func parameter(rel scheduling.Release, p Param) model.OperationParameter {
	out := model.OperationParameter{
		Name: p.Name, Use: "in", Min: &p.Min, Max: p.Max, Documentation: p.Doc, Type: p.Type, SearchType: p.Search,
	}
	if p.Out {
		out.Use = "out"
	}
	if rel == scheduling.STU3 && p.STU3 != "" {
		out.Type = p.STU3
	}
	return out
}
