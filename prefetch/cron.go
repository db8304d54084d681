package prefetch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Why a cron specification is refused.
var (
	errCronText     = errors.New("is no cron specification; write for example \"@every 1m\" or \"0 */5 * * * *\"")
	errCronZone     = errors.New("names a time zone; the clock of the prefetch is UTC, leave TZ= away")
	errCronNever    = errors.New("never fires: no month has that day; write for example \"@every 1m\", or leave it away")
	errCronFrequent = errors.New("fires more often than once a second, or not at whole seconds; write for example \"@every 30s\"")
)

// maxCron is longer than any specification that somebody meant.
const maxCron = 256

// ParseCron reads a robfig/cron specification: five fields, or six with the
// seconds first, or a descriptor such as @hourly or @every 90s. The schedule
// computes in UTC, where no hour is skipped or doubled.
//
// The library is not maintained, and this is the fence around its traps: it
// panics on some texts, takes time zones, rounds what it cannot do, and accepts
// days that do not exist.
func ParseCron(spec string) (schedule cron.Schedule, err error) {
	defer func() {
		if recover() != nil {
			schedule, err = nil, errCronText
		}
	}()
	spec = strings.TrimSpace(spec)
	if err := checkCron(spec); err != nil {
		return nil, err
	}
	parsed, err := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom |
		cron.Month | cron.Dow | cron.Descriptor).Parse(spec)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errCronText, err)
	}
	// A leap day is the rarest thing that fires; any start will do to find out.
	if parsed.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errCronNever
	}
	return utc{parsed}, nil
}

// checkCron refuses what the library would misread in silence.
func checkCron(spec string) error {
	upper := strings.ToUpper(spec)
	switch {
	case spec == "" || len(spec) > maxCron:
		return errCronText
	case strings.Contains(upper, "TZ="):
		return errCronZone
	}
	if every, ok := strings.CutPrefix(spec, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(every))
		if err != nil {
			return errCronText
		}
		if d < time.Second || d%time.Second != 0 {
			return errCronFrequent
		}
	}
	return nil
}

// utc keeps a schedule from computing in the server's own zone.
type utc struct{ cron.Schedule }

// Next is the first time of the schedule after t. The library looks five years
// ahead only, and the leap days of 2096 and 2104 are farther apart: then the
// next day has to do.
func (u utc) Next(t time.Time) time.Time {
	t = t.UTC()
	if next := u.Schedule.Next(t); !next.IsZero() {
		return next
	}
	return t.Add(24 * time.Hour)
}

// interval is the time between two ticks, as far as one look can tell.
func interval(schedule cron.Schedule, now time.Time) time.Duration {
	first := schedule.Next(now)
	return schedule.Next(first).Sub(first)
}
