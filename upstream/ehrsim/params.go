package ehrsim

import (
	"slices"
	"strings"
	"time"
)

// paramKind is a FHIR search parameter type.
type paramKind int

const (
	token paramKind = iota
	refer
	actor // a reference to its own type alone
	text
	date
)

// searchParam says where in the resource a parameter looks. A reference
// parameter is also what _include follows.
type searchParam struct {
	kind paramKind
	path string
	of   string // the target's type, when the value is a bare id
}

// searchParams are those that real servers commonly have; _id and identifier
// work everywhere, and Slot's own are in slotsearch.go.
var searchParams = map[string]map[string]searchParam{
	"Practitioner": {
		"name": {text, "name", ""}, "family": {text, "name.family", ""}, "given": {text, "name.given", ""},
		"active": {token, "active", ""}, "gender": {token, "gender", ""},
	},
	"PractitionerRole": {
		"practitioner": {refer, "practitioner", "Practitioner"}, "location": {refer, "location", "Location"},
		"organization": {refer, "organization", "Organization"}, "service": {refer, "healthcareService", "HealthcareService"},
		"specialty": {token, "specialty", ""}, "role": {token, "code", ""}, "active": {token, "active", ""},
	},
	"Location": {
		"name": {text, "name", ""}, "address": {text, "address", ""}, "address-city": {text, "address.city", ""},
		"address-state": {text, "address.state", ""}, "address-postalcode": {text, "address.postalCode", ""},
		"organization": {refer, "managingOrganization", "Organization"}, "status": {token, "status", ""},
	},
	"Organization": {
		"name": {text, "name", ""}, "address": {text, "address", ""}, "active": {token, "active", ""}, "type": {token, "type", ""},
	},
	"HealthcareService": {
		"name": {text, "name", ""}, "organization": {refer, "providedBy", "Organization"}, "location": {refer, "location", "Location"},
		"specialty": {token, "specialty", ""}, "service-type": {token, "type", ""}, "type": {token, "type", ""}, "active": {token, "active", ""},
	},
	"Schedule": {
		"actor": {refer, "actor", "Practitioner"}, "active": {token, "active", ""}, "specialty": {token, "specialty", ""},
		"service-type": {token, "serviceType", ""}, "type": {token, "serviceType", ""},
	},
	"Slot": {
		"schedule": {refer, "schedule", "Schedule"}, "status": {token, "status", ""}, "specialty": {token, "specialty", ""},
		"service-type": {token, "serviceType", ""}, "slot-type": {token, "serviceType", ""}, "appointment-type": {token, "appointmentType", ""},
	},
	"Appointment": {
		"patient": {actor, "participant.actor", "Patient"}, "practitioner": {actor, "participant.actor", "Practitioner"},
		"location": {actor, "participant.actor", "Location"}, "actor": {refer, "participant.actor", "Practitioner"},
		"status": {token, "status", ""}, "slot": {refer, "slot", "Slot"}, "service-type": {token, "serviceType", ""},
		"specialty": {token, "specialty", ""}, "date": {date, "start", ""},
	},
	"Patient": {
		"name": {text, "name", ""}, "family": {text, "name.family", ""}, "given": {text, "name.given", ""},
		"birthdate": {date, "birthDate", ""}, "gender": {token, "gender", ""}, "active": {token, "active", ""},
	},
	"Coverage": {
		"beneficiary": {refer, "beneficiary", "Patient"}, "patient": {refer, "beneficiary", "Patient"},
		"subscriber": {refer, "subscriber", "Patient"}, "status": {token, "status", ""},
	},
}

// resultParams shape an answer and filter nothing.
var resultParams = words(`_count _offset _include _include:iterate _include:recurse _format _pretty _sort _summary
	_total _elements _getpages _getpagesoffset _page`)

// filter keeps the resources that have, for every parameter, one of its values.
type filter []func(object) bool

