package scheduling

import (
	"slices"
	"time"
)

// Setting is everything about an offer that its schedule decides, with every
// reference followed: who, where, for what, in which zone. It is immutable.
type Setting struct {
	Source        SourceID
	Schedule      *Schedule
	Practitioners []*Practitioner
	Role          *Role
	Locations     []*Location
	Organization  *Organization
	Service       *Service
	// The schedule's own, else the role's, else the service's.
	ServiceCategory []Concept
	ServiceType     []Concept
	Specialty       []Concept
	Zone            *time.Location
	// Names of actors that came without a reference.
	Unlinked []Actor
}

// Resolver follows the references of one directory. It keeps indexes, so make
// one per version of the directory. It is safe for concurrent use.
type Resolver struct {
	source SourceID
	dir    Directory
	zone   *time.Location
	zones  map[string]*time.Location // of the places, by name; reading one costs a file
	roles  map[string][]*Role        // by practitioner, in order of id
}

// NewResolver indexes the directory; zone is the source's own (nil: none).
func NewResolver(source SourceID, dir Directory, zone *time.Location) *Resolver {
	r := &Resolver{source: source, dir: dir, zone: zone, zones: dir.zonesByName(), roles: map[string][]*Role{}}
	for _, role := range dir.Roles {
		if !role.Inactive && role.Practitioner != "" {
			r.roles[role.Practitioner] = append(r.roles[role.Practitioner], role)
		}
	}
	for _, roles := range r.roles {
		slices.SortFunc(roles, func(a, b *Role) int {
			if a.ID < b.ID {
				return -1
			}
			return 1
		})
	}
	return r
}

// Setting resolves a schedule. The reason is "" when slots on it may be
// offered; else the setting is nil.
func (r *Resolver) Setting(schedule string) (*Setting, Reason) {
	record, ok := r.dir.Schedules[schedule]
	if !ok {
		return nil, UnknownSchedule
	}
	if record.Inactive {
		return nil, InactiveActor
	}
	s := &Setting{Source: r.source, Schedule: record}
	for _, actor := range record.Actors {
		if reason := r.actor(s, actor); reason != "" {
			return nil, reason
		}
	}
	if len(s.Practitioners)+len(s.Locations)+len(s.Unlinked) == 0 && s.Service == nil && s.Role == nil {
		return nil, NoActor
	}
	r.complete(s)
	if s.Zone == nil {
		return nil, NoZone
	}
	return s, ""
}

// actor adds one actor of the schedule. An actor that the source does not know
// makes the schedule unusable: nobody could say whom the patient will see.
func (r *Resolver) actor(s *Setting, actor Actor) Reason {
	if actor.ID == "" {
		s.Unlinked = append(s.Unlinked, actor)
		return ""
	}
	switch actor.Kind {
	case KindPractitioner:
		return add(&s.Practitioners, r.dir.Practitioners, actor.ID, func(p *Practitioner) bool { return p.Inactive })
	case KindLocation:
		return add(&s.Locations, r.dir.Locations, actor.ID, func(l *Location) bool { return l.Inactive })
	case KindRole:
		role, ok := r.dir.Roles[actor.ID]
		if !ok {
			return UnknownActor
		}
		if role.Inactive {
			return InactiveActor
		}
		s.Role = role
	case KindService:
		service, ok := r.dir.Services[actor.ID]
		if !ok {
			return UnknownActor
		}
		if service.Inactive {
			return InactiveActor
		}
		s.Service = service
	}
	// Devices, patients and related persons say nothing that we show.
	return ""
}

func add[T any](list *[]*T, known map[string]*T, id string, inactive func(*T) bool) Reason {
	record, ok := known[id]
	if !ok {
		return UnknownActor
	}
	if inactive(record) {
		return InactiveActor
	}
	*list = append(*list, record)
	return ""
}

// complete fills what the schedule does not say from role, service and place.
func (r *Resolver) complete(s *Setting) {
	if s.Role == nil {
		s.Role = r.roleOf(s)
	}
	if s.Role != nil {
		r.fromRole(s)
	}
	if s.Service != nil && len(s.Locations) == 0 {
		s.Locations = r.onlyPlace(s.Service.Locations)
	}
	s.Organization = r.organization(s)
	s.ServiceCategory = s.Schedule.ServiceCategory
	s.ServiceType = s.Schedule.ServiceType
	s.Specialty = s.Schedule.Specialty
	if len(s.Specialty) == 0 && s.Role != nil {
		s.Specialty = s.Role.Specialty
	}
	if s.Service != nil {
		s.Specialty = firstOf(s.Specialty, s.Service.Specialty)
		s.ServiceType = firstOf(s.ServiceType, s.Service.Type)
		s.ServiceCategory = firstOf(s.ServiceCategory, s.Service.Category)
	}
	s.Zone = r.zoneOf(s)
}

// roleOf is the role of the schedule's one practitioner, if there is only one
// that fits the place. With several roles at different places nobody can say
// which is meant, and a wrong address is worse than none.
func (r *Resolver) roleOf(s *Setting) *Role {
	if len(s.Practitioners) != 1 {
		return nil
	}
	var found *Role
	for _, role := range r.roles[s.Practitioners[0].ID] {
		if len(s.Locations) > 0 && !slices.Contains(role.Locations, s.Locations[0].ID) {
			continue
		}
		if found != nil {
			return nil
		}
		found = role
	}
	return found
}

func (r *Resolver) fromRole(s *Setting) {
	if p := r.dir.Practitioners[s.Role.Practitioner]; p != nil && len(s.Practitioners) == 0 {
		s.Practitioners = []*Practitioner{p}
	}
	if len(s.Locations) == 0 {
		s.Locations = r.onlyPlace(s.Role.Locations)
	}
	if s.Service == nil && len(s.Role.Services) == 1 {
		s.Service = r.dir.Services[s.Role.Services[0]]
	}
}

// onlyPlace is the place of these ids, if there is just one.
func (r *Resolver) onlyPlace(ids []string) []*Location {
	if len(ids) != 1 {
		return nil
	}
	if place := r.dir.Locations[ids[0]]; place != nil {
		return []*Location{place}
	}
	return nil
}

func (r *Resolver) organization(s *Setting) *Organization {
	var ids []string
	if s.Role != nil {
		ids = append(ids, s.Role.Organization)
	}
	if s.Service != nil {
		ids = append(ids, s.Service.Organization)
	}
	for _, place := range s.Locations {
		ids = append(ids, place.Organization)
	}
	for _, id := range ids {
		if org := r.dir.Organizations[id]; org != nil {
			return org
		}
	}
	return nil
}

// zoneOf is the place's zone where the source tells it, else the source's.
func (r *Resolver) zoneOf(s *Setting) *time.Location {
	for _, place := range s.Locations {
		if zone := r.zones[place.Zone]; zone != nil {
			return zone
		}
	}
	return r.zone
}

func firstOf(a, b []Concept) []Concept {
	if len(a) > 0 {
		return a
	}
	return b
}
