package stu3

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/model"
)

// A field of an outer struct hides the one of the same name in Body, so each
// type lists the differences only.

// slot: http://hl7.org/fhir/STU3/slot.html
type slot struct {
	ResourceType    string      `json:"resourceType"`
	ServiceCategory single      `json:"serviceCategory,omitempty"` // 0..1
	Body            *model.Slot `json:",embed"`
}

// schedule: http://hl7.org/fhir/STU3/schedule.html
type schedule struct {
	ResourceType    string          `json:"resourceType"`
	ServiceCategory single          `json:"serviceCategory,omitempty"` // 0..1
	Body            *model.Schedule `json:",embed"`
}

// appointment: http://hl7.org/fhir/STU3/appointment.html
type appointment struct {
	ResourceType    string                  `json:"resourceType"`
	ServiceCategory single                  `json:"serviceCategory,omitempty"` // 0..1
	Reason          []model.CodeableConcept `json:"reason,omitempty"`
	Indication      []model.Reference       `json:"indication,omitempty"`
	Referral        []model.Reference       `json:"incomingReferral,omitempty"`
	Body            *model.Appointment      `json:",embed"`
}

// location: http://hl7.org/fhir/STU3/location.html
type location struct {
	ResourceType string          `json:"resourceType"`
	Type         single          `json:"type,omitempty"` // 0..1
	Body         *model.Location `json:",embed"`
}

// service: http://hl7.org/fhir/STU3/healthcareservice.html
type service struct {
	ResourceType string                   `json:"resourceType"`
	Category     single                   `json:"category,omitempty"` // 0..1
	Body         *model.HealthcareService `json:",embed"`
}

// coverage: http://hl7.org/fhir/STU3/coverage.html
type coverage struct {
	ResourceType string          `json:"resourceType"`
	Grouping     *grouping       `json:"grouping,omitempty"`
	Sequence     string          `json:"sequence,omitempty"`
	Body         *model.Coverage `json:",embed"`
}

// related: http://hl7.org/fhir/STU3/relatedperson.html
type related struct {
	ResourceType string               `json:"resourceType"`
	Relationship single               `json:"relationship,omitempty"` // 0..1
	Body         *model.RelatedPerson `json:",embed"`
}

// grouping is STU3's fixed set of coverage classes.
type grouping struct {
	model.Element
	Group           string `json:"group,omitempty"`
	GroupDisplay    string `json:"groupDisplay,omitempty"`
	SubGroup        string `json:"subGroup,omitempty"`
	SubGroupDisplay string `json:"subGroupDisplay,omitempty"`
	Plan            string `json:"plan,omitempty"`
	PlanDisplay     string `json:"planDisplay,omitempty"`
	SubPlan         string `json:"subPlan,omitempty"`
	SubPlanDisplay  string `json:"subPlanDisplay,omitempty"`
	Class           string `json:"class,omitempty"`
	ClassDisplay    string `json:"classDisplay,omitempty"`
	SubClass        string `json:"subClass,omitempty"`
	SubClassDisplay string `json:"subClassDisplay,omitempty"`
}

// operation: http://hl7.org/fhir/STU3/operationdefinition.html
type operation struct {
	ResourceType string                     `json:"resourceType"`
	Idempotent   *bool                      `json:"idempotent,omitempty"`
	Body         *model.OperationDefinition `json:",embed"`
}

// single is a list in the union and one concept on the wire.
type single model.Concepts

// UnmarshalJSONFrom reads a concept, and tolerates a list of them.
func (s *single) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return (*model.Concepts)(s).UnmarshalJSONFrom(dec)
}

// MarshalJSONTo writes the first concept, which is all that STU3 has room for.
func (s single) MarshalJSONTo(enc *jsontext.Encoder) error {
	if len(s) == 0 {
		return enc.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(enc, &s[0])
}
