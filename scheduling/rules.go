package scheduling

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rules are those of one source, in the order of the configuration.
type Rules []Rule

// Ruled is what a slot is for by one rule.
type Ruled struct {
	Rule int // number of the rule; -1: none, the slot is offered by itself
	// Types are the service types that the rule is for, or those that none is for.
	Types []Concept
}

// Of tells which rules a slot with these service types follows: each rule for
// the types that it names, and for the rest (or for a slot without types) each
// rule that names none. Without such a one the rest is offered by itself. What
// nothing is left for is not in the list.
func (rs Rules) Of(types []Concept) []Ruled {
	var out []Ruled
	rest := make([]Concept, 0, len(types))
	for _, concept := range types {
		if !slices.ContainsFunc(rs, func(r Rule) bool { return r.names(concept) }) {
			rest = append(rest, concept)
		}
	}
	ruled := false
	for n := range rs {
		r := &rs[n]
		of := rest
		if len(r.VisitTypes) > 0 {
			of = slices.DeleteFunc(slices.Clone(types), func(c Concept) bool { return !r.names(c) })
			if len(of) == 0 {
				continue
			}
		} else if len(rest) == 0 && len(types) > 0 {
			continue
		}
		ruled = ruled || len(r.VisitTypes) == 0
		out = append(out, Ruled{n, of})
	}
	if !ruled && (len(rest) > 0 || len(types) == 0) {
		out = append(out, Ruled{-1, rest})
	}
	return out
}

// names tells whether the rule names one of the concept's codes.
func (r *Rule) names(c Concept) bool {
	return slices.ContainsFunc(r.VisitTypes, func(t Token) bool { return t.MatchesAny([]Concept{c}) })
}

// Limits of a Rule.
const (
	maxRuleMinutes = 24 * 60
	maxRuleGap     = 4 * time.Hour
	maxRuleAhead   = 731 * 24 * time.Hour
	oldest         = 150
)

// Validate tells what is wrong with the rules. Each message begins with the
// number of the rule and its key: "[1].minutes: ...".
func (rs Rules) Validate() error {
	var all []error
	for n := range rs {
		for _, err := range rs[n].wrong() {
			all = append(all, fmt.Errorf("[%d].%w", n, err))
		}
		for before := range n {
			if rs[before].overlaps(&rs[n]) {
				all = append(all, fmt.Errorf("[%d].visit_type: the rule is for what rules[%d] is for, and for the same patients; take the visit type out of one, or give them other patients or ages", n, before))
				break
			}
		}
	}
	return errors.Join(all...)
}

// wrong is what is wrong with one rule by itself.
func (r *Rule) wrong() []error {
	var all []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	need(r.Minutes >= 0 && r.Minutes <= maxRuleMinutes, "minutes: is %d; write 0 (one slot) to %d", r.Minutes, maxRuleMinutes)
	need(r.Gap >= 0 && r.Gap <= maxRuleGap, "gap: is %v; write 0 to %v", r.Gap, maxRuleGap)
	need(r.Gap == 0 || r.Minutes > 0, "gap: counts between slots of one appointment only; write minutes too")
	need(r.Every >= 0 && r.Every <= 24*time.Hour && r.Every%time.Minute == 0, "every: is %v; write whole minutes up to 24h, or 0 for any slot's start", r.Every)
	need(r.Lead >= 0 && r.Lead <= maxRuleAhead, "lead: is %v; write 0 to 731d", r.Lead)
	need(r.Until >= 0 && r.Until <= maxRuleAhead, "until: is %v; write up to 731d, or 0 for no end", r.Until)
	need(r.Until == 0 || r.Until > r.Lead, "until: is %v, and lead %v: nothing would ever be offered; write until above lead", r.Until, r.Lead)
	need(r.Patients == AnyPatients || r.Patients == NewPatients || r.Patients == KnownPatients, "patients: is %q; write any, new or known", r.Patients)
	need(r.Ages.From >= 0 && r.Ages.From <= oldest, "ages.from: is %d; write whole years, 0 to %d", r.Ages.From, oldest)
	need(r.Ages.To >= 0 && r.Ages.To <= oldest, "ages.to: is %d; write the last age in whole years, or 0 for no end", r.Ages.To)
	need(r.Ages.To == 0 || r.Ages.To >= r.Ages.From, "ages.to: is below from; write the first age as from and the last as to")
	for n, t := range r.VisitTypes {
		need(t.Code != "" || t.System != "", "visit_type[%d]: names no code; write system|code", n)
	}
	return all
}

// overlaps tells whether both rules could be for one patient and visit type.
func (r *Rule) overlaps(other *Rule) bool {
	if r.Patients != AnyPatients && other.Patients != AnyPatients && r.Patients != other.Patients {
		return false
	}
	if r.Ages.To != 0 && r.Ages.To < other.Ages.From || other.Ages.To != 0 && other.Ages.To < r.Ages.From {
		return false
	}
	if len(r.VisitTypes) == 0 || len(other.VisitTypes) == 0 {
		return len(r.VisitTypes) == len(other.VisitTypes)
	}
	return slices.ContainsFunc(r.VisitTypes, func(a Token) bool {
		return slices.ContainsFunc(other.VisitTypes, a.meets)
	})
}

// meets tells whether one coding could match both tokens.
func (t Token) meets(other Token) bool {
	if t.Scoped && other.Scoped && t.System != other.System {
		return false
	}
	return t.Code == other.Code || t.Code == "" || other.Code == ""
}
