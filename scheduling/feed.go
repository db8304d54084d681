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
}

// Snapshot is everything that is known of a source at one point of its feed.
type Snapshot struct {
	// Loaded: a worker has filled the source since the store was last empty.
	Loaded    bool
	Directory Directory
	Windows   []Window
	Checks    []Check
	Status    Status
	// Generations of slots whose offers were used up, by slot id (see OfferID).
	Generations map[string]uint32
}

// Change is one step of a source's feed. What is nil or empty did not change.
type Change struct {
	Windows     []Window // one without slots is gone
	Check       *Check
	Directory   *Directory // the whole new directory
	Status      *Status
	Generations map[string]uint32
}

// Lease is the right to work on a source for a while.
type Lease interface {
	// Renew prolongs the lease. An error means that it is lost.
	Renew(ctx context.Context) error
	// Release gives it back, if it is still ours.
	Release(ctx context.Context) error
}
