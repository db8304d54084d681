package scheduling

import "time"

// SlotStatus is the state of a slot (http://hl7.org/fhir/ValueSet/slotstatus).
type SlotStatus string

// The statuses of a slot. Only a free one is ever offered.
const (
	SlotFree        SlotStatus = "free"
	SlotBusy        SlotStatus = "busy"
	SlotUnavailable SlotStatus = "busy-unavailable"
	SlotTentative   SlotStatus = "busy-tentative"
	SlotError       SlotStatus = "entered-in-error"
)

// Slot is a stretch of time on one schedule of one source.
type Slot struct {
	// ID is the slot's identity within its source and never empty. It is the
	// source's own Slot id, or one derived from schedule, times and type where
	// the source names none (then Virtual is true).
	ID      string `json:"id"`
	Virtual bool   `json:"virtual,omitempty"`
	// Appointment is the id of the proposed Appointment that the source itself
	// put forward for this slot, if it did ($find); it may be temporary.
	Appointment string     `json:"appointment,omitempty"`
	Schedule    string     `json:"schedule"` // id within the source
	Status      SlotStatus `json:"status"`
	Start       time.Time  `json:"start"` // instant, UTC
	End         time.Time  `json:"end"`   // instant, UTC, after Start

	// The slot's own; where empty, its schedule's hold (see Setting).
	ServiceCategory []Concept `json:"serviceCategory,omitempty"`
	ServiceType     []Concept `json:"serviceType,omitempty"`
	Specialty       []Concept `json:"specialty,omitempty"`
	AppointmentType *Concept  `json:"appointmentType,omitempty"`
	Comment         string    `json:"comment,omitempty"`
	// Portal is where it is booked, where the source itself tells (SMART
	// Scheduling Links). Nobody may change it in place.
	Portal *Portal `json:"portal,omitempty"`
}

// Portal is a page or a telephone of the clinic's own, where a slot is booked
// that cannot be booked through us.
type Portal struct {
	URL   string `json:"url,omitempty"` // http or https
	Phone string `json:"phone,omitempty"`
}

// Minutes is the slot's length in whole minutes.
func (s Slot) Minutes() int { return int(s.End.Sub(s.Start) / time.Minute) }

// Usable tells why the slot can never be offered, "" when it can. MaxSlot is
// the longest stretch that is still taken for one appointment: a published
// example ends a month after it starts.
func (s Slot) Usable() Reason {
	switch {
	case s.ID == "":
		return NoID
	case !s.End.After(s.Start):
		return EndsBeforeStart
	case s.End.Sub(s.Start) > MaxSlot:
		return TooLong
	default:
		return ""
	}
}

// MaxSlot is the longest slot that is offered.
const MaxSlot = 24 * time.Hour
