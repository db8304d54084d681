package replica

import (
	"slices"
	"sync/atomic"
	"time"

	"slotgate/scheduling"
)

// place is what a schedule's number stands for: its setting, if the directory
// explains it, with every record by number. It is immutable.
type place struct {
	id       string // the schedule's, within the source
	setting  *scheduling.Setting
	reason   scheduling.Reason // why there is no setting
	fragment any

	zone          int32 // number in the layout's zones
	kind          kind  // the setting's specialty and service type
	practitioners []int32
	role          int32 // -1: none
	locations     []int32
	organizations []int32 // with all they are part of
}

// layout is one place per schedule, by number. Places are only ever appended
// to a layout; another directory makes another one.
type layout struct {
	places []*place
	zones  []*time.Location
	lists  atomic.Pointer[postings]
}

// postings lead from a record's number to the numbers of its schedules.
type postings struct {
	practitioners, roles, locations, organizations [][]int32
}

// surveyor makes places.
type surveyor struct {
	source scheduling.Source
	render func(scheduling.Source, *scheduling.Setting) any
	in     *interner
}

// survey resolves every schedule of the list anew.
func (s *surveyor) survey(ids []string, dir *directory) *layout {
	l := &layout{places: make([]*place, 0, len(ids))}
	for _, id := range ids {
		l.places = append(l.places, s.place(l, id, dir))
	}
	return l
}

// with is the layout and one more schedule. The list may be shared with the
// layout before, which never looks behind its own end.
func (s *surveyor) with(l *layout, id string, dir *directory) *layout {
	next := &layout{zones: slices.Clone(l.zones)}
	next.places = append(l.places, s.place(next, id, dir))
	return next
}

func (s *surveyor) place(l *layout, id string, dir *directory) *place {
	p := &place{id: id, role: -1}
	p.setting, p.reason = dir.resolver.Setting(id)
	if p.setting == nil {
		return p
	}
	set := p.setting
	p.zone = l.zoneNumber(set.Zone)
	set.Zone = l.zones[p.zone] // the resolver loads one for each schedule
	p.fragment = s.render(s.source, set)
	p.kind = kind{s.in.set(set.Specialty), s.in.set(set.ServiceType)}
	for _, who := range set.Practitioners {
		p.practitioners = append(p.practitioners, dir.kinds[scheduling.KindPractitioner].native(who.ID))
	}
	if set.Role != nil {
		p.role = dir.kinds[scheduling.KindRole].native(set.Role.ID)
	}
	if set.Organization != nil {
		p.organizations = dir.ancestors(set.Organization.ID, p.organizations)
	}
	for _, where := range set.Locations {
		p.locations = append(p.locations, dir.kinds[scheduling.KindLocation].native(where.ID))
		p.organizations = dir.ancestors(where.Organization, p.organizations)
	}
	return p
}

func (l *layout) zoneNumber(zone *time.Location) int32 {
	for i, known := range l.zones {
		if sameZone(known, zone) {
			return int32(i)
		}
	}
	l.zones = append(l.zones, zone)
	return int32(len(l.zones) - 1)
}

// postings are made when first asked for; two readers may make the same ones.
func (l *layout) postings(dir *directory) *postings {
	if lists := l.lists.Load(); lists != nil {
		return lists
	}
	lists := &postings{
		practitioners: make([][]int32, len(dir.kinds[scheduling.KindPractitioner].ids)),
		roles:         make([][]int32, len(dir.kinds[scheduling.KindRole].ids)),
		locations:     make([][]int32, len(dir.kinds[scheduling.KindLocation].ids)),
		organizations: make([][]int32, len(dir.kinds[scheduling.KindOrganization].ids)),
	}
	for i, p := range l.places {
		n := int32(i)
		post(lists.practitioners, p.practitioners, n)
		post(lists.locations, p.locations, n)
		post(lists.organizations, p.organizations, n)
		if p.role >= 0 {
			lists.roles[p.role] = append(lists.roles[p.role], n)
		}
	}
	l.lists.Store(lists)
	return lists
}

func post(lists [][]int32, records []int32, schedule int32) {
	for _, record := range records {
		if record >= 0 {
			lists[record] = append(lists[record], schedule)
		}
	}
}
