package replica

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// model is the replica as one would write it without a thought for speed: a
// flat list that every query walks through. The property tests hold the two
// against each other.
type model struct {
	sources []scheduling.Source
	dirs    map[scheduling.SourceID]scheduling.Directory
	windows map[scheduling.SourceID]map[scheduling.WindowKey]scheduling.Window
	checks  map[scheduling.SourceID][]scheduling.Check
	gens    map[scheduling.SourceID]map[string]uint32
	marks   map[scheduling.SourceID]map[string]scheduling.Mark
	status  map[scheduling.SourceID]scheduling.Status
}

func newModel(sources []scheduling.Source) *model {
	return &model{
		sources: sources,
		dirs:    map[scheduling.SourceID]scheduling.Directory{},
		windows: map[scheduling.SourceID]map[scheduling.WindowKey]scheduling.Window{},
		checks:  map[scheduling.SourceID][]scheduling.Check{},
		gens:    map[scheduling.SourceID]map[string]uint32{},
		marks:   map[scheduling.SourceID]map[string]scheduling.Mark{},
		status:  map[scheduling.SourceID]scheduling.Status{},
	}
}

func (m *model) load(id scheduling.SourceID, snap scheduling.Snapshot) {
	m.dirs[id] = snap.Directory
	m.windows[id] = map[scheduling.WindowKey]scheduling.Window{}
	m.checks[id] = snap.Checks
	m.gens[id] = snap.Generations
	m.marks[id] = map[string]scheduling.Mark{}
	for _, mark := range snap.Marks {
		m.marks[id][mark.Slot] = mark
	}
	m.status[id] = snap.Status
	for _, w := range snap.Windows {
		m.windows[id][w.Key] = w
	}
}

func (m *model) apply(id scheduling.SourceID, change scheduling.Change) {
	if change.Directory != nil {
		m.dirs[id] = *change.Directory
	}
	if change.Status != nil {
		m.status[id] = *change.Status
	}
	for _, w := range change.Windows {
		if w.Fetch >= m.windows[id][w.Key].Fetch {
			m.windows[id][w.Key] = w
		}
	}
	if change.Check != nil {
		m.checks[id] = append(slices.Clone(m.checks[id]), *change.Check)
	}
	for _, mark := range change.Marks {
		m.marks[id][mark.Slot] = mark
	}
	gens := map[string]uint32{}
	for slot, n := range m.gens[id] {
		gens[slot] = n
	}
	for slot, n := range change.Generations {
		gens[slot] = max(gens[slot], n)
	}
	m.gens[id] = gens
}

// modelHit is an offer of the model.
type modelHit struct {
	start time.Time
	id    string
}

func (m *model) find(q scheduling.Query, now time.Time) (hits []modelHit, complete map[scheduling.SourceID]bool) {
	complete = map[scheduling.SourceID]bool{}
	for _, source := range m.sources {
		if len(q.Sources) > 0 && !slices.Contains(q.Sources, source.ID) {
			continue
		}
		found, ok := m.findIn(source, q, now)
		hits = append(hits, found...)
		complete[source.ID] = ok
	}
	slices.SortFunc(hits, func(a, b modelHit) int { return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.id, b.id)) })
	return hits, complete
}

