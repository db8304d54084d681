package replica

import (
	"math"
	"slices"
	"time"

	"slotgate/scheduling"
)

// criteria is a query made ready for one state of one source: records by
// number, periods in seconds. It serves one call, on one goroutine.
type criteria struct {
	st    *state
	query *scheduling.Query
	spans []span // by number of the layout's zones
	ruled []span // by zone, and in each by rule; made when first needed

	// nil: not asked for. Else by number of the record.
	practitioners, roles, locations, organizations []bool

	// Whether a list of concepts has what is asked for, by its number.
	specialty, visitType []verdict

	now     time.Time
	oldest  int64 // nanoseconds; windows confirmed before are hidden
	limited bool  // oldest counts
	tooOld  bool  // a window that matches was hidden
}

// verdict is what is known of a list of concepts so far.
type verdict uint8

const (
	unknown verdict = iota
	yes
	no
)

// span is a period in seconds since 1970, to not included.
type span struct{ from, to int64 }

const forever = math.MaxInt64

// seconds rounds up: a slot begins on a whole second, and so it is before t
// just when it is before t rounded up.
func seconds(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// period is the query's period in the zone, cut at now and at the horizon. The
// end is zero where there is none.
func (st *state) period(q *scheduling.Query, zone *time.Location, now time.Time) (from, to time.Time) {
	from, to = q.Span(zone, now)
	if end := st.horizon(zone, now); !end.IsZero() && (to.IsZero() || end.Before(to)) {
		to = end
	}
	return from, to
}

func spanOf(from, to time.Time) span {
	if to.IsZero() {
		return span{seconds(from), forever}
	}
	return span{seconds(from), seconds(to)}
}

// periods remembers the periods of one query: most places share a zone, and to
// find where a day begins takes longer than to find a page of offers.
type periods struct {
	query *scheduling.Query
	now   time.Time
	known []period
}

type period struct {
	zone     *time.Location
	horizon  int
	from, to time.Time
}

// of is the period for a place of the source in the zone.
func (ps *periods) of(st *state, zone *time.Location) (from, to time.Time) {
	for _, p := range ps.known {
		if p.horizon == st.source.Horizon && sameZone(p.zone, zone) {
			return p.from, p.to
		}
	}
	from, to = st.period(ps.query, zone, ps.now)
	ps.known = append(ps.known, period{zone, st.source.Horizon, from, to})
	return from, to
}

// sameZone knows zones by their IANA names: each load makes another pointer.
func sameZone(a, b *time.Location) bool {
	return a == b || a.String() != "" && a.String() == b.String()
}

// newCriteria is false where nothing of the source can match.
func newCriteria(st *state, ps *periods) (*criteria, bool) {
	q := ps.query
	c := &criteria{st: st, query: q}
	who := c.people(q.Practitioners)
	where := c.places(q.Locations) && c.placesByText(q.LocationText) && c.placesNear(q.Near)
	if !who || !where || !c.organizationsOf(q.Organizations) {
		return c, false
	}
	c.spans = make([]span, len(st.layout.zones))
	for i, zone := range st.layout.zones {
		c.spans[i] = spanOf(ps.of(st, zone))
	}
	c.now = ps.now
	c.oldest, c.limited = st.oldest(c.now, q.MaxAgeAt(st.source.ID))
	c.specialty = verdicts(q.Specialty, st.sets)
	c.visitType = verdicts(q.VisitType, st.sets)
	return c, true
}

// span is the period in a zone in which offers of the rule may begin. What hangs
// on the moment and on the patient cuts it.
func (c *criteria) span(zone, rule int32) span {
	if rule == noRule {
		return c.spans[zone]
	}
	rules := c.st.source.Rules
	if c.ruled == nil {
		person := c.query.PersonAt(c.st.source.ID)
		c.ruled = make([]span, 0, len(c.spans)*len(rules))
		for i, whole := range c.spans {
			for n := range rules {
				c.ruled = append(c.ruled, whole.within(rules[n].Period(person, c.st.layout.zones[i], c.now)))
			}
		}
	}
	return c.ruled[int(zone)*len(rules)+int(rule)]
}

// within is what of the period lies between from and to.
func (s span) within(from, to time.Time, ok bool) span {
	if !ok {
		return span{}
	}
	cut := spanOf(from, to)
	return span{max(s.from, cut.from), min(s.to, cut.to)}
}

func verdicts(tokens []scheduling.Token, sets [][]scheduling.Concept) []verdict {
	if len(tokens) == 0 {
		return nil
	}
	return make([]verdict, len(sets))
}

// marks are the records of a kind that one of the refs asks for.
func (c *criteria) marks(refs []scheduling.Ref, kind scheduling.Kind) (marks []bool, found bool) {
	marks = make([]bool, len(c.st.dir.kinds[kind].ids))
	native := len(c.query.Sources) > 0
	var numbers []int32
	for _, ref := range refs {
		numbers = c.st.dir.matches(ref, kind, c.st.source.Base, native, numbers[:0])
		for _, n := range numbers {
			marks[n], found = true, true
		}
	}
	return marks, found
}

// people takes practitioners, and roles for the person who has them.
func (c *criteria) people(refs []scheduling.Ref) bool {
	if len(refs) == 0 {
		return true
	}
	var persons, roles bool
	c.practitioners, persons = c.marks(refs, scheduling.KindPractitioner)
	c.roles, roles = c.marks(c.withRoles(refs), scheduling.KindRole)
	return persons || roles
}

// withRoles lets a ref that names no role, but a role's id, stand for the role.
func (c *criteria) withRoles(refs []scheduling.Ref) []scheduling.Ref {
	roles := slices.Clone(refs)
	for i := range roles {
		if roles[i].Kind == scheduling.KindPractitioner {
			roles[i].Kind = ""
			roles[i].Identifier = scheduling.Identifier{} // a person's, not a role's
			roles[i].ID = c.roleOnly(roles[i].ID)
		}
	}
	return roles
}

// roleOnly is the id if it is ours for a role: digests of a practitioner and of
// a role differ even where the source's ids are the same.
func (c *criteria) roleOnly(id string) string {
	if _, ok := c.st.dir.kinds[scheduling.KindRole].number(id); ok {
		return id
	}
	return ""
}

func (c *criteria) organizationsOf(refs []scheduling.Ref) (found bool) {
	if len(refs) == 0 {
		return true
	}
	c.organizations, found = c.marks(refs, scheduling.KindOrganization)
	return found
}

func (c *criteria) places(refs []scheduling.Ref) (found bool) {
	if len(refs) == 0 {
		return true
	}
	c.locations, found = c.marks(refs, scheduling.KindLocation)
	return found
}

// keepPlaces leaves only the locations that pass.
func (c *criteria) keepPlaces(pass func(n int) bool) (found bool) {
	all := c.locations == nil
	if all {
		c.locations = make([]bool, len(c.st.dir.texts))
	}
	for n := range c.locations {
		c.locations[n] = (all || c.locations[n]) && pass(n)
		found = found || c.locations[n]
	}
	return found
}

func (c *criteria) placesByText(texts []string) bool {
	if len(texts) == 0 {
		return true
	}
	return c.keepPlaces(func(n int) bool {
		return slices.ContainsFunc(texts, func(part string) bool {
			return scheduling.MatchesText(part, c.st.dir.texts[n]...)
		})
	})
}

func (c *criteria) placesNear(near *scheduling.Near) bool {
	if near == nil {
		return true
	}
	natives := c.st.dir.kinds[scheduling.KindLocation].natives
	return c.keepPlaces(func(n int) bool {
		at := c.st.dir.Locations[natives[n]].Position
		return at != nil && at.Valid() && near.Metres >= near.Position.Metres(*at)
	})
}

// candidates calls visit for each schedule that may match, once each.
func (c *criteria) candidates(visit func(n int)) {
	lists := c.st.layout.postings(c.st.dir)
	var picked []int32
	switch {
	case c.practitioners != nil:
		picked = collect(collect(nil, c.practitioners, lists.practitioners), c.roles, lists.roles)
	case c.locations != nil:
		picked = collect(nil, c.locations, lists.locations)
	case c.organizations != nil:
		picked = collect(nil, c.organizations, lists.organizations)
	default:
		for n := range c.st.layout.places {
			visit(n)
		}
		return
	}
	slices.Sort(picked)
	for _, n := range slices.Compact(picked) {
		visit(int(n))
	}
}

func collect(picked []int32, marks []bool, lists [][]int32) []int32 {
	for n, marked := range marks {
		if marked {
			picked = append(picked, lists[n]...)
		}
	}
	return picked
}

// fits tells whether the schedule's people, places and organizations are asked
// for.
func (c *criteria) fits(p *place) bool {
	if p.setting == nil {
		return false
	}
	if c.practitioners != nil && !anyMarked(c.practitioners, p.practitioners) && (p.role < 0 || !c.roles[p.role]) {
		return false
	}
	if c.locations != nil && !anyMarked(c.locations, p.locations) {
		return false
	}
	return c.organizations == nil || anyMarked(c.organizations, p.organizations)
}

func anyMarked(marks []bool, numbers []int32) bool {
	for _, n := range numbers {
		if n >= 0 && marks[n] {
			return true
		}
	}
	return false
}

// takes tells whether slots of this kind, at a place of that kind, are asked
// for by specialty and visit type: the slot's own count, else the place's.
func (c *criteria) takes(own, place kind) bool {
	if own.specialty == noSet {
		own.specialty = place.specialty
	}
	if own.serviceType == noSet {
		own.serviceType = place.serviceType
	}
	return has(c.specialty, own.specialty, c.query.Specialty, c.st.sets) &&
		has(c.visitType, own.serviceType, c.query.VisitType, c.st.sets)
}

func has(known []verdict, set int32, tokens []scheduling.Token, sets [][]scheduling.Concept) bool {
	if known == nil {
		return true
	}
	if known[set] == unknown {
		known[set] = no
		if slices.ContainsFunc(tokens, func(t scheduling.Token) bool { return t.MatchesAny(sets[set]) }) {
			known[set] = yes
		}
	}
	return known[set] == yes
}

// share is how much of a book matches: all, none, or some of its kinds.
func (c *criteria) share(b *book, p *place) (all, some bool) {
	if b.plain {
		all = c.takes(kind{}, p.kind)
		return all, all
	}
	all = true
	for _, k := range b.kinds {
		if c.takes(k, p.kind) {
			some = true
		} else {
			all = false
		}
	}
	return all, some
}

// shows tells whether the window is not too old.
func (c *criteria) shows(b *book, w *window) bool {
	return !c.limited || b.checkedAt(w, c.st.cover) >= c.oldest
}

// showsParts tells whether none of the windows that offer i goes on in is too old,
// and notes if one is. Its own is judged by shows.
func (c *criteria) showsParts(b *book, w *window, i int) bool {
	if !c.limited || w.offers == nil || b.confirmed(w, i, c.st.cover) >= c.oldest || !c.shows(b, w) {
		return true
	}
	c.tooOld = true
	return false
}
