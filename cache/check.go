package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// check is a scheduling.Check as it stands in Redis. A floor is the mark of a
// fetch that is being written in several steps: it refuses earlier fetches as a
// check does, and says nothing of freshness.
type check struct {
	From      scheduling.Day `json:"f"`
	To        scheduling.Day `json:"t"`
	Schedules []string       `json:"s,omitempty"` // sorted; none means all
	Fetch     uint64         `json:"n"`
	At        int64          `json:"a,omitempty"` // milliseconds since 1970
	Valid     int64          `json:"v,omitempty"` // the source's own time, the same; 0: it told none
	Floor     bool           `json:"o,omitempty"`

	field string // in the hash of checks
}

func newCheck(scope scheduling.Scope, fetch uint64, at time.Time) check {
	c := check{From: scope.Days.From, To: scope.Days.To, Fetch: fetch, At: at.UnixMilli()}
	c.Schedules = slices.Compact(slices.Sorted(slices.Values(scope.Schedules)))
	return c.named()
}

// validAt adds the source's own time of what it answered. One whose clock is ahead
// of ours knows no more than we do.
func (c check) validAt(t time.Time) check {
	if !t.IsZero() {
		c.Valid = min(t.UnixMilli(), c.At)
	}
	return c
}

// named gives the check the field that its scope asks for: one of the same scope
// takes its place.
func (c check) named() check {
	c.field = c.From.String() + "/" + c.To.String()
	if len(c.Schedules) > 0 {
		sum := sha256.Sum256([]byte(strings.Join(c.Schedules, "\x00")))
		c.field += "/" + hex.EncodeToString(sum[:8])
	}
	if c.Floor {
		c.field += "/floor"
	}
	return c
}

// floor is the mark to set before the check itself.
func (c check) floor() check {
	c.Floor, c.At, c.Valid = true, 0, 0
	return c.named()
}

// since leaves out the days before day.
func (c check) since(day scheduling.Day) check {
	c.From = max(c.From, day)
	return c.named()
}

func (c check) text() (string, error) {
	text, err := json.Marshal(c)
	return string(text), err
}

func readCheck(field, text string) (check, error) {
	var c check
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return check{}, errDamaged
	}
	c.field = field
	return c, nil
}

func (c check) domain() scheduling.Check {
	out := scheduling.Check{
		Scope: scheduling.Scope{Days: scheduling.Days{From: c.From, To: c.To}, Schedules: c.Schedules},
		Fetch: c.Fetch,
		At:    time.UnixMilli(c.At).UTC(),
	}
	if c.Valid != 0 {
		out.Valid = time.UnixMilli(c.Valid).UTC()
	}
	return out
}

func (c check) covers(key scheduling.WindowKey) bool {
	return c.From <= key.Day && key.Day < c.To && c.coversSchedule(key.Schedule)
}

func (c check) coversSchedule(schedule string) bool {
	if len(c.Schedules) == 0 {
		return true
	}
	_, ok := slices.BinarySearch(c.Schedules, schedule)
	return ok
}

func (c check) overlaps(days scheduling.Days) bool { return c.From < days.To && days.From < c.To }

// within tells whether other covers all that c covers.
func (c check) within(other check) bool {
	if c.From < other.From || c.To > other.To {
		return false
	}
	if len(other.Schedules) == 0 {
		return true
	}
	return len(c.Schedules) > 0 && !slices.ContainsFunc(c.Schedules, func(s string) bool { return !other.coversSchedule(s) })
}

// ages tells how fresh windows are.
type ages struct{ byDay map[scheduling.Day][]check }

func newAges(checks []check, days []scheduling.Day) ages {
	a := ages{map[scheduling.Day][]check{}}
	for _, day := range days {
		for _, c := range checks {
			if !c.Floor && c.From <= day && day < c.To {
				a.byDay[day] = append(a.byDay[day], c)
			}
		}
	}
	return a
}

// checked is the end of the latest complete fetch that covered the window; a
// window's own change is one.
func (a ages) checked(w scheduling.Window) time.Time {
	latest := w.Changed.UnixMilli()
	for _, c := range a.byDay[w.Key.Day] {
		if c.At > latest && c.Fetch >= w.Fetch && c.coversSchedule(w.Key.Schedule) {
			latest = c.At
		}
	}
	return time.UnixMilli(latest).UTC()
}
