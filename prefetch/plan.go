package prefetch

import (
	"time"

	"slotgate/scheduling"
)

// kind says what an item of the plan asks for.
type kind int

const (
	aDirectory kind = iota
	aPart           // some days of the horizon
	anExtra         // something that was asked for out of turn
)

// item is one thing that the loop asks for when its turn comes.
type item struct {
	kind   kind
	days   scheduling.Days  // of a part: offsets from the plan's first day
	scope  scheduling.Scope // of an extra
	every  uint64           // ticks from one look to the next
	haste  int              // how many times that is halved, since people look there
	slower uint64           // times that it is put off, so that the calls of the day last
	cost   uint64           // calls of the latest whole look
	paid   uint64           // calls of the one under way
	phase  uint64           // ticks from the first look to the second: spreads the parts
	due    uint64           // the tick from which it is due
	at     time.Time        // of the directory: the instant from which it is due

	try     retry
	streak  int // the source's streak of failures in which it failed last
	streaks int // streaks in which it failed without an answer of its own between
	misses  int // incomplete looks in a row

	reading *reading // under way, over several turns perhaps
	seen    bool     // looked at completely since the store was empty
	fresh   bool     // looked at completely since the directory was read
	unread  bool     // the latest look was not complete
	was     int      // open slots before they became suspiciously few
	now     int      // open slots
	kept    int      // of them, those whose records could not be used at the latest look

	counted  time.Time // when the store's slots were last compared with an unchanged answer's number
	doubted  time.Time // since when answers are withheld
	nameless int       // unusable records that nobody can name, in what was put in place

	unusable scheduling.Tally
	unmapped scheduling.Tally
}

// plan is what is to be asked of one source, and when. It is pure: it knows no
// clock, it is told the time.
type plan struct {
	from      scheduling.Day // the first day
	length    int            // in days
	tick      uint64
	directory *item
	parts     []*item // nearest first
	extras    []*item
}

// newPlan cuts the horizon into parts. It is a day longer than the horizon, as
// its first day is today's at the place that is last to see it.
func newPlan(opts Options) *plan {
	p := &plan{length: int(opts.Horizon) + 1}
	p.directory = &item{kind: aDirectory, try: newRetry(opts.Retry)}
	if opts.Source.Live {
		p.length = 0
		return p // who and where, and no slot
	}
	near := min(int(opts.NearDays), p.length)
	middle := min(int(opts.MiddleDays), p.length)
	p.tier(opts, 0, near, 1)
	p.tier(opts, near, middle, opts.MiddleEvery)
	p.tier(opts, middle, p.length, opts.FarEvery)
	return p
}

// tier adds the parts of the days from..to. Their turns are spread, so that
// every tick has about as much to do.
func (p *plan) tier(opts Options, from, to, every int) {
	step := int(opts.DaysPerScope)
	count := (to - from + step - 1) / step
	for i := range count {
		start := from + i*step
		p.parts = append(p.parts, &item{
			kind:  aPart,
			days:  scheduling.Days{From: scheduling.Day(start), To: scheduling.Day(min(start+step, to))},
			every: uint64(every),
			phase: uint64(max(1, every*(count-i)/count)),
			try:   newRetry(opts.Retry),
		})
	}
}

// scopeOf is what the item asks for today.
func (p *plan) scopeOf(it *item) scheduling.Scope {
	if it.kind == anExtra {
		return it.scope
	}
	return scheduling.Scope{Days: scheduling.Days{From: p.from + it.days.From, To: p.from + it.days.To}}
}

func (p *plan) scopes(items []*item) []scheduling.Scope {
	scopes := make([]scheduling.Scope, 0, len(items)+1)
	for _, it := range items {
		scopes = append(scopes, p.scopeOf(it))
	}
	return scopes
}

// days are all the days of the plan.
func (p *plan) days() scheduling.Days {
	return scheduling.Days{From: p.from, To: p.from + scheduling.Day(p.length)}
}

// pick is what to ask for now, nil when nothing is due. What failed comes after
// what did not, so that one bad scope holds up none; then comes what would be
// late first, which is the nearest days when everything is due.
func (p *plan) pick(now time.Time) *item {
	var best *item
	for it := range p.items {
		if !it.isDue(p.tick, now) || it.try.waits(now) {
			continue
		}
		if best == nil || it.before(best) {
			best = it
		}
	}
	return best
}

// wake is the earliest instant, at or before latest, at which something that is
// due may be tried again.
func (p *plan) wake(now, latest time.Time) time.Time {
	first := latest
	for it := range p.items {
		at := it.try.notBefore
		if it.kind == aDirectory && at.Before(it.at) {
			at = it.at
		} else if !it.isDue(p.tick, now) {
			continue
		}
		if at.Before(first) {
			first = at
		}
	}
	return first
}

// items yields the directory, the extras and the parts, in this order.
func (p *plan) items(yield func(*item) bool) {
	if !yield(p.directory) {
		return
	}
	for _, list := range [][]*item{p.extras, p.parts} {
		for _, it := range list {
			if !yield(it) {
				return
			}
		}
	}
}

func (it *item) isDue(tick uint64, now time.Time) bool {
	if it.kind == aDirectory {
		return !now.Before(it.at)
	}
	return it.due <= tick
}

// before orders what is due.
func (it *item) before(other *item) bool {
	if bad, otherBad := it.try.failures > 0, other.try.failures > 0; bad != otherBad {
		return otherBad
	}
	return it.deadline() < other.deadline()
}

// deadline is the tick at which the item would be asked a second time.
func (it *item) deadline() uint64 {
	if it.kind != aPart {
		return 0
	}
	return it.due + it.pace()
}

// rarest is the least number of ticks to which a part that is cut may be put
// off, that is, the nearest days.
const rarest = 2

// done plans the next turn of a part after a look that came to its end. Parts
// that could not be read wholly come again sooner at first, then as rarely as
// when all is well: a source that is well again is read soon.
func (p *plan) done(it *item, complete bool) {
	it.unread = !complete
	switch {
	case !complete:
		it.due = p.tick + min(uint64(1)<<min(it.misses, 32), max(it.pace(), rarest))
		it.misses++
		return
	case !it.seen:
		it.due = p.tick + min(it.phase*max(1, it.slower), it.pace())
	default:
		it.due = p.tick + it.pace()
	}
	it.seen, it.fresh, it.misses = true, true, 0
}

// patience is how many hopeless answers in a row a look bears. It shrinks while
// looks are in vain: they come nearly as often as when all is well.
func (it *item) patience(most int) int {
	return max(min(2, most), most>>min(it.misses, 32))
}

// reset makes everything due at once.
func (p *plan) reset() {
	p.directory.at = time.Time{}
	p.extras = nil
	for it := range p.items {
		it.due, it.seen, it.fresh, it.reading, it.misses = 0, false, false, nil, 0
		it.was, it.now, it.kept, it.nameless, it.doubted = 0, 0, 0, 0, time.Time{}
		it.try.clear()
	}
}

// all tells whether every part is so.
func (p *plan) all(is func(*item) bool) bool {
	for _, it := range p.parts {
		if !is(it) {
			return false
		}
	}
	return true
}
