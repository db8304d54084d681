package scheduling

import (
	"log/slog"
	"time"
)

// EntryState is where the journey of one offer stands. In-flight states
// (holding, releasing, booking, cancelling) are the recorded intent: they are
// saved before the EHR is called.
//
//	(none), free -> holding -> held -> booking -> booked | doubt | free
//	(none), free -> booking, or held (by the gateway only)
//	held -> holding (renewed) | releasing -> free
//	doubt -> booked | cancelling | not-booked
//	booked -> cancelling -> cancelled | booked
//	cancelled -> booking (only to give back what a failed reschedule took)
//	cancelled -> booked (it was only not shown, and shows again)
//	releasing -> booked (a hold of which only the EHR knew, and which was a booking)
type EntryState string

// The states of an entry.
const (
	EntryFree       EntryState = "free"       // nothing is held: the id is an offer again
	EntryHolding    EntryState = "holding"    // a hold is being asked for or renewed
	EntryHeld       EntryState = "held"       // the only state that expires
	EntryReleasing  EntryState = "releasing"  // a hold is being given back
	EntryBooking    EntryState = "booking"    // a booking (or a move) is being asked for
	EntryDoubt      EntryState = "doubt"      // asked for, and nobody knows what the EHR did
	EntryBooked     EntryState = "booked"     // read back from the EHR
	EntryCancelling EntryState = "cancelling" // a cancel is being asked for; with Doubt: nobody knows
	EntryCancelled  EntryState = "cancelled"  // it was booked, and is no more; the id is used up
	EntryNotBooked  EntryState = "not-booked" // it was in doubt, and proved not booked; the id is used up
)

// entrySteps is the table of the comment above; staying in a state is always
// allowed (a save that changes other fields).
func entrySteps(from EntryState) []EntryState {
	switch from {
	case "", EntryFree:
		return []EntryState{EntryHolding, EntryHeld, EntryReleasing, EntryBooking, EntryBooked}
	case EntryHolding:
		return []EntryState{EntryHeld, EntryReleasing, EntryFree}
	case EntryHeld:
		return []EntryState{EntryHolding, EntryBooking, EntryReleasing, EntryFree}
	case EntryReleasing:
		return []EntryState{EntryFree, EntryHeld, EntryBooked}
	case EntryBooking:
		return []EntryState{EntryBooked, EntryDoubt, EntryHeld, EntryReleasing, EntryFree, EntryCancelling, EntryCancelled, EntryNotBooked}
	case EntryDoubt:
		return []EntryState{EntryBooked, EntryCancelling, EntryCancelled, EntryNotBooked}
	case EntryBooked:
		return []EntryState{EntryCancelling, EntryCancelled}
	case EntryCancelling:
		return []EntryState{EntryBooked, EntryCancelled, EntryNotBooked}
	case EntryNotBooked:
		// A booking that appears late, within the day that reads go on.
		return []EntryState{EntryBooked, EntryCancelling}
	case EntryCancelled:
		return []EntryState{EntryBooking, EntryBooked}
	default:
		return nil
	}
}

// MayBecome tells whether an entry may go from s to next.
func (s EntryState) MayBecome(next EntryState) bool {
	if s == next {
		return s != ""
	}
	for _, step := range entrySteps(s) {
		if step == next {
			return true
		}
	}
	return false
}

// InFlight tells that a call to the EHR may be under way.
func (s EntryState) InFlight() bool {
	return s == EntryHolding || s == EntryReleasing || s == EntryBooking || s == EntryCancelling
}

// Claims tells that the entry keeps its slots from everyone else.
func (s EntryState) Claims() bool {
	switch s {
	case EntryHolding, EntryHeld, EntryReleasing, EntryBooking, EntryDoubt, EntryBooked, EntryCancelling:
		return true
	default:
		return false
	}
}

// CallKind is a call that changes something at an EHR.
type CallKind string

// The calls that change an EHR.
const (
	CallHold    CallKind = "hold"
	CallRelease CallKind = "release"
	CallBook    CallKind = "book"
	CallMove    CallKind = "move" // an appointment goes to other slots and keeps its native id
	CallCancel  CallKind = "cancel"
)

// Intent is the call that is, or may be, under way.
type Intent struct {
	Kind CallKind `json:"kind"`
	// SentAt is when the intent was saved, just before the call.
	SentAt time.Time `json:"sentAt"`
	// Attempt counts the calls of this kind for this entry, from 1. 0: nothing
	// was sent yet, and nothing will be before the next save.
	Attempt int `json:"attempt"`
	// Over: its result is known, and it changed nothing.
	Over bool `json:"over,omitempty"`
	// Key is the digest of the idempotency key under which a cancel was asked
	// for, Refused the code with which the EHR refused it: a repeat is answered
	// as the first was.
	Key     string `json:"key,omitempty"`
	Refused Code   `json:"refused,omitempty"`
}

// HoldBy says who keeps the slot from others.
type HoldBy string

// Who may hold a slot.
const (
	HeldByEHR     HoldBy = "ehr"
	HeldByGateway HoldBy = "gateway" // hides it from our own callers only
)

