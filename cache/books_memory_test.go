package cache

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestWhatMayStillChangeIsRememberedUntilItIsSettled(t *testing.T) {
	t.Parallel()
	doubt := &scheduling.Doubt{Call: scheduling.CallBook}
	for name, c := range map[string]struct {
		state   scheduling.EntryState
		doubt   *scheduling.Doubt
		wake    time.Duration
		settled bool
	}{
		"held":                             {scheduling.EntryHeld, nil, time.Minute, false},
		"a booking under way":              {scheduling.EntryBooking, nil, time.Minute, false},
		"in doubt":                         {scheduling.EntryDoubt, doubt, time.Minute, false},
		"in doubt, waiting for a person":   {scheduling.EntryDoubt, doubt, 0, false},
		"a release nobody knows of":        {scheduling.EntryReleasing, doubt, time.Minute, false},
		"told as not booked, and watched":  {scheduling.EntryNotBooked, doubt, time.Minute, false},
		"told as not booked, not any more": {scheduling.EntryNotBooked, doubt, 0, true},
		"refused":                          {scheduling.EntryNotBooked, nil, 0, true},
		"booked, and looked at daily":      {scheduling.EntryBooked, nil, time.Hour, true},
	} {
		m := memory{kept: map[string]kept{}}
		m.put(scheduling.Entry{ID: "a", State: c.state, Doubt: c.doubt}, save{wake: c.wake}, time.Now())
		if got := m.kept["a"].settled; got != c.settled {
			t.Errorf("%s: settled %v", name, got)
		}
	}
}
