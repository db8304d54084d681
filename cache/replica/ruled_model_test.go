package replica

import (
	"cmp"
	"slices"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

// modelOffer is some open slots by one rule.
type modelOffer struct {
	of   []occurrence // the first has the service types that the rule is for
	rule *scheduling.Rule
}

// offers makes the offers of one schedule, by a search that forgets nothing.
func (m *model) offers(source scheduling.Source, setting *scheduling.Setting, open []occurrence) []modelOffer {
	var all []modelOffer
	if len(source.Rules) == 0 || setting == nil {
		for _, o := range open {
			all = append(all, modelOffer{of: []occurrence{o}})
		}
		return all
	}
	for n := range source.Rules {
		r := &source.Rules[n]
		for _, first := range open {
			types, ok := typesFor(source.Rules, r, effective(first.slot, setting))
			local := first.slot.Start.In(setting.Zone)
			clock := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second
			if !ok || r.Every > 0 && clock%r.Every != 0 {
				continue
			}
			if r.Minutes == 0 {
				first.slot.ServiceType = types
				all = append(all, modelOffer{[]occurrence{first}, r})
				continue
			}
			all = append(all, chainsOfTypes(source.Rules, r, setting, open, first)...)
		}
	}
	for _, o := range open {
		if types, ok := typesFor(source.Rules, nil, effective(o.slot, setting)); ok {
			o.slot.ServiceType = types
			all = append(all, modelOffer{of: []occurrence{o}})
		}
	}
	return all
}

// chainsOfTypes are the chains from this slot for each service type that any slot
// has, and that of slots without one; each has the types that all its slots have.
func chainsOfTypes(rules scheduling.Rules, r *scheduling.Rule, setting *scheduling.Setting, open []occurrence, first occurrence) (all []modelOffer) {
	typesOf := func(o occurrence) []scheduling.Concept {
		types, _ := typesFor(rules, r, effective(o.slot, setting))
		return types
	}
	is := func(o occurrence, c *scheduling.Concept) bool {
		types := typesOf(o)
		return len(types) == 0 || c != nil && slices.ContainsFunc(types, func(t scheduling.Concept) bool { return sameType(t, *c) })
	}
	kinds := []*scheduling.Concept{nil}
	for _, o := range open {
		for _, c := range typesOf(o) {
			kinds = append(kinds, &c)
		}
	}
	slices.SortStableFunc(kinds[1:], func(a, b *scheduling.Concept) int { return cmp.Compare(typeName(*a), typeName(*b)) })
	var seen []string
	for _, kind := range kinds {
		fit := slices.DeleteFunc(slices.Clone(open), func(o occurrence) bool { return !is(o, kind) })
		if !is(first, kind) {
			continue
		}
		chain := chained(rules, r, setting, fit, []occurrence{first}, first.slot.Start.Add(time.Duration(r.Minutes)*time.Minute))
		if chain == nil {
			continue
		}
		ids := ""
		for _, o := range chain {
			ids += o.slot.ID + " "
		}
		if slices.Contains(seen, ids) {
			continue
		}
		seen = append(seen, ids)
		var types []scheduling.Concept
		for _, o := range chain {
			if types == nil {
				types = typesOf(o)
			}
		}
		types = slices.DeleteFunc(slices.Clone(types), func(c scheduling.Concept) bool {
			return slices.ContainsFunc(chain, func(o occurrence) bool { return !is(o, &c) })
		})
		chain[0].slot.ServiceType = types
		all = append(all, modelOffer{chain, r})
	}
	return all
}

func sameType(a, b scheduling.Concept) bool { return typeName(a) == typeName(b) }

// typeName is enough for the concepts of this world: each has one code.
func typeName(c scheduling.Concept) string { return c.Codings[0].System + "|" + c.Codings[0].Code }

// chained is the first chain, in the order that Rule.Compose promises, that lasts
// until then.
func chained(rules scheduling.Rules, r *scheduling.Rule, setting *scheduling.Setting, open, chain []occurrence, until time.Time) []occurrence {
	last := chain[len(chain)-1].slot.End
	if !last.Before(until) {
		return slices.Clone(chain)
	}
	var next []occurrence
	for _, o := range open {
		if _, ok := typesFor(rules, r, effective(o.slot, setting)); ok && !o.slot.Start.Before(last) && !o.slot.Start.After(last.Add(r.Gap)) {
			next = append(next, o)
		}
	}
	home := chain[0].in.Key.Day
	away := func(o occurrence) int {
		if o.in.Key.Day == home {
			return 0
		}
		return 1
	}
	slices.SortFunc(next, func(a, b occurrence) int {
		return cmp.Or(a.slot.Start.Compare(b.slot.Start), a.slot.End.Compare(b.slot.End), cmp.Compare(a.slot.ID, b.slot.ID),
			cmp.Compare(away(a), away(b)), cmp.Compare(a.in.Key.Day, b.in.Key.Day))
	})
	for _, o := range next {
		if found := chained(rules, r, setting, open, append(chain, o), until); found != nil {
			return found
		}
	}
	return nil
}

func effective(slot scheduling.Slot, setting *scheduling.Setting) []scheduling.Concept {
	if len(slot.ServiceType) > 0 {
		return slot.ServiceType
	}
	return setting.ServiceType
}

// typesFor are the service types of a slot that the rule is for (nil: that none
// is for), and whether it is for the slot at all.
func typesFor(rules scheduling.Rules, r *scheduling.Rule, types []scheduling.Concept) ([]scheduling.Concept, bool) {
	var named, rest []scheduling.Concept
	for _, c := range types {
		by := func(r scheduling.Rule) bool {
			return slices.ContainsFunc(r.VisitTypes, func(t scheduling.Token) bool { return t.MatchesAny([]scheduling.Concept{c}) })
		}
		if r != nil && by(*r) {
			named = append(named, c)
		}
		if !slices.ContainsFunc(rules, by) {
			rest = append(rest, c)
		}
	}
	other := func(r scheduling.Rule) bool { return len(r.VisitTypes) == 0 }
	switch {
	case r != nil && len(r.VisitTypes) > 0:
		return named, len(named) > 0
	case r == nil && slices.ContainsFunc(rules, other):
		return nil, false
	default:
		return rest, len(rest) > 0 || len(types) == 0
	}
}

// allowed judges an offer one by one, as a booking is.
func (m *model) allowed(q scheduling.Query, id scheduling.SourceID, r *scheduling.Rule, start time.Time, zone *time.Location, now time.Time) bool {
	return r.Timely(start, now) == nil && r.Admits(q.PersonAt(id), start, zone) == nil
}

func (m *model) offerID(id scheduling.SourceID, o modelOffer) string {
	var slots []string
	var generation uint32
	for _, part := range o.of {
		slots = append(slots, part.slot.ID)
		generation = max(generation, m.gens[id][part.slot.ID])
	}
	return o.rule.OfferID(id, generation, slots...)
}

// rules draws rules that Validate takes.
func (w *world) rules() scheduling.Rules {
	var rules scheduling.Rules
	for range rapid.IntRange(1, 3).Draw(w.t, "rules") {
		r := scheduling.Rule{
			Minutes:  rapid.SampledFrom([]int{0, 15, 20, 30, 45, 90}).Draw(w.t, "minutes"),
			Every:    rapid.SampledFrom([]time.Duration{0, 0, 30 * time.Minute, time.Hour}).Draw(w.t, "every"),
			Lead:     rapid.SampledFrom([]time.Duration{0, 0, 90 * time.Minute, 26 * time.Hour}).Draw(w.t, "lead"),
			Patients: rapid.SampledFrom([]scheduling.Patients{scheduling.AnyPatients, scheduling.AnyPatients, scheduling.NewPatients, scheduling.KnownPatients}).Draw(w.t, "for"),
		}
		if r.Minutes > 0 {
			r.Gap = rapid.SampledFrom([]time.Duration{0, 0, 15 * time.Minute}).Draw(w.t, "gap")
		}
		if w.oneIn(3, "until") {
			r.Until = r.Lead + 50*time.Hour
		}
		if w.oneIn(3, "ages") {
			r.Ages = scheduling.Ages{From: 18, To: rapid.SampledFrom([]int{0, 18, 64}).Draw(w.t, "to")}
		}
		for range rapid.IntRange(0, 2).Draw(w.t, "visitTypes") {
			r.VisitTypes = append(r.VisitTypes, scheduling.Token{System: "sys", Code: w.name("c", 3), Scoped: w.oneIn(2, "scoped")})
		}
		if next := append(slices.Clone(rules), r); next.Validate() == nil {
			rules = next
		}
	}
	return rules
}

// adjacent draws slots of a window in rows, some of them until midnight and some
// at the same time.
func (w *world) adjacent(key scheduling.WindowKey, start, end time.Time) []scheduling.Slot {
	var slots []scheduling.Slot
	at := start
	if rapid.Bool().Draw(w.t, "late") {
		at = end.Add(-time.Duration(rapid.IntRange(1, 8).Draw(w.t, "quarters")) * 15 * time.Minute)
	}
	for n := 0; at.Before(end) && n < 8; n++ {
		slots = append(slots, w.slot(key, at, n))
		at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 1, 1, 1, 1, 2, 0, 12}).Draw(w.t, "next")) * 15 * time.Minute)
	}
	return slots
}

// person draws who is to be seen.
func (w *world) person(q *scheduling.Query, sources []scheduling.Source) {
	born := w.now.AddDate(-18, 0, rapid.IntRange(-1, 4).Draw(w.t, "birthday")).Format(time.DateOnly)
	q.Person = scheduling.Person{
		Born:     rapid.SampledFrom([]string{"", born, born[:7], born[:4], "1950-02-29", "1961-11-04", "nonsense"}).Draw(w.t, "born"),
		Standing: rapid.SampledFrom([]scheduling.Standing{scheduling.Unsaid, scheduling.Stranger, scheduling.Registered, scheduling.Seen}).Draw(w.t, "standing"),
	}
	if rapid.Bool().Draw(w.t, "known there") {
		q.Standings = map[scheduling.SourceID]scheduling.Standing{rapid.SampledFrom(sources).Draw(w.t, "there").ID: scheduling.Seen}
	}
}
