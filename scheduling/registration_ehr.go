package scheduling

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// RegisterWay is how a person gets a Patient at a source.
type RegisterWay string

// The ways to register.
const (
	// RegisterPost: a plain POST; the server knows its people by itself
	// (Argonaut Scheduling 1.0: the client shall not use If-None-Exist).
	RegisterPost RegisterWay = "post"
	// RegisterIfNoneExist: a create that is conditional on the identifiers.
	RegisterIfNoneExist RegisterWay = "if-none-exist"
	// RegisterSearch: a search, and a POST where nobody was found.
	RegisterSearch RegisterWay = "search-then-post"
	// RegisterMatch: Patient/$match is asked who it is, and a POST where nobody is
	// like them.
	RegisterMatch RegisterWay = "match"
	// RegisterNone: nobody can be registered there by us.
	RegisterNone RegisterWay = "none"
)

// Valid tells whether w is one of the ways.
func (w RegisterWay) Valid() bool {
	switch w {
	case RegisterPost, RegisterIfNoneExist, RegisterSearch, RegisterMatch, RegisterNone:
		return true
	default:
		return false
	}
}

// MatchGrade is how sure a source is that a Patient is the person asked for
// (http://hl7.org/fhir/StructureDefinition/match-grade); "" where it does not say.
type MatchGrade string

// The grades.
const (
	MatchCertain      MatchGrade = "certain"
	MatchProbable     MatchGrade = "probable"
	MatchPossible     MatchGrade = "possible"
	MatchCertainlyNot MatchGrade = "certainly-not"
)

// Registering is how persons are registered at a source.
type Registering struct {
	Way         RegisterWay
	CallTimeout time.Duration // of one call that changes something
	ReadTimeout time.Duration // of one search
	// Settle is how long after a call whose answer was lost nobody may say that
	// it did nothing (law 5).
	Settle time.Duration
	// Lag is how far the source's searches are behind its writes.
	Lag time.Duration
}

// RegisterCall asks an EHR for a Patient of this person.
type RegisterCall struct {
	Person Registration
	// Identifier is ours; it goes on the Patient beside the person's own.
	Identifier string
	// Conditional: none is made where one has an identifier of the person, or
	// ours (If-None-Exist).
	Conditional bool
}

// Identifiers are those that the Patient is known by: the person's, and ours.
func (c RegisterCall) Identifiers() []PersonIdentifier {
	ids := c.Person.Naming()
	if c.Identifier != "" {
		ids = append(ids, PersonIdentifier{System: PatientIdentifierSystem, Value: c.Identifier})
	}
	return ids
}

// PatientQuery looks for Patients at an EHR: by identifiers (one of them), or by
// name and birth date together.
type PatientQuery struct {
	Identifiers []PersonIdentifier
	Name        PersonName
	BirthDate   string
}

// MayBe tells whether the Patient is one of those asked for: a server that does
// not know a parameter answers with everybody. How a server compares names is its
// own affair (accents, apostrophes, a name as text alone), so whom it finds by
// name is left out by the birth date only.
func (q PatientQuery) MayBe(p NativePatient) bool {
	if len(q.Identifiers) == 0 {
		return sameDate(q.BirthDate, p.BirthDate)
	}
	// The value alone is enough: the system may be written in another way.
	return len(p.Identifiers) == 0 || slices.ContainsFunc(p.Identifiers, func(id PersonIdentifier) bool {
		return slices.ContainsFunc(q.Identifiers, func(asked PersonIdentifier) bool { return strings.EqualFold(asked.Value, id.Value) })
	})
}

// LogValue shows nothing (law 10).
func (q PatientQuery) LogValue() slog.Value { return slog.StringValue("patient query") }

// NativePatient is a Patient as an EHR shows it.
type NativePatient struct {
	ID          string
	Identifiers []PersonIdentifier
	Names       []PersonName
	BirthDate   string
	Gender      string
	// Bare: the EHR gave the id alone.
	Bare bool
	// Closed: nothing may be booked for this chart. It is inactive, or another
	// stands in its place, or it is of somebody who has died.
	Closed bool
	// Made: the answer says that it was created just now.
	Made bool
	// Grade is how sure the source is, of one that it matched.
	Grade MatchGrade
}

// LogValue shows the id only (law 10).
func (p NativePatient) LogValue() slog.Value { return slog.StringValue(p.ID) }

// String keeps a person out of %v.
func (p NativePatient) String() string { return "patient " + p.ID }

// LinkState is how far a person's registration at a source has come.
type LinkState string

// The states of a link.
const (
	LinkNone    LinkState = ""        // nothing was sent, or it is known to have done nothing
	LinkSending LinkState = "sending" // it was sent, or is about to be; its result is not known
	LinkKnown   LinkState = "known"   // Native is the Patient at the source
)

// PatientLink is what leads from a person of ours to the Patient of a source. It
// holds no demographics.
type PatientLink struct {
	State      LinkState `json:"state"`
	Native     string    `json:"native,omitempty"`
	Identifier string    `json:"identifier,omitempty"` // ours, on the Patient
	SentAt     time.Time `json:"sentAt,omitzero"`
	// Answered: the call's answer does not tell what it did, and the source is
	// done with it (see ErrAnswered).
	Answered bool `json:"answered,omitempty"`
	// Made: we created it, it was not found. For the operator alone (law 13).
	Made bool `json:"made,omitempty"`
	// Forgotten: the person was deleted; the link is kept for what is open.
	Forgotten bool      `json:"forgotten,omitempty"`
	Created   time.Time `json:"created,omitzero"`
	// Checked is when the source last showed that Native is this person.
	Checked time.Time `json:"checked,omitzero"`
	// Unclear: the source has answered a create with somebody else, or with
	// several: the clinic must look.
	Unclear bool `json:"unclear,omitempty"`
}

// LogValue shows ids and the state.
func (l PatientLink) LogValue() slog.Value {
	return slog.GroupValue(slog.String("native", l.Native), slog.String("state", string(l.State)))
}

// ErrAnswered is within an error in doubt: the source itself has answered that
// it failed. What the call did is not known, but it runs no longer.
var ErrAnswered = errors.New("scheduling: the source has answered, and is done with the call")
