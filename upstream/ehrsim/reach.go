package ehrsim

import "strings"

// reach is what a schedule leads to: its actors, and what they lead to through
// PractitionerRole, HealthcareService and Location. It is computed once, as
// the directory does not change while the server runs.
type reach struct {
	refs         map[string]bool // "Practitioner/x", "Organization/y", ...
	practitioner object          // the first one, as a reference with display
	location     object
	addresses    []string // lower case, of the locations
	specialty    list     // the schedule's, else the roles'
	serviceType  list
}

// link computes the reach of every schedule.
func (st *store) link() {
	st.reach = map[string]*reach{}
	roles := map[string][]object{} // by practitioner
	st.every("PractitionerRole", func(o object) {
		ref := localRef(o.obj("practitioner").str("reference"))
		roles[ref] = append(roles[ref], o)
	})
	st.every("Schedule", func(o object) {
		st.reach["Schedule/"+o.str("id")] = st.reachOf(o, roles)
	})
}

func (st *store) every(typ string, visit func(object)) {
	if sh := st.shelves[typ]; sh != nil {
		for _, id := range sh.ids {
			visit(sh.byID[id])
		}
	}
}

func (st *store) reachOf(schedule object, roles map[string][]object) *reach {
	r := &reach{refs: map[string]bool{}, specialty: schedule.each("specialty"), serviceType: schedule.each("serviceType")}
	for _, a := range schedule.each("actor") {
		actor, _ := a.(object)
		st.follow(r, actor)
	}
	if r.practitioner != nil {
		for _, role := range roles[localRef(r.practitioner.str("reference"))] {
			if r.fits(role) {
				st.followRole(r, role)
			}
		}
	}
	return r
}

// fits: a person's other roles, at places that are not the schedule's, say
// nothing about this schedule.
func (r *reach) fits(role object) bool {
	if r.location == nil {
		return true
	}
	for _, l := range role.find("location.reference") {
		if ref, ok := l.(string); ok && r.refs[localRef(ref)] {
			return true
		}
	}
	return false
}

func (st *store) follow(r *reach, ref object) {
	key := localRef(ref.str("reference"))
	typ, id, ok := strings.Cut(key, "/")
	if !ok || r.refs[key] {
		return
	}
	r.refs[key] = true
	target := st.get(typ, id)
	switch typ {
	case "Practitioner":
		if r.practitioner == nil {
			r.practitioner = ref
		}
	case "Location":
		st.followLocation(r, ref, target)
	case "PractitionerRole":
		st.followRole(r, target)
	case "HealthcareService":
		st.follow(r, target.obj("providedBy"))
		st.followAll(r, target.each("location"))
	}
}

func (st *store) followLocation(r *reach, ref, target object) {
	if r.location == nil {
		r.location = ref
	}
	var parts []string
	for _, name := range words("text line city district state postalCode country") {
		for _, v := range target.find("address." + name) {
			if s, ok := v.(string); ok {
				parts = append(parts, s)
			}
		}
	}
	r.addresses = append(r.addresses, strings.ToLower(strings.Join(parts, " ")))
	st.follow(r, target.obj("managingOrganization"))
}

func (st *store) followRole(r *reach, role object) {
	if role == nil {
		return
	}
	r.refs["PractitionerRole/"+role.str("id")] = true
	if len(r.specialty) == 0 {
		r.specialty = role.each("specialty")
	}
	st.follow(r, role.obj("practitioner"))
	st.followAll(r, role.each("location"))
	st.follow(r, role.obj("organization"))
}

func (st *store) followAll(r *reach, refs list) {
	for _, v := range refs {
		ref, _ := v.(object)
		st.follow(r, ref)
	}
}

// localRef cuts a reference, also an absolute or versioned one, to Type/id.
func localRef(ref string) string {
	ref, _, _ = strings.Cut(ref, "/_history/")
	parts := strings.Split(strings.TrimSuffix(ref, "/"), "/")
	if len(parts) < 2 {
		return ref
	}
	return strings.Join(parts[len(parts)-2:], "/")
}
