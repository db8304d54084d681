package upstream

import (
	"math"
	"net/http"
	"time"

	"slotgate/scheduling"
)

// pressure is how much of its limits a source is asked for: all of them, or less
// since it asked us to slow down, was overloaded, or has become slow. It
// is what congestion control is to a network: cut at once, given back little by
// little. The budget's mutex guards it.
type pressure struct {
	recover time.Duration // from the least to all, once nothing presses any more
	share   float64       // of the limits, from least to 1
	grown   time.Time     // when share was right; while the source is left alone: the end of that
	cut     time.Time     // when it was cut last
	usual   map[string]*pace
}

// The numbers of the adaptation.
const (
	defaultRecover = time.Minute
	leastShare     = 0.05                   // below it nothing would ever be learnt
	cutTo          = 0.6                    // of the share, at every sign of pressure
	cutEvery       = time.Second            // the signs of calls that were under way together are one
	slowFrom       = 250 * time.Millisecond // a faster answer is no sign, however fast it was before
	slowInRow      = 3                      // so many answers in a row are
	slowTimes      = 4                      // so many times slower than usual is slow
	settledBy      = 16                     // answers after which it is known what is usual
)

// pace is how long an operation takes usually.
type pace struct {
	usual float64 // seconds
	seen  int     // answers
	slow  int     // of them, those in a row that were much slower
}

func newPressure(recovery time.Duration, now time.Time) *pressure {
	return &pressure{recover: recovery, share: 1, grown: now, usual: map[string]*pace{}}
}

// at is the share at this instant: what was cut grows back with time.
func (p *pressure) at(now time.Time) float64 {
	if now.Before(p.grown) {
		return p.share
	}
	if p.share < 1 {
		p.share = math.Min(1, p.share+(1-leastShare)*now.Sub(p.grown).Seconds()/p.recover.Seconds())
	}
	p.grown = now
	return p.share
}

// rest keeps the share as it is until then: a source that is asked for nothing
// shows nothing of what it bears.
func (p *pressure) rest(now, until time.Time) {
	p.at(now)
	if until.After(p.grown) {
		p.grown = until
	}
}

// set takes over what all nodes found out. A cut by another is as good as ours:
// the signs of calls that were under way then are not counted again.
func (p *pressure) set(share float64, now time.Time) {
	if share < p.at(now)-0.01 {
		p.cut = now
	}
	p.share = math.Max(leastShare, share)
}

// feel learns from a call that has ended. It tells whether the share was cut.
func (p *pressure) feel(op string, took time.Duration, err error, now time.Time) bool {
	p.at(now)
	slower := err == nil && p.slower(op, took.Seconds())
	if !slower && !overloaded(err) || now.Sub(p.cut) < cutEvery {
		return false
	}
	p.share, p.cut = math.Max(leastShare, p.share*cutTo), now
	return true
}

// slower tells whether this kind of call has become much slower than it was: a
// few answers in a row, since one may be slow for a reason of its own. What is
// usual follows little by little, so that a source that stays slow is asked for
// all of its limits again one day.
func (p *pressure) slower(op string, took float64) bool {
	known := p.usual[op]
	if known == nil {
		known = &pace{usual: took}
		p.usual[op] = known
	}
	if known.seen >= settledBy && took > slowFrom.Seconds() && took > slowTimes*known.usual {
		known.slow++
	} else {
		known.slow = 0
	}
	weight := 1.0 / 256
	if known.seen++; known.seen <= settledBy {
		weight = 1.0 / 4
	}
	known.usual += (took - known.usual) * weight
	return known.slow >= slowInRow
}

// overloaded: the source told us that it is asked for too much, or did not
// manage. A pause of our own, a refused login or an answer that makes no sense
// says nothing of that.
func overloaded(err error) bool {
	f := faultOf(err)
	switch scheduling.CodeOf(err) {
	case scheduling.Throttled:
		return f.status != 0
	case scheduling.SourceSlow:
		return f.hurt
	case scheduling.SourceDown:
		return f.status == http.StatusServiceUnavailable
	default:
		return false
	}
}
