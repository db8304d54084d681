package model

import "github.com/go-json-experiment/json/jsontext"

// Element is what every datatype begins with.
type Element struct {
	ID        string         `json:"id,omitempty"`
	Extension []Extension    `json:"extension,omitempty"`
	X         jsontext.Value `json:",embed"`
}

// Extension carries what FHIR has no element for. The values that scheduling
// meets have fields; other value[x] stay in Element.X.
type Extension struct {
	Element
	URL                  string           `json:"url,omitempty"`
	ValueString          string           `json:"valueString,omitempty"`
	ValueCode            string           `json:"valueCode,omitempty"`
	ValueURI             string           `json:"valueUri,omitempty"`
	ValueURL             string           `json:"valueUrl,omitempty"`
	ValueID              string           `json:"valueId,omitempty"`
	ValueDateTime        string           `json:"valueDateTime,omitempty"`
	ValueInstant         string           `json:"valueInstant,omitempty"`
	ValueBoolean         *bool            `json:"valueBoolean,omitempty"`
	ValueInteger         *int             `json:"valueInteger,omitempty"`
	ValueCoding          *Coding          `json:"valueCoding,omitempty"`
	ValueCodeableConcept *CodeableConcept `json:"valueCodeableConcept,omitempty"`
	ValueReference       *Reference       `json:"valueReference,omitempty"`
}

// Meta is the metadata of a resource. Source is R4's meta.source; STU3 carries
// it as an extension, which package stu3 moves here and back.
type Meta struct {
	Element
	VersionID   string   `json:"versionId,omitempty"`
	LastUpdated string   `json:"lastUpdated,omitempty"`
	Source      string   `json:"source,omitempty"`
	Profile     []string `json:"profile,omitempty"`
	Security    []Coding `json:"security,omitempty"`
	Tag         []Coding `json:"tag,omitempty"`
}

// Narrative is the human-readable text of a resource; Div is XHTML.
type Narrative struct {
	Element
	Status string `json:"status,omitempty"`
	Div    string `json:"div,omitempty"`
}

// Coding is one code of one code system. System is a URI and may be missing.
type Coding struct {
	Element
	System       string `json:"system,omitempty"`
	Version      string `json:"version,omitempty"`
	Code         string `json:"code,omitempty"`
	Display      string `json:"display,omitempty"`
	UserSelected *bool  `json:"userSelected,omitempty"`
}

// CodeableConcept is one meaning in any number of code systems, or as text.
type CodeableConcept struct {
	Element
	Coding []Coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

// Reference points at a resource: by address (absolute, relative, or #id of a
// contained one), by a business identifier, or by display text alone.
type Reference struct {
	Element
	Reference  string      `json:"reference,omitempty"`
	Type       string      `json:"type,omitempty"` // R4
	Identifier *Identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

// Identifier is a business identifier, such as an NPI.
type Identifier struct {
	Element
	Use      string           `json:"use,omitempty"`
	Type     *CodeableConcept `json:"type,omitempty"`
	System   string           `json:"system,omitempty"`
	Value    string           `json:"value,omitempty"`
	Period   *Period          `json:"period,omitempty"`
	Assigner *Reference       `json:"assigner,omitempty"`
}

// Period is a span of time as two dateTimes of any precision.
type Period struct {
	Element
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

// HumanName is a person's name.
type HumanName struct {
	Element
	Use    string  `json:"use,omitempty"`
	Text   string  `json:"text,omitempty"`
	Family string  `json:"family,omitempty"`
	Given  Texts   `json:"given,omitempty"`
	Prefix Texts   `json:"prefix,omitempty"`
	Suffix Texts   `json:"suffix,omitempty"`
	Period *Period `json:"period,omitempty"`
}

// Address is a postal or visiting address.
type Address struct {
	Element
	Use        string  `json:"use,omitempty"`
	Type       string  `json:"type,omitempty"`
	Text       string  `json:"text,omitempty"`
	Line       Texts   `json:"line,omitempty"`
	City       string  `json:"city,omitempty"`
	District   string  `json:"district,omitempty"`
	State      string  `json:"state,omitempty"`
	PostalCode string  `json:"postalCode,omitempty"`
	Country    string  `json:"country,omitempty"`
	Period     *Period `json:"period,omitempty"`
}

// ContactPoint is a phone number, e-mail address or the like.
type ContactPoint struct {
	Element
	System string  `json:"system,omitempty"`
	Value  string  `json:"value,omitempty"`
	Use    string  `json:"use,omitempty"`
	Rank   *int    `json:"rank,omitempty"`
	Period *Period `json:"period,omitempty"`
}

// Quantity is a measured amount.
type Quantity struct {
	Element
	Value      Decimal `json:"value,omitempty"`
	Comparator string  `json:"comparator,omitempty"`
	Unit       string  `json:"unit,omitempty"`
	System     string  `json:"system,omitempty"`
	Code       string  `json:"code,omitempty"`
}
