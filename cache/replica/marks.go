package replica

import (
	"cmp"
	"slices"

	"slotgate/scheduling"
)

// What is claimed or fenced is kept out of the windows themselves: a window
// packs only slots that are open and holds the others aside. So whoever reads
// never asks for marks, and totals stay exact; a mark costs its writer one swap
// of one window.
//
// Held aside is just what a mark withholds: a slot that somebody claims, or
// whose window no fetch above the fence has confirmed. It is judged anew when
// the mark, the window or its confirmation changes.

// marks is what the books say of a source's slots. It belongs to the writer.
type marks struct {
	bySlot  map[string]mark     // by the source's slot id
	aside   map[string][]spot   // where slots are withheld
	ended   []endedClaim        // fences, the first to be forgotten first
	spans   map[agenda][]string // slots whose marks keep time free there
	asideOn map[agenda]int      // how many slots are withheld there
	latest  uint64              // the highest number of a fetch that was heard of
	outlast uint64              // how many fetches a fence is remembered for
}

type mark struct {
	claimed bool
	fence   uint64
	span    spell
}

// hides tells whether the mark counts for a window that the fetch of this number
// was the last to confirm.
func (m mark) hides(confirmed uint64) bool { return m.claimed || confirmed <= m.fence }

// spot is where a window stands.
type spot struct {
	schedule int32
	day      scheduling.Day
}

// endedClaim is a fence, to be forgotten after the fetch of this number.
type endedClaim struct {
	slot  string
	fence uint64
	until uint64
}

func newMarks(outlast uint64) *marks {
	return &marks{
		bySlot: map[string]mark{}, aside: map[string][]spot{}, spans: map[agenda][]string{}, asideOn: map[agenda]int{}, outlast: outlast,
	}
}

// withholds tells whether the slot may not be offered from a window that the
// fetch of this number was the last to confirm.
func (k *marks) withholds(slot *scheduling.Slot, confirmed uint64) bool {
	if len(k.bySlot) == 0 {
		return false
	}
	if m, ok := k.bySlot[slot.ID]; ok && m.hides(confirmed) {
		return true
	}
	return len(k.spans) > 0 && k.overlapped(timeOf(slot), confirmed)
}

// timeOf is when a slot is, and on which schedule.
func timeOf(s *scheduling.Slot) spell {
	return spellOf(scheduling.Span{Schedule: s.Schedule, From: s.Start, To: s.End})
}

// set puts the mark in place of what was known of its slot. One that says
// nothing takes it away.
func (k *marks) set(m scheduling.Mark) {
	if !m.Claimed && m.Fence == 0 {
		k.drop(m.Slot)
		return
	}
	k.keep(m)
}

func (k *marks) drop(slot string) {
	k.spread(slot, k.bySlot[slot].span, true)
	delete(k.bySlot, slot)
}

func (k *marks) keep(m scheduling.Mark) {
	s := spellOf(m.Span)
	if was := k.bySlot[m.Slot].span; was != s {
		k.spread(m.Slot, was, true)
	}
	k.bySlot[m.Slot] = mark{m.Claimed, m.Fence, s}
	k.spread(m.Slot, s, false)
	k.saw(m.Fence)
	if !m.Claimed {
		k.ended = append(k.ended, endedClaim{m.Slot, m.Fence, m.Fence + k.outlast})
	}
}

// load takes the marks of a snapshot.
func (k *marks) load(all []scheduling.Mark) {
	for _, m := range all {
		k.keep(m)
	}
	slices.SortFunc(k.ended, func(a, b endedClaim) int { return cmp.Compare(a.until, b.until) })
}

func (k *marks) saw(fetch uint64) { k.latest = max(k.latest, fetch) }

// forget drops the fences that hide nothing and that no answer under way can
// be older than. A passed one stays so long because an older answer may still
// bring its slot back on another day or schedule.
func (k *marks) forget() {
	for len(k.ended) > 0 && k.ended[0].until < k.latest {
		end := k.ended[0]
		k.ended = k.ended[1:]
		m, known := k.bySlot[end.slot]
		switch {
		case !known || m.claimed || m.fence != end.fence:
			// the books said something else of it since
		case len(k.aside[end.slot]) > 0 || k.near(m.span) > 0:
			end.until = k.latest + k.outlast
			k.ended = append(k.ended, end)
		default:
			k.drop(end.slot)
		}
	}
}

// restart is for a store that lost its data and numbers fetches anew: what is
// hidden stays so until its claim ends or any fetch of the new numbers confirms
// it.
func (k *marks) restart() {
	k.latest, k.ended = 0, nil
	for slot, m := range k.bySlot {
		switch {
		case m.claimed:
			k.bySlot[slot] = mark{claimed: true, span: m.span}
		case len(k.aside[slot]) > 0 || k.near(m.span) > 0:
			k.keep(scheduling.Mark{Slot: slot, Span: m.span.told()})
		default:
			k.drop(slot)
		}
	}
}

// list is the marks as they could be loaded again.
func (k *marks) list() []scheduling.Mark {
	var all []scheduling.Mark
	for slot, m := range k.bySlot {
		all = append(all, scheduling.Mark{Slot: slot, Claimed: m.claimed, Fence: m.fence, Span: m.span.told()})
	}
	return all
}

