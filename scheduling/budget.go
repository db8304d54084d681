package scheduling

import "time"

// Lanes is how many lanes calls to a source are queued in, those first that go
// first: book, hold, read, revalidate, prefetch. In the last two nobody waits
// for the answer: they are the patient ones.
const (
	Lanes   = 5
	Patient = 3 // the first lane in which nobody waits
)

// BudgetReport is what a node tells of its calls to a source when it asks to be
// granted some. All numbers are as they are now, none is a difference, save Back
// and Spent, which count once for each Number: a report whose answer was lost does
// no harm.
type BudgetReport struct {
	Node   string // names the node while it lives
	Number int    // of the report, from 1 on
	Gone   bool   // it asks for nothing any more
	Known  int    // nodes that it was last told of
	Rate   float64
	Places int

	Urgent, Lazy int        // calls under way: those that somebody waits for, and the others
	Waiting      [Lanes]int // calls that wait, by lane
	Spare        int        // how many could follow those, on places that it has
	Back         int        // of what was granted so and not used
	Spent        int        // calls that it made without asking

	Share   float64       // of the limits that the source is asked for at most, as it found out; 1: nothing was found
	Recover time.Duration // how long that takes from nothing to all
	Pause   time.Duration // how long the source wants to be left alone; 0: it does not

	Day BudgetDay
}

// BudgetDay is the day that calls are counted by.
type BudgetDay struct {
	Day      Day
	From, To time.Time  // its bounds
	Spent    int        // calls of it by all nodes, as the node was last told; a store that lost its count goes on from there
	Most     [Lanes]int // calls of the day from which on a lane gets none; 0: none is
}

// BudgetWord is the answer, of what is known of all nodes.
type BudgetWord struct {
	Now     time.Time  // by the clock that all share
	Another bool       // it is not the day of the report; nothing was granted
	Granted [Lanes]int // calls of those that wait, to be made now
	Spare   int        // calls that may be made for a moment without asking
	Places  int        // calls at once, of all nodes
	Others  int        // calls of other nodes that are under way or wait
	Nodes   int        // that are known, this one among them
	Share   float64
	Pause   time.Duration
	Wait    time.Duration // until the rate allows another call; 0: not known
	Spent   int           // calls of the day, of all nodes
}

// Allowance is what may be asked of a source in the rest of its day by those
// whom nobody waits for.
type Allowance struct {
	Limited bool // calls a day are limited at all
	Left    int
	Until   time.Time // the end of the day
	Made    uint64    // calls that this process made for them so far
}
