package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/scheduling"
)

// shelf is a server of a few slots on one schedule, in one page.
type shelf struct {
	mu      sync.Mutex
	slots   []map[string]any
	changed []map[string]any        // by _lastUpdated
	since   func(query string) bool // nil: changed is told
	date    func() time.Time        // nil: ours
	actor   string
	asked   []string
}

func plainSlot(id, from, to, status string) map[string]any {
	return map[string]any{"resourceType": "Slot", "id": id, "status": status, "schedule": map[string]any{"reference": "Schedule/s1"}, "start": from, "end": to}
}

func (s *shelf) put(slots ...map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots = slots
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/fhir+json")
	if s.date != nil {
		w.Header().Set("Date", s.date().UTC().Format(http.TimeFormat))
	}
	entries := []any{}
	for _, one := range s.answer(r) {
		entries = append(entries, map[string]any{"resource": one, "search": map[string]any{"mode": "match"}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries})
}

func (s *shelf) answer(r *http.Request) []map[string]any {
	query := r.URL.Query()
	switch r.URL.Path {
	case "/Schedule":
		return []map[string]any{{"resourceType": "Schedule", "id": "s1", "actor": []any{map[string]any{"reference": s.actor}}}}
	case "/Practitioner":
		return []map[string]any{{"resourceType": "Practitioner", "id": "p1", "active": true}}
	case "/Location":
		return []map[string]any{{"resourceType": "Location", "id": "l1", "name": "L", "status": "active"}}
	case "/Slot":
	default:
		return nil
	}
	s.asked = append(s.asked, r.URL.RawQuery)
	if from := query.Get("_lastUpdated"); from != "" {
		if s.since != nil && !s.since(strings.TrimPrefix(from, "ge")) {
			return nil
		}
		return s.changed
	}
	return slices.DeleteFunc(slices.Clone(s.slots), func(slot map[string]any) bool {
		return query.Get("status") == "free" && slot["status"] != "free" || !asked(query["start"], slot)
	})
}

// asked tells whether a slot, in the zone that the test names in it, is in a period.
func asked(period []string, slot map[string]any) bool {
	at, known := slot["_at"].(string)
	if !known || len(period) != 2 {
		return true
	}
	start, _ := time.Parse(time.RFC3339, at)
	from, _ := time.Parse(time.RFC3339, strings.TrimPrefix(period[0], "ge"))
	to, _ := time.Parse(time.RFC3339, strings.TrimPrefix(period[1], "lt"))
	return !start.Before(from) && start.Before(to)
}

func (s *shelf) client(t *testing.T, bend func(*Options)) *Client {
	t.Helper()
	if s.actor == "" {
		s.actor = "Practitioner/p1"
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return client(t, srv.URL, func(o *Options) {
		o.Timezone = configZone(t, "Europe/Vienna")
		if bend != nil {
			bend(o)
		}
	})
}

// fold are the days around the one of 25 hours.
var fold = scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 10, 24), To: scheduling.Date(2026, 10, 28)}}

func read(t *testing.T, c *Client, scope scheduling.Scope, token string) scheduling.Fetched {
	t.Helper()
	got, err := c.FetchSince(t.Context(), scope, scheduling.Basis{Token: token})
	if err != nil || !got.Complete {
		t.Fatal(err, got.Cut)
	}
	return got
}

// when tells the start of each slot (UTC).
func when(got scheduling.Fetched) map[string]string {
	out := map[string]string{}
	for _, window := range got.Windows {
		for _, slot := range window {
			out[slot.ID] = slot.Start.UTC().Format("15:04")
		}
	}
	return out
}

func oct25(at string) string { return "2026-10-25T" + at + ":00" }