// moved keeps account of where slots are withheld when a book is replaced.
func (k *marks) moved(n int32, old, next *book) {
	if old.aside+next.aside == 0 {
		return
	}
	for _, w := range old.windows {
		if len(w.aside) > 0 && next.window(w.day) != w {
			k.leave(spot{n, w.day}, w.aside)
		}
	}
	for _, w := range next.windows {
		if len(w.aside) > 0 && old.window(w.day) != w {
			k.enter(spot{n, w.day}, w.aside)
		}
	}
}

func (k *marks) leave(at spot, slots []scheduling.Slot) {
	for i := range slots {
		id := slots[i].ID
		if slices.Contains(k.aside[id], at) {
			timeOf(&slots[i]).agendas(func(on agenda) {
				if k.asideOn[on]--; k.asideOn[on] == 0 {
					delete(k.asideOn, on)
				}
			})
		}
		left := slices.DeleteFunc(k.aside[id], func(s spot) bool { return s == at })
		if k.aside[id] = left; len(left) == 0 {
			delete(k.aside, id)
		}
	}
}

func (k *marks) enter(at spot, slots []scheduling.Slot) {
	for i := range slots {
		if id := slots[i].ID; !slices.Contains(k.aside[id], at) {
			k.aside[id] = append(k.aside[id], at)
			timeOf(&slots[i]).agendas(func(on agenda) { k.asideOn[on]++ })
		}
	}
}

// confirmed is the number of the latest fetch that confirmed the window by a
// check, 0 for none.
func (tx *transaction) confirmed(at spot) uint64 {
	return max(tx.next.cover.fetch(at.day), tx.books.at(int(at.schedule)).cover.fetch(at.day))
}

// retell takes in marks and generations. It gives back the windows that must be
// packed anew: slots appear or vanish in them, or have other offer ids.
func (tx *transaction) retell(marks []scheduling.Mark, generations map[string]uint32) []scheduling.Window {
	touched := map[spot]bool{}
	for id, generation := range generations {
		if tx.raise(id, generation) {
			tx.standing(id, func(at spot, _ *window) { touched[at] = true })
		}
	}
	known := tx.e.marks
	for _, m := range marks {
		was := known.bySlot[m.Slot].span
		known.set(m)
		tx.standing(m.Slot, func(at spot, w *window) {
			if now, marked := known.bySlot[m.Slot]; marked && now.hides(max(w.fetch, tx.confirmed(at))) {
				touched[at] = true
			}
		})
		tx.lifted(m.Slot, touched)
		tx.around(was, touched)
		if now := known.bySlot[m.Slot].span; now != was {
			tx.around(now, touched)
		}
	}
	return tx.unpacked(touched)
}

// raise notes that the slot's offers up to the generation are used up; it is
// false for old news.
func (tx *transaction) raise(id string, generation uint32) bool {
	before := tx.e.gens[id]
	if generation <= before {
		return false
	}
	if tx.was == nil {
		tx.was = map[string]uint32{}
	}
	tx.was[id] = before
	tx.e.gens[id] = generation
	return true
}

// generationBefore is the slot's as the packed windows know it.
func (tx *transaction) generationBefore(id string) uint32 {
	if before, raised := tx.was[id]; raised {
		return before
	}
	return tx.e.gens[id]
}

// lifted adds the windows that hold the slot aside without need.
func (tx *transaction) lifted(id string, touched map[spot]bool) {
	for _, at := range tx.e.marks.aside[id] {
		w := tx.books.at(int(at.schedule)).window(at.day)
		confirmed := max(w.fetch, tx.confirmed(at))
		if slices.ContainsFunc(w.aside, func(slot scheduling.Slot) bool {
			return slot.ID == id && !tx.e.marks.withholds(&slot, confirmed)
		}) {
			touched[at] = true
		}
	}
}

// release packs the windows anew whose fences a check has passed.
func (tx *transaction) release() {
	touched := map[spot]bool{}
	for id := range tx.e.marks.aside {
		if !tx.e.marks.bySlot[id].claimed {
			tx.lifted(id, touched)
		}
	}
	tx.write(tx.unpacked(touched))
}

// standing visits the windows that offer the slot of the source's id, as of the
// beginning of the transaction.
func (tx *transaction) standing(id string, visit func(spot, *window)) {
	ours := scheduling.ResourceID(tx.next.source.ID, scheduling.KindSlot, id)
	tx.next.ids.schedules(ours, func(n int32) bool {
		for _, w := range tx.books.at(int(n)).windows {
			for i := range w.slots {
				if w.slotID(i) == ours {
					visit(spot{n, w.day}, w)
					break
				}
			}
		}
		return true
	})
}

func (tx *transaction) unpacked(touched map[spot]bool) []scheduling.Window {
	windows := make([]scheduling.Window, 0, len(touched))
	for at := range touched {
		w := tx.books.at(int(at.schedule)).window(at.day)
		windows = append(windows, w.unpack(tx.next.layout.places[at.schedule].id, tx.e.in.sets))
	}
	return windows
}