// Hold is a held offer.
type Hold struct {
	By HoldBy `json:"by"`
	// Native is the id of the pending Appointment at the source, where it made
	// one; ETag its version, or that of the slot that carries our mark.
	Native string    `json:"native,omitempty"`
	ETag   string    `json:"etag,omitempty"`
	Until  time.Time `json:"until"` // when it ends, as told to the caller
	Since  time.Time `json:"since"` // when it was first given
	Max    time.Time `json:"max"`   // no renewal goes beyond
}

// Doubt is what is being done to find out what the EHR did (law 5).
type Doubt struct {
	Since time.Time `json:"since"`          // when the call was sent
	Call  CallKind  `json:"call"`           // which call it was
	Looks int       `json:"looks"`          // reads that found nothing, in a row
	Last  time.Time `json:"last,omitzero"`  // the latest of them
	Next  time.Time `json:"next,omitzero"`  // when to look again
	Seen  string    `json:"seen,omitempty"` // native id that was found but does not decide yet
	// Fenced: what could still commit cannot any more (hold released, slot seen
	// free).
	Fenced bool `json:"fenced,omitempty"`
	// Unresolved: reading cannot decide; a person must.
	Unresolved bool `json:"unresolved,omitempty"`
}

// Absence is that the EHR does not show an appointment that it never showed as
// cancelled. One such answer proves nothing: a lagging replica, a proxy or a
// tenant that is away gives it as well.
type Absence struct {
	Since time.Time `json:"since"` // the first read that did not show it
	Last  time.Time `json:"last"`  // the latest that counts
	Looks int       `json:"looks"` // reads that did not show it, in a row
	// Given: it was shown, for other patients than ours.
	Given bool `json:"given,omitempty"`
}

// Wish is a cancel that was asked for while something else was unsettled; it
// is done at settlement.
type Wish struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"` // a code, never free text
}

// Decision is what a person decided about an unresolved entry.
type Decision struct {
	Booked bool      `json:"booked"`
	Native string    `json:"native,omitempty"`
	By     string    `json:"by"`     // who decided
	Reason string    `json:"reason"` // why
	At     time.Time `json:"at"`
}

// PatientRef is one patient of an appointment.
type PatientRef struct {
	Asked  string `json:"asked"`  // the id as the caller names it, without "Patient/"
	Native string `json:"native"` // the Patient id at the source
}

// Private is the part of an entry that tells of a person. The store seals it
// and never keeps it in clear (law 10).
type Private struct {
	Patients []PatientRef `json:"patients,omitempty"`
	Comment  string       `json:"comment,omitempty"`
	// Coverages are those that go with the booking.
	Coverages []CoverStep `json:"coverages,omitempty"`
}

// OfferRecord is what must be known of an offer to show it, and to verify what
// the EHR made of it, when the replica has it no longer.
type OfferRecord struct {
	Slots           []Slot    `json:"slots"`            // in order of time, at least one
	Schedule        string    `json:"schedule"`         // id at the source
	Actors          []Actor   `json:"actors,omitempty"` // practitioners, places, role, service, organization: ids at the source
	Zone            string    `json:"zone,omitempty"`   // IANA zone of the place
	ServiceCategory []Concept `json:"serviceCategory,omitempty"`
	ServiceType     []Concept `json:"serviceType,omitempty"`
	Specialty       []Concept `json:"specialty,omitempty"`
	AppointmentType *Concept  `json:"appointmentType,omitempty"`
	// Rule is the clinic's by which it was offered; nil for a slot by itself. The
	// offer's id is Rule.OfferID of SlotIDs.
	Rule *Rule `json:"rule,omitempty"`
	// Alone: as long as the slots are claimed nothing that overlaps with them on
	// the schedule can be had (see Overlap).
	Alone bool `json:"alone,omitempty"`
}

// Span is the time of one of the offer's slots that is to be kept free of others;
// zero where others may be there.
func (o OfferRecord) Span(slot Slot) Span {
	schedule := slot.Schedule
	if schedule == "" {
		schedule = o.Schedule
	}
	if !o.Alone || schedule == "" || !slot.End.After(slot.Start) {
		return Span{}
	}
	return Span{Schedule: schedule, From: slot.Start, To: slot.End}
}

// Start is when the appointment begins.
func (o OfferRecord) Start() time.Time { return o.Slots[0].Start }

// End is when it ends.
func (o OfferRecord) End() time.Time { return o.Slots[len(o.Slots)-1].End }

// SlotIDs are the ids of the slots within the source, in order of time.
func (o OfferRecord) SlotIDs() []string {
	ids := make([]string, len(o.Slots))
	for i, slot := range o.Slots {
		ids[i] = slot.ID
	}
	return ids
}

// Actor gives the first actor of this kind.
func (o OfferRecord) Actor(kind Kind) (Actor, bool) {
	for _, a := range o.Actors {
		if a.Kind == kind {
			return a, true
		}
	}
	return Actor{}, false
}

// Location is the place's zone, UTC where it is unknown.
func (o OfferRecord) Location() *time.Location {
	if zone, err := time.LoadLocation(o.Zone); err == nil {
		return zone
	}
	return time.UTC
}

