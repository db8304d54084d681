package prefetch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"slotgate/scheduling"
)

// QuietHours are the hours of a day at which a source is little used, written
// as 22:00-05:30, in the zone of its places. The zero value means none.
type QuietHours struct{ from, to int } // minutes since midnight

// Empty tells that there are none.
func (q QuietHours) Empty() bool { return q == QuietHours{} }

var errQuiet = errors.New("write the hours such as 22:00-05:30")

// UnmarshalText reads 22:00-05:30, or nothing.
func (q *QuietHours) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*q = QuietHours{}
		return nil
	}
	from, to, ok := strings.Cut(string(text), "-")
	if !ok {
		return errQuiet
	}
	var hours QuietHours
	for _, one := range []struct {
		text string
		to   *int
	}{{from, &hours.from}, {to, &hours.to}} {
		at, err := time.Parse("15:04", strings.TrimSpace(one.text))
		if err != nil {
			return errQuiet
		}
		*one.to = at.Hour()*60 + at.Minute()
	}
	if hours.from == hours.to {
		return errQuiet
	}
	*q = hours
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (q QuietHours) MarshalText() ([]byte, error) {
	if q.Empty() {
		return nil, nil
	}
	return fmt.Appendf(nil, "%02d:%02d-%02d:%02d", q.from/60, q.from%60, q.to/60, q.to%60), nil
}

// night is the day on whose evening, or in whose course, the quiet hours that now
// lies in began; within is false where now lies in none. An hour that the clocks
// leave out is not there, one that comes twice counts twice.
func (q QuietHours) night(now time.Time, zone *time.Location) (night scheduling.Day, within bool) {
	local := now.In(zone)
	minute, day := local.Hour()*60+local.Minute(), scheduling.DayOf(now, zone)
	switch {
	case q.from < q.to:
		return day, minute >= q.from && minute < q.to
	case minute >= q.from:
		return day, true
	default:
		return day - 1, minute < q.to
	}
}
