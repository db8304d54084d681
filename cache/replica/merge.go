package replica

import (
	"container/heap"

	"slotgate/scheduling"
)

// cursor goes through the matching slots of one run in order.
type cursor struct {
	c      *criteria
	number int32 // the schedule's
	place  *place
	book   *book
	run    *run
	at     position
	end    position
	sift   bool // single slots or windows of the run may not match

	start int64 // of the slot at hand
	id    string
}

// settle moves to the first slot at or after the position that matches. It is
// false when there is none.
func (cur *cursor) settle() bool {
	for cur.at.before(cur.end) {
		w := cur.run.windows[cur.at.window]
		if int(cur.at.slot) == len(w.slots) {
			cur.at = position{cur.at.window + 1, 0}
			continue
		}
		if cur.sift && !cur.c.shows(cur.book, w) {
			cur.at = position{cur.at.window + 1, 0}
			continue
		}
		i := int(cur.at.slot)
		if cur.sift && !cur.takes(w, i) {
			cur.at.slot++
			continue
		}
		cur.start, cur.id = w.slots[i].start, w.offerID(i)
		return true
	}
	return false
}

// takes tells whether slot i of the window is asked for, and counts here.
func (cur *cursor) takes(w *window, i int) bool {
	return cur.c.takes(kindOf(w.extraOf(i)), cur.place.kind) && !cur.c.st.doubles.shadowed(cur.number, w, i) &&
		cur.c.showsParts(cur.book, w, i)
}

// next moves on by one slot.
func (cur *cursor) next() bool {
	cur.at.slot++
	return cur.settle()
}

// hit is the slot at hand as it is handed out.
func (cur *cursor) hit() scheduling.Hit {
	w := cur.run.windows[cur.at.window]
	return cur.c.st.hit(cur.place, cur.book, w, int(cur.at.slot))
}

// hit puts slot i of the window forward.
func (st *state) hit(p *place, b *book, w *window, i int) scheduling.Hit {
	hit := scheduling.Hit{
		Offer:    scheduling.Offer{ID: w.offerID(i), Setting: p.setting, Checked: instant(b.confirmed(w, i, st.cover))},
		Fragment: p.fragment,
	}
	if w.offers == nil {
		hit.Slots = []scheduling.Slot{w.slot(i, p.id, st.sets)}
		return hit
	}
	hit.Slots = w.offered(i, p.id, st.sets)
	if n := w.offers.rule; n != noRule {
		hit.Rule = &st.source.Rules[n]
	}
	return hit
}

func (cur *cursor) before(other *cursor) bool {
	if cur.start != other.start {
		return cur.start < other.start
	}
	return cur.id < other.id
}

// soonest keeps the cursors whose slots come first: with want slots to find, no
// other can hold one of them. It is a heap whose root is the last of them.
type soonest struct {
	cursors []cursor
	want    int
}

// outrun tells whether a slot that begins at start surely comes too late.
func (s *soonest) outrun(start int64) bool {
	return len(s.cursors) == s.want && s.cursors[0].start < start
}

func (s *soonest) offer(cur *cursor) {
	switch {
	case len(s.cursors) < s.want:
		s.cursors = append(s.cursors, *cur)
		s.up(len(s.cursors) - 1)
	case cur.before(&s.cursors[0]):
		s.cursors[0] = *cur
		s.down(0)
	}
}

func (s *soonest) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !s.cursors[parent].before(&s.cursors[i]) {
			return
		}
		s.cursors[i], s.cursors[parent] = s.cursors[parent], s.cursors[i]
		i = parent
	}
}

func (s *soonest) down(i int) {
	for {
		last := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.cursors); child++ {
			if s.cursors[last].before(&s.cursors[child]) {
				last = child
			}
		}
		if last == i {
			return
		}
		s.cursors[i], s.cursors[last] = s.cursors[last], s.cursors[i]
		i = last
	}
}

// page is the first count slots of the cursors, and whether there are more.
func (s *soonest) page(count int) (hits []scheduling.Hit, more bool) {
	m := make(merged, len(s.cursors))
	for i := range s.cursors {
		m[i] = &s.cursors[i]
	}
	heap.Init(&m)
	if len(m) > 0 {
		hits = make([]scheduling.Hit, 0, min(count, pageRoom))
	}
	for len(m) > 0 {
		if len(hits) == count {
			return hits, true
		}
		hits = append(hits, m[0].hit())
		if m[0].next() {
			heap.Fix(&m, 0)
		} else {
			heap.Pop(&m)
		}
	}
	return hits, false
}

// pageRoom is how many hits room is made for at once.
const pageRoom = 32

// merged takes slots from the cursors in order; its root is the first.
type merged []*cursor

func (m merged) Len() int           { return len(m) }
func (m merged) Less(i, j int) bool { return m[i].before(m[j]) }
func (m merged) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merged) Push(x any)        { *m = append(*m, x.(*cursor)) }
func (m *merged) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