func (m *model) findIn(source scheduling.Source, q scheduling.Query, now time.Time) (hits []modelHit, complete bool) {
	complete = m.complete(source, q, now)
	resolver := scheduling.NewResolver(source.ID, m.dirs[source.ID], source.Zone)
	for schedule, open := range m.open(source.ID) {
		setting, reason := resolver.Setting(schedule)
		zone := source.Zone
		if setting != nil {
			zone = setting.Zone
		}
		from, to := q.Span(zone, now)
		if source.Horizon > 0 {
			end := (scheduling.DayOf(now, zone) + scheduling.Day(source.Horizon)).Start(zone)
			if to.IsZero() || end.Before(to) {
				to = end
			}
		}
		for _, o := range m.offers(source, setting, open) {
			start := o.of[0].slot.Start
			if start.Before(from) || !to.IsZero() && !start.Before(to) || !m.allowed(q, source.ID, o.rule, start, zone, now) {
				continue
			}
			switch {
			case slices.ContainsFunc(o.of, func(p occurrence) bool { return !m.counts(source.ID, p.in, p.slot) }):
			case setting == nil:
				complete = complete && reason == scheduling.InactiveActor
			case !m.matches(source, q, setting, o.of[0].slot):
			case slices.ContainsFunc(o.of, func(p occurrence) bool { return m.tooOld(source, q, p.in, now) }):
				complete = false
			default:
				hits = append(hits, modelHit{start, m.offerID(source.ID, o)})
			}
		}
	}
	return hits, complete
}

// occurrence is an open slot in one of the windows that hold it.
type occurrence struct {
	in   scheduling.Window
	slot scheduling.Slot
}

// open is what can be offered, by schedule.
func (m *model) open(id scheduling.SourceID) map[string][]occurrence {
	open := map[string][]occurrence{}
	for _, w := range m.windows[id] {
		for i, slot := range w.Slots {
			twice := slices.ContainsFunc(w.Slots[:i], func(s scheduling.Slot) bool {
				return s.ID == slot.ID && s.Start.Equal(slot.Start) && s.Usable() == ""
			})
			if !twice && slot.Usable() == "" && !m.withheld(id, w, slot) {
				open[w.Key.Schedule] = append(open[w.Key.Schedule], occurrence{w, slot})
			}
		}
	}
	return open
}

// counts tells whether this occurrence of the slot is the one that is offered:
// the latest fetch's, of those the soonest.
func (m *model) counts(id scheduling.SourceID, w scheduling.Window, slot scheduling.Slot) bool {
	for _, other := range m.windows[id] {
		for _, twin := range other.Slots {
			if twin.ID != slot.ID || twin.Usable() != "" || m.withheld(id, other, twin) {
				continue
			}
			if other.Fetch > w.Fetch || other.Fetch == w.Fetch && twin.Start.Before(slot.Start) {
				return false
			}
		}
	}
	return true
}

// withheld tells whether law 4 keeps the slot of this window away: a mark of its
// own, or one whose time it shares.
func (m *model) withheld(id scheduling.SourceID, w scheduling.Window, slot scheduling.Slot) bool {
	confirmed := w.Fetch
	for _, check := range m.checks[id] {
		if check.Scope.Covers(w.Key) {
			confirmed = max(confirmed, check.Fetch)
		}
	}
	its := scheduling.Span{Schedule: w.Key.Schedule, From: slot.Start, To: slot.End}
	for _, mark := range m.marks[id] {
		concerns := mark.Slot == slot.ID || mark.Span.Overlaps(its)
		if concerns && (mark.Claimed || mark.Fence > 0 && confirmed <= mark.Fence) {
			return true
		}
	}
	return false
}

func (m *model) complete(source scheduling.Source, q scheduling.Query, now time.Time) bool {
	status := m.status[source.ID]
	age := now.Sub(status.LastSync)
	return !status.Loaded.IsZero() && !status.Incomplete && !status.LastSync.IsZero() &&
		(source.MaxAge == 0 || age <= source.MaxAge) && (q.MaxAge == 0 || age <= q.MaxAge)
}

func (m *model) tooOld(source scheduling.Source, q scheduling.Query, w scheduling.Window, now time.Time) bool {
	at := w.Checked
	for _, check := range m.checks[source.ID] {
		if check.Scope.Covers(w.Key) && check.At.After(at) {
			at = check.At
		}
	}
	age := now.Sub(at)
	return source.MaxAge > 0 && age > source.MaxAge || q.MaxAge > 0 && age > q.MaxAge
}

