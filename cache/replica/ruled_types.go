package replica

import (
	"maps"
	"slices"

	"slotgate/scheduling"
)

// An appointment is of one visit type, or of several that each of its slots is
// for: half an hour for one thing and half an hour for another are no hour of
// either. A slot without a type is for all. So the offers of a rule are made once
// for each type, of the slots that are for it, and once of those without a type;
// what comes out several times is one offer.

// alike are the numbers of the pieces that may be in one offer, list by list; a
// nil list is all of them.
func (m *maker) alike(pieces []piece) [][]int {
	if !slices.ContainsFunc(pieces, func(p piece) bool { return p.types != pieces[0].types }) {
		return [][]int{nil}
	}
	var untyped []int
	byCode := map[string][]int{}
	for n := range pieces {
		codes := m.ruler.codesOf(pieces[n].types)
		if len(codes) == 0 {
			untyped = append(untyped, n)
		}
		for _, code := range codes {
			byCode[code] = append(byCode[code], n)
		}
	}
	var lists [][]int
	if len(untyped) > 0 {
		lists = append(lists, untyped)
	}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		list := slices.Concat(byCode[code], untyped)
		slices.Sort(list)
		lists = append(lists, list)
	}
	return lists
}

// shared are the service types of an offer: those of its first piece that has
// any which all others are for too.
func (d *draft) shared(chain []int) int32 {
	types, mixed := int32(noSet), false
	for _, n := range chain {
		mixed = mixed || d.pieces[n].types != d.pieces[chain[0]].types
		if types == noSet {
			types = d.pieces[n].types
		}
	}
	if !mixed {
		return types
	}
	r := d.m.ruler
	common := r.codesOf(types)
	for _, n := range chain {
		if codes := r.codesOf(d.pieces[n].types); len(codes) > 0 {
			common = slices.DeleteFunc(slices.Clone(common), func(code string) bool { return !slices.Contains(codes, code) })
		}
	}
	var kept []scheduling.Concept
	for _, concept := range r.in.sets[types] {
		if slices.ContainsFunc(codesOf(nil, concept), func(code string) bool { return slices.Contains(common, code) }) {
			kept = append(kept, concept)
		}
	}
	return r.in.set(kept)
}

// codesOf are the codes by which service types are the same, each once.
func (r *ruler) codesOf(types int32) []string {
	if known, ok := r.codes[types]; ok {
		return known
	}
	var codes []string
	for _, concept := range r.in.sets[types] {
		codes = codesOf(codes, concept)
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	r.codes[types] = codes
	return codes
}

// codesOf adds the concept's codes, or its text where it has none.
func codesOf(codes []string, concept scheduling.Concept) []string {
	coded := false
	for _, c := range concept.Codings {
		if c.Code != "" {
			codes, coded = append(codes, c.System+"|"+c.Code), true
		}
	}
	if !coded && concept.Text != "" {
		codes = append(codes, concept.Text)
	}
	return codes
}
