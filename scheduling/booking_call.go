package scheduling

import "time"

// HoldWay says how a source holds a slot.
type HoldWay string

// The ways to hold.
const (
	HoldNone HoldWay = ""    // none: a gateway claim, where it is allowed
	HoldEHR  HoldWay = "ehr" // the EHR itself keeps the slot
)

// RescheduleWay says how an appointment goes to another slot.
type RescheduleWay string

// The ways to reschedule.
const (
	BookFirst   RescheduleWay = "book-first"   // book the new one, then cancel the old one
	Move        RescheduleWay = "move"         // one call; the appointment keeps its native id
	CancelFirst RescheduleWay = "cancel-first" // hold the new one, cancel the old one, book the new one
)

// Abilities is what a source can do and how it is to be treated: from its
// dialect, its quirks and its configuration.
type Abilities struct {
	Source SourceID
	// Bookable: holds and bookings can be made. Otherwise 501.
	Bookable bool
	Readonly bool // by configuration: 403
	Paused   bool // by configuration, for a while: 503
	Hold     HoldWay
	// GatewayHolds: a gateway claim may stand in for a hold of the EHR.
	GatewayHolds bool
	// Exclusive: the EHR itself refuses the second booking of a slot (its own
	// compare-and-set). False: one winner among our callers only (law 3).
	Exclusive bool
	// Search: appointments can be searched by our identifier, or by patient and
	// date. False: in doubt the slot decides.
	Search bool
	// Slots: the state of a slot can be read.
	Slots bool
	// Conditional: the create is conditional on our identifier and may
	// therefore be sent again.
	Conditional bool
	Reschedule  RescheduleWay
	// NoCancel: what was booked there cannot be cancelled by us.
	NoCancel bool
	// LateCancel: a booking that appears after it was settled as not booked is
	// cancelled. False: it is told.
	LateCancel bool
	// Patients is how many one appointment takes; 0: any number.
	Patients int
	// OneSlot: an appointment takes one slot. HoldsOne: of several the source
	// itself can hold one only; a gateway claim stands in, where it may.
	OneSlot, HoldsOne bool
	// Overlap says whether a claim keeps away what overlaps with it.
	Overlap Overlap
	// Rules are the clinic's own, by which offers were made.
	Rules Rules

	CallTimeout time.Duration // of one call that changes something
	ReadTimeout time.Duration // of one read
	// Settle is how long after a call was sent *not booked* may be said:
	// longer than lease + call timeout + slowest commit (law 5).
	Settle time.Duration
	// Lag is how far the source's searches may be behind its writes.
	Lag         time.Duration
	HoldDefault time.Duration // length of a hold where the EHR does not say
	HoldMax     time.Duration // length of a hold with all renewals
}

// Of is what the source can do with this offer.
func (a Abilities) Of(offer OfferRecord) Abilities {
	if len(offer.Slots) > 1 && a.HoldsOne {
		a.Hold = HoldNone
	}
	return a
}

// Purpose says for what a read is made: it decides the lane (law 6).
type Purpose string

// The purposes of a read.
const (
	ForBook   Purpose = "book"   // read-back within book, cancel, reschedule
	ForHold   Purpose = "hold"   // read-back within hold, release
	ForSettle Purpose = "settle" // passes an open breaker as its probe
	ForRead   Purpose = "read"   // a caller reads or lists
)

// HoldCall asks an EHR to hold an offer.
type HoldCall struct {
	Offer OfferRecord
	// Hold is the one to be renewed; nil for the first.
	Hold       *Hold
	Identifier string // of ours, where the source takes one
	Patients   []string
	// Length is how long the hold is wanted; an EHR may decide otherwise.
	Length time.Duration
}

// HoldAnswer is a hold that the EHR gave.
type HoldAnswer struct {
	Native string
	ETag   string
	// Length is Expires minus Date, both by the EHR's clock; 0: it did not say.
	Length time.Duration
}

// ReleaseCall gives a hold back, on the condition that it is still a hold (test
// pending, test busy-tentative, or If-Match): it must never undo a booking.
type ReleaseCall struct {
	Offer OfferRecord
	Hold  Hold
}

// BookCall asks an EHR to book an offer.
type BookCall struct {
	Offer      OfferRecord
	Hold       *Hold // ours at the EHR; nil without one
	Identifier string
	Patients   []string // Patient ids at the source, at least one
	Comment    string
	// Moves is the native id of the appointment that goes to these slots, with
	// its version (CallMove); "" for a new one.
	Moves     string
	MovesETag string
}

// CancelCall asks an EHR to cancel an appointment.
type CancelCall struct {
	Offer  OfferRecord
	Native string
	ETag   string // "": whatever version there is
	Reason string // code of the reason, "" for none
	// Identifier is ours on the appointment, and the mark of its slots.
	Identifier string
}

// VacateCall frees what is left of a booking of ours that does not stand, or
// does not stand any more: slots that bear its mark still. No other slot may be
// touched, and none on which an appointment is seen to stand.
type VacateCall struct {
	Offer      OfferRecord
	Native     string // the appointment that was cancelled; "" where none was made
	Identifier string
}

// FindCall looks for appointments: by our identifier where the source can, else
// by patient and day, of any status. Either may be empty, not both.
type FindCall struct {
	Identifier string
	Patients   []string
	From, To   time.Time // the appointment begins in here; instants, To not included
	Purpose    Purpose
}

// SlotState is what the EHR shows of a slot now.
type SlotState struct {
	ID     string
	Status SlotStatus
	ETag   string
	Mark   string // our identifier, where the slot carries our mark of a hold (not that of a booking)
}

// KeyState is what is known of an idempotency key.
type KeyState string

// The states of an idempotency key.
const (
	KeyFresh   KeyState = "fresh"   // ours now: run, then Finish or Abandon
	KeyRunning KeyState = "running" // another one runs it
	KeyDone    KeyState = "done"    // Answer holds what was answered
	KeyOther   KeyState = "other"   // used with another body
)

// KeyRecord is the answer to the question whether a request was seen before.
type KeyRecord struct {
	State  KeyState
	Offer  string // what the running one is about
	Answer []byte // as given to Finish
}