func (m *model) matches(source scheduling.Source, q scheduling.Query, s *scheduling.Setting, slot scheduling.Slot) bool {
	specialty, visitType := slot.Specialty, slot.ServiceType
	if len(specialty) == 0 {
		specialty = s.Specialty
	}
	if len(visitType) == 0 {
		visitType = s.ServiceType
	}
	asks := func(tokens []scheduling.Token, have []scheduling.Concept) bool {
		return len(tokens) == 0 || slices.ContainsFunc(tokens, func(t scheduling.Token) bool { return t.MatchesAny(have) })
	}
	return asks(q.Specialty, specialty) && asks(q.VisitType, visitType) &&
		m.matchesPeople(source, q, s) && m.matchesPlaces(source, q, s) && m.matchesOrganizations(source, q, s)
}

// names tells whether the ref asks for this record.
func names(source scheduling.Source, q scheduling.Query, ref scheduling.Ref, kind scheduling.Kind, id string, identifiers []scheduling.Identifier) bool {
	if ref.Kind != "" && ref.Kind != kind {
		return false
	}
	if ref.ID != "" && (ref.ID == scheduling.ResourceID(source.ID, kind, id) || len(q.Sources) > 0 && ref.ID == id) {
		return true
	}
	if ref.URL != "" && strings.TrimSuffix(ref.URL, "/_history/1") == source.Base+"/"+string(kind)+"/"+id {
		return true
	}
	return ref.Identifier.Value != "" && slices.ContainsFunc(identifiers, func(have scheduling.Identifier) bool {
		return have.Value == ref.Identifier.Value && (ref.Identifier.System == "" || have.System == ref.Identifier.System)
	})
}

func (m *model) matchesPeople(source scheduling.Source, q scheduling.Query, s *scheduling.Setting) bool {
	return len(q.Practitioners) == 0 || slices.ContainsFunc(q.Practitioners, func(ref scheduling.Ref) bool {
		for _, p := range s.Practitioners {
			if names(source, q, ref, scheduling.KindPractitioner, p.ID, p.Identifiers) {
				return true
			}
		}
		return s.Role != nil && names(source, q, ref, scheduling.KindRole, s.Role.ID, s.Role.Identifiers)
	})
}

func (m *model) matchesPlaces(source scheduling.Source, q scheduling.Query, s *scheduling.Setting) bool {
	if len(q.Locations) == 0 && len(q.LocationText) == 0 && q.Near == nil {
		return true
	}
	return slices.ContainsFunc(s.Locations, func(l *scheduling.Location) bool {
		byRef := len(q.Locations) == 0 || slices.ContainsFunc(q.Locations, func(ref scheduling.Ref) bool {
			return names(source, q, ref, scheduling.KindLocation, l.ID, l.Identifiers)
		})
		byText := len(q.LocationText) == 0 || slices.ContainsFunc(q.LocationText, func(part string) bool {
			return scheduling.MatchesText(part, append(l.Address.Parts(), l.Name)...)
		})
		near := q.Near == nil || l.Position != nil && l.Position.Valid() && q.Near.Position.Metres(*l.Position) <= q.Near.Metres
		return byRef && byText && near
	})
}

func (m *model) matchesOrganizations(source scheduling.Source, q scheduling.Query, s *scheduling.Setting) bool {
	if len(q.Organizations) == 0 {
		return true
	}
	todo := []string{}
	if s.Organization != nil {
		todo = append(todo, s.Organization.ID)
	}
	for _, l := range s.Locations {
		todo = append(todo, l.Organization)
	}
	seen := map[string]bool{}
	for len(todo) > 0 {
		org := m.dirs[source.ID].Organizations[todo[0]]
		todo = todo[1:]
		if org == nil || seen[org.ID] {
			continue
		}
		seen[org.ID] = true
		todo = append(todo, org.PartOf)
		for _, ref := range q.Organizations {
			if names(source, q, ref, scheduling.KindOrganization, org.ID, org.Identifiers) {
				return true
			}
		}
	}
	return false
}
