package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as people write it: "90s", "1h30m", "60d", "2w", "1d12h".
//
// A day is 24 hours and a week 7 of those. Where calendar days of a place are meant, which may have 23 or 25 hours, take
// the number of days from it and count them in the place's zone.
type Duration time.Duration

// Std gives the standard library's duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes whole days as days ("60d") and everything else as Go does.
func (d Duration) String() string {
	if day := 24 * time.Hour; d != 0 && d.Std()%day == 0 {
		return strconv.FormatInt(int64(d.Std()/day), 10) + "d"
	}
	return d.Std().String()
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as [ParseDuration] does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

var errDuration = errors.New("is no duration; write a number with a unit (ms, s, m, h, d, w), such as 30s, 1h30m or 60d")

// ParseDuration reads what time.ParseDuration reads, and the units d (24 h) and w (7 d) besides, which come first in a
// compound: "1w2d12h". A number without a unit is refused, save 0.
func ParseDuration(s string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	var sum float64
	var whole time.Duration
	for {
		i := strings.IndexAny(rest, "dw")
		if i < 0 {
			break
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		if err != nil || n < 0 || math.IsNaN(n) || strings.ContainsAny(rest[:i], "xXpPeE_+") {
			return 0, errDuration
		}
		day := 24 * time.Hour
		if rest[i] == 'w' {
			day *= 7
		}
		sum += n * float64(day)
		if sum > math.MaxInt64/2 {
			return 0, fmt.Errorf("is longer than %d days", math.MaxInt64/2/(24*time.Hour))
		}
		whole += time.Duration(math.Round(n * float64(day)))
		rest = rest[i+1:]
		if rest == "" {
			return signed(whole, negative), nil
		}
	}
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, errDuration
	}
	d, err := time.ParseDuration(rest)
	if err != nil || whole+d < 0 {
		return 0, errDuration
	}
	return signed(whole+d, negative), nil
}

func signed(d time.Duration, negative bool) time.Duration {
	if negative {
		return -d
	}
	return d
}
