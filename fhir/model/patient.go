package model

// Patient is who an appointment is for. STU3's animal stays in X and is
// dropped when it goes to R4.
type Patient struct {
	Base
	Identifier           []Identifier   `json:"identifier,omitempty"`
	Active               *bool          `json:"active,omitempty"`
	Name                 []HumanName    `json:"name,omitempty"`
	Telecom              []ContactPoint `json:"telecom,omitempty"`
	Gender               string         `json:"gender,omitempty"`
	BirthDate            string         `json:"birthDate,omitempty"`
	Address              []Address      `json:"address,omitempty"`
	GeneralPractitioner  []Reference    `json:"generalPractitioner,omitempty"`
	ManagingOrganization *Reference     `json:"managingOrganization,omitempty"`
}

// ResourceType is "Patient".
func (*Patient) ResourceType() string { return "Patient" }

// Coverage is a patient's insurance. STU3's grouping and sequence become Class
// and back.
type Coverage struct {
	Base
	Identifier   []Identifier     `json:"identifier,omitempty"`
	Status       string           `json:"status,omitempty"`
	Type         *CodeableConcept `json:"type,omitempty"`
	PolicyHolder *Reference       `json:"policyHolder,omitempty"`
	Subscriber   *Reference       `json:"subscriber,omitempty"`
	SubscriberID string           `json:"subscriberId,omitempty"`
	Beneficiary  *Reference       `json:"beneficiary,omitempty"`
	Dependent    string           `json:"dependent,omitempty"`
	Relationship *CodeableConcept `json:"relationship,omitempty"`
	Period       *Period          `json:"period,omitempty"`
	Payor        []Reference      `json:"payor,omitempty"`
	Class        []CoverageClass  `json:"class,omitempty"`
	Order        *int             `json:"order,omitempty"`
	Network      string           `json:"network,omitempty"`

	// Implied: Status or Beneficiary, as named here, did not come with it. R4
	// requires them, and STU3 is written without.
	Implied Implied `json:"-"`
}

// ResourceType is "Coverage".
func (*Coverage) ResourceType() string { return "Coverage" }

// Implied is what of a Coverage was filled in.
type Implied struct{ Status, Beneficiary bool }

// CoverageClass is one group, plan or class of a coverage (R4).
type CoverageClass struct {
	Element
	Type  *CodeableConcept `json:"type,omitempty"`
	Value string           `json:"value,omitempty"`
	Name  string           `json:"name,omitempty"`
}

// Subscription asks a server to tell us of changes.
type Subscription struct {
	Base
	Status   string               `json:"status,omitempty"`
	Contact  []ContactPoint       `json:"contact,omitempty"`
	End      string               `json:"end,omitempty"`
	Reason   string               `json:"reason,omitempty"`
	Criteria string               `json:"criteria,omitempty"`
	Error    string               `json:"error,omitempty"`
	Channel  *SubscriptionChannel `json:"channel,omitempty"`
}

// ResourceType is "Subscription".
func (*Subscription) ResourceType() string { return "Subscription" }

// SubscriptionChannel is where notifications go. Header is a list in both
// versions.
type SubscriptionChannel struct {
	Element
	Type     string   `json:"type,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Payload  string   `json:"payload,omitempty"`
	Header   []string `json:"header,omitempty"`
}
