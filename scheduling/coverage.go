package scheduling

import (
	"log/slog"
	"strings"
	"time"
)

// CoverageIdentifierSystem is the system of the identifier that we put on a
// Coverage that we send to an EHR: an answer that was lost is found by it.
const CoverageIdentifierSystem = "urn:slotgate:coverage"

// CallCover makes or changes a Coverage at an EHR.
const CallCover CallKind = "cover"

// Coverage is a patient's insurance as it was given to the gateway: who it is
// for, and the whole resource as it came. It is stored sealed, and never logged.
type Coverage struct {
	ID      string `json:"id"`      // our Coverage id
	Version uint64 `json:"version"` // 1 at first; one more with every PUT
	// Patient is our id of the one whom it covers: the beneficiary, else the
	// patient of the RelatedPerson who subscribes, else the subscriber.
	Patient string `json:"patient"`
	// Release is the FHIR release of Resource, which is JSON without id, version
	// and time of change. References to Patients are ours (Patient/pt-...); a
	// RelatedPerson who subscribes is contained.
	Release  Release   `json:"release"`
	Resource []byte    `json:"resource"`
	Created  time.Time `json:"created,omitzero"` // UTC
	Updated  time.Time `json:"updated,omitzero"` // UTC
}

// LogValue shows the id only (law 10).
func (c Coverage) LogValue() slog.Value {
	return slog.GroupValue(slog.String("coverage", c.ID))
}

// String keeps the insurance out of %v and %s too.
func (c Coverage) String() string { return "coverage " + c.ID }

// GoString keeps it out of %#v.
func (c Coverage) GoString() string { return c.String() }

// coveragePrefix is in front of every Coverage id of ours.
const coveragePrefix = "cv-"

// NewCoverageID makes a Coverage id of ours of 26 bytes that nobody can guess.
func NewCoverageID(random [26]byte) string {
	return coveragePrefix + strings.TrimPrefix(NewPatientID(random), patientPrefix)
}

// OwnCoverageID tells whether the id has the form of ours. What has another form
// is looked for nowhere: it may be the number of a policy (law 10).
func OwnCoverageID(id string) bool {
	random, ok := strings.CutPrefix(id, coveragePrefix)
	return ok && OwnPatientID(patientPrefix+random)
}

// CoverWay is when a source is told of a patient's coverage.
type CoverWay string

// The ways to send coverage.
const (
	// CoverNone: the source takes none from us; it is told as not sent.
	CoverNone CoverWay = "none"
	// CoverAfter: once the appointment is booked. A refusal is a warning.
	CoverAfter CoverWay = "after"
	// CoverBefore: before the appointment is booked. A refusal is a warning.
	CoverBefore CoverWay = "before"
	// CoverFirst: as CoverBefore, and without it there is no appointment.
	CoverFirst CoverWay = "first"
)

// Valid tells whether w is one of the ways.
func (w CoverWay) Valid() bool {
	return w == CoverNone || w == CoverAfter || w == CoverBefore || w == CoverFirst
}

// Covering is how coverage is sent to a source.
type Covering struct {
	Way CoverWay
	// Conditional: a create may be conditional on our identifier, and be sent
	// again therefore.
	Conditional bool
	CallTimeout time.Duration // of one call that changes something
	ReadTimeout time.Duration // of one search
	Settle      time.Duration // as in Registering
	Lag         time.Duration
}

// CoverageCall asks an EHR to take a Coverage.
type CoverageCall struct {
	Coverage Coverage
	// Natives are the source's Patient ids by ours, of everyone whom the
	// resource names.
	Natives map[string]string
	// Identifier is ours; it goes on the Coverage beside its own.
	Identifier string
	// Native is the Coverage at the source that is replaced (PUT); "" makes one.
	Native string
	// Conditional: none is made where one has our identifier (If-None-Exist).
	Conditional bool
}

// LogValue shows ids only (law 10).
func (c CoverageCall) LogValue() slog.Value { return c.Coverage.LogValue() }

// String keeps it out of %v.
func (c CoverageCall) String() string { return c.Coverage.String() }

// NativeCoverage is a Coverage as an EHR has it.
type NativeCoverage struct {
	ID string
	// Made: the answer says that it was created just now.
	Made bool
}

// CoverageLink is what leads from a Coverage of ours to that of a source. It
// tells nothing of the insurance.
type CoverageLink struct {
	State      LinkState `json:"state"`
	Native     string    `json:"native,omitempty"`
	Identifier string    `json:"identifier,omitempty"` // ours, on the Coverage
	SentAt     time.Time `json:"sentAt,omitzero"`
	// Version of the Coverage that the source has, or was sent.
	Version uint64 `json:"version"`
	// Refused is the version that the source did not take; 0: none.
	Refused uint64    `json:"refused,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

// LogValue shows ids and the state.
func (l CoverageLink) LogValue() slog.Value {
	return slog.GroupValue(slog.String("native", l.Native), slog.String("state", string(l.State)))
}
