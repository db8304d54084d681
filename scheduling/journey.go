package scheduling

import "time"

// JourneyStep is one step of a booking that does more than book.
type JourneyStep string

// The steps, in order. The one that is written down is under way, or was when
// the journey stopped.
const (
	StepHold       JourneyStep = "hold"        // the slot is kept for the rest
	StepRegister   JourneyStep = "register"    // patients are matched or made at the source
	StepCover      JourneyStep = "cover"       // coverage goes ahead of the appointment
	StepBook       JourneyStep = "book"        // the appointment is made
	StepCoverAfter JourneyStep = "cover-after" // coverage follows the appointment
	StepDone       JourneyStep = "done"
)

// Journey is how far a booking with newcomers or coverage has come. Any gateway
// can go on with it.
type Journey struct {
	Step  JourneyStep `json:"step"`
	Since time.Time   `json:"since,omitzero"`
	// HeldHere: the hold was made for this booking alone, and goes when there
	// will be none.
	HeldHere bool `json:"heldHere,omitempty"`
}

// CoverState is how far one coverage of a booking has come.
type CoverState string

// The states of a coverage.
const (
	CoverAsked   CoverState = ""         // to be sent before the appointment is made
	CoverLater   CoverState = "later"    // to be sent, or looked for, once it is made
	CoverSent    CoverState = "sent"     // the source has it
	CoverRefused CoverState = "refused"  // the source did not take it, and said why
	CoverNotSent CoverState = "not-sent" // the source takes none from us, or it was forgotten
)

// CoverStep is one coverage of a booking.
type CoverStep struct {
	ID    string     `json:"id"` // our Coverage id
	State CoverState `json:"state,omitempty"`
	// Reason is why the source did not take it, cleaned of its internals.
	Reason string `json:"reason,omitempty"`
}

// Covers tells whether a coverage is in one of the states.
func (p Private) Covers(states ...CoverState) bool {
	for _, step := range p.Coverages {
		for _, state := range states {
			if step.State == state {
				return true
			}
		}
	}
	return false
}