func TestLaw9ASlotStaysAtItsTimeWhenItsTwinOrNeighbourIsBooked(t *testing.T) {
	t.Parallel()
	other := plainSlot("x", oct25("09:00"), oct25("09:30"), "free")
	for name, tc := range map[string]struct {
		first [2]string // start and end of the one that is booked
		want  string
	}{
		"a twin":      {[2]string{"02:00", "02:30"}, "01:00"},
		"a neighbour": {[2]string{"01:30", "02:15"}, "01:00"},
	} {
		for _, search := range []bool{true, false} {
			for _, taken := range []string{"busy", "busy-tentative", "busy-unavailable"} {
				t.Run(fmt.Sprint(name, ", status_search ", search, ", ", taken), func(t *testing.T) {
					t.Parallel()
					s := &shelf{}
					c := s.client(t, func(o *Options) { o.Quirks.StatusSearch = &search })
					shown := func(status string) []map[string]any {
						return []map[string]any{plainSlot("a", oct25(tc.first[0]), oct25(tc.first[1]), status), plainSlot("b", oct25("02:00"), oct25("02:30"), "free"), other}
					}
					s.put(shown("free")...)
					got := read(t, c, fold, "")
					if at := when(got)["b"]; at != tc.want {
						t.Fatalf("b is at %s, want %s", at, tc.want)
					}
					s.put(shown(taken)...)
					got = read(t, c, fold, got.Token)
					if at := when(got); at["b"] != tc.want || at["a"] != "" {
						t.Errorf("then at %v, want b at %s", at, tc.want)
					}
					s.put(shown("entered-in-error")...)
					if at := when(read(t, c, fold, got.Token)); at["b"] != "00:00" {
						t.Errorf("alone at %v, want the first", at)
					}
				})
			}
		}
	}
}

func TestLaw9OnlyTheDayThatHasAnHourTwiceIsAskedForWithAllItsSlots(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		offset string
		scope  scheduling.Scope
		want   int // questions without status=free, of the second look
		all    int
	}{
		"without offsets":        {"", fold, 1, 3},
		"with offsets":           {"+01:00", fold, 0, 1},
		"on other days":          {"", scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 10, 26), To: scheduling.Date(2026, 10, 28)}}, 0, 1},
		"when clocks go forward": {"", scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 3, 28), To: scheduling.Date(2026, 3, 31)}}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			s.put(plainSlot("x", oct25("09:00")+tc.offset, oct25("09:30")+tc.offset, "free"))
			c := s.client(t, nil)
			read(t, c, tc.scope, "")
			s.asked = nil
			read(t, c, tc.scope, "")
			whole := 0
			for _, query := range s.asked {
				if !strings.Contains(query, "status=free") {
					whole++
				}
			}
			if whole != tc.want || len(s.asked) != tc.all {
				t.Errorf("%d of %d questions for every status, want %d of %d: %q", whole, len(s.asked), tc.want, tc.all, s.asked)
			}
		})
	}
}

func TestLaw9OfParallelSlotsWrittenAlikeTheFirstHalfIsTheFirst(t *testing.T) {
	t.Parallel()
	s := &shelf{actor: "Location/l1"}
	c := s.client(t, nil)
	s.put(plainSlot("a", oct25("02:00"), oct25("02:30"), "free"), plainSlot("b", oct25("02:00"), oct25("02:30"), "busy"),
		plainSlot("c", oct25("02:00"), oct25("02:30"), "free"), plainSlot("d", oct25("02:00"), oct25("02:30"), "free"))
	if at := when(read(t, c, fold, "")); fmt.Sprint(at) != "map[a:00:00 c:01:00 d:01:00]" {
		t.Errorf("two chairs, both hours: %v", at)
	}
	s.put(plainSlot("a", oct25("01:30"), oct25("02:15"), "free"), plainSlot("b", oct25("02:00"), oct25("02:30"), "free"))
	if at := when(read(t, c, fold, "")); at["b"] != "00:00" {
		t.Errorf("the other chair's neighbour moved it: %v", at)
	}
	person := &shelf{}
	person.put(s.slots...)
	allowed := person.client(t, func(o *Options) { o.Quirks.Overlap = "allow" })
	if at := when(read(t, allowed, fold, "")); at["b"] != "00:00" {
		t.Errorf("overlap is allowed, and it moved: %v", at)
	}
}

// In Havana it is 00:00 twice: the neighbours are on the eve.
func TestLaw9ATimeDoesNotDependOnWhereAPartOfThePlanBegins(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	c := s.client(t, func(o *Options) { o.Timezone = configZone(t, "America/Havana") })
	eve := plainSlot("eve", "2026-10-31T23:30:00", "2026-11-01T00:30:00", "free")
	eve["_at"] = "2026-11-01T03:30:00Z"
	late := plainSlot("late", "2026-11-01T00:00:00", "2026-11-01T00:30:00", "free")
	late["_at"] = "2026-11-01T05:00:00Z"
	s.put(eve, late)
	for _, from := range []scheduling.Day{scheduling.Date(2026, 10, 31), scheduling.Date(2026, 11, 1)} {
		got := read(t, c, scheduling.Scope{Days: scheduling.Days{From: from, To: scheduling.Date(2026, 11, 3)}}, "")
		if at := when(got); at["late"] != "05:00" || (at["eve"] != "") != (from < scheduling.Date(2026, 11, 1)) {
			t.Errorf("from %v: %v", from, at)
		}
	}
}

