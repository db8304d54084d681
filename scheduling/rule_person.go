package scheduling

import (
	"log/slog"
	"strings"
	"time"
)

// Person is what a rule asks of who is to be seen. It tells of a patient: it is
// judged by and forgotten, never kept, never logged (law 10).
type Person struct {
	// Born is the birth date: a day, a month (YYYY-MM) or a year; "": not known.
	Born string
	// Standing is what is known of the person at the source.
	Standing Standing
}

// Standing is what callers may know of a person at a source. Whether a
// registration matched somebody or made somebody is not in it: that is for the
// operator alone (law 13).
type Standing string

// The standings.
const (
	// Unsaid: nobody was named, or nothing is known.
	Unsaid Standing = ""
	// Stranger: registered with us, and not with the source through us.
	Stranger Standing = "stranger"
	// Registered: registered at the source through us, and not seen there yet.
	Registered Standing = "registered"
	// Seen: the source's own patient, by their own token or a trusted caller, or
	// one whose appointment there, booked through us, has begun.
	Seen Standing = "seen"
)

// String hides the person.
func (Person) String() string { return "(a person)" }

// GoString hides the person.
func (p Person) GoString() string { return p.String() }

// LogValue hides the person.
func (p Person) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Dated tells whether the birth date is known.
func (p Person) Dated() bool {
	_, _, ok := birthDays(p.Born)
	return ok
}

// has tells whether somebody born then may have one of the ages on the day.
// Who was born on 29 February is a year older on 1 March of other years.
func (a Ages) has(born string, day Day) bool {
	if (a == Ages{}) {
		return true
	}
	first, last, ok := birthDays(born)
	if !ok {
		return true
	}
	oldest, youngest := age(first, day), age(last, day)
	return (a.From == 0 || oldest >= a.From) && (a.To == 0 || youngest <= a.To)
}

// birthDays are the first and the last day that a birth date may mean.
func birthDays(text string) (first, last time.Time, ok bool) {
	if len(text) > len(time.DateOnly) {
		text, _, _ = strings.Cut(text, "T") // a dateTime where a date belongs
	}
	switch len(text) {
	case 4:
		first, err := time.Parse("2006", text)
		return first, first.AddDate(1, 0, -1), err == nil
	case 7:
		first, err := time.Parse("2006-01", text)
		return first, first.AddDate(0, 1, -1), err == nil
	default:
		first, err := time.Parse(time.DateOnly, text)
		return first, first, err == nil
	}
}

// age is how many birthdays have been had on the day; below 0 before birth.
func age(born time.Time, day Day) int {
	y, m, d := day.Civil()
	years := y - born.Year()
	if m < born.Month() || m == born.Month() && d < born.Day() {
		years--
	}
	return years
}

// turns is the day on which somebody born then has had so many birthdays.
func turns(born time.Time, years int) Day {
	return Date(born.Year()+years, born.Month(), born.Day()) // 29 February becomes 1 March
}
