package scheduling

import (
	"fmt"
	"time"
)

// Day is a calendar day without a zone, counted from 1970-01-01. Which instants
// it covers depends on the place: see Start and End.
type Day int32

// DayOf is the local day of the instant t in the zone.
func DayOf(t time.Time, zone *time.Location) Day {
	y, m, d := t.In(zone).Date()
	return Date(y, m, d)
}

// Date is the day of a calendar date.
func Date(year int, month time.Month, day int) Day {
	return Day(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(text string) (Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("scheduling: not a date: %w", err)
	}
	return Day(t.Unix() / 86400), nil
}

// Civil is the calendar date of the day.
func (d Day) Civil() (year int, month time.Month, day int) {
	return time.Unix(int64(d)*86400, 0).UTC().Date()
}

// String is the day as YYYY-MM-DD.
func (d Day) String() string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }

// MarshalText writes YYYY-MM-DD.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Day) UnmarshalText(text []byte) error {
	day, err := ParseDay(string(text))
	*d = day
	return err
}

// Start is the first instant of the day in the zone. That is not always
// midnight: some zones skip it, some have it twice.
func (d Day) Start(zone *time.Location) time.Time {
	y, m, day := d.Civil()
	if at := Occurrences(y, m, day, 0, 0, 0, zone); len(at) > 0 {
		return at[0]
	}
	// Midnight is skipped: the day begins where the clocks were put forward.
	before := time.Date(y, m, day-1, 12, 0, 0, 0, zone)
	_, end := before.ZoneBounds()
	return end.UTC()
}

// End is the first instant after the day in the zone.
func (d Day) End(zone *time.Location) time.Time { return (d + 1).Start(zone) }

// Days is a range of days, To not included.
type Days struct {
	From Day `json:"from"`
	To   Day `json:"to"`
}

// Has tells whether day is in the range.
func (d Days) Has(day Day) bool { return d.From <= day && day < d.To }

// Len is the number of days, 0 for an empty range.
func (d Days) Len() int { return max(0, int(d.To-d.From)) }

// Split cuts the range in two halves, the nearer one first. It is false for a
// range of less than two days.
func (d Days) Split() (near, far Days, ok bool) {
	if d.Len() < 2 {
		return d, Days{}, false
	}
	mid := d.From + (d.To-d.From)/2
	return Days{d.From, mid}, Days{mid, d.To}, true
}

// Span is the time from the first instant of the range in any of the zones to
// the last one in any of them. Without a zone it is cut in UTC and widened by
// the largest offset there is.
func (d Days) Span(zones ...*time.Location) (start, end time.Time) {
	if len(zones) == 0 {
		return d.From.Start(time.UTC).Add(-14 * time.Hour), d.To.Start(time.UTC).Add(12 * time.Hour)
	}
	for i, zone := range zones {
		s, e := d.From.Start(zone), d.To.Start(zone)
		if i == 0 || s.Before(start) {
			start = s
		}
		if i == 0 || e.After(end) {
			end = e
		}
	}
	return start, end
}