func (f filter) keeps(o object) bool {
	for _, ok := range f {
		if !ok(o) {
			return false
		}
	}
	return true
}

// filterOf builds the filter of a search; parameters that the type does not
// have come back as unknown.
func filterOf(typ string, params map[string][]string, skip ...string) (f filter, unknown []string) {
	for name, values := range params {
		if slices.Contains(resultParams, name) || slices.Contains(skip, name) {
			continue
		}
		p, ok := searchParams[typ][name]
		switch {
		case name == "_id":
			p = searchParam{token, "id", ""}
		case name == "identifier":
			p = searchParam{token, "identifier", ""}
		case name == "_lastUpdated":
			p = searchParam{date, "meta.lastUpdated", ""}
		case !ok:
			unknown = append(unknown, name)
			continue
		}
		for _, v := range values { // repeated: all of them; with commas: any
			f = append(f, p.matcher(strings.Split(v, ",")))
		}
	}
	slices.Sort(unknown)
	return f, unknown
}

func (p searchParam) matcher(wanted []string) func(object) bool {
	return func(o object) bool {
		for _, v := range o.find(p.path) {
			for _, want := range wanted {
				if p.matches(v, want) {
					return true
				}
			}
		}
		return false
	}
}

func (p searchParam) matches(v any, want string) bool {
	switch p.kind {
	case refer:
		ref, _ := v.(object)
		have := localRef(ref.str("reference"))
		return have != "" && (have == localRef(want) || have == p.of+"/"+want || !strings.Contains(want, "/") && strings.HasSuffix(have, "/"+want))
	case actor:
		ref, _ := v.(object)
		have := localRef(ref.str("reference"))
		return have != "" && have == bareRefs(want, p.of)[0]
	case date:
		have, _ := v.(string)
		return dateMatches(have, want)
	case text:
		return textMatches(v, strings.ToLower(want))
	default:
		return tokenMatches(v, want)
	}
}

// dateMatches: what is there overlaps what is wanted, which may have a prefix.
// Days are cut in UTC where they name no offset.
func dateMatches(have, want string) bool {
	prefix := "eq"
	if len(want) > 2 && want[0] >= 'a' && want[0] <= 'z' {
		prefix, want = want[:2], want[2:]
	}
	is, err1 := parseSpan(have, time.UTC)
	sp, err2 := parseSpan(want, time.UTC)
	lo, hi, ok := bounds(prefix, sp)
	if err1 != nil || err2 != nil || !ok {
		return false
	}
	return !is.from.Before(lo) && (hi.IsZero() || is.from.Before(hi))
}

// textMatches: any string within begins with what is wanted, as FHIR's string
// parameters do.
func textMatches(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return strings.HasPrefix(strings.ToLower(v), want)
	case object:
		return slices.ContainsFunc(v, func(m member) bool { return textMatches(m.value, want) })
	case list:
		return slices.ContainsFunc(v, func(item any) bool { return textMatches(item, want) })
	}
	return false
}

// tokenMatches: "code", "system|code", "|code" (no system), "system|".
func tokenMatches(v any, want string) bool {
	system, code, full := strings.Cut(want, "|")
	if !full {
		code = want
	}
	switch v := v.(type) {
	case string:
		return code == v
	case bool:
		return code == "true" && v || code == "false" && !v
	case object:
		if c := v.each("coding"); len(c) > 0 {
			return slices.ContainsFunc(c, func(item any) bool { return tokenMatches(item, want) })
		}
		have := v.str("code")
		if have == "" {
			have = v.str("value")
		}
		return (code == "" && system != "" || code == have) && (!full || system == v.str("system"))
	}
	return false
}

// anyToken says whether one of the concepts has one of the tokens.
func anyToken(concepts list, tokens []string) bool {
	for _, t := range tokens {
		for _, one := range strings.Split(t, ",") {
			if slices.ContainsFunc(concepts, func(c any) bool { return tokenMatches(c, one) }) {
				return true
			}
		}
	}
	return false
}
