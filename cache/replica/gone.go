package replica

import (
	"hash/maphash"
	"sync"
	"time"
)

// Gone tells whether the id was an offer a short while ago (Options.GoneFor)
// and is none any more: its slot was taken, withdrawn or claimed. It is false
// for an id that this replica has never offered, for one that it offers, and
// for one that went with more others than Options.GoneMost.
func (r *Replica) Gone(id string) bool {
	now := r.opts.Now()
	for _, e := range r.table.Load().tagged(id) {
		if e.gone.has(id, now) && !e.state.Load().stands(id) {
			return true
		}
	}
	return false
}

// stands tells whether the offer is in the replica, shown or not.
func (st *state) stands(id string) (found bool) {
	st.ids.schedules(id, func(n int32) bool {
		st.books.at(int(n)).shown(func(w *window) {
			for i := range w.slots {
				found = found || w.offerID(i) == id
			}
		})
		return !found
	})
	return found
}

// gone remembers for a while which offers left a source: by hashes of 64 bits,
// so that no window's text is kept for one id in it.
type gone struct {
	keep time.Duration
	most int
	seed maphash.Seed

	parted *partings // the same by their slots, where rules made them

	mu    sync.Mutex
	last  map[uint64]int64 // when it left last, nanoseconds since 1970
	queue []departure      // in order of time; an id may have left twice
}

type departure struct {
	hash uint64
	at   int64
}

func newGone(keep time.Duration, most int) *gone {
	return &gone{keep: keep, most: most, seed: maphash.MakeSeed(), parted: newPartings(keep, most), last: map[uint64]int64{}}
}

func (g *gone) hash(id string) uint64 { return maphash.String(g.seed, id) }

// has tells whether the offer left lately.
func (g *gone) has(id string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.last[g.hash(id)]
	return ok && at > now.Add(-g.keep).UnixNano()
}

// add notes that these left now.
func (g *gone) add(hashes []uint64, now time.Time) {
	if len(hashes) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	hashes = hashes[max(0, len(hashes)-g.most):]
	at, ended := now.UnixNano(), now.Add(-g.keep).UnixNano()
	drop := 0
	for drop < len(g.queue) && (g.queue[drop].at <= ended || len(g.queue)-drop+len(hashes) > g.most) {
		if old := g.queue[drop]; g.last[old.hash] == old.at {
			delete(g.last, old.hash)
		}
		drop++
	}
	g.queue = g.queue[drop:]
	for _, hash := range hashes {
		if g.last[hash] == at {
			continue // noted just now: one departure must not outlive the other
		}
		g.last[hash] = at
		g.queue = append(g.queue, departure{hash, at})
	}
}

// departed adds the offers of a schedule that the next book has no longer. One
// that began before all that is remembered was none lately.
func (g *gone) departed(out []uint64, old, next *book, now time.Time) []uint64 {
	begun := now.Add(-g.keep).Unix()
	if old.ruling != nil || next.ruling != nil {
		return g.dissolved(out, old, next, begun, now)
	}
	for _, w := range old.windows {
		after := next.window(w.day)
		if after == w || len(w.slots) == 0 || w.last() <= begun || after != nil && after.ids() == w.ids() {
			continue
		}
		for i := range w.slots {
			start, id := w.slots[i].start, w.offerID(i)
			if start > begun && (after == nil || !after.has(start, id)) {
				out = append(out, g.hash(id))
			}
		}
	}
	return out
}

// dissolved is departed for a book whose offers are made by rules.
func (g *gone) dissolved(out []uint64, old, next *book, begun int64, now time.Time) []uint64 {
	went, came := changed(old, next)
	stay := map[string]bool{}
	for _, w := range came {
		for i := range w.slots {
			stay[w.offerID(i)] = true
		}
	}
	for _, w := range inOrder(went) {
		for i := range w.slots {
			if id := w.offerID(i); w.slots[i].start > begun && !stay[id] {
				out = append(out, g.hash(id))
				g.parted.add(w, i, now)
			}
		}
	}
	return out
}

// replaced notes what a state that was made from nothing has no longer.
func (e *entry) replaced(old, next *state, now time.Time) {
	var left []uint64
	for n, p := range old.layout.places {
		if p.setting == nil {
			continue
		}
		after := emptyBook()
		if number, ok := e.numbers[p.id]; ok {
			after = next.books.at(int(number))
		}
		left = e.gone.departed(left, old.books.at(n), after, now)
	}
	e.gone.add(left, now)
}
