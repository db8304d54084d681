package ehrsim

import (
	"fmt"
	"strconv"
	"strings"
)

// Code systems and identifier systems that the resources use.
const (
	sysNPI       = "http://hl7.org/fhir/sid/us-npi"
	sysSNOMED    = "http://snomed.info/sct"
	sysVisitType = "http://fhir.org/guides/argonaut-scheduling/CodeSystem/visit-type"
	sysTaxonomy  = "http://nucc.org/provider-taxonomy"
	extTimezone  = "http://hl7.org/fhir/StructureDefinition/timezone"
)

type person struct {
	id, family, given, gender, npi string
	spec                           specialty
	org                            orgSite
}

func (p *person) display() string { return p.given + " " + p.family + ", " + p.spec.degree }

func (p *person) ref() object { return reference("Practitioner/"+p.id, p.display()) }

func reference(ref, display string) object { return obj("reference", ref, "display", display) }

func concept(system, code, display string) object {
	return obj("coding", list{obj("system", system, "code", code, "display", display)}, "text", display)
}

func identifier(system, value string) object {
	return obj("use", "official", "system", system, "value", value)
}

func phone(area string, n int) list {
	return list{obj("system", "phone", "value", fmt.Sprintf("(%s) 555-01%02d", area, n%100), "use", "work")}
}

func (w *world) name(p *person) {
	names := femaleNames
	p.gender = "female"
	if w.dice.IntN(2) == 0 {
		names, p.gender = maleNames, "male"
	}
	full := w.fresh(func() string { return pick(w.dice, names) + " " + pick(w.dice, familyNames) })
	p.given, p.family, _ = strings.Cut(full, " ")
}

func (w *world) addOrganization(org orgSite, i int) {
	c := org.places[0].city
	w.store.add(obj(
		"resourceType", "Organization", "id", org.id, "meta", w.fl.meta(),
		"identifier", list{identifier(sysNPI, npi(70_000_000+int(w.opts.Seed%9973)*1009+i))},
		"active", true,
		"type", list{concept(w.fl.system("organization-type"), "prov", "Healthcare Provider")},
		"name", org.name,
		"telecom", phone(c.area, 10+i),
		"address", list{w.address(c)},
	))
}

func (w *world) address(c city) object {
	number := 100 + w.dice.IntN(8900)
	lines := list{strconv.Itoa(number) + " " + pick(w.dice, streets)}
	if suite := pick(w.dice, suites); suite != "" {
		lines = append(lines, suite)
	}
	return obj("use", "work", "type", "physical", "line", lines,
		"city", c.name, "state", c.state, "postalCode", c.zip, "country", "US")
}

func (w *world) addLocation(p *place) {
	var zone list
	if !w.opts.NoTimezone {
		zone = list{obj("url", extTimezone, "valueCode", p.city.zone)}
	}
	degrees := func(f float64) number { return number(strconv.FormatFloat(f, 'f', 5, 64)) }
	w.store.add(obj(
		"resourceType", "Location", "id", p.id, "meta", w.fl.meta(),
		"extension", zone,
		"identifier", list{identifier(w.local("location"), strings.ToUpper(p.id))},
		"status", "active",
		"name", p.name,
		"mode", "instance",
		"telecom", phone(p.city.area, w.dice.IntN(100)),
		"address", w.address(p.city),
		"position", obj("longitude", degrees(p.city.long), "latitude", degrees(p.city.lat)),
		"managingOrganization", obj("reference", "Organization/"+p.org),
	))
}

// local is one of the EHR's own naming systems.
func (w *world) local(kind string) string {
	return "https://" + slug(w.opts.Name) + ".example.org/ids/" + kind
}

func (w *world) addPractitioner(p *person) {
	w.store.add(obj(
		"resourceType", "Practitioner", "id", p.id, "meta", w.fl.meta(),
		"identifier", list{identifier(sysNPI, p.npi), obj("system", w.local("staff"), "value", strings.TrimPrefix(p.id, "prac-"))},
		"active", true,
		"name", list{obj("use", "official", "text", p.display(), "family", p.family,
			"given", list{p.given}, "suffix", list{p.spec.degree})},
		"gender", p.gender,
		"qualification", list{obj("code", concept(w.fl.v2("0360"), p.spec.degree, ""))},
	))
}

func serviceID(org orgSite, spec specialty) string { return "hs-" + org.id[4:] + "-" + spec.code }

// addService adds what one organization offers in one specialty, once.
func (w *world) addService(org orgSite, spec specialty) {
	id := serviceID(org, spec)
	if w.store.get("HealthcareService", id) != nil {
		return
	}
	var where list
	for _, p := range org.places {
		where = append(where, p.ref())
	}
	w.store.add(obj(
		"resourceType", "HealthcareService", "id", id, "meta", w.fl.meta(),
		"active", true,
		"providedBy", reference("Organization/"+org.id, org.name),
		"type", w.visits(spec),
		"specialty", list{concept(sysSNOMED, spec.code, spec.display)},
		"location", where,
		"name", spec.display+" at "+org.name,
		"appointmentRequired", true,
	))
}

// visits are the visit types of a specialty, coded as the guide does or in the
// EHR's own system, which a gateway must then map.
func (w *world) visits(spec specialty) list {
	var out list
	for _, v := range spec.visits {
		out = append(out, w.visit(v))
	}
	return out
}

func (w *world) visit(code string) object {
	if w.opts.LocalCodes {
		own := strings.ToUpper(strings.ReplaceAll(code, "-", ""))
		return concept(w.local("visit-type"), own, visitNames[code])
	}
	return concept(sysVisitType, code, visitNames[code])
}

// addRoster puts a person to work at a place: role, schedule and calendar.
func (w *world) addRoster(p *person, at *place, week week) {
	suffix := p.id[5:] + "-" + at.id[4:]
	role := "role-" + suffix
	spec := list{concept(sysSNOMED, p.spec.code, p.spec.display)}
	w.store.add(obj(
		"resourceType", "PractitionerRole", "id", role, "meta", w.fl.meta(),
		"active", true,
		"practitioner", p.ref(),
		"organization", reference("Organization/"+p.org.id, p.org.name),
		"code", list{concept(sysTaxonomy, p.spec.taxonomy, p.spec.display)},
		"specialty", spec,
		"location", list{at.ref()},
		"healthcareService", list{obj("reference", "HealthcareService/"+serviceID(p.org, p.spec))},
		"telecom", phone(at.city.area, w.dice.IntN(100)),
		"availableTime", week.availableTime(),
	))
	actors := list{p.ref(), at.ref()}
	if w.opts.RoleActors {
		actors = list{reference("PractitionerRole/"+role, p.display())}
	}
	c := &calendar{id: "sched-" + suffix, zone: at.zone, minutes: p.spec.minutes, week: week, specialty: spec}
	for _, v := range p.spec.visits {
		c.visits = append(c.visits, list{w.visit(v)})
	}
	c.routine = concept(w.fl.v2("0276"), "ROUTINE", "Routine appointment - default if not valued")
	c.schedule = obj(
		"resourceType", "Schedule", "id", c.id, "meta", w.fl.meta(),
		"identifier", list{obj("system", w.local("schedule"), "value", suffix)},
		"active", true,
		"serviceType", w.visits(p.spec),
		"specialty", spec,
		"actor", actors,
		"comment", "Schedule of "+p.display()+" at "+at.name,
	)
	w.store.addCalendar(c)
}
