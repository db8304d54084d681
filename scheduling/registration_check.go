package scheduling

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// RegistrationLimits bound what a person may be described by.
type RegistrationLimits struct {
	Names       int `yaml:"names"`
	Identifiers int `yaml:"identifiers"`
	Telecoms    int `yaml:"telecoms"`
	Addresses   int `yaml:"addresses"`
	Text        int `yaml:"text"`     // characters of one name, number or line
	Resource    int `yaml:"resource"` // bytes of the whole, as JSON
}

// DefaultRegistrationLimits leave room for everybody there is.
func DefaultRegistrationLimits() RegistrationLimits {
	return RegistrationLimits{Names: 20, Identifiers: 20, Telecoms: 30, Addresses: 20, Text: 255, Resource: 64 << 10}
}

// maxAge is how old a person may be, in years.
const maxAge = 150

// Check tells what keeps the person from being registered. now is the present;
// a birth date may be one day ahead of UTC.
//
// Errors: missing-data naming the elements; not-acceptable naming one, never
// its value.
func (r Registration) Check(limits RegistrationLimits, now time.Time) error {
	if missing := r.missing(); len(missing) > 0 {
		return Lacks(missing)
	}
	for _, check := range []func() error{
		func() error { return r.checkSizes(limits) },
		func() error { return r.checkTexts(limits.Text) },
		func() error { return checkBirthDate(r.BirthDate, now) },
		r.checkIdentifiers,
		r.checkGender,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Lacks is the refusal of a person of whom something must be told that is not.
// The elements are named as FHIR does: Patient.birthDate.
func Lacks(elements []string) *Error {
	e := Refuse(MissingData, strings.Join(elements, ", "), "the patient lacks %s", strings.Join(elements, ", "))
	return e
}

// missing: who has neither cannot be told from anybody.
func (r Registration) missing() []string {
	var list []string
	named := func(n PersonName) bool {
		return strings.TrimSpace(n.Family) != "" || slices.ContainsFunc(n.Given, func(g string) bool { return strings.TrimSpace(g) != "" })
	}
	if !slices.ContainsFunc(r.Names, named) {
		list = append(list, "Patient.name")
	}
	if r.BirthDate == "" {
		list = append(list, "Patient.birthDate")
	}
	return list
}

func (r Registration) checkSizes(limits RegistrationLimits) error {
	for _, n := range []struct {
		element   string
		have, max int
	}{
		{"Patient.name", len(r.Names), limits.Names},
		{"Patient.identifier", len(r.Identifiers), limits.Identifiers},
		{"Patient.telecom", len(r.Telecoms), limits.Telecoms},
		{"Patient.address", len(r.Addresses), limits.Addresses},
	} {
		if n.have > n.max {
			return Refuse(NotAcceptable, n.element, "there are more than %d of %s", n.max, n.element)
		}
	}
	if len(r.Resource) > limits.Resource {
		return Refuse(NotAcceptable, "Patient", "the patient is larger than %d bytes", limits.Resource)
	}
	return nil
}

// checkTexts finds what no name, number or address holds.
func (r Registration) checkTexts(limit int) error {
	for _, part := range r.texts() {
		for _, text := range part.list {
			switch {
			case utf8.RuneCountInString(text) > limit:
				return Refuse(NotAcceptable, part.element, "%s is longer than %d characters", part.element, limit)
			case !PlainText(text):
				return Refuse(NotAcceptable, part.element, "%s holds markup or control characters", part.element)
			}
		}
	}
	return nil
}

// part is an element with its texts.
type part struct {
	element string
	list    []string
}

func (r Registration) texts() []part {
	var parts []part
	for _, n := range r.Names {
		list := append([]string{n.Family, n.Text}, slices.Concat(n.Given, n.Prefix, n.Suffix)...)
		parts = append(parts, part{"Patient.name", list})
	}
	for _, id := range r.Identifiers {
		parts = append(parts, part{"Patient.identifier", []string{id.System, id.Value}})
	}
	for _, t := range r.Telecoms {
		parts = append(parts, part{"Patient.telecom", []string{t.System, t.Value}})
	}
	for _, a := range r.Addresses {
		list := append([]string{a.City, a.District, a.State, a.PostalCode, a.Country, a.Text}, a.Lines...)
		parts = append(parts, part{"Patient.address", list})
	}
	return parts
}

// PlainText tells whether text is what people write: no markup, no control
// characters but line ends and tabs, nothing that turns the direction of what
// is around it, no broken UTF-8.
func PlainText(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return !strings.ContainsFunc(text, func(c rune) bool {
		switch {
		case c == '<', c == '>':
			return true
		case c == '\n', c == '\r', c == '\t':
			return false
		case c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069, c == 0xFFFE, c == 0xFFFF:
			return true
		default:
			return unicode.IsControl(c)
		}
	})
}

// checkBirthDate wants a day, a month or a year that was
// (https://hl7.org/fhir/R4/datatypes.html#date).
func checkBirthDate(text string, now time.Time) error {
	const element = "Patient.birthDate"
	layouts := map[int]string{4: "2006", 7: "2006-01", 10: time.DateOnly}
	day, err := time.Parse(layouts[len(text)], text)
	switch {
	case err != nil || layouts[len(text)] == "":
		return Refuse(NotAcceptable, element, "%s is no date", element)
	case day.After(now.UTC().Add(14 * time.Hour)): // the farthest zone is 14 hours ahead
		return Refuse(NotAcceptable, element, "%s lies in the future", element)
	case day.Year() < now.Year()-maxAge:
		return Refuse(NotAcceptable, element, "%s is too long ago", element)
	default:
		return nil
	}
}

// checkIdentifiers: two of one system would make two persons of one. Ours is
// ours to give.
func (r Registration) checkIdentifiers() error {
	const element = "Patient.identifier"
	seen := map[string]bool{}
	for _, id := range r.Identifiers {
		switch {
		case id.System == "":
			continue
		case seen[OneSystem(id.System)]:
			return Refuse(NotAcceptable, element, "two identifiers have the same system")
		case strings.HasPrefix(id.System, "urn:slotgate:"):
			return Refuse(NotAcceptable, element, "identifiers of this system are the gateway's")
		}
		seen[OneSystem(id.System)] = true
	}
	return nil
}

func (r Registration) checkGender() error {
	switch r.Gender {
	case "", "male", "female", "other", "unknown":
		return nil
	default:
		return Refuse(NotAcceptable, "Patient.gender", "Patient.gender is none of male, female, other, unknown")
	}
}
