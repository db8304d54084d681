package model

import "github.com/go-json-experiment/json/jsontext"

// Resource is any FHIR resource of this package. A type that the package does
// not know is a *Raw.
type Resource interface {
	// ResourceType is the FHIR name of the type, such as "Slot".
	ResourceType() string
	// Common gives the elements that every resource has; never nil.
	Common() *Base
}

// Base is what every resource begins with (FHIR Resource and DomainResource).
type Base struct {
	ID                string         `json:"id,omitempty"`
	Meta              *Meta          `json:"meta,omitempty"`
	ImplicitRules     string         `json:"implicitRules,omitempty"`
	Language          string         `json:"language,omitempty"`
	Text              *Narrative     `json:"text,omitempty"`
	Contained         []Resource     `json:"contained,omitempty"`
	Extension         []Extension    `json:"extension,omitempty"`
	ModifierExtension []Extension    `json:"modifierExtension,omitempty"`
	X                 jsontext.Value `json:",embed"`
}

// Common makes every type that embeds Base a Resource but for its name.
func (b *Base) Common() *Base { return b }

// Raw is a resource of a type that this package has no fields for: its name,
// its id, and the whole of it as JSON.
type Raw struct {
	Type string
	Base Base
	JSON jsontext.Value
}

// ResourceType gives the name found in the JSON; it may be any text.
func (r *Raw) ResourceType() string { return r.Type }

// Common holds the id only; everything else stays in JSON.
func (r *Raw) Common() *Base { return &r.Base }

// Ref is the relative reference to a resource, such as "Slot/1", or "" when it
// has no id.
func Ref(r Resource) string {
	if r == nil || r.Common().ID == "" {
		return ""
	}
	return r.ResourceType() + "/" + r.Common().ID
}
