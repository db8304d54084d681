package scheduling_test

import (
	"testing"

	"slotgate/scheduling"
)

func named(family string, given ...string) []scheduling.PersonName {
	return []scheduling.PersonName{{Family: family, Given: given}}
}

// TestTwinsAreTwo has what tells two people of one birth date apart, and what
// does not.
func TestTwinsAreTwo(t *testing.T) {
	t.Parallel()
	text := func(s string) []scheduling.PersonName { return []scheduling.PersonName{{Text: s}} }
	for _, c := range []struct {
		why          string
		mine, theirs []scheduling.PersonName
		want         bool
	}{
		{"another given name", named("Pike", "Zoe"), named("Pike", "Amy"), true},
		{"a second name in common", named("Pike", "Zoe", "Marie"), named("Pike", "Amy", "Marie"), true},
		{"a second name in common, in one text", named("Pike", "Zoe Marie"), named("Pike", "Amy Marie"), true},
		{"the second name is used", named("Pike", "Amy", "Marie"), named("Pike", "Marie"), false},
		{"an initial", named("Pike", "A."), named("Pike", "Amy"), false},
		{"the initial of another", named("Pike", "Z."), named("Pike", "Amy"), true},
		{"an initial after the first name", named("Pike", "Amy B."), named("Pike", "Bea"), true},
		{"capitals", named("PIKE", "AMY"), named("Pike", "Amy"), false},
		{"accents", named("Müller", "Zoë"), named("Muller", "Zoe"), false},
		{"accents that combine", named("Mu\u0308ller", "Zoe\u0308"), named("Müller", "Zoë"), false},
		{"apostrophes", named("O'Brien", "Amy"), named("O’Brien", "Amy"), false},
		{"an apostrophe less", named("O'Brien", "Amy"), named("OBrien", "Amy"), false},
		{"a hyphen", named("Garcia Lopez", "Ana-Maria"), named("García-López", "Ana Maria"), false},
		{"one of two family names", named("Garcia Lopez", "Ana"), named("Garcia", "Ana"), false},
		{"no given name told", named("Pike", "Zoe"), named("Pike"), false},
		{"as text alone", named("Pike", "Amy"), text("Pike, Amy"), false},
		{"another, as text alone", named("Pike", "Zoe"), text("Pike, Amy"), true},
		{"another family, as text alone", named("Poole", "Amy"), text("Pike, Amy"), true},
		{"one of several names", append(named("Born", "Amy"), named("Pike", "Amy")...), named("Pike", "Amy"), false},
		{"another letter without a mark", named("李", "伟"), named("李", "伟明"), true},
	} {
		r := scheduling.Registration{Names: c.mine}
		if got := r.Contradicts(scheduling.NativePatient{Names: c.theirs}); got != c.want {
			t.Errorf("%s: %v", c.why, got)
		}
		r.Names = c.theirs
		if got := r.Contradicts(scheduling.NativePatient{Names: c.mine}); got != c.want {
			t.Errorf("%s, the other way round: %v", c.why, got)
		}
	}
}

// TestAnotherNumberOfOneSystemIsAnotherPerson, although they share one.
func TestAnotherNumberOfOneSystemIsAnotherPerson(t *testing.T) {
	t.Parallel()
	ids := func(list ...string) (out []scheduling.PersonIdentifier) {
		for i := 0; i < len(list); i += 2 {
			out = append(out, scheduling.PersonIdentifier{System: list[i], Value: list[i+1]})
		}
		return out
	}
	const ssn, oid = "http://hl7.org/fhir/sid/us-ssn", "urn:oid:2.16.840.1.113883.4.1"
	for _, c := range []struct {
		why          string
		mine, theirs []scheduling.PersonIdentifier
		want         bool
	}{
		{"one shared, another not", ids("urn:ins", "M-1", ssn, "222"), ids("urn:ins", "M-1", ssn, "111"), true},
		{"by its OID", ids("urn:ins", "M-1", ssn, "222"), ids("urn:ins", "M-1", oid, "111"), true},
		{"the same by its OID", ids(ssn, "111"), ids(oid, "111"), false},
		{"an old one beside it", ids("urn:ins", "M-1"), ids("urn:ins", "M-0", "urn:ins", "M-1"), false},
		{"nothing in common", ids("urn:ins", "M-1"), ids("urn:mrn", "7"), false},
		{"without a value", ids("urn:ins", "M-1"), ids("urn:ins", ""), false},
	} {
		r := scheduling.Registration{Identifiers: c.mine}
		if got := r.Contradicts(scheduling.NativePatient{Identifiers: c.theirs}); got != c.want {
			t.Errorf("%s: %v", c.why, got)
		}
	}
}

// TestWhoIsFoundByNameIsLeftOutByBirthDateAlone: how names are compared is the
// server's affair.
func TestWhoIsFoundByNameIsLeftOutByBirthDateAlone(t *testing.T) {
	t.Parallel()
	for _, names := range [][]scheduling.PersonName{named("Müller"), named("Mu\u0308ller"), named("O’Brien"), {{Text: "Muller, Ann"}}, nil} {
		q := scheduling.PatientQuery{Name: scheduling.PersonName{Family: "Muller"}, BirthDate: "1990-04-05"}
		if !q.MayBe(scheduling.NativePatient{Names: names, BirthDate: "1990-04-05"}) {
			t.Errorf("%v is left out", names[0])
		}
		if q.MayBe(scheduling.NativePatient{Names: names, BirthDate: "1990-04-06"}) {
			t.Error("another birth date")
		}
	}
	q := scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{{System: "urn:a", Value: "x-1"}}}
	by := func(system, value string) bool {
		return q.MayBe(scheduling.NativePatient{Identifiers: []scheduling.PersonIdentifier{{System: system, Value: value}}})
	}
	if !by("urn:a", "x-1") || !by("urn:a/", "X-1") || by("urn:a", "x-2") || !q.MayBe(scheduling.NativePatient{}) {
		t.Error("by identifier")
	}
}

func TestWhoTellsNothingVouchesForNobody(t *testing.T) {
	t.Parallel()
	r := person(nil)
	for name, c := range map[string]struct {
		shown scheduling.NativePatient
		want  bool
	}{
		"nothing":        {scheduling.NativePatient{ID: "1"}, false},
		"an empty name":  {scheduling.NativePatient{Names: []scheduling.PersonName{{Family: " "}}}, false},
		"a gender":       {scheduling.NativePatient{Gender: r.Gender}, false},
		"a name":         {scheduling.NativePatient{Names: r.Names}, true},
		"the identifier": {scheduling.NativePatient{Identifiers: r.Identifiers}, true},
	} {
		if got := r.Vouches(c.shown); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
