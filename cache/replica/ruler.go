package replica

import "slotgate/scheduling"

// ruler tells what slots of a source are for by its rules. It belongs to the
// source's writer, and serves as long as its rules and its numbers of sets do.
type ruler struct {
	in     *interner
	rules  scheduling.Rules
	bySet  map[int32][]use
	extras map[narrowed]*extra
	codes  map[int32][]string
}

// use is a rule that a slot follows, and the service types that it does so for.
type use struct{ rule, types int32 }

// narrowed is an extra with fewer service types.
type narrowed struct {
	own   *extra
	types int32
}

func (e *entry) rulerOf(rules scheduling.Rules) *ruler {
	if r := e.ruler; r == nil || r.in != e.in || len(r.rules) != len(rules) || &r.rules[0] != &rules[0] {
		e.ruler = &ruler{in: e.in, rules: rules, bySet: map[int32][]use{}, extras: map[narrowed]*extra{}, codes: map[int32][]string{}}
	}
	return e.ruler
}

// uses are those of a slot with these service types.
func (r *ruler) uses(types int32) []use {
	if known, ok := r.bySet[types]; ok {
		return known
	}
	var list []use
	for _, ruled := range r.rules.Of(r.in.sets[types]) {
		list = append(list, use{int32(ruled.Rule), r.in.set(ruled.Types)})
	}
	r.bySet[types] = list
	return list
}

// extra is own with these service types in place of all.
func (r *ruler) extra(own *extra, types int32) *extra {
	key := narrowed{own, types}
	if x, ok := r.extras[key]; ok {
		return x
	}
	x := &extra{}
	if own != nil {
		*x = *own
	}
	x.serviceType = types
	r.extras[key] = x
	return x
}
