package model

// Practitioner is a person who provides care.
type Practitioner struct {
	Base
	Identifier    []Identifier                `json:"identifier,omitempty"`
	Active        *bool                       `json:"active,omitempty"`
	Name          []HumanName                 `json:"name,omitempty"`
	Telecom       []ContactPoint              `json:"telecom,omitempty"`
	Address       []Address                   `json:"address,omitempty"`
	Gender        string                      `json:"gender,omitempty"`
	BirthDate     string                      `json:"birthDate,omitempty"`
	Qualification []PractitionerQualification `json:"qualification,omitempty"`
	Communication []CodeableConcept           `json:"communication,omitempty"`
}

// ResourceType is "Practitioner".
func (*Practitioner) ResourceType() string { return "Practitioner" }

// PractitionerQualification is a licence or certificate.
type PractitionerQualification struct {
	Element
	Identifier []Identifier     `json:"identifier,omitempty"`
	Code       *CodeableConcept `json:"code,omitempty"`
	Period     *Period          `json:"period,omitempty"`
	Issuer     *Reference       `json:"issuer,omitempty"`
}

// PractitionerRole joins a practitioner, an organization and its places.
type PractitionerRole struct {
	Base
	Identifier        []Identifier      `json:"identifier,omitempty"`
	Active            *bool             `json:"active,omitempty"`
	Period            *Period           `json:"period,omitempty"`
	Practitioner      *Reference        `json:"practitioner,omitempty"`
	Organization      *Reference        `json:"organization,omitempty"`
	Code              []CodeableConcept `json:"code,omitempty"`
	Specialty         []CodeableConcept `json:"specialty,omitempty"`
	Location          []Reference       `json:"location,omitempty"`
	HealthcareService []Reference       `json:"healthcareService,omitempty"`
	Telecom           []ContactPoint    `json:"telecom,omitempty"`
}

// ResourceType is "PractitionerRole".
func (*PractitionerRole) ResourceType() string { return "PractitionerRole" }

// Location is a place. Type is a list in R4, one entry at most in STU3.
type Location struct {
	Base
	Identifier           []Identifier      `json:"identifier,omitempty"`
	Status               string            `json:"status,omitempty"`
	Name                 string            `json:"name,omitempty"`
	Alias                []string          `json:"alias,omitempty"`
	Description          string            `json:"description,omitempty"`
	Mode                 string            `json:"mode,omitempty"`
	Type                 Concepts          `json:"type,omitempty"`
	Telecom              []ContactPoint    `json:"telecom,omitempty"`
	Address              *Address          `json:"address,omitempty"`
	PhysicalType         *CodeableConcept  `json:"physicalType,omitempty"`
	Position             *LocationPosition `json:"position,omitempty"`
	ManagingOrganization *Reference        `json:"managingOrganization,omitempty"`
	PartOf               *Reference        `json:"partOf,omitempty"`
}

// ResourceType is "Location".
func (*Location) ResourceType() string { return "Location" }

// LocationPosition is a WGS84 position in degrees.
type LocationPosition struct {
	Element
	Longitude Decimal `json:"longitude,omitempty"`
	Latitude  Decimal `json:"latitude,omitempty"`
	Altitude  Decimal `json:"altitude,omitempty"`
}

// Organization is a practice, a hospital, a payer.
type Organization struct {
	Base
	Identifier []Identifier      `json:"identifier,omitempty"`
	Active     *bool             `json:"active,omitempty"`
	Type       []CodeableConcept `json:"type,omitempty"`
	Name       string            `json:"name,omitempty"`
	Alias      []string          `json:"alias,omitempty"`
	Telecom    []ContactPoint    `json:"telecom,omitempty"`
	Address    []Address         `json:"address,omitempty"`
	PartOf     *Reference        `json:"partOf,omitempty"`
}

// ResourceType is "Organization".
func (*Organization) ResourceType() string { return "Organization" }

// HealthcareService is what an organization offers at its places. Category is
// a list in R4, one entry at most in STU3.
type HealthcareService struct {
	Base
	Identifier []Identifier      `json:"identifier,omitempty"`
	Active     *bool             `json:"active,omitempty"`
	ProvidedBy *Reference        `json:"providedBy,omitempty"`
	Category   Concepts          `json:"category,omitempty"`
	Type       []CodeableConcept `json:"type,omitempty"`
	Specialty  []CodeableConcept `json:"specialty,omitempty"`
	Location   []Reference       `json:"location,omitempty"`
	Name       string            `json:"name,omitempty"`
	Comment    string            `json:"comment,omitempty"`
	Telecom    []ContactPoint    `json:"telecom,omitempty"`
}

// ResourceType is "HealthcareService".
func (*HealthcareService) ResourceType() string { return "HealthcareService" }
