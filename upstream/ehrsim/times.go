package ehrsim

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

// dateTime is FHIR's, read as real servers do: seconds and minutes of the
// offset may be missing, and so may the zone or the time altogether.
var dateTime = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+ -]\d\d(?::?\d\d)?)?)?$`)

var errNoDate = errors.New("not a FHIR date or dateTime")

// span is the time that a date or dateTime covers: a day, or an instant.
type span struct{ from, to time.Time }

// parseSpan reads a date or dateTime; one without a zone counts in zone.
func parseSpan(s string, zone *time.Location) (span, error) {
	m := dateTime.FindStringSubmatch(s)
	if m == nil {
		return span{}, errNoDate
	}
	if m[2] == "" {
		day, err := time.ParseInLocation(time.DateOnly, m[1], zone)
		if err != nil {
			return span{}, errNoDate
		}
		return span{day, day.AddDate(0, 0, 1)}, nil
	}
	if m[3] == "" {
		m[3] = ":00"
	}
	text, layout := m[1]+"T"+m[2]+m[3]+m[4], "2006-01-02T15:04:05"
	if m[5] != "" {
		text, layout = text+offset(m[5]), layout+"Z07:00"
	}
	t, err := time.ParseInLocation(layout, text, zone)
	if err != nil {
		return span{}, errNoDate
	}
	return span{t, t}, nil
}

// offset completes "-05" and "-0500" to "-05:00"; a blank is a "+" that was
// not escaped in a URL.
func offset(s string) string {
	if s == "Z" {
		return s
	}
	digits := strings.ReplaceAll(s[1:], ":", "") + "00"
	sign := strings.ReplaceAll(s[:1], " ", "+")
	return sign + digits[:2] + ":" + digits[2:4]
}

// hasZone says whether a dateTime names its offset.
func hasZone(s string) bool {
	m := dateTime.FindStringSubmatch(s)
	return m != nil && m[5] != ""
}
