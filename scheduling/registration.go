package scheduling

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// PatientIdentifierSystem is the system of the identifier that we put on a
// Patient that we register at an EHR: an answer that was lost is found by it.
const PatientIdentifierSystem = "urn:slotgate:patient"

// CallRegister makes a Patient at an EHR.
const CallRegister CallKind = "register"

// Registration is a person who was registered at the gateway: the elements of
// US Core that decide who it is, and the whole resource as it came, so that
// nothing is lost on the way to an EHR. It is stored sealed, and never logged.
type Registration struct {
	ID          string             `json:"id"` // our Patient id
	Identifiers []PersonIdentifier `json:"identifiers,omitempty"`
	Names       []PersonName       `json:"names,omitempty"`
	Gender      string             `json:"gender,omitempty"`    // male, female, other, unknown
	BirthDate   string             `json:"birthDate,omitempty"` // YYYY, YYYY-MM or YYYY-MM-DD
	Telecoms    []PersonTelecom    `json:"telecoms,omitempty"`
	Addresses   []PersonAddress    `json:"addresses,omitempty"`
	// Release is the FHIR release of Resource, which is JSON without id, version
	// and time of change: those are ours.
	Release  Release   `json:"release"`
	Resource []byte    `json:"resource"`
	Created  time.Time `json:"created,omitzero"` // UTC
}

// PersonIdentifier is a business identifier. One without a system names nobody.
type PersonIdentifier struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value,omitempty"`
}

// PersonName is one name of a person.
type PersonName struct {
	Family string   `json:"family,omitempty"`
	Given  []string `json:"given,omitempty"`
	Prefix []string `json:"prefix,omitempty"`
	Suffix []string `json:"suffix,omitempty"`
	Text   string   `json:"text,omitempty"`
}

// PersonTelecom is a phone number, an e-mail address or the like.
type PersonTelecom struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value,omitempty"`
}

// PersonAddress is a postal address.
type PersonAddress struct {
	Lines      []string `json:"lines,omitempty"`
	City       string   `json:"city,omitempty"`
	District   string   `json:"district,omitempty"`
	State      string   `json:"state,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
	Country    string   `json:"country,omitempty"`
	Text       string   `json:"text,omitempty"`
}

// LogValue shows the id only (law 10).
func (r Registration) LogValue() slog.Value {
	return slog.GroupValue(slog.String("patient", r.ID))
}

// String keeps a person out of %v and %s too.
func (r Registration) String() string { return "patient " + r.ID }

// GoString keeps a person out of %#v.
func (r Registration) GoString() string { return r.String() }

// patientPrefix is in front of every Patient id of ours.
const patientPrefix = "pt-"

// patientLetters are those of our Patient ids.
const patientLetters = "abcdefghijkmnpqrstuvwxyz23456789"

// NewPatientID makes a Patient id of ours of 26 bytes that nobody can guess.
func NewPatientID(random [26]byte) string {
	id := []byte(patientPrefix)
	for _, b := range random {
		id = append(id, patientLetters[b%byte(len(patientLetters))])
	}
	return string(id)
}

// OwnPatientID tells whether the id has the form of ours: it is never a source's
// own, whoever names it. What has another form is looked for nowhere: it may be
// a record number, or a name (law 10).
func OwnPatientID(id string) bool {
	random, ok := strings.CutPrefix(id, patientPrefix)
	return ok && len(random) == 26 && strings.Trim(random, patientLetters) == ""
}

// Naming are the identifiers that name a person all over the world: those with
// a system and a value.
func (r Registration) Naming() []PersonIdentifier {
	var list []PersonIdentifier
	for _, id := range r.Identifiers {
		if id.System != "" && id.Value != "" && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// Folded is a name as names are compared: lower case, one space between words.
func Folded(name string) string {
	return strings.Join(strings.Fields(strings.ToLower(name)), " ")
}

// sameDate compares as far as both are told.
func sameDate(a, b string) bool {
	n := min(len(a), len(b))
	return a[:n] == b[:n]
}

func told(gender string) bool { return gender != "" && gender != "unknown" }

// PatientSearch asks for persons among a principal's own; all that is set must
// hold.
type PatientSearch struct {
	Identifiers []PersonIdentifier // one of them; an empty System means any
	Family      string             // the beginning of a family name
	Given       []string           // the beginnings of given names, each must hold
	Gender      string
	BirthDate   string // a day, a month or a year
}

// Empty tells whether nothing is asked for.
func (s PatientSearch) Empty() bool {
	return len(s.Identifiers) == 0 && s.Family == "" && len(s.Given) == 0 && s.Gender == "" && s.BirthDate == ""
}

// LogValue shows nothing: what is searched for are demographics (law 10).
func (s PatientSearch) LogValue() slog.Value { return slog.StringValue("patient search") }

// String keeps it out of %v.
func (s PatientSearch) String() string { return "patient search" }

// Matches tells whether the person is one of those asked for. Names are
// compared by their beginnings, without regard to case
// (http://hl7.org/fhir/search.html#string).
func (s PatientSearch) Matches(r Registration) bool {
	return s.matchesIdentifier(r) && s.matchesName(r) &&
		(s.Gender == "" || s.Gender == r.Gender) &&
		(s.BirthDate == "" || strings.HasPrefix(r.BirthDate, s.BirthDate))
}

func (s PatientSearch) matchesIdentifier(r Registration) bool {
	return len(s.Identifiers) == 0 || slices.ContainsFunc(s.Identifiers, func(asked PersonIdentifier) bool {
		return slices.ContainsFunc(r.Identifiers, func(id PersonIdentifier) bool {
			return id.Value == asked.Value && (asked.System == "" || asked.System == id.System)
		})
	})
}

func (s PatientSearch) matchesName(r Registration) bool {
	begins := func(name, asked string) bool { return strings.HasPrefix(Folded(name), Folded(asked)) }
	if s.Family != "" && !slices.ContainsFunc(r.Names, func(n PersonName) bool { return begins(n.Family, s.Family) }) {
		return false
	}
	for _, asked := range s.Given {
		has := func(n PersonName) bool {
			return slices.ContainsFunc(n.Given, func(one string) bool { return begins(one, asked) })
		}
		if !slices.ContainsFunc(r.Names, has) {
			return false
		}
	}
	return true
}