func TestLaw9WhatChangedIsNotAskedForOnADayThatHasAnHourTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scope  scheduling.Scope
		offset string
		delta  bool
	}{
		"without offsets":                 {fold, "", false},
		"with offsets":                    {fold, "+01:00", true},
		"on other days":                   {scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 10, 26), To: scheduling.Date(2026, 10, 28)}}, "", true},
		"the first one without an offset": {fold, "first", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			c := s.client(t, func(o *Options) { o.Quirks.Deletions = "marked" })
			offset, then := tc.offset, tc.offset
			if offset == "first" {
				offset, then = "+01:00", ""
			}
			twins := func(offset string) []map[string]any {
				return []map[string]any{plainSlot("a", oct25("02:00")+offset, oct25("02:30")+offset, "free"), plainSlot("b", oct25("02:00")+offset, oct25("02:30")+offset, "free")}
			}
			s.put(twins(offset)...)
			got := read(t, c, tc.scope, "")
			s.put(twins(then)...)
			s.changed = s.slots[1:]
			again := read(t, c, tc.scope, got.Token)
			if (again.Basis != "" || len(again.Touched) > 0) != tc.delta {
				t.Errorf("basis %q, touched %v, want a delta: %v", again.Basis, again.Touched, tc.delta)
			}
			if at := when(again)["b"]; !tc.delta && !again.Unchanged && at != "01:00" {
				t.Errorf("the second is at %q", at)
			}
		})
	}
}

func TestChangesAreFoundWhateverTheAnswersClockShows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ date, stamp time.Duration }{
		"it is right":                       {0, 0},
		"it is two minutes ahead":           {2 * time.Minute, 0},
		"it is two minutes behind":          {-2 * time.Minute, 0},
		"what stamps is two minutes behind": {0, -2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{date: func() time.Time { return time.Now().Add(tc.date) }}
			c := s.client(t, func(o *Options) { o.Quirks.Deletions = "marked" })
			stamp := func() string { return time.Now().Add(tc.stamp).UTC().Format(time.RFC3339) }
			day := func(id, from, to, status string) map[string]any {
				slot := plainSlot(id, "2026-11-25T"+from+":00Z", "2026-11-25T"+to+":00Z", status)
				slot["meta"] = map[string]any{"lastUpdated": stamp()}
				return slot
			}
			s.put(day("a", "08:00", "08:30", "free"), day("b", "09:00", "09:30", "free"))
			scope := scheduling.Scope{Days: scheduling.Days{From: scheduling.Date(2026, 11, 25), To: scheduling.Date(2026, 11, 26)}}
			got := read(t, c, scope, "")
			s.changed = []map[string]any{day("a", "08:00", "08:30", "busy")}
			at := s.changed[0]["meta"].(map[string]any)["lastUpdated"].(string)
			s.since = func(from string) bool { return at >= from } // both in UTC, to the second
			if again := read(t, c, scope, got.Token); !slices.Equal(again.Touched, []string{"a"}) {
				t.Errorf("touched %v; asked %q", again.Touched, s.asked)
			}
		})
	}
}

func TestAQuestionForChangesReachesNoFurtherBackThanClocksDiffer(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct{ valid, newest, want time.Time }{
		"nothing is told":                {time.Time{}, time.Time{}, at},
		"the source's clock is ahead":    {at.Add(time.Hour), time.Time{}, at},
		"the source's clock is behind":   {at.Add(-time.Hour), time.Time{}, at.Add(-time.Hour)},
		"the newest change is before":    {at, at.Add(-time.Minute), at.Add(-time.Minute)},
		"it is long ago":                 {at, at.Add(-24 * time.Hour), at.Add(-stampBehind)},
		"it is in the future":            {at, at.Add(time.Hour), at},
		"before, and the clock is ahead": {at.Add(time.Hour), at.Add(59 * time.Minute), at.Add(59 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := since(tc.valid, tc.newest, at); !got.Equal(tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
