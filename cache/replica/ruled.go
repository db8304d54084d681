package replica

import (
	"cmp"
	"slices"
	"time"

	"slotgate/scheduling"
)

// A clinic's rules make offers of slots (scheduling.Rule). They are made when a
// window comes or goes, not when somebody asks: beside the windows of a book, as
// they came, stand windows of offers, one for each rule and day, and these are
// found in. A schedule whose slots no rule is for has none: it is found in as it
// came.
//
// An offer belongs to the window that its first slot lies in, and may go on in
// the next ones: a schedule may work over midnight. So a window of offers names
// all windows that it was made of, and is made anew when one of them changes.
//
// Rules by which it depends on the moment, or on the patient, whether an offer
// is shown (lead, ages) are no matter of a slot each: they cut a rule's offers
// off at some time, and each rule's stand in a run of their own.

// noRule is the number of no rule: a slot is offered by itself.
const noRule = -1

// offers is what a window of offers was made of.
type offers struct {
	rule int32 // number in the source's rules
	// of are the windows that it may have slots of: first the one whose day it
	// has, then those that its offers may reach.
	of    []*window
	parts []part  // the slots of all offers, in order
	ends  []int32 // where those of offer i end
}

// part is a slot of an offer: its window, by number in of, and its number there.
type part struct{ window, slot int32 }

// partsOf are the slots of offer i.
func (o *offers) partsOf(i int) []part {
	if i == 0 {
		return o.parts[:o.ends[0]]
	}
	return o.parts[o.ends[i-1]:o.ends[i]]
}

// ruling is what the offers of a book were made by, nil for a book without.
type ruling struct {
	rules scheduling.Rules
	zone  *time.Location
	types int32 // the place's service types, by number
	made  []made
}

// made is what became of one window.
type made struct {
	of     []*window // as offers.of
	offers []*window // of each rule; the window itself where no rule is for its slots
}

// same tells whether two books' offers are made by the same.
func (r *ruling) same(other *ruling) bool {
	return r != nil && other != nil && len(r.rules) == len(other.rules) && len(r.rules) > 0 && &r.rules[0] == &other.rules[0] &&
		r.types == other.types && sameZone(r.zone, other.zone)
}

// known is what became of the same windows before, nil where it is not known.
func (r *ruling) known(of []*window) []*window {
	if r == nil {
		return nil
	}
	at, found := slices.BinarySearchFunc(r.made, of[0].day, func(m made, day scheduling.Day) int { return cmp.Compare(m.of[0].day, day) })
	if found && slices.Equal(r.made[at].of, of) {
		return r.made[at].offers
	}
	return nil
}

// ruled is the book with the offers that the source's rules make of its slots.
// What old has of the same windows is taken over.
func (e *entry) ruled(st *state, n int, old, b *book) *book {
	p := st.layout.places[n]
	if len(st.source.Rules) == 0 || p.setting == nil {
		if b.ruling == nil {
			return b
		}
		return newBook(b.windows, b.cover)
	}
	copied := *b
	next := &copied
	next.ruling = &ruling{rules: st.source.Rules, zone: p.setting.Zone, types: p.kind.serviceType}
	var before *ruling
	if old.ruling.same(next.ruling) {
		before = old.ruling
	}
	m := &maker{e: e, ruler: e.rulerOf(st.source.Rules), place: p, ruling: next.ruling, reach: reachOf(st.source.Rules), source: st.source.ID}
	m.book(next, before)
	next.found()
	return next
}

// reachOf is how far behind the beginning of an offer its last slot may begin, in
// seconds.
func reachOf(rules scheduling.Rules) int64 {
	var reach time.Duration
	for _, r := range rules {
		reach = max(reach, time.Duration(r.Minutes)*time.Minute+r.Gap)
	}
	return int64(reach / time.Second)
}

// found lets the book be found in by its offers.
func (b *book) found() {
	b.runs, b.kinds, b.plain = nil, nil, false
	var list []*window
	last := int32(noRule)
	for _, m := range b.ruling.made {
		for _, w := range m.offers {
			last = max(last, w.rule())
		}
	}
	for rule := int32(noRule); rule <= last; rule++ {
		list = nil
		for _, m := range b.ruling.made {
			for _, w := range m.offers {
				if w.rule() == rule && len(w.slots) > 0 {
					list = append(list, w)
					b.addKinds(w)
				}
			}
		}
		runs := runsOf(list)
		for i := range runs {
			runs[i].rule = rule
		}
		b.runs = append(b.runs, runs...)
	}
	b.plain = len(b.kinds) == 1 && b.kinds[0] == kind{}
}

// rule is the number of the rule that made the window's offers.
func (w *window) rule() int32 {
	if w.offers == nil {
		return noRule
	}
	return w.offers.rule
}

// newIDs visits the ids of the window's offers that none of its slots has.
func (w *window) newIDs(visit func(id string)) {
	if w.offers == nil {
		return
	}
	for i := range w.slots {
		parts, id := w.offers.partsOf(i), w.offerID(i)
		if len(parts) > 1 || w.offers.of[parts[0].window].offerID(int(parts[0].slot)) != id {
			visit(id)
		}
	}
}

// offered are the slots of offer i, with the service types that its rule is for.
func (w *window) offered(i int, schedule string, sets [][]scheduling.Concept) []scheduling.Slot {
	parts := w.offers.partsOf(i)
	slots := make([]scheduling.Slot, len(parts))
	types := kindOf(w.extraOf(i)).serviceType
	for n, p := range parts {
		slots[n] = w.offers.of[p.window].slot(int(p.slot), schedule, sets)
		if types != noSet {
			slots[n].ServiceType = sets[types]
		}
	}
	return slots
}

// shown visits the windows that the book is found in.
func (b *book) shown(visit func(*window)) {
	for i := range b.runs {
		for _, w := range b.runs[i].windows {
			visit(w)
		}
	}
}

// changed are the shown windows that only one of the books has, where one of them
// has offers made by rules; else none.
func changed(old, next *book) (went, came []*window) {
	if old.ruling == nil && next.ruling == nil {
		return nil, nil
	}
	if old.ruling == nil || next.ruling == nil {
		old.shown(func(w *window) { went = append(went, w) })
		next.shown(func(w *window) { came = append(came, w) })
		return went, came
	}
	a, b := old.ruling.made, next.ruling.made
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].of[0].day < b[0].of[0].day:
			went, a = append(went, a[0].offers...), a[1:]
		case len(a) == 0 || b[0].of[0].day < a[0].of[0].day:
			came, b = append(came, b[0].offers...), b[1:]
		default:
			if !slices.Equal(a[0].offers, b[0].offers) {
				went, came = append(went, a[0].offers...), append(came, b[0].offers...)
			}
			a, b = a[1:], b[1:]
		}
	}
	return went, came
}