// Restored is the Reason of an entry that was written down again from what an EHR
// shows: it lacks what only the gateway knew, as its own ids of the patients.
const Restored = "restored"

// Entry is the one record of an offer from its first hold on: claim and ledger
// in one, so that they cannot disagree. It is changed by compare-and-set of
// Version alone (see EntryChange), and kept for ever: a used id answers from it.
type Entry struct {
	ID      string     `json:"id"` // the offer's id, the Appointment's id
	Source  SourceID   `json:"source"`
	Version uint64     `json:"version"` // 1 at first; the ETag that callers see
	State   EntryState `json:"state"`
	// Principal is the keyed digest of caller and subject: everyone else is
	// told that the id is unknown, or taken.
	Principal string      `json:"principal"`
	Offer     OfferRecord `json:"offer"`
	Private   Private     `json:"-"` // sealed apart by the store
	Hold      *Hold       `json:"hold,omitempty"`
	Intent    *Intent     `json:"intent,omitempty"`
	Doubt     *Doubt      `json:"doubt,omitempty"`
	Wanted    *Wish       `json:"wanted,omitempty"` // a cancel to be done at settlement
	Decision  *Decision   `json:"decision,omitempty"`
	// Absent: the EHR does not show the appointment; kept beyond the end of one
	// that was never seen as cancelled, since it may show again.
	Absent *Absence `json:"absent,omitempty"`
	// Journey: the booking registers people or sends coverage.
	Journey *Journey `json:"journey,omitempty"`

	Native     string `json:"native,omitempty"`     // the Appointment's id at the source
	ETag       string `json:"etag,omitempty"`       // its version there
	Identifier string `json:"identifier,omitempty"` // ours, on the appointment where the source takes one
	Key        string `json:"key,omitempty"`        // digest of the idempotency key that booked it

	// Used: the id was booked or in doubt once. It is never cleared, and the
	// save that sets it raises the generation of the slots.
	Used       bool   `json:"used,omitempty"`
	Replaces   string `json:"replaces,omitempty"`   // the entry that this booking takes the place of
	ReplacedBy string `json:"replacedBy,omitempty"` // and its counterpart
	// Way is how the reschedule goes; OldDone: the entry that is replaced has
	// ended, nothing is left to do.
	Way     RescheduleWay `json:"way,omitempty"`
	OldDone bool          `json:"oldDone,omitempty"`
	// Reserve: it was cancelled for another that is not booked yet; its slots
	// stay claimed, so that it can be given back.
	Reserve bool `json:"reserve,omitempty"`
	// Undo: the appointment must not stand (another patient's, late, replaced):
	// its cancel is repeated until the EHR shows it cancelled.
	Undo bool `json:"undo,omitempty"`
	// Seen is the status that the EHR showed last; SeenStart and SeenEnd the
	// times, where the clinic moved it.
	Seen      AppointmentStatus `json:"seen,omitempty"`
	SeenAt    time.Time         `json:"seenAt,omitzero"`
	SeenStart time.Time         `json:"seenStart,omitzero"`
	SeenEnd   time.Time         `json:"seenEnd,omitzero"`
	// NotProved names the elements that the EHR did not return (law 1).
	NotProved []string `json:"notProved,omitempty"`
	// Reason is why it is in this state: a Code or a word of ours (Restored), for a
	// cancelled one the code of the reason. Never a foreign text.
	Reason string `json:"reason,omitempty"`
	// Unproved: after a release or a cancel the EHR still shows the slot taken.
	Unproved bool      `json:"unproved,omitempty"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// LogValue shows ids and states only (law 10).
func (e Entry) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("offer", e.ID),
		slog.String("source", string(e.Source)),
		slog.String("state", string(e.State)),
		slog.Uint64("version", e.Version),
		slog.String("native", e.Native),
	)
}

// Status is what callers see: of a booked one what the EHR showed last.
func (e Entry) Status() AppointmentStatus {
	switch e.State {
	case EntryHolding, EntryHeld, EntryBooking, EntryDoubt:
		return ApptPending
	case EntryBooked, EntryCancelling:
		switch {
		case e.Seen == ApptProposed:
			return ApptPending // the EHR has not decided; an offer it is no more
		case e.Seen.Known() && !e.Seen.Void():
			return e.Seen
		}
		return ApptBooked
	case EntryCancelled, EntryNotBooked:
		return ApptCancelled
	default:
		return ApptProposed
	}
}

// Clone is a copy that can be changed without changing e. Offer and Private are
// shared: nobody changes those in place.
func (e Entry) Clone() Entry {
	e.Hold = clone(e.Hold)
	e.Intent = clone(e.Intent)
	e.Doubt = clone(e.Doubt)
	e.Wanted = clone(e.Wanted)
	e.Decision = clone(e.Decision)
	e.Journey = clone(e.Journey)
	e.Absent = clone(e.Absent)
	return e
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// Natives are the Patient ids at the source.
func (p Private) Natives() []string {
	var ids []string
	for _, patient := range p.Patients {
		// A hold may name one whom the source does not know yet.
		if patient.Native != "" {
			ids = append(ids, patient.Native)
		}
	}
	return ids
}
