package replica

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// Left is the id of the offer that a clinic's rule made of exactly these Slots
// of ours (two or more), in order of time, a short while ago (Options.GoneFor), and makes no
// longer. Gone tells the same of ids, and who builds an appointment from slots
// has none.
func (r *Replica) Left(slots []string) (id string, ok bool) {
	if len(slots) == 0 {
		return "", false
	}
	now := r.opts.Now()
	for _, e := range r.table.Load().tagged(slots[0]) {
		if id, ok := e.gone.parted.of(slots, now); ok {
			return id, true
		}
	}
	return "", false
}

// partings remembers ids of offers by their slots, as gone does by their ids.
type partings struct {
	keep time.Duration
	most int
	seed maphash.Seed

	mu    sync.Mutex
	last  map[uint64]parting
	queue []departure
}

type parting struct {
	id string
	at int64 // nanoseconds since 1970
}

func newPartings(keep time.Duration, most int) *partings {
	return &partings{keep: keep, most: most, seed: maphash.MakeSeed(), last: map[uint64]parting{}}
}

// of is the offer of these slots that left lately.
func (p *partings) of(slots []string, now time.Time) (id string, ok bool) {
	key := p.key(slots)
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.last[key]
	return one.id, ok && one.at > now.Add(-p.keep).UnixNano()
}

// key tells lists of slots apart: no id has a space.
func (p *partings) key(slots []string) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	for _, slot := range slots {
		h.WriteString(slot)
		h.WriteByte(' ')
	}
	return h.Sum64()
}

// add notes that offer i of the window left now. Of several rules' offers of the
// same slots that leave together the first rule's counts: they come in order (inOrder).
func (p *partings) add(w *window, i int, now time.Time) {
	if w.offers == nil || len(w.offers.partsOf(i)) < 2 {
		return
	}
	var slots []string
	for _, part := range w.offers.partsOf(i) {
		slots = append(slots, w.offers.of[part.window].slotID(int(part.slot)))
	}
	key, at := p.key(slots), now.UnixNano()
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, ok := p.last[key]; ok && one.at == at {
		return
	}
	drop, ended := 0, now.Add(-p.keep).UnixNano()
	for drop < len(p.queue) && (p.queue[drop].at <= ended || len(p.queue)-drop >= p.most) {
		if old := p.queue[drop]; p.last[old.hash].at == old.at {
			delete(p.last, old.hash)
		}
		drop++
	}
	p.queue = append(p.queue[drop:], departure{key, at})
	p.last[key] = parting{string([]byte(w.offerID(i))), at} // not the window's whole text
}

// inOrder are windows of offers, those of the first rules first.
func inOrder(windows []*window) []*window {
	windows = slices.Clone(windows)
	slices.SortStableFunc(windows, func(a, b *window) int { return int(a.rule() - b.rule()) })
	return windows
}
