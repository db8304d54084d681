package scheduling

import (
	"slices"
	"strings"
)

// ContradictsPerson tells whether two records that share an identifier cannot be
// of one person: another birth date, another gender, no family name in common, no
// given name in common, or another value of one system. What one of them does not
// tell contradicts nothing. Whoever shares a number by mistake, as mother and
// child do on one insurance card, must not become the other.
func (r Registration) ContradictsPerson(other Registration) bool {
	family := func(n PersonName) []string { return []string{n.Family} }
	given := func(n PersonName) []string { return n.Given }
	return !sameDate(r.BirthDate, other.BirthDate) ||
		told(r.Gender) && told(other.Gender) && r.Gender != other.Gender ||
		disjoint(namesBy(r.Names, family), namesBy(other.Names, family)) ||
		disjoint(namesBy(r.Names, given), namesBy(other.Names, given)) ||
		anotherValue(r.Naming(), other.Naming())
}

// SharesWith tells whether both have one same identifier, however its system is
// written.
func (r Registration) SharesWith(other Registration) bool {
	theirs := other.Naming()
	return slices.ContainsFunc(r.Naming(), func(id PersonIdentifier) bool {
		return slices.ContainsFunc(theirs, func(one PersonIdentifier) bool {
			return one.Value == id.Value && OneSystem(one.System) == OneSystem(id.System)
		})
	})
}

// anotherValue tells whether some system that both know has no value that both
// know.
func anotherValue(mine, theirs []PersonIdentifier) bool {
	return slices.ContainsFunc(mine, func(id PersonIdentifier) bool {
		var values []string
		for _, one := range theirs {
			if OneSystem(one.System) == OneSystem(id.System) {
				values = append(values, one.Value)
			}
		}
		return len(values) > 0 && !slices.Contains(values, id.Value)
	})
}

// namesBy are the parts of names, as they are compared.
func namesBy(names []PersonName, parts func(PersonName) []string) []string {
	var list []string
	for _, n := range names {
		for _, text := range parts(n) {
			if text = Folded(text); text != "" {
				list = append(list, text)
			}
		}
	}
	return list
}

// disjoint: both tell something, and nothing of it is the same.
func disjoint(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(text string) bool { return slices.Contains(b, text) })
}

// Systems of identifiers that are written in two ways.
const (
	ssnSystem = "http://hl7.org/fhir/sid/us-ssn"
	ssnOID    = "urn:oid:2.16.840.1.113883.4.1"
	npiOID    = "urn:oid:2.16.840.1.113883.4.6"
)

// OneSystem is the system by which identifiers are compared: the well-known ones
// have an address and an OID (http://hl7.org/fhir/identifier-registry.html). What
// is sent keeps the form in which it came.
func OneSystem(system string) string {
	switch strings.ToLower(system) {
	case ssnOID:
		return ssnSystem
	case npiOID:
		return NPISystem
	default:
		return system
	}
}
