package replica

import (
	"slices"

	"slotgate/scheduling"
)

// matcher is a directory search made ready for one source.
type matcher struct {
	st     *state
	search *scheduling.Search

	// nil: not asked for. Else by number of the record.
	practitioners, locations, organizations, schedules []bool

	bySchedule map[string]*scheduling.Setting // made when first needed
}

// settings are those of the schedules that have one, by the source's id.
func (m *matcher) settings() map[string]*scheduling.Setting {
	if m.bySchedule == nil {
		m.bySchedule = make(map[string]*scheduling.Setting, len(m.st.layout.places))
		for _, p := range m.st.layout.places {
			m.bySchedule[p.id] = p.setting
		}
	}
	return m.bySchedule
}

// newMatcher is false where nothing of the source can match.
func (st *state) newMatcher(s *scheduling.Search) (*matcher, bool) {
	m := &matcher{st: st, search: s}
	possible := m.mark(&m.practitioners, s.Practitioners, scheduling.KindPractitioner) &&
		m.mark(&m.locations, s.Locations, scheduling.KindLocation) &&
		m.mark(&m.organizations, s.Organizations, scheduling.KindOrganization) &&
		m.mark(&m.schedules, s.Schedules, scheduling.KindSchedule)
	if s.Kind == scheduling.KindSlot {
		// Roles count for the practitioner there: criteria judge them.
		possible = m.schedules == nil || slices.Contains(m.schedules, true)
	}
	return m, possible
}

func (m *matcher) mark(marks *[]bool, refs []scheduling.Ref, kind scheduling.Kind) bool {
	if len(refs) == 0 {
		return true
	}
	*marks = make([]bool, len(m.st.dir.kinds[kind].ids))
	var numbers []int32
	for _, ref := range refs {
		numbers = m.st.dir.matches(ref, kind, m.st.source.Base, len(m.search.Sources) > 0, numbers[:0])
		for _, n := range numbers {
			(*marks)[n] = true
		}
	}
	return slices.Contains(*marks, true)
}

// eachSchedule visits the schedules that may match.
func (m *matcher) eachSchedule(c *criteria, visit func(n int)) {
	if m.schedules == nil {
		c.candidates(visit)
		return
	}
	known := m.st.dir.kinds[scheduling.KindSchedule]
	for n, p := range m.st.layout.places {
		if at := known.native(p.id); at >= 0 && m.schedules[at] {
			visit(n)
		}
	}
}

// matches judges a record by what every kind has, then by what its own has.
func (m *matcher) matches(r scheduling.Record, n int32) bool {
	s := m.search
	if len(s.IDs) > 0 && !slices.Contains(s.IDs, r.ID) {
		return false
	}
	if len(s.Identifiers) > 0 && !matchesIdentifier(s.Identifiers, m.st.dir.kinds[r.Kind].identifiers[n]) {
		return false
	}
	if len(s.Start)+len(s.Status)+len(s.Schedules) > 0 {
		return false // slots only
	}
	f := m.facets(r)
	return matchesTexts(s.Name, f.name) && matchesTexts(s.Address, f.address) &&
		matchesTokens(s.Specialty, f.specialty) &&
		m.linked(m.practitioners, scheduling.KindPractitioner, f.practitioners) &&
		m.linked(m.locations, scheduling.KindLocation, f.locations) &&
		m.linked(m.organizations, scheduling.KindOrganization, f.organizations)
}

// facets are what a kind of record can be searched by; what it lacks is empty
// and so matches nothing.
type facets struct {
	name, address                           []string
	specialty                               []scheduling.Concept
	practitioners, locations, organizations []string // the source's ids
}

func (m *matcher) facets(r scheduling.Record) facets {
	switch r.Kind {
	case scheduling.KindPractitioner:
		n := r.Practitioner.Name
		return facets{name: append([]string{n.Display(), n.Family}, n.Given...)}
	case scheduling.KindRole:
		return facets{
			specialty: r.Role.Specialty, practitioners: []string{r.Role.Practitioner},
			locations: r.Role.Locations, organizations: []string{r.Role.Organization},
		}
	case scheduling.KindLocation:
		return facets{
			name: []string{r.Location.Name}, address: r.Location.Address.Parts(),
			organizations: []string{r.Location.Organization},
		}
	case scheduling.KindOrganization:
		f := facets{name: []string{r.Organization.Name}}
		for _, address := range r.Organization.Address {
			f.address = append(f.address, address.Parts()...)
		}
		return f
	case scheduling.KindService:
		return facets{
			name: []string{r.Service.Name}, specialty: r.Service.Specialty,
			locations: r.Service.Locations, organizations: []string{r.Service.Organization},
		}
	default:
		return m.scheduleFacets(r.Schedule)
	}
}

// scheduleFacets are those of the schedule's setting: its role may name what
// the schedule does not. One without a setting has its own actors.
func (m *matcher) scheduleFacets(schedule *scheduling.Schedule) facets {
	setting := m.settings()[schedule.ID]
	if setting == nil {
		f := facets{specialty: schedule.Specialty}
		for _, actor := range schedule.Actors {
			switch actor.Kind {
			case scheduling.KindPractitioner:
				f.practitioners = append(f.practitioners, actor.ID)
			case scheduling.KindLocation:
				f.locations = append(f.locations, actor.ID)
			}
		}
		return f
	}
	f := facets{specialty: setting.Specialty}
	for _, p := range setting.Practitioners {
		f.practitioners = append(f.practitioners, p.ID)
	}
	for _, l := range setting.Locations {
		f.locations = append(f.locations, l.ID)
		f.organizations = append(f.organizations, l.Organization)
	}
	if setting.Organization != nil {
		f.organizations = append(f.organizations, setting.Organization.ID)
	}
	return f
}

// linked tells whether one of the source's ids is marked.
func (m *matcher) linked(marks []bool, kind scheduling.Kind, ids []string) bool {
	if marks == nil {
		return true
	}
	return slices.ContainsFunc(ids, func(id string) bool {
		n := m.st.dir.kinds[kind].native(id)
		return n >= 0 && marks[n]
	})
}

func matchesTexts(parts, texts []string) bool {
	return len(parts) == 0 || slices.ContainsFunc(parts, func(part string) bool {
		return scheduling.MatchesText(part, texts...)
	})
}

func matchesTokens(tokens []scheduling.Token, concepts []scheduling.Concept) bool {
	return len(tokens) == 0 || slices.ContainsFunc(tokens, func(t scheduling.Token) bool {
		return t.MatchesAny(concepts)
	})
}

func matchesIdentifier(tokens []scheduling.Token, have []scheduling.Identifier) bool {
	return slices.ContainsFunc(tokens, func(t scheduling.Token) bool {
		return slices.ContainsFunc(have, func(id scheduling.Identifier) bool {
			return t.Matches(scheduling.Coding{System: id.System, Code: id.Value})
		})
	})
}
