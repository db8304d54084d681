package scheduling

import (
	"slices"
	"time"
)

// AppointmentStatus is the state of an appointment
// (http://hl7.org/fhir/ValueSet/appointmentstatus, STU3 and R4).
type AppointmentStatus string

// The statuses of an appointment. Callers bring about the first four; what
// follows them an EHR alone may set.
const (
	ApptProposed  AppointmentStatus = "proposed"
	ApptPending   AppointmentStatus = "pending"
	ApptBooked    AppointmentStatus = "booked"
	ApptCancelled AppointmentStatus = "cancelled"

	ApptArrived   AppointmentStatus = "arrived"
	ApptFulfilled AppointmentStatus = "fulfilled"
	ApptNoShow    AppointmentStatus = "noshow"
	ApptError     AppointmentStatus = "entered-in-error"
	ApptCheckedIn AppointmentStatus = "checked-in" // R4 only
	ApptWaitlist  AppointmentStatus = "waitlist"   // R4 only
)

// appointmentSteps is the state diagram of Argonaut Scheduling: proposed ->
// pending -> booked -> cancelled, with what the EHR adds to it.
func appointmentSteps(from AppointmentStatus) []AppointmentStatus {
	switch from {
	case ApptProposed:
		return []AppointmentStatus{ApptPending, ApptBooked}
	case ApptPending:
		return []AppointmentStatus{ApptProposed, ApptPending, ApptBooked, ApptCancelled, ApptWaitlist, ApptError}
	case ApptWaitlist:
		return []AppointmentStatus{ApptPending, ApptBooked, ApptCancelled, ApptError}
	case ApptBooked:
		return []AppointmentStatus{ApptCancelled, ApptArrived, ApptCheckedIn, ApptFulfilled, ApptNoShow, ApptError}
	case ApptArrived:
		return []AppointmentStatus{ApptCheckedIn, ApptFulfilled, ApptCancelled, ApptNoShow, ApptError}
	case ApptCheckedIn:
		return []AppointmentStatus{ApptArrived, ApptFulfilled, ApptCancelled, ApptNoShow, ApptError}
	case ApptFulfilled, ApptNoShow, ApptCancelled:
		return []AppointmentStatus{ApptError}
	default:
		return nil
	}
}

// MayBecome tells whether the state diagram leads from s to next in one step.
// Pending becomes pending when a hold is renewed, and proposed when it is
// released.
func (s AppointmentStatus) MayBecome(next AppointmentStatus) bool {
	return slices.Contains(appointmentSteps(s), next)
}

// Known tells whether s is a status of STU3 or R4.
func (s AppointmentStatus) Known() bool {
	return appointmentSteps(s) != nil || s == ApptError
}

// ByEHR tells that the EHR alone may set this status.
func (s AppointmentStatus) ByEHR() bool {
	switch s {
	case ApptProposed, ApptPending, ApptBooked, ApptCancelled:
		return false
	default:
		return true
	}
}

// Stands tells that the appointment exists at the EHR and keeps its slot, or
// kept it until the visit: booked, or what the EHR made of a booked one.
func (s AppointmentStatus) Stands() bool {
	switch s {
	case ApptBooked, ApptArrived, ApptCheckedIn, ApptFulfilled, ApptNoShow:
		return true
	default:
		return false
	}
}

// Cancellable tells whether a cancel is worth a try: the diagram allows it, or
// the EHR shows a status, or none, from which nothing follows.
func (s AppointmentStatus) Cancellable() bool {
	return s.MayBecome(ApptCancelled) || s == ApptProposed || !s.Known()
}

// Void tells that the appointment was taken back.
func (s AppointmentStatus) Void() bool { return s == ApptCancelled || s == ApptError }

// Appointment is an appointment as one read of the EHR shows it. What the EHR
// did not return is empty, and is told as not proved (law 1).
type Appointment struct {
	ID      string            `json:"id"`             // at the source
	ETag    string            `json:"etag,omitempty"` // as the source wrote it, for If-Match
	Status  AppointmentStatus `json:"status"`
	Start   time.Time         `json:"start,omitzero"` // instant, UTC
	End     time.Time         `json:"end,omitzero"`   // instant, UTC
	Slots   []string          `json:"slots,omitempty"`
	Actors  []Actor           `json:"actors,omitempty"` // practitioners, places, services: ids at the source
	Patient []string          `json:"-"`                // Patient ids at the source; never kept in clear
	// Identifiers are the values that carry our identifier system.
	Identifiers []string  `json:"identifiers,omitempty"`
	Updated     time.Time `json:"updated,omitzero"` // meta.lastUpdated
	Created     time.Time `json:"created,omitzero"` // when it was made; zero where only the day is told
	// Shown is when the EHR gave this answer, by its own clock (Date); zero where
	// it was not told.
	Shown time.Time `json:"shown,omitzero"`
}

// HasIdentifier tells whether the appointment carries this identifier of ours.
func (a Appointment) HasIdentifier(value string) bool {
	return value != "" && slices.Contains(a.Identifiers, value)
}
