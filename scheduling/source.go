package scheduling

import "time"

// SourceID is a source's id from the configuration.
type SourceID string

// Release is a FHIR release.
type Release string

// The two releases that Slotgate speaks.
const (
	STU3 Release = "stu3" // 3.0.1
	R4   Release = "r4"   // 4.0.1
)

// Valid tells whether r is a release that we speak.
func (r Release) Valid() bool { return r == STU3 || r == R4 }

// Source is one EHR's FHIR server, or one tenant of it.
type Source struct {
	ID       SourceID
	Name     string
	Base     string // FHIR base URL, without a slash at its end
	Dialect  string
	Release  Release
	Zone     *time.Location // of times that come without an offset; nil: none
	Readonly bool
	// Paused: it is not asked for slots, and nothing is held or booked there.
	Paused bool
	// Live: its slots are kept nowhere. Whoever wants to know them asks it.
	Live bool
	// MaxAge is how long offers stay after they were last confirmed.
	MaxAge time.Duration
	// StaleAfter is the age from which the source is told as stale.
	StaleAfter time.Duration
	// Horizon is how many days, from today, are prefetched.
	Horizon int
	// Rules are the clinic's own, by visit type.
	Rules Rules
}

// Status is what the prefetch knows of a source: shared through Redis, so that
// every gateway tells the same.
type Status struct {
	Source     SourceID  `json:"source"`
	Tried      time.Time `json:"tried,omitzero"`    // end of the latest fetch
	LastSync   time.Time `json:"lastSync,omitzero"` // end of the latest complete fetch
	Loaded     time.Time `json:"loaded,omitzero"`   // end of the first complete load of the whole horizon
	Failures   int       `json:"failures"`          // in a row
	ErrorCode  Code      `json:"errorCode,omitempty"`
	ErrorAt    time.Time `json:"errorAt,omitzero"`
	Incomplete bool      `json:"incomplete,omitempty"` // the latest plan left scopes unread
	Emptied    bool      `json:"emptied,omitempty"`    // the latest answer emptied more than half
	// Subscription is how we stand with the source's notifications.
	Subscription SubscriptionState `json:"subscription,omitempty"`
	Unusable     Tally             `json:"unusable,omitempty"`
	Unmapped     Tally             `json:"unmapped,omitempty"` // codes without a common one, by kind
}

// State is the one-word health of a source.
type State string

// The states of a source.
const (
	StateOK     State = "ok"
	StateStale  State = "stale"
	StateDown   State = "down"
	StatePaused State = "paused"
)

// State judges the status at the instant now. A paused source is that and no
// more. One that never answered is down, as is one whose offers have become too old to be shown. One whose slots are
// not kept is well until a call fails.
func (s Status) State(src Source, now time.Time) State {
	switch {
	case src.Paused:
		return StatePaused
	case src.Live && s.Failures == 0 && !s.Tried.IsZero():
		return StateOK
	case src.Live, s.LastSync.IsZero():
		return StateDown
	case src.MaxAge > 0 && now.Sub(s.LastSync) > src.MaxAge:
		return StateDown
	case src.StaleAfter > 0 && now.Sub(s.LastSync) > src.StaleAfter:
		return StateStale
	default:
		return StateOK
	}
}

// Freshness is what one answer says of one source (law 7).
type Freshness struct {
	Source  SourceID
	Name    string
	State   State
	Status  Status
	Slots   int // open now
	Windows int
	// Asked is what came of asking it, where its slots are not kept; else "".
	Asked Asked
	// Complete: everything of this source that the query asks for is known and
	// not older than allowed.
	Complete bool
}
