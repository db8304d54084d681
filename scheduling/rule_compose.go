package scheduling

import (
	"cmp"
	"slices"
	"time"
)

// Piece is an open slot of which offers are made.
type Piece struct {
	ID         string // the source's
	Start, End int64  // seconds since 1970, UTC; End after Start
}

// ComparePieces orders by start, then end, then id.
func ComparePieces(a, b Piece) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.ID, b.ID))
}

// Compose calls yield with the pieces of each offer that the rule makes of the
// open slots of one schedule, in order of start; zone is that of its place. The
// pieces must be in the order of ComparePieces; what yield is given are their
// numbers, and is overwritten by the next.
//
// From each piece there is one offer at most, whose first slot it is. The next
// slot of an offer begins where the last one ends, or within Gap after it; of
// several the one counts that begins first, then the shortest, then the least
// id, as long as it leads to Minutes. So every node makes the same offers.
//
// Visit types are the caller's to look after: the pieces are those that may be in
// one appointment.
//
// Only pieces that first allows begin offers; nil allows all.
func (r *Rule) Compose(pieces []Piece, zone *time.Location, first func(piece int) bool, yield func(chain []int)) {
	c := composer{pieces: pieces, gap: int64(r.Gap / time.Second)}
	for n := range pieces {
		if first != nil && !first(n) || !r.begins(pieces[n].Start, zone) {
			continue
		}
		c.until = pieces[n].Start + int64(r.Minutes)*60
		c.chain = append(c.chain[:0], n)
		if c.reach(n) {
			yield(c.chain)
		}
	}
}

// begins tells whether an appointment may begin then: whole multiples of Every
// since midnight by the place's clocks.
func (r *Rule) begins(start int64, zone *time.Location) bool {
	if r.Every <= 0 {
		return true
	}
	h, m, s := time.Unix(start, 0).In(zone).Clock()
	return (time.Duration(h*3600+m*60+s)*time.Second)%r.Every == 0
}

// composer looks for the pieces of one offer.
type composer struct {
	pieces []Piece
	gap    int64
	until  int64 // the offer must last until then; it never sinks
	chain  []int
	// dead are the pieces from which nothing led to until: with how many more
	// slots it was tried, plus one. What did not come so far comes no farther.
	dead []int
}

// reach adds to the chain, whose last piece is at, what leads to until. It is
// false, and leaves the chain as it was, where nothing does.
func (c *composer) reach(at int) bool {
	end := c.pieces[at].End
	if end >= c.until {
		return true
	}
	left := MaxOfferSlots - len(c.chain)
	if c.dead != nil && c.dead[at] > left {
		return false
	}
	for next := c.seek(at+1, end); left > 0 && next < len(c.pieces) && c.pieces[next].Start <= end+c.gap; next++ {
		c.chain = append(c.chain, next)
		if c.reach(next) {
			return true
		}
		c.chain = c.chain[:len(c.chain)-1]
	}
	if c.dead == nil {
		c.dead = make([]int, len(c.pieces))
	}
	c.dead[at] = left + 1
	return false
}

// seek is the first piece from the number on that begins at or after start.
func (c *composer) seek(from int, start int64) int {
	n, _ := slices.BinarySearchFunc(c.pieces[from:], start, func(p Piece, start int64) int { return cmp.Compare(p.Start, start) })
	return from + n
}
