package ask

import (
	"time"

	"slotgate/scheduling"
)

// period is what of a query one question is about.
type period struct {
	days scheduling.Days
	// cut: the query is about more days than one find asks for.
	cut bool
	// until is then the first instant in any zone of the source that was not
	// asked for; zero where these are the last days.
	until time.Time
}

// periodOf is all of the query's period where that is most days at most, so that
// every page has the same total; else as many, from where the page begins. It is
// empty where nothing is left of it.
func periodOf(q scheduling.Query, reach scheduling.Reach, now time.Time, most int) period {
	zones := reach.Zones
	if len(zones) == 0 {
		zones = []*time.Location{time.UTC}
	}
	after := q.After.Start
	q.After = scheduling.Cursor{}
	p := period{days: daysOf(q, reach.Source, zones, now)}
	if p.days.Len() <= most {
		return p
	}
	q.After.Start = after
	all := daysOf(q, reach.Source, zones, now)
	p.cut, p.days = true, all
	if all.Len() > most {
		p.days.To = all.From + scheduling.Day(most)
		for i, zone := range zones {
			if end := p.days.To.Start(zone); i == 0 || end.Before(p.until) {
				p.until = end
			}
		}
	}
	return p
}

// daysOf are the days of the query's period in any of the zones.
func daysOf(q scheduling.Query, source scheduling.Source, zones []*time.Location, now time.Time) scheduling.Days {
	var all scheduling.Days
	for i, zone := range zones {
		one := daysIn(q, source, zone, now)
		if i == 0 || one.From < all.From {
			all.From = one.From
		}
		if i == 0 || one.To > all.To {
			all.To = one.To
		}
	}
	return all
}

// daysIn are the days of the query's period in a zone, as far as the source's
// horizon.
func daysIn(q scheduling.Query, source scheduling.Source, zone *time.Location, now time.Time) scheduling.Days {
	from, to := q.Span(zone, now)
	if q.After.Start.After(from) {
		from = q.After.Start
	}
	days := scheduling.Days{From: scheduling.DayOf(from, zone)}
	days.To = scheduling.DayOf(now, zone) + scheduling.Day(max(source.Horizon, 1))
	if !to.IsZero() {
		if !to.After(from) {
			return scheduling.Days{From: days.From, To: days.From}
		}
		days.To = min(days.To, scheduling.DayOf(to.Add(-time.Nanosecond), zone)+1)
	}
	days.To = max(days.To, days.From)
	return days
}
