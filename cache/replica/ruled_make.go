package replica

import (
	"cmp"
	"slices"

	"slotgate/scheduling"
)

// maker makes the offers of one book.
type maker struct {
	e      *entry
	ruler  *ruler
	place  *place
	ruling *ruling
	reach  int64
	source scheduling.SourceID
}

// book makes the offers of every window, or takes them from before.
func (m *maker) book(b *book, before *ruling) {
	for at, w := range b.windows {
		if len(w.slots) == 0 {
			continue
		}
		of := m.reached(b.windows, at)
		offers := before.known(of)
		if offers == nil {
			offers = m.offers(of)
		}
		m.ruling.made = append(m.ruling.made, made{of, offers})
	}
}

// reached are the windows that offers which begin in the one at this place may
// have slots of. Days that were cut in another zone may overlap.
func (m *maker) reached(windows []*window, at int) []*window {
	w := windows[at]
	of := []*window{w}
	for i, other := range windows {
		if i != at && len(other.slots) > 0 && other.last() >= w.first() && other.first() <= w.last()+m.reach {
			of = append(of, other)
		}
	}
	return of
}

// offers are the windows of offers that begin in the first of these windows.
func (m *maker) offers(of []*window) []*window {
	var rules []int32
	whole := true
	for i := range of[0].slots {
		uses := m.uses(of[0], i)
		whole = whole && len(uses) == 1 && uses[0].rule == noRule && uses[0].types == m.types(of[0], i)
		for _, use := range uses {
			if !slices.Contains(rules, use.rule) {
				rules = append(rules, use.rule)
			}
		}
	}
	if whole {
		return of[:1:1]
	}
	out := make([]*window, 0, len(rules))
	for _, rule := range rules {
		out = append(out, m.byRule(rule, of))
	}
	return out
}

// types is the service types of a slot, its own or the place's.
func (m *maker) types(w *window, slot int) int32 {
	if own := kindOf(w.extraOf(slot)).serviceType; own != noSet {
		return own
	}
	return m.ruling.types
}

func (m *maker) uses(w *window, slot int) []use { return m.ruler.uses(m.types(w, slot)) }

// piece is a slot that the rule at hand is for.
type piece struct {
	scheduling.Piece
	part
	types int32 // of the slot, as far as the rule is for them
}

// pieces are the slots that the rule is for, in order.
func (m *maker) pieces(rule int32, of []*window) []piece {
	var list []piece
	for n, w := range of {
		for i := range w.slots {
			for _, use := range m.uses(w, i) {
				if use.rule == rule {
					s := w.slots[i]
					list = append(list, piece{
						scheduling.Piece{ID: w.nativeID(i), Start: s.start, End: s.start + int64(s.length)},
						part{int32(n), int32(i)},
						use.types,
					})
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b piece) int { return scheduling.ComparePieces(a.Piece, b.Piece) })
	return list
}

// byRule makes the window of one rule's offers.
func (m *maker) byRule(number int32, of []*window) *window {
	if number == noRule {
		of = of[:1:1] // each slot by itself
	}
	d := draft{m: m, number: number, of: of, pieces: m.pieces(number, of)}
	rule := &scheduling.Rule{}
	if number != noRule {
		d.rule = &m.ruling.rules[number]
		d.key, rule = d.rule.Key(), d.rule
	}
	lists := [][]int{nil}
	if rule.Minutes > 0 {
		lists = m.alike(d.pieces)
	}
	if len(lists) > 1 {
		d.seen = map[begun]bool{}
	}
	for _, list := range lists {
		d.compose(rule, list)
	}
	return d.window()
}

// compose makes the offers of the pieces of these numbers, nil for all.
func (d *draft) compose(rule *scheduling.Rule, list []int) {
	at := func(n int) int {
		if list == nil {
			return n
		}
		return list[n]
	}
	plain := make([]scheduling.Piece, len(d.pieces))
	if list != nil {
		plain = plain[:len(list)]
	}
	for n := range plain {
		plain[n] = d.pieces[at(n)].Piece
	}
	first := func(n int) bool { return d.pieces[at(n)].window == 0 }
	rule.Compose(plain, d.m.ruling.zone, first, func(chain []int) {
		chain = slices.Clone(chain)
		for i, n := range chain {
			chain[i] = at(n)
		}
		d.add(chain)
	})
}

// draft is a window of offers in the making.
type draft struct {
	m      *maker
	number int32
	rule   *scheduling.Rule // nil: none
	key    string           // the rule's
	of     []*window
	pieces []piece
	offers []drafted
	ids    []string
	seen   map[begun]bool // offers that are there; nil: none comes twice
}

// begun is an offer by its first piece and its id: ids of slots come twice.
type begun struct {
	first int
	id    string
}

// drafted is an offer of some pieces.
type drafted struct {
	id    string
	chain []int
	types int32 // those that all its pieces have
}

// add takes an offer of the pieces of these numbers.
func (d *draft) add(chain []int) {
	id := d.id(chain)
	one := begun{chain[0], id}
	if d.seen[one] {
		return
	}
	if d.seen != nil {
		d.seen[one] = true
	}
	d.offers = append(d.offers, drafted{id, chain, d.shared(chain)})
}

func (d *draft) id(chain []int) string {
	if first := d.pieces[chain[0]]; len(chain) == 1 && d.key == "" {
		return d.of[first.window].offerID(int(first.slot))
	}
	var generation uint32
	d.ids = d.ids[:0]
	for _, n := range chain {
		id := d.pieces[n].ID
		d.ids = append(d.ids, id)
		generation = max(generation, d.m.e.gens[id])
	}
	return d.rule.OfferID(d.m.source, generation, d.ids...)
}

// window is the offers, packed, with the day and the confirmation of the first of
// the windows that they are made of.
func (d *draft) window() *window {
	own := d.of[0]
	slices.SortFunc(d.offers, func(a, b drafted) int {
		return cmp.Or(cmp.Compare(d.pieces[a.chain[0]].Start, d.pieces[b.chain[0]].Start), cmp.Compare(a.id, b.id))
	})
	out := &window{
		day: own.day, fetch: own.fetch, checked: own.checked, changed: own.changed,
		slots: make([]slot, len(d.offers)), offers: &offers{rule: d.number, of: d.of},
	}
	arena := make([]byte, 0, idLen*len(d.offers))
	for i, o := range d.offers {
		first, last := d.pieces[o.chain[0]], d.pieces[o.chain[len(o.chain)-1]]
		out.slots[i] = slot{
			start: first.Start, length: uint32(last.End - first.Start),
			extra: out.extraIndex(d.m.extra(d.of[first.window].extraOf(int(first.slot)), o.types)),
		}
		for _, n := range o.chain {
			out.offers.parts = append(out.offers.parts, d.pieces[n].part)
		}
		out.offers.ends = append(out.offers.ends, int32(len(out.offers.parts)))
		arena = append(arena, o.id...)
	}
	out.arena = string(arena)
	return out
}

// extra is the slot's own with only those service types that the rule is for.
func (m *maker) extra(own *extra, types int32) *extra {
	has := kindOf(own).serviceType
	if has == types || has == noSet && types == m.ruling.types {
		return own
	}
	return m.ruler.extra(own, types)
}
