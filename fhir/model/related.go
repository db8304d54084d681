package model

// RelatedPerson is somebody who has to do with a patient, such as the parent
// whose insurance covers them. R4 has several relationships where STU3 has one;
// R4's communication stays in X.
type RelatedPerson struct {
	Base
	Identifier   []Identifier   `json:"identifier,omitempty"`
	Active       *bool          `json:"active,omitempty"`
	Patient      *Reference     `json:"patient,omitempty"`
	Relationship Concepts       `json:"relationship,omitempty"`
	Name         []HumanName    `json:"name,omitempty"`
	Telecom      []ContactPoint `json:"telecom,omitempty"`
	Gender       string         `json:"gender,omitempty"`
	BirthDate    string         `json:"birthDate,omitempty"`
	Address      []Address      `json:"address,omitempty"`
	Period       *Period        `json:"period,omitempty"`
}

// ResourceType is "RelatedPerson".
func (*RelatedPerson) ResourceType() string { return "RelatedPerson" }
