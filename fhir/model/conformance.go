package model

// CapabilityStatement tells what a server does. STU3's references to
// OperationDefinitions are canonicals here.
type CapabilityStatement struct {
	Base
	URL            string                    `json:"url,omitempty"`
	Version        string                    `json:"version,omitempty"`
	Name           string                    `json:"name,omitempty"`
	Title          string                    `json:"title,omitempty"`
	Status         string                    `json:"status,omitempty"`
	Experimental   *bool                     `json:"experimental,omitempty"`
	Date           string                    `json:"date,omitempty"`
	Publisher      string                    `json:"publisher,omitempty"`
	Description    string                    `json:"description,omitempty"`
	Kind           string                    `json:"kind,omitempty"`
	Software       *CapabilitySoftware       `json:"software,omitempty"`
	Implementation *CapabilityImplementation `json:"implementation,omitempty"`
	FHIRVersion    string                    `json:"fhirVersion,omitempty"`
	AcceptUnknown  string                    `json:"acceptUnknown,omitempty"` // STU3
	Format         []string                  `json:"format,omitempty"`
	PatchFormat    []string                  `json:"patchFormat,omitempty"`
	Rest           []CapabilityRest          `json:"rest,omitempty"`
}

// ResourceType is "CapabilityStatement".
func (*CapabilityStatement) ResourceType() string { return "CapabilityStatement" }

// CapabilitySoftware names the program.
type CapabilitySoftware struct {
	Element
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

// CapabilityImplementation names the installation.
type CapabilityImplementation struct {
	Element
	Description string `json:"description,omitempty"`
	URL         string `json:"url,omitempty"`
}

// CapabilityRest is what one REST endpoint does. R4 tells operations of a type
// at Resource.Operation; STU3 tells all of them at Operation.
type CapabilityRest struct {
	Element
	Mode          string                  `json:"mode,omitempty"`
	Documentation string                  `json:"documentation,omitempty"`
	Security      *CapabilitySecurity     `json:"security,omitempty"`
	Resource      []CapabilityResource    `json:"resource,omitempty"`
	Interaction   []CapabilityInteraction `json:"interaction,omitempty"`
	Operation     []CapabilityOperation   `json:"operation,omitempty"`
}

// CapabilitySecurity tells how callers log in.
type CapabilitySecurity struct {
	Element
	Cors        *bool             `json:"cors,omitempty"`
	Service     []CodeableConcept `json:"service,omitempty"`
	Description string            `json:"description,omitempty"`
}

// CapabilityResource is what is done for one resource type.
type CapabilityResource struct {
	Element
	Type          string                  `json:"type,omitempty"`
	Profile       Canonical               `json:"profile,omitempty"`
	Documentation string                  `json:"documentation,omitempty"`
	Interaction   []CapabilityInteraction `json:"interaction,omitempty"`
	Versioning    string                  `json:"versioning,omitempty"`
	SearchInclude []string                `json:"searchInclude,omitempty"`
	SearchParam   []CapabilitySearchParam `json:"searchParam,omitempty"`
	Operation     []CapabilityOperation   `json:"operation,omitempty"` // R4
}

// CapabilityInteraction is one interaction, such as read or search-type.
type CapabilityInteraction struct {
	Element
	Code          string `json:"code,omitempty"`
	Documentation string `json:"documentation,omitempty"`
}

// CapabilitySearchParam is one search parameter.
type CapabilitySearchParam struct {
	Element
	Name          string `json:"name,omitempty"`
	Definition    string `json:"definition,omitempty"`
	Type          string `json:"type,omitempty"`
	Documentation string `json:"documentation,omitempty"`
}

// CapabilityOperation is one operation. Definition is a canonical, whichever
// way the version writes it.
type CapabilityOperation struct {
	Element
	Name       string    `json:"name,omitempty"`
	Definition Canonical `json:"definition,omitempty"`
}

// OperationDefinition describes an operation.
type OperationDefinition struct {
	Base
	URL          string               `json:"url,omitempty"`
	Version      string               `json:"version,omitempty"`
	Name         string               `json:"name,omitempty"`
	Title        string               `json:"title,omitempty"`
	Status       string               `json:"status,omitempty"`
	Kind         string               `json:"kind,omitempty"`
	Date         string               `json:"date,omitempty"`
	Publisher    string               `json:"publisher,omitempty"`
	Description  string               `json:"description,omitempty"`
	AffectsState *bool                `json:"affectsState,omitempty"` // R4; STU3: idempotent, its opposite
	Code         string               `json:"code,omitempty"`
	Comment      string               `json:"comment,omitempty"`
	Resource     []string             `json:"resource,omitempty"`
	System       *bool                `json:"system,omitempty"`
	Type         *bool                `json:"type,omitempty"`
	Instance     *bool                `json:"instance,omitempty"`
	Parameter    []OperationParameter `json:"parameter,omitempty"`
}

// ResourceType is "OperationDefinition".
func (*OperationDefinition) ResourceType() string { return "OperationDefinition" }

// OperationParameter is one parameter. Max is a number or "*".
type OperationParameter struct {
	Element
	Name          string               `json:"name,omitempty"`
	Use           string               `json:"use,omitempty"`
	Min           *int                 `json:"min,omitempty"`
	Max           string               `json:"max,omitempty"`
	Documentation string               `json:"documentation,omitempty"`
	Type          string               `json:"type,omitempty"`
	SearchType    string               `json:"searchType,omitempty"`
	Part          []OperationParameter `json:"part,omitempty"`
}
