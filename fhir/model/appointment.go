package model

// Appointment is an offer, a hold or a booking. STU3 names: ReasonCode is
// reason, ReasonReference is indication, BasedOn is incomingReferral, and
// CancelationReason is the guide's status-reason extension.
type Appointment struct {
	Base
	Identifier            []Identifier             `json:"identifier,omitempty"`
	Status                string                   `json:"status,omitempty"`
	CancelationReason     *CodeableConcept         `json:"cancelationReason,omitempty"`
	ServiceCategory       Concepts                 `json:"serviceCategory,omitempty"`
	ServiceType           Concepts                 `json:"serviceType,omitempty"`
	Specialty             Concepts                 `json:"specialty,omitempty"`
	AppointmentType       *CodeableConcept         `json:"appointmentType,omitempty"`
	ReasonCode            []CodeableConcept        `json:"reasonCode,omitempty"`
	ReasonReference       []Reference              `json:"reasonReference,omitempty"`
	Priority              *int                     `json:"priority,omitempty"`
	Description           string                   `json:"description,omitempty"`
	SupportingInformation []Reference              `json:"supportingInformation,omitempty"`
	Start                 string                   `json:"start,omitempty"`
	End                   string                   `json:"end,omitempty"`
	MinutesDuration       *int                     `json:"minutesDuration,omitempty"`
	Slot                  []Reference              `json:"slot,omitempty"`
	Created               string                   `json:"created,omitempty"`
	Comment               string                   `json:"comment,omitempty"`
	PatientInstruction    string                   `json:"patientInstruction,omitempty"` // R4
	BasedOn               []Reference              `json:"basedOn,omitempty"`
	Participant           []AppointmentParticipant `json:"participant,omitempty"`
	RequestedPeriod       []Period                 `json:"requestedPeriod,omitempty"`
}

// ResourceType is "Appointment".
func (*Appointment) ResourceType() string { return "Appointment" }

// AppointmentParticipant is one who takes part: practitioner, place, patient.
// An actor of type PractitionerRole exists in R4 only.
type AppointmentParticipant struct {
	Element
	Type     []CodeableConcept `json:"type,omitempty"`
	Actor    *Reference        `json:"actor,omitempty"`
	Required string            `json:"required,omitempty"`
	Status   string            `json:"status,omitempty"`
	Period   *Period           `json:"period,omitempty"` // R4
}
