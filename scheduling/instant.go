package scheduling

import (
	"errors"
	"strings"
	"time"
)

// Why a time cannot be taken (law 9).
var (
	ErrBadTime    = errors.New("scheduling: not a time")
	ErrNoZone     = errors.New("scheduling: time without an offset, and no zone is known")
	ErrNoSuchTime = errors.New("scheduling: the clocks skip this local time")
)

// Occurrences gives the instants (UTC, in order) at which the wall clock of the
// zone shows this time: one as a rule, none when the clocks are put forward
// over it, two when they are put back.
func Occurrences(year int, month time.Month, day, hour, minute, sec int, zone *time.Location) []time.Time {
	wall := time.Date(year, month, day, hour, minute, sec, 0, time.UTC)
	found := make([]time.Time, 0, 2)
	// Offsets in force a day before and after enclose every change near wall.
	for _, probe := range []time.Time{wall.Add(-26 * time.Hour), wall.Add(26 * time.Hour)} {
		_, offset := probe.In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, real := at.In(zone).Zone(); real != offset {
			continue
		}
		if len(found) == 0 || !found[0].Equal(at) {
			found = append(found, at)
		}
	}
	if len(found) == 2 && found[1].Before(found[0]) {
		found[0], found[1] = found[1], found[0]
	}
	return found
}

// Stamp is a time as a source wrote it: the instants that it may mean.
type Stamp struct {
	First  time.Time // UTC
	Second time.Time // zero unless the wall clock shows this time twice
}

// ParseStamp reads a FHIR instant or dateTime with a time of day, and what real
// servers write in their place: offsets like -05 and -0500, a space where a
// plus sign was, no seconds, no offset at all (then zone decides; nil: none is
// known). Fractions of a second are dropped.
//
// Errors: ErrBadTime, ErrNoZone, ErrNoSuchTime.
func ParseStamp(text string, zone *time.Location) (Stamp, error) {
	wall, rest, ok := cutWall(text)
	if !ok {
		return Stamp{}, ErrBadTime
	}
	if rest != "" {
		offset, ok := parseOffset(rest)
		if !ok {
			return Stamp{}, ErrBadTime
		}
		return Stamp{First: wall.Add(-offset)}, nil
	}
	if zone == nil {
		return Stamp{}, ErrNoZone
	}
	y, m, d := wall.Date()
	at := Occurrences(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), zone)
	switch len(at) {
	case 0:
		return Stamp{}, ErrNoSuchTime
	case 1:
		return Stamp{First: at[0]}, nil
	default:
		return Stamp{First: at[0], Second: at[1]}, nil
	}
}

// ParseInstant reads one time; of two possible instants it is the first.
func ParseInstant(text string, zone *time.Location) (time.Time, error) {
	stamp, err := ParseStamp(text, zone)
	return stamp.First, err
}

// ParsePeriod reads a start and an end that belong together. Where the wall
// clock shows one of them twice, the shortest period that ends after it starts
// is meant, and of two equally long ones the first.
func ParsePeriod(start, end string, zone *time.Location) (from, to time.Time, err error) {
	s, err := ParseStamp(start, zone)
	if err != nil {
		return from, to, err
	}
	e, err := ParseStamp(end, zone)
	if err != nil {
		return from, to, err
	}
	from, to = s.First, e.First
	for _, f := range s.instants() {
		for _, t := range e.instants() {
			better := t.After(f) && (!to.After(from) || t.Sub(f) < to.Sub(from))
			if better {
				from, to = f, t
			}
		}
	}
	return from, to, nil
}

func (s Stamp) instants() []time.Time {
	if s.Second.IsZero() {
		return []time.Time{s.First}
	}
	return []time.Time{s.First, s.Second}
}

// cutWall reads date and time of day; rest is the offset as written.
func cutWall(text string) (wall time.Time, rest string, ok bool) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if len(text) < len(layout) {
			continue
		}
		t, err := time.Parse(layout, text[:len(layout)])
		if err != nil {
			continue
		}
		rest = text[len(layout):]
		if layout == "2006-01-02T15:04:05" && strings.HasPrefix(rest, ".") {
			digits := strings.TrimLeft(rest[1:], "0123456789")
			if len(digits) == len(rest)-1 {
				return t, "", false
			}
			rest = digits
		}
		return t, rest, true
	}
	return time.Time{}, "", false
}

// parseOffset reads Z, +hh:mm, +hhmm and +hh, and a blank in place of the plus.
func parseOffset(text string) (time.Duration, bool) {
	if text == "Z" || text == "z" {
		return 0, true
	}
	sign := time.Duration(1)
	switch text[0] {
	case '+', ' ':
	case '-':
		sign = -1
	default:
		return 0, false
	}
	digits := strings.Replace(text[1:], ":", "", 1)
	if len(digits) == 2 {
		digits += "00"
	}
	if len(digits) != 4 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	hours := int(digits[0]-'0')*10 + int(digits[1]-'0')
	minutes := int(digits[2]-'0')*10 + int(digits[3]-'0')
	// The published examples hold +08:15 and +09:30: the minutes are free.
	if hours > 14 || minutes > 59 {
		return 0, false
	}
	return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute), true
}

// ReasonFor is the tally's word for an error of this file.
func ReasonFor(err error) Reason {
	switch {
	case errors.Is(err, ErrNoZone):
		return NoZone
	case errors.Is(err, ErrNoSuchTime):
		return NoSuchTime
	default:
		return BadTime
	}
}
