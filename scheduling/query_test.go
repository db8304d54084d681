package scheduling_test

import (
	"math"
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestTokensMatchAsFHIRSearchDoesAndForgiveAMissingSystem(t *testing.T) {
	const sct = "http://snomed.info/sct"
	for _, c := range []struct {
		token  string
		coding scheduling.Coding
		want   bool
	}{
		{"1", scheduling.Coding{System: sct, Code: "1"}, true},
		{"1", scheduling.Coding{Code: "1"}, true},
		{"1", scheduling.Coding{Code: "2"}, false},
		{sct + "|1", scheduling.Coding{System: sct, Code: "1"}, true},
		{sct + "|1", scheduling.Coding{System: "x", Code: "1"}, false},
		{sct + "|1", scheduling.Coding{Code: "1"}, true},
		{"|1", scheduling.Coding{Code: "1"}, true},
		{"|1", scheduling.Coding{System: sct, Code: "1"}, false},
		{sct + "|", scheduling.Coding{System: sct, Code: "1"}, true},
		{sct + "|", scheduling.Coding{Code: "1"}, false},
	} {
		token, ok := scheduling.ParseToken(c.token)
		if !ok || token.String() != c.token {
			t.Fatalf("%q read as %q, %v", c.token, token, ok)
		}
		if token.Matches(c.coding) != c.want {
			t.Errorf("%q against %v is not %v", c.token, c.coding, c.want)
		}
	}
	for _, empty := range []string{"", "|"} {
		if _, ok := scheduling.ParseToken(empty); ok {
			t.Errorf("%q asks for something", empty)
		}
	}
}

func TestTextMatchesAtTheStartOfWords(t *testing.T) {
	for _, c := range []struct {
		part, text string
		want       bool
	}{
		{"san", "San Jose", true},
		{"JOSE", "San Jose", true},
		{"an", "San Jose", false},
		{"941", "CA 94121", true},
		{"4121", "CA 94121", false},
		{"an", "San Anselmo", true},
		{" ", "San Jose", false},
		{"san jose", "1 Main St, San Jose CA", true},
	} {
		if scheduling.MatchesText(c.part, "", c.text) != c.want {
			t.Errorf("%q in %q is not %v", c.part, c.text, c.want)
		}
	}
}

func TestLaw9APeriodOfDaysIsCutInThePlacesZone(t *testing.T) {
	day := scheduling.Date(2026, time.November, 1) // 25 hours in Los Angeles
	q := scheduling.Query{Start: scheduling.DayBound(day), End: scheduling.DayBound(day)}
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	from, to := q.Span(zone(t, "America/Los_Angeles"), now)
	if from.Format(time.RFC3339) != "2026-11-01T07:00:00Z" || to.Sub(from) != 25*time.Hour {
		t.Errorf("from %s to %s", from, to)
	}
	from, _ = q.Span(time.UTC, now.AddDate(0, 2, 0))
	if !from.Equal(now.AddDate(0, 2, 0)) {
		t.Errorf("what has begun is asked for: %s", from)
	}
}

func TestACursorComesAfterItsOwnOfferOnly(t *testing.T) {
	at := time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC)
	c := scheduling.Cursor{Start: at, ID: "m"}
	for id, want := range map[string]bool{"l": false, "m": false, "n": true} {
		if c.Before(at, id) != want {
			t.Errorf("offer %s at the same time: not %v", id, want)
		}
	}
	if !c.Before(at.Add(time.Minute), "a") || c.Before(at.Add(-time.Minute), "z") {
		t.Error("the start does not come first")
	}
	if !(scheduling.Cursor{}).Before(at, "") {
		t.Error("the zero cursor is not before all")
	}
}

func TestTimeTestsReadADayAsAStretchOfTime(t *testing.T) {
	la := zone(t, "America/Los_Angeles")
	day := scheduling.DayBound(scheduling.Date(2026, time.November, 24))
	morning := time.Date(2026, 11, 24, 8, 0, 0, 0, la)
	next := time.Date(2026, 11, 25, 0, 0, 0, 0, la)
	for prefix, want := range map[string][2]bool{
		"eq": {true, false}, "": {true, false}, "ge": {true, true}, "gt": {false, true},
		"le": {true, false}, "lt": {false, false},
	} {
		tt := scheduling.TimeTest{Prefix: prefix, Bound: day}
		if got := [2]bool{tt.Allows(morning, la), tt.Allows(next, la)}; got != want {
			t.Errorf("%s: %v, want %v", prefix, got, want)
		}
	}
}

func TestDistancesAreThoseOfTheGlobe(t *testing.T) {
	sf := scheduling.Position{Latitude: 37.7749, Longitude: -122.4194}
	la := scheduling.Position{Latitude: 34.0522, Longitude: -118.2437}
	if got := sf.Metres(la) / 1000; math.Abs(got-559.1) > 1 {
		t.Errorf("San Francisco to Los Angeles: %.1f km", got)
	}
	if got := sf.Metres(sf); got != 0 {
		t.Errorf("no way at all: %v m", got)
	}
}

func TestScopesSplitDownToOneScheduleOnOneDay(t *testing.T) {
	whole := scheduling.Scope{Days: scheduling.Days{From: 10, To: 17}, Schedules: []string{"a", "b", "c"}}
	seen := map[scheduling.WindowKey]int{}
	var walk func(scheduling.Scope)
	walk = func(s scheduling.Scope) {
		a, b, ok := s.Split()
		if !ok {
			if s.Days.Len() != 1 || len(s.Schedules) != 1 {
				t.Fatalf("%+v does not split", s)
			}
			seen[scheduling.WindowKey{Schedule: s.Schedules[0], Day: s.Days.From}]++
			return
		}
		walk(a)
		walk(b)
	}
	walk(whole)
	for key, n := range seen {
		if n != 1 || !whole.Covers(key) {
			t.Errorf("%v seen %d times", key, n)
		}
	}
	if len(seen) != 21 {
		t.Errorf("%d windows, want 21", len(seen))
	}
}

func TestLaw7ASourceThatNeverAnsweredIsDown(t *testing.T) {
	now := time.Now()
	src := scheduling.Source{MaxAge: time.Hour, StaleAfter: time.Minute}
	for age, want := range map[time.Duration]scheduling.State{
		time.Second: scheduling.StateOK, 2 * time.Minute: scheduling.StateStale, 2 * time.Hour: scheduling.StateDown,
	} {
		if got := (scheduling.Status{LastSync: now.Add(-age)}).State(src, now); got != want {
			t.Errorf("synced %s ago: %s, want %s", age, got, want)
		}
	}
	if got := (scheduling.Status{}).State(src, now); got != scheduling.StateDown {
		t.Errorf("never synced: %s", got)
	}
}
