package scheduling_test

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func annOf(bend func(*scheduling.Registration)) scheduling.Registration {
	r := scheduling.Registration{
		Identifiers: []scheduling.PersonIdentifier{{System: "urn:ins", Value: "M-1"}, {System: "http://hl7.org/fhir/sid/us-ssn", Value: "1"}},
		Names:       []scheduling.PersonName{{Family: "Pike", Given: []string{"Ann", "Maria"}}},
		Gender:      "female", BirthDate: "1990-04-05", Release: scheduling.R4, Resource: []byte(`{}`),
	}
	if bend != nil {
		bend(&r)
	}
	return r
}

func TestWhatContradictsAPersonOfOneNumber(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*scheduling.Registration)
		want bool
	}{
		"the same":              {nil, false},
		"another birth date":    {func(r *scheduling.Registration) { r.BirthDate = "1990-04-06" }, true},
		"the year alone":        {func(r *scheduling.Registration) { r.BirthDate = "1990" }, false},
		"another gender":        {func(r *scheduling.Registration) { r.Gender = "male" }, true},
		"no gender":             {func(r *scheduling.Registration) { r.Gender = "unknown" }, false},
		"another family":        {func(r *scheduling.Registration) { r.Names[0].Family = "Poole" }, true},
		"a new family, and old": {func(r *scheduling.Registration) { r.Names = append(r.Names, scheduling.PersonName{Family: "Poole"}) }, false},
		"another given name":    {func(r *scheduling.Registration) { r.Names[0].Given = []string{"Eve"} }, true},
		"one given name":        {func(r *scheduling.Registration) { r.Names[0].Given = []string{"MARIA"} }, false},
		"no given name":         {func(r *scheduling.Registration) { r.Names[0].Given = nil }, false},
		"another number":        {func(r *scheduling.Registration) { r.Identifiers[0].Value = "M-2" }, true},
		"a number more": {func(r *scheduling.Registration) {
			r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:x", Value: "2"})
		}, false},
		"a number less": {func(r *scheduling.Registration) { r.Identifiers = r.Identifiers[:1] }, false},
		"another number of one system, by its OID": {func(r *scheduling.Registration) {
			r.Identifiers[1] = scheduling.PersonIdentifier{System: "urn:oid:2.16.840.1.113883.4.1", Value: "2"}
		}, true},
		"the same number by the OID of its system": {func(r *scheduling.Registration) {
			r.Identifiers[1] = scheduling.PersonIdentifier{System: "URN:OID:2.16.840.1.113883.4.1", Value: "1"}
		}, false},
	} {
		r, other := annOf(nil), annOf(c.bend)
		if r.ContradictsPerson(other) != c.want || other.ContradictsPerson(r) != c.want {
			t.Errorf("%s: %v, and the other way round %v, want %v", name, r.ContradictsPerson(other), other.ContradictsPerson(r), c.want)
		}
	}
}

func TestASystemIsOneByItsAddressAndItsOID(t *testing.T) {
	t.Parallel()
	limits, now := scheduling.DefaultRegistrationLimits(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	twice := annOf(func(r *scheduling.Registration) {
		r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:oid:2.16.840.1.113883.4.1", Value: "2"})
	})
	if err := twice.Check(limits, now); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("two social security numbers: %v", err)
	}
	if err := annOf(nil).Check(limits, now); err != nil {
		t.Error(err)
	}
	by := func(system string) scheduling.Registration {
		return scheduling.Registration{Identifiers: []scheduling.PersonIdentifier{{System: system, Value: "7"}}}
	}
	if !by(scheduling.NPISystem).SharesWith(by("urn:oid:2.16.840.1.113883.4.6")) || by("urn:a").SharesWith(by("urn:b")) {
		t.Error("one system is two, or two are one")
	}
}
