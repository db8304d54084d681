package scheduling

import (
	"context"
	"time"
)

// Replaced tells what putting an answer in place did.
type Replaced struct {
	Written int // windows that changed
	Removed int // windows that the answer left empty
	Refused int // windows that a later fetch had written already
	Slots   int // open slots of the scope now
}

// Check says that a complete fetch confirmed everything in its scope.
type Check struct {
	Scope Scope
	Fetch uint64
	At    time.Time
	// Valid is the source's own time of what it answered; zero: it told none.
	Valid time.Time
}

// Snapshot is everything that is known of a source at one point of its feed.
type Snapshot struct {
	// Loaded: a worker has filled the source since the store was last empty.
	Loaded    bool
	Directory Directory
	Windows   []Window
	Checks    []Check
	Status    Status
	// Marks of the slots that are claimed or fenced.
	Marks []Mark
	// Generations of slots whose offers were used up, by slot id (see OfferID).
	Generations map[string]uint32
}

// Change is one step of a source's feed. What is nil or empty did not change.
type Change struct {
	Windows     []Window // one without slots is gone
	Check       *Check
	Directory   *Directory // the whole new directory
	Status      *Status
	Marks       []Mark // each in place of what was known of its slot
	Generations map[string]uint32
}

// Mark is what the books say of one slot (law 4). It is open only if nobody
// claims it and a fetch with a number above the fence confirmed its window: no
// answer that was under way while it was taken can bring it back.
type Mark struct {
	Slot    string // id within the source
	Claimed bool
	// Fence is the number of the source's latest fetch when the claim ended; 0
	// while it is claimed, or without one.
	Fence uint64
	// Span is the time that the mark keeps free of others; zero: it is about its
	// slot alone.
	Span Span
}

// Span is a stretch of time on a schedule. Zero is none.
type Span struct {
	Schedule string // id within the source
	From, To time.Time
}

// Overlaps tells whether two spans share time on one schedule.
func (s Span) Overlaps(other Span) bool {
	return s.Schedule != "" && s.Schedule == other.Schedule && s.From.Before(other.To) && other.From.Before(s.To)
}

// Lease is the right to work on a source for a while.
type Lease interface {
	// Renew prolongs the lease. An error means that it is lost.
	Renew(ctx context.Context) error
	// Release gives it back, if it is still ours.
	Release(ctx context.Context) error
}
