package gateway

import (
	"strings"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// addRange reads one date parameter: a date of any precision, or an instant,
// behind a prefix (http://hl7.org/fhir/search.html#date).
func addRange(list []booking.DateRange, name, text string) ([]booking.DateRange, error) {
	prefix, rest := cutPrefix(text)
	r, ok := dayRange(prefix, rest)
	if !ok {
		r, ok = instantRange(prefix, rest)
	}
	if !ok {
		return nil, scheduling.Refuse(scheduling.BadRequest, name,
			"parameter %s: is a date, or a time with an offset, behind eq, ge, gt, le, lt, sa or eb", name)
	}
	return append(list, r), nil
}

// cutPrefix gives one of eq, ge, gt, le and lt. An appointment's start is a
// point in time, so that it starts after (sa) what it is greater than, and ends
// before (eb) what it is less than.
func cutPrefix(text string) (prefix, rest string) {
	for _, p := range []string{"eq", "ge", "gt", "le", "lt", "sa", "eb"} {
		if rest, ok := strings.CutPrefix(text, p); ok {
			switch p {
			case "sa":
				p = "gt"
			case "eb":
				p = "lt"
			}
			return p, rest
		}
	}
	return "eq", text
}

// dayRange reads a year, a month or a day, from first to last.
func dayRange(prefix, text string) (booking.DateRange, bool) {
	for _, p := range []struct {
		layout              string
		years, months, days int // how long it lasts
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {time.DateOnly, 0, 0, 1}} {
		at, err := time.Parse(p.layout, text)
		if err != nil {
			continue
		}
		first := scheduling.DayOf(at, time.UTC)
		last := scheduling.DayOf(at.AddDate(p.years, p.months, p.days-1), time.UTC)
		r := booking.DateRange{}
		switch prefix {
		case "ge":
			r.From = scheduling.DayBound(first)
		case "gt":
			r.From = scheduling.DayBound(last + 1)
		case "le":
			r.To = scheduling.DayBound(last)
		case "lt":
			r.To = scheduling.DayBound(first - 1)
		default:
			r.From, r.To = scheduling.DayBound(first), scheduling.DayBound(last)
		}
		return r, true
	}
	return booking.DateRange{}, false
}

// instantRange reads an instant. It is as wide as it was written: a second, or
// a minute where no seconds are given.
func instantRange(prefix, text string) (booking.DateRange, bool) {
	at, err := scheduling.ParseInstant(text, nil)
	if err != nil {
		return booking.DateRange{}, false
	}
	end := at.Add(time.Second)
	if strings.Count(text[:min(len(text), len("2006-01-02T15:04:"))], ":") < 2 {
		end = at.Add(time.Minute)
	}
	r := booking.DateRange{}
	switch prefix {
	case "ge":
		r.From = scheduling.InstantBound(at)
	case "gt":
		r.From = scheduling.InstantBound(end)
	case "le":
		r.To = scheduling.InstantBound(end)
	case "lt":
		r.To = scheduling.InstantBound(at)
	default:
		r.From, r.To = scheduling.InstantBound(at), scheduling.InstantBound(end)
	}
	return r, true
}
