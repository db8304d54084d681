package upstream

import (
	"errors"
	"time"

	"slotgate/scheduling"
)

// errDaySpent is why a call was not made: limits.day.
var errDaySpent = errors.New("upstream: the calls of the day are spent")

// dayCount counts the calls of a day, which is cut in the source's zone. From a
// part of them on nothing is prefetched, then nothing read, and past them nothing
// begun. Calls of the book lane are counted and never refused: what was begun is
// brought to its end, cancelled and settled, and whether that is too much is for
// the source to say.
type dayCount struct {
	limit int // 0: any number
	most  [len(lanes)]int
	zone  *time.Location

	day      scheduling.Day
	from, to time.Time
	spent    int
	made     uint64 // by patient lanes, of this process, ever
}

func newDayCount(limits Limits, zone *time.Location) dayCount {
	d := dayCount{limit: limits.Day, zone: zone}
	if zone == nil {
		d.zone = time.UTC
	}
	if d.limit > 0 {
		prefetch, read := max(1, int(float64(d.limit)*limits.DayPrefetch)), max(1, int(float64(d.limit)*limits.DayRead))
		d.most = [...]int{0, d.limit, read, prefetch, prefetch}
	}
	return d
}

// roll begins a new day when its time has come.
func (d *dayCount) roll(now time.Time) {
	if !now.Before(d.from) && now.Before(d.to) {
		return
	}
	d.day = scheduling.DayOf(now, d.zone)
	d.from, d.to, d.spent = d.day.Start(d.zone), d.day.End(d.zone), 0
}

func (d *dayCount) add(calls int, now time.Time) {
	d.roll(now)
	d.spent += calls
}

// set takes over what all nodes made.
func (d *dayCount) set(day scheduling.BudgetDay, spent int) {
	d.day, d.from, d.to, d.spent = day.Day, day.From, day.To, spent
}

func (d *dayCount) report(now time.Time) scheduling.BudgetDay {
	d.roll(now)
	return scheduling.BudgetDay{Day: d.day, From: d.from, To: d.to, Most: d.most}
}

// over tells whether the lane gets no calls today. What was left to us is
// counted already, and not made yet.
func (d *dayCount) over(rank, spare int) bool {
	return d.most[rank] > 0 && d.spent-spare >= d.most[rank]
}

// spentFor tells whether nothing is left of the day for a lane.
func (b *budget) spentFor(rank int) bool {
	spare := 0
	if b.joint != nil {
		spare = b.joint.tokens
	}
	return b.day.over(rank, spare)
}

// today is now by the clock that the day is counted by.
func (b *budget) today() time.Time {
	now := b.now()
	if b.joint != nil {
		now = now.Add(b.joint.offset)
	}
	return now
}

// refuseSpent sends those away for whom nothing is left of the day.
func (b *budget) refuseSpent() {
	if b.day.limit == 0 || b.waiting() == 0 {
		return
	}
	now := b.today()
	b.day.roll(now)
	for rank := range lanes {
		if len(b.queues[rank]) == 0 || !b.spentFor(rank) {
			continue
		}
		e := scheduling.Blame(scheduling.Throttled, b.source, &fault{cause: errDaySpent}, "the calls that the source may be asked for today are used up")
		e.RetryAfter = b.day.to.Sub(now)
		b.metrics.spent(lanes[rank], len(b.queues[rank]))
		b.dismiss(rank, e)
	}
}

// laneOf is where a call queues up. What finds out what a write did, or undoes
// one, goes on when the day is spent.
func (b *budget) laneOf(c *call) lane {
	if !c.probe {
		return c.lane
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.day.roll(b.today())
	if b.spentFor(c.lane.rank()) {
		return laneBook
	}
	return c.lane
}

// Allowance is what prefetch may ask of the source in the rest of its day.
func (c *Client) Allowance() scheduling.Allowance {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.day.roll(b.today())
	return scheduling.Allowance{
		Limited: b.day.limit > 0, Left: max(0, b.day.most[lanePrefetch.rank()]-b.day.spent),
		Until: b.day.to, Made: b.day.made,
	}
}
