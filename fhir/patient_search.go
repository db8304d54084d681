package fhir

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"slotgate/scheduling"
)

// PatientSearchNames are the parameters by which one's own patients are found.
func PatientSearchNames() []string {
	return []string{"birthdate", "family", "gender", "given", "identifier"}
}

var wholeDate = regexp.MustCompile(`^\d{4}(-\d\d(-\d\d)?)?$`)

// maxPatientValues bounds one search.
const maxPatientValues = 50

// ParsePatientSearch reads the parameters of a search for patients. The rest of
// the names are given back; those that begin with an underscore are not judged.
//
// Errors: bad-request naming the parameter, never its value.
func ParsePatientSearch(values url.Values) (scheduling.PatientSearch, []string, error) {
	var s scheduling.PatientSearch
	var unknown []string
	n := 0
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list := values[name]
		if strings.HasPrefix(name, "_") {
			continue
		}
		for _, text := range list {
			if text == "" {
				continue
			}
			if n++; n > maxPatientValues || len(text) > maxText {
				return s, nil, tooMany()
			}
			known, err := patientParam(&s, name, text)
			if err != nil {
				return s, nil, err
			}
			if !known {
				unknown = note(unknown, shown(name))
				break
			}
		}
	}
	return s, unknown, nil
}

func patientParam(s *scheduling.PatientSearch, name, text string) (known bool, err error) {
	if name == "identifier" {
		return true, identifiersOf(s, text)
	}
	parts := splitUnescaped(text, ',', -1)
	value := strings.TrimSpace(unescape(parts[0]))
	var field *string
	switch name {
	case "family":
		field = &s.Family
	case "gender":
		field = &s.Gender
	case "birthdate":
		field = &s.BirthDate
		value = strings.TrimPrefix(value, "eq")
	case "given":
		s.Given = append(s.Given, value)
		return true, onlyOne(name, parts, value)
	default:
		return false, nil
	}
	if *field != "" {
		return true, bad(name, "is there more than once")
	}
	*field = value
	if name == "birthdate" && !wholeDate.MatchString(value) {
		return true, bad(name, "is not a day, a month or a year")
	}
	return true, onlyOne(name, parts, value)
}

func onlyOne(name string, parts []string, value string) error {
	if len(parts) > 1 || value == "" {
		return bad(name, "takes one value")
	}
	return nil
}

// identifiersOf reads system|value and value; commas mean OR.
func identifiersOf(s *scheduling.PatientSearch, text string) error {
	if len(s.Identifiers) > 0 {
		return bad("identifier", "is there more than once; separate several by commas")
	}
	for _, part := range splitUnescaped(text, ',', maxPatientValues) {
		token, ok := parseToken(part)
		if !ok || token.Code == "" {
			return bad("identifier", "is not system|value or value")
		}
		s.Identifiers = append(s.Identifiers, scheduling.PersonIdentifier{System: token.System, Value: strings.TrimSpace(token.Code)})
	}
	return nil
}
