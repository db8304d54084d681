package scheduling

import "time"

// Asked is what came of asking a source whose slots are not kept (Source.Live).
type Asked string

// What may come of it. Only Answered and Needless leave nothing open.
const (
	Answered Asked = "answered" // all that was asked for
	Partly   Asked = "partly"   // its answer was cut
	Silent   Asked = "silent"   // nothing in time
	Crowded  Asked = "crowded"  // it is asked for as much as it may be just now
	Failed   Asked = "failed"   // an error, or it may not be asked
	Needless Asked = "needless" // nothing of it can match
	Unasked  Asked = "unasked"  // it was not asked at all
)

// Whole tells whether nothing of the source is missing.
func (a Asked) Whole() bool { return a == Answered || a == Needless }

// Answer is what a source whose slots are not kept said just now. Nobody keeps
// it for longer than the requests that wait for it.
type Answer struct {
	Source  SourceID
	Asked   Asked
	Fetched Fetched
	// Fetch is the number of the fetch, taken before it began; 0: nobody could
	// give one, and what was claimed lately stays hidden (law 4).
	Fetch uint64
	At    time.Time // its end
	// Status is how the source did in its last calls.
	Status Status
}

// Reach is what of a source a query may match, as far as its directory tells.
type Reach struct {
	Source Source
	Zones  []*time.Location // in which its days are cut; none: nobody knows
	// None: nothing of it can match.
	None bool
	// Schedules are the only ones that can match; none means any.
	Schedules []string
}

// Lead is where an id of ours leads that stands for a slot which is not kept:
// enough to ask its source for it again, and nothing of the slot itself.
type Lead struct {
	Schedule string `json:"s,omitempty"` // "": the source cannot be asked for it alone
	Days     Days   `json:"d"`
}
