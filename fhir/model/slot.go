package model

// Slot is a span of time on a schedule. In STU3 ServiceCategory holds one
// entry at most.
type Slot struct {
	Base
	Identifier      []Identifier     `json:"identifier,omitempty"`
	ServiceCategory Concepts         `json:"serviceCategory,omitempty"`
	ServiceType     Concepts         `json:"serviceType,omitempty"`
	Specialty       Concepts         `json:"specialty,omitempty"`
	AppointmentType *CodeableConcept `json:"appointmentType,omitempty"`
	Schedule        *Reference       `json:"schedule,omitempty"`
	Status          string           `json:"status,omitempty"`
	Start           string           `json:"start,omitempty"`
	End             string           `json:"end,omitempty"`
	Overbooked      *bool            `json:"overbooked,omitempty"`
	Comment         string           `json:"comment,omitempty"`
}

// ResourceType is "Slot".
func (*Slot) ResourceType() string { return "Slot" }

// Schedule is what slots belong to: who and where, and for what.
type Schedule struct {
	Base
	Identifier      []Identifier `json:"identifier,omitempty"`
	Active          *bool        `json:"active,omitempty"`
	ServiceCategory Concepts     `json:"serviceCategory,omitempty"`
	ServiceType     Concepts     `json:"serviceType,omitempty"`
	Specialty       Concepts     `json:"specialty,omitempty"`
	Actor           []Reference  `json:"actor,omitempty"`
	PlanningHorizon *Period      `json:"planningHorizon,omitempty"`
	Comment         string       `json:"comment,omitempty"`
}

// ResourceType is "Schedule".
func (*Schedule) ResourceType() string { return "Schedule" }
