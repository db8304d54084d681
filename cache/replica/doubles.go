package replica

import (
	"cmp"
	"maps"
	"slices"

	"slotgate/scheduling"
)

// A slot that its source moved to another day or schedule may stand in two
// windows for a while: where it is, and where a farther tier of prefetch saw it
// last. Only one of them may be offered, since an id names one offer. The later
// fetch knows.

// home is the occurrence of an offer that counts.
type home struct {
	schedule int32
	day      scheduling.Day
	start    int64
	fetch    uint64
}

// better tells whether h counts rather than other. After the fetch it only
// matters that every node decides alike.
func (h home) better(other home) bool {
	return cmp.Or(
		cmp.Compare(other.fetch, h.fetch), cmp.Compare(h.start, other.start), cmp.Compare(h.day, other.day),
	) < 0
}

// doubles are the offers that stand in more than one place. It is immutable.
type doubles struct {
	homes   map[string]home // by offer id
	shadows map[int32]int   // how many offers of a schedule do not count
}

// shadowed tells whether slot i of the window is offered elsewhere.
func (d *doubles) shadowed(schedule int32, w *window, i int) bool {
	if d.shadows[schedule] == 0 {
		return false
	}
	if o := w.offers; o != nil {
		return slices.ContainsFunc(o.partsOf(i), func(p part) bool { return d.shadowed(schedule, o.of[p.window], int(p.slot)) })
	}
	h, double := d.homes[w.offerID(i)]
	return double && (h.schedule != schedule || h.day != w.day || h.start != w.slots[i].start)
}

// suspect notes the known doubles among the windows that a book lost or won.
func (tx *transaction) suspect(windows []*window) {
	if len(tx.next.doubles.homes) == 0 {
		return
	}
	for _, w := range windows {
		for i := range w.slots {
			if id := w.offerID(i); tx.next.doubles.has(id) {
				tx.suspects[id] = true
			}
		}
	}
}

func (d *doubles) has(id string) bool {
	_, ok := d.homes[id]
	return ok
}

// settleDoubles decides for every suspect where it counts. clashes are hashes
// that several places of the index share now.
func (tx *transaction) settleDoubles(clashes map[uint32]bool) {
	for hash := range clashes {
		tx.suspectHash(hash)
	}
	if len(tx.suspects) == 0 {
		return
	}
	next := &doubles{homes: maps.Clone(tx.next.doubles.homes), shadows: map[int32]int{}}
	if next.homes == nil {
		next.homes = map[string]home{}
	}
	for id := range tx.suspects {
		if found := tx.occurrences(id); len(found) > 1 {
			next.homes[id] = best(found)
		} else {
			delete(next.homes, id)
		}
	}
	for id, h := range next.homes {
		for _, other := range tx.occurrences(id) {
			if other != h {
				next.shadows[other.schedule]++
			}
		}
	}
	tx.next.doubles = next
}

func best(found []home) home {
	top := found[0]
	for _, h := range found[1:] {
		if h.better(top) {
			top = h
		}
	}
	return top
}

// suspectHash suspects every offer of this hash.
func (tx *transaction) suspectHash(hash uint32) {
	node, bucket := tx.next.ids.bucketOf(hash)
	for _, place := range tx.next.ids.nodes[node][bucket] {
		if place.hash != hash {
			continue
		}
		for _, w := range tx.books.at(int(place.schedule)).windows {
			for i := range w.slots {
				if id := w.offerID(i); tx.next.ids.hash(id) == hash {
					tx.suspects[id] = true
				}
			}
		}
	}
}

// occurrences is wherever the offer stands, hidden or not.
func (tx *transaction) occurrences(id string) []home {
	var found []home
	seen := map[int32]bool{}
	tx.next.ids.schedules(id, func(n int32) bool {
		if seen[n] {
			return true
		}
		seen[n] = true
		for _, w := range tx.books.at(int(n)).windows {
			for i := range w.slots {
				if w.offerID(i) == id {
					found = append(found, home{n, w.day, w.slots[i].start, w.fetch})
				}
			}
		}
		return true
	})
	return found
}
