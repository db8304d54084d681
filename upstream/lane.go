package upstream

import "slotgate/scheduling"

// lane is the place of a call in the queue for a source's budget (law 6).
type lane string

// The lanes, in order of precedence. A lane waits while one before it has
// somebody waiting, but for the small share that keeps it from starving.
const (
	laneBook       lane = "book"       // book, cancel, their reading back, settling
	laneHold       lane = "hold"       // hold, release
	laneRead       lane = "read"       // callers read or list; small reads
	laneRevalidate lane = "revalidate" // one offer is looked at again
	lanePrefetch   lane = "prefetch"   // slots and the directory, whole
)

// lanes are all of them in order.
var lanes = [...]lane{laneBook, laneHold, laneRead, laneRevalidate, lanePrefetch}

// rank is a lane's place in the order, 0 the first.
func (l lane) rank() int {
	for i, one := range lanes {
		if one == l {
			return i
		}
	}
	return len(lanes) - 1
}

// patient: nobody waits for the answer. Such calls leave one place free where
// there are three or more.
func (l lane) patient() bool { return l == laneRevalidate || l == lanePrefetch }

// laneFor is the lane of a read; probe tells that it passes an open breaker: it
// finds out what a write did, and nobody else can.
func laneFor(purpose scheduling.Purpose) (l lane, probe bool) {
	switch purpose {
	case scheduling.ForBook, scheduling.ForSettle:
		return laneBook, true
	case scheduling.ForHold:
		return laneHold, true
	default:
		return laneRead, false
	}
}

// guard is the class of a call that has a breaker of its own, so that a source
// whose searches hang can still be booked, and the other way round.
type guard string

const (
	guardRead     guard = "read"
	guardWrite    guard = "write"
	guardPrefetch guard = "prefetch"
)

// guards are all of them.
var guards = [...]guard{guardRead, guardWrite, guardPrefetch}

// guard is the breaker that a call belongs to.
func (c *call) guard() guard {
	switch {
	case c.write && c.lane != lanePrefetch:
		return guardWrite
	case c.lane.patient():
		return guardPrefetch
	default:
		return guardRead
	}
}
