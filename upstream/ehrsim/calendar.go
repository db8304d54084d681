package ehrsim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// day is one weekday's hours in minutes after midnight, by the wall clock.
// start == end: off.
type day struct{ start, end, lunch, back int }

type week [7]day

// drawWeek draws a working week: two of three work full weeks, the others
// three days or mornings only; one in eight works on Saturday mornings.
func drawWeek(r *rand.Rand, minutes int) week {
	start := pick(r, []int{7*60 + 30, 8 * 60, 8 * 60, 9 * 60})
	full := day{start: start, end: pick(r, []int{16 * 60, 16*60 + 30, 17 * 60}), lunch: 12 * 60, back: 13 * 60}
	if r.IntN(3) == 0 {
		full.lunch = 12*60 + 30
	}
	kind := r.IntN(9)
	var w week
	for d := time.Monday; d <= time.Friday; d++ {
		switch {
		case kind == 0: // mornings
			w[d] = day{start: start, end: 12 * 60}
		case kind <= 2 && d%2 == 0: // Monday, Wednesday, Friday
		default:
			w[d] = full
		}
	}
	if r.IntN(8) == 0 {
		w[time.Saturday] = day{start: 9 * 60, end: 12 * 60}
	}
	return w
}

// split shares a week between two places, so that nobody is at both at once.
func (w week) split() (here, there week) {
	for d := range w {
		if d == int(time.Tuesday) || d == int(time.Thursday) || w[time.Tuesday] == (day{}) && d == int(time.Wednesday) {
			there[d] = w[d]
		} else {
			here[d] = w[d]
		}
	}
	return here, there
}

func (w week) availableTime() list {
	var out list
	for d, hours := range w {
		if hours.start == hours.end {
			continue
		}
		out = append(out, obj("daysOfWeek", list{[7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[d]},
			"availableStartTime", clockTime(hours.start), "availableEndTime", clockTime(hours.end)))
	}
	return out
}

func clockTime(minutes int) string { return fmt.Sprintf("%02d:%02d:00", minutes/60, minutes%60) }

// calendar is what one person does at one place, and how its slots look.
type calendar struct {
	id        string
	zone      *time.Location
	minutes   int // length of a slot
	week      week
	visits    []list // serviceType, by turns
	specialty list
	routine   object
	schedule  object
	until     civil // the first day not generated yet
}

// civil is a day of the wall calendar, in no zone.
type civil struct {
	y int
	m time.Month
	d int
}

func civilOf(t time.Time) civil {
	y, m, d := t.Date()
	return civil{y, m, d}
}

func (c civil) add(days int) civil {
	return civilOf(time.Date(c.y, c.m, c.d+days, 0, 0, 0, 0, time.UTC))
}

func (c civil) before(o civil) bool { return c.noon().Before(o.noon()) }
func (c civil) noon() time.Time     { return time.Date(c.y, c.m, c.d, 12, 0, 0, 0, time.UTC) }
func (c civil) String() string      { return fmt.Sprintf("%04d-%02d-%02d", c.y, int(c.m), c.d) }

// slots makes one day. Every day has its own dice, so that a server started
// tomorrow makes the same Thursday as one started today.
func (c *calendar) slots(seed uint64, d civil, version time.Time) []*slot {
	hours := c.week[d.noon().Weekday()]
	if hours.start == hours.end {
		return nil
	}
	r := dice(seed, c.id, d.String())
	mood := drawMood(r)
	var out []*slot
	for at := hours.start; at+c.minutes <= hours.end; at += c.minutes {
		if at < hours.back && at+c.minutes > hours.lunch {
			at = hours.back - c.minutes
			continue
		}
		start := time.Date(d.y, d.m, d.d, at/60, at%60, 0, 0, c.zone)
		out = append(out, &slot{
			id:       c.id + "-" + start.Format("20060102-1504"),
			schedule: "Schedule/" + c.id,
			start:    start.UTC(), end: start.Add(time.Duration(c.minutes) * time.Minute).UTC(),
			status: mood.status(r), version: 1, updated: version,
			cal: c, visit: r.IntN(len(c.visits)),
		})
	}
	return out
}

// mood is how a day is filled.
type mood struct {
	blocked bool    // vacation, training: busy-unavailable all day
	fill    float64 // share of appointments
}

func drawMood(r *rand.Rand) mood {
	switch n := r.IntN(100); {
	case n < 4:
		return mood{blocked: true}
	case n < 16:
		return mood{fill: 1}
	default:
		return mood{fill: 0.1 + 0.45*r.Float64()}
	}
}

func (m mood) status(r *rand.Rand) string {
	n := r.Float64()
	switch {
	case m.blocked:
		return "busy-unavailable"
	case n < m.fill:
		return "busy"
	case n < m.fill+0.03:
		return "busy-tentative"
	case n < m.fill+0.07:
		return "busy-unavailable"
	}
	return "free"
}
