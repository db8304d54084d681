package scheduling

import "time"

// Search asks for records of one kind of the directory: AND between criteria,
// OR within one. A criterion that the kind does not have matches nothing.
type Search struct {
	Kind          Kind
	IDs           []string // ours
	Identifiers   []Token
	Name          []string // parts, without regard to case
	Specialty     []Token
	Address       []string
	Organizations []Ref
	Practitioners []Ref
	Locations     []Ref
	Schedules     []Ref
	Start         []TimeTest // slots only
	Status        []string   // slots only
	Sources       []SourceID

	Count int
	After string // our id of the last record of the page before
}

// TimeTest is a search on a date with its prefix
// (http://hl7.org/fhir/search.html#prefix): eq, ge, gt, le, lt.
type TimeTest struct {
	Prefix string
	Bound  Bound
}

// Allows tells whether the instant t, at a place in zone, passes the test. A
// day is a stretch of time: eq is within it, gt after it, lt before it.
func (tt TimeTest) Allows(t time.Time, zone *time.Location) bool {
	from, to := tt.Bound.At, tt.Bound.At
	if tt.Bound.IsDay {
		from, to = tt.Bound.Day.Start(zone), tt.Bound.Day.End(zone).Add(-time.Nanosecond)
	}
	switch tt.Prefix {
	case "ge":
		return !t.Before(from)
	case "gt":
		return t.After(to)
	case "le":
		return !t.After(to)
	case "lt":
		return t.Before(from)
	default:
		return !t.Before(from) && !t.After(to)
	}
}

// Record is one record of the directory. Just one of the pointers is set, by
// Kind; Zone is that of the place, for slots.
type Record struct {
	ID     string // ours
	Source Source
	Kind   Kind

	Practitioner *Practitioner
	Role         *Role
	Location     *Location
	Organization *Organization
	Service      *Service
	Schedule     *Schedule
	Slot         *Slot
	Setting      *Setting // of a slot
}

// Records is one page of a Search.
type Records struct {
	Total   int
	Records []Record // in order of our id
	More    bool
}
