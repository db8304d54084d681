package scheduling

import "maps"

// Reason says why a record of a source cannot be used (law 12: no silent loss).
type Reason string

// The reasons, as they are shown to operators.
const (
	NoID            Reason = "no-id"
	BadResource     Reason = "bad-resource"
	NoTime          Reason = "no-time"
	BadTime         Reason = "bad-time"
	NoZone          Reason = "no-zone"
	NoSuchTime      Reason = "no-such-time" // skipped by the change to summer time
	EndsBeforeStart Reason = "ends-before-start"
	TooLong         Reason = "too-long"
	UnknownStatus   Reason = "unknown-status"
	NoSchedule      Reason = "no-schedule"
	UnknownSchedule Reason = "unknown-schedule" // a dangling reference
	NoActor         Reason = "no-actor"
	UnknownActor    Reason = "unknown-actor"
	InactiveActor   Reason = "inactive"
	Conflicting     Reason = "conflicting" // one id, two different times
	Unmapped        Reason = "unmapped-code"
)

// Tally counts records by reason.
type Tally map[Reason]int

// Add counts n more for reason.
func (t Tally) Add(reason Reason, n int) {
	if n > 0 {
		t[reason] += n
	}
}

// Merge adds all of other.
func (t Tally) Merge(other Tally) {
	for reason, n := range other {
		t.Add(reason, n)
	}
}

// Total is the sum over all reasons.
func (t Tally) Total() int {
	total := 0
	for _, n := range t {
		total += n
	}
	return total
}

// Clone is a copy that shares nothing.
func (t Tally) Clone() Tally { return maps.Clone(t) }
