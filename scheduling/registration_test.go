package scheduling_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
)

var present = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

func person(bend func(*scheduling.Registration)) scheduling.Registration {
	r := scheduling.Registration{
		ID: "p-1", Gender: "female", BirthDate: "1964-06-19",
		Names:       []scheduling.PersonName{{Family: "Canaryfamily", Given: []string{"Canarygiven"}}},
		Identifiers: []scheduling.PersonIdentifier{{System: "urn:mrn", Value: "Canary-1"}},
		Telecoms:    []scheduling.PersonTelecom{{System: "phone", Value: "555-canary"}},
		Addresses:   []scheduling.PersonAddress{{Lines: []string{"1 Canary Street"}, City: "Canaryville"}},
		Release:     scheduling.R4, Resource: []byte(`{"resourceType":"Patient","comment":"Canary"}`),
	}
	if bend != nil {
		bend(&r)
	}
	return r
}

func TestWhoMayBeRegistered(t *testing.T) {
	t.Parallel()
	const ok scheduling.Code = ""
	for name, c := range map[string]struct {
		bend    func(*scheduling.Registration)
		code    scheduling.Code
		element string
	}{
		"a person":                       {nil, ok, ""},
		"with a family name alone":       {func(r *scheduling.Registration) { r.Names[0].Given = nil }, ok, ""},
		"with a given name alone":        {func(r *scheduling.Registration) { r.Names[0].Family = "" }, ok, ""},
		"born in a year":                 {func(r *scheduling.Registration) { r.BirthDate = "1964" }, ok, ""},
		"born in a month":                {func(r *scheduling.Registration) { r.BirthDate = "1964-06" }, ok, ""},
		"born today":                     {func(r *scheduling.Registration) { r.BirthDate = "2026-11-23" }, ok, ""},
		"born where it is tomorrow":      {func(r *scheduling.Registration) { r.BirthDate = "2026-11-24" }, ok, ""},
		"born on a leap day":             {func(r *scheduling.Registration) { r.BirthDate = "2024-02-29" }, ok, ""},
		"with names of other scripts":    {func(r *scheduling.Registration) { r.Names[0].Family = "Nguyễn 山田 O'Brien-Ñandú" }, ok, ""},
		"two identifiers without system": {func(r *scheduling.Registration) { r.Identifiers = make([]scheduling.PersonIdentifier, 2) }, ok, ""},
		"without a name":                 {func(r *scheduling.Registration) { r.Names = nil }, scheduling.MissingData, "Patient.name"},
		"with an empty name":             {func(r *scheduling.Registration) { r.Names = []scheduling.PersonName{{Family: " ", Text: "x"}} }, scheduling.MissingData, "Patient.name"},
		"without a birth date":           {func(r *scheduling.Registration) { r.BirthDate = "" }, scheduling.MissingData, "Patient.birthDate"},
		"without both":                   {func(r *scheduling.Registration) { r.BirthDate, r.Names = "", nil }, scheduling.MissingData, "Patient.name, Patient.birthDate"},
		"born on no day":                 {func(r *scheduling.Registration) { r.BirthDate = "1964-02-30" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"born on February 29 of 1900":    {func(r *scheduling.Registration) { r.BirthDate = "1900-02-29" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"born at a time":                 {func(r *scheduling.Registration) { r.BirthDate = "1964-06-19T10:00:00Z" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"born in words":                  {func(r *scheduling.Registration) { r.BirthDate = "in spring" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"born in the future":             {func(r *scheduling.Registration) { r.BirthDate = "2026-11-25" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"born in a future year":          {func(r *scheduling.Registration) { r.BirthDate = "2027" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"born in the year 1":             {func(r *scheduling.Registration) { r.BirthDate = "0001-01-01" }, scheduling.NotAcceptable, "Patient.birthDate"},
		"with 300 names": {func(r *scheduling.Registration) {
			r.Names = slicesRepeat(r.Names[0], 300)
		}, scheduling.NotAcceptable, "Patient.name"},
		"with markup in a name":        {func(r *scheduling.Registration) { r.Names[0].Given[0] = "<script>alert(1)</script>" }, scheduling.NotAcceptable, "Patient.name"},
		"with a zero byte in a name":   {func(r *scheduling.Registration) { r.Names[0].Family = "a\x00b" }, scheduling.NotAcceptable, "Patient.name"},
		"with an escape in an address": {func(r *scheduling.Registration) { r.Addresses[0].City = "\x1b[2J" }, scheduling.NotAcceptable, "Patient.address"},
		"with a turned name":           {func(r *scheduling.Registration) { r.Names[0].Family = "a\u202eb" }, scheduling.NotAcceptable, "Patient.name"},
		"with broken UTF-8":            {func(r *scheduling.Registration) { r.Telecoms[0].Value = "\xff" }, scheduling.NotAcceptable, "Patient.telecom"},
		"with a name that is a book":   {func(r *scheduling.Registration) { r.Names[0].Family = strings.Repeat("é", 256) }, scheduling.NotAcceptable, "Patient.name"},
		"two identifiers of one system": {func(r *scheduling.Registration) {
			r.Identifiers = append(r.Identifiers, scheduling.PersonIdentifier{System: "urn:mrn", Value: "2"})
		}, scheduling.NotAcceptable, "Patient.identifier"},
		"an identifier of ours":           {func(r *scheduling.Registration) { r.Identifiers[0].System = scheduling.PatientIdentifierSystem }, scheduling.NotAcceptable, "Patient.identifier"},
		"a gender that nobody has":        {func(r *scheduling.Registration) { r.Gender = "Female" }, scheduling.NotAcceptable, "Patient.gender"},
		"larger than what is kept of one": {func(r *scheduling.Registration) { r.Resource = make([]byte, 1<<20) }, scheduling.NotAcceptable, "Patient"},
	} {
		r := person(c.bend)
		err := r.Check(scheduling.DefaultRegistrationLimits(), present)
		got := scheduling.AsError(err)
		switch {
		case c.code == ok && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.code != ok && (got == nil || got.Code != c.code || got.Param != c.element):
			t.Errorf("%s: %v, want %s of %s", name, err, c.code, c.element)
		}
	}
}

func slicesRepeat[T any](one T, n int) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = one
	}
	return list
}

func TestLaw10APersonIsNeitherLoggedNorPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	text := slog.New(slog.NewTextHandler(&out, nil))
	r := person(nil)
	search := scheduling.PatientSearch{Family: "Canaryfamily"}
	query := scheduling.PatientQuery{Name: r.Names[0], BirthDate: r.BirthDate}
	native := scheduling.NativePatient{ID: "n-1", Names: r.Names}
	for _, l := range []*slog.Logger{log, text} {
		l.Info("x", "person", r, "pointer", &r, "search", search, "query", query, "native", native)
	}
	fmt.Fprintf(&out, "%v %+v %#v %s %v %+v %v %s", r, r, r, r, &r, search, native, native)
	for _, canary := range []string{"anary", "1964", "555"} {
		if strings.Contains(out.String(), canary) {
			t.Errorf("%q is told: %s", canary, out.String())
		}
	}
	if !strings.Contains(out.String(), "p-1") {
		t.Error("the id is not told")
	}
}

func TestWhatContradictsAPerson(t *testing.T) {
	t.Parallel()
	r := person(nil)
	names := func(family string) []scheduling.PersonName { return []scheduling.PersonName{{Family: family}} }
	for name, c := range map[string]struct {
		shown scheduling.NativePatient
		want  bool
	}{
		"nothing told":          {scheduling.NativePatient{}, false},
		"the same":              {scheduling.NativePatient{Names: r.Names, BirthDate: r.BirthDate, Gender: r.Gender}, false},
		"in capitals":           {scheduling.NativePatient{Names: names("CANARYFAMILY")}, false},
		"the year alone":        {scheduling.NativePatient{BirthDate: "1964"}, false},
		"gender unknown":        {scheduling.NativePatient{Gender: "unknown"}, false},
		"born another day":      {scheduling.NativePatient{BirthDate: "1964-06-18"}, true},
		"of another gender":     {scheduling.NativePatient{Gender: "male"}, true},
		"of another family":     {scheduling.NativePatient{Names: names("Other")}, true},
		"another number":        {scheduling.NativePatient{Identifiers: []scheduling.PersonIdentifier{{System: "urn:mrn", Value: "2"}}}, true},
		"two numbers, one his":  {scheduling.NativePatient{Identifiers: []scheduling.PersonIdentifier{{System: "urn:mrn", Value: "2"}, r.Identifiers[0]}}, false},
		"a number elsewhere":    {scheduling.NativePatient{Identifiers: []scheduling.PersonIdentifier{{System: "urn:other", Value: "2"}}}, false},
		"one of several names":  {scheduling.NativePatient{Names: append(names("Born"), names("Canaryfamily")...)}, false},
		"without a family name": {scheduling.NativePatient{Names: []scheduling.PersonName{{Given: []string{"Canarygiven"}}}}, false},
	} {
		if got := r.Contradicts(c.shown); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestASearchFindsByTheBeginningsOfNames(t *testing.T) {
	t.Parallel()
	r := person(func(r *scheduling.Registration) {
		r.Names[0].Given = append(r.Names[0].Given, "Maria")
	})
	for name, c := range map[string]struct {
		s    scheduling.PatientSearch
		want bool
	}{
		"a family name":           {scheduling.PatientSearch{Family: "canaryFAM"}, true},
		"its end":                 {scheduling.PatientSearch{Family: "family"}, false},
		"both given names":        {scheduling.PatientSearch{Given: []string{"mar", "canary"}}, true},
		"one that is not":         {scheduling.PatientSearch{Given: []string{"mar", "x"}}, false},
		"an identifier":           {scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{Value: "x"}, {System: "urn:mrn", Value: "Canary-1"}}}, true},
		"without its system":      {scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{Value: "Canary-1"}}}, true},
		"of another system":       {scheduling.PatientSearch{Identifiers: []scheduling.PersonIdentifier{{System: "urn:x", Value: "Canary-1"}}}, false},
		"a birth year":            {scheduling.PatientSearch{BirthDate: "1964"}, true},
		"another day":             {scheduling.PatientSearch{BirthDate: "1964-06-20"}, false},
		"gender and a wrong name": {scheduling.PatientSearch{Gender: "female", Family: "x"}, false},
		"all of it":               {scheduling.PatientSearch{Gender: "female", Family: "c", BirthDate: "1964-06-19"}, true},
		"another gender":          {scheduling.PatientSearch{Gender: "male"}, false},
	} {
		if got := c.s.Matches(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOurPatientIdsAreTold(t *testing.T) {
	t.Parallel()
	for id, own := range map[string]bool{
		scheduling.NewPatientID([26]byte{}): true, scheduling.NewPatientID([26]byte{255, 31, 32}): true, "pat-1": false, "": false, "pt-1": false,
		"pt-" + strings.Repeat("a", 27): false, "pt-" + strings.Repeat("A", 26): false, "pt-" + strings.Repeat("a", 25) + "1": false,
	} {
		if scheduling.OwnPatientID(id) != own || own && !scheduling.ValidID(id) {
			t.Errorf("%q", id)
		}
	}
}
