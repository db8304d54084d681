package fhir_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

func TestReferencesNameATypeAndAnIdOrNothing(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string][2]string{
		"Schedule/1": {"Schedule", "1"},
		"https://ehr.example/fhir/r4/Practitioner/a.b":  {"Practitioner", "a.b"},
		"Location/1/_history/3":                         {"Location", "1"},
		"Schedule/2017-08-28T080000-arg-s-1":            {"Schedule", "2017-08-28T080000-arg-s-1"},
		"#contained":                                    {},
		"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0": {},
		"Patient?identifier=x|y":                        {},
		"Schedule/":                                     {},
		"/1":                                            {},
		"schedule/1":                                    {},
		"Schedule/a b":                                  {},
		"":                                              {},
		"Dr Y":                                          {},
	} {
		kind, id := fhir.RefParts(reference)
		if string(kind) != want[0] || id != want[1] {
			t.Errorf("%q: %q %q", reference, kind, id)
		}
	}
}

func TestWhyASlotCannotBeUsed(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*model.Slot)
		zone   *time.Location
		want   scheduling.Reason
	}{
		"as it should be":            {func(*model.Slot) {}, nil, ""},
		"busy is no fault":           {func(s *model.Slot) { s.Status = "busy" }, nil, ""},
		"no id":                      {func(s *model.Slot) { s.ID = "" }, nil, scheduling.NoID},
		"no start":                   {func(s *model.Slot) { s.Start = "" }, nil, scheduling.NoTime},
		"a date is no time":          {func(s *model.Slot) { s.Start = "2026-12-01" }, zone, scheduling.BadTime},
		"no zone":                    {func(s *model.Slot) { s.Start = "2026-12-01T08:00:00" }, nil, scheduling.NoZone},
		"the zone of the source":     {func(s *model.Slot) { s.Start, s.End = "2026-12-01T08:00:00", "2026-12-01T08:15:00" }, zone, ""},
		"a time that is skipped":     {func(s *model.Slot) { s.Start, s.End = "2026-03-08T02:30:00", "2026-03-08T03:00:00" }, zone, scheduling.NoSuchTime},
		"an offset of hours only":    {func(s *model.Slot) { s.Start, s.End = "2026-12-01T08:00:00-05", "2026-12-01T08:15:00-05" }, nil, ""},
		"ends before it starts":      {func(s *model.Slot) { s.End = "2026-12-01T07:00:00Z" }, nil, scheduling.EndsBeforeStart},
		"a month long":               {func(s *model.Slot) { s.End = "2027-01-01T08:00:00Z" }, nil, scheduling.TooLong},
		"a status of its own":        {func(s *model.Slot) { s.Status = "open" }, nil, scheduling.UnknownStatus},
		"no schedule":                {func(s *model.Slot) { s.Schedule = nil }, nil, scheduling.NoSchedule},
		"a schedule that is no such": {func(s *model.Slot) { s.Schedule.Reference = "Location/1" }, nil, scheduling.NoSchedule},
	} {
		s := &model.Slot{
			Base: model.Base{ID: "s"}, Status: "free", Start: "2026-12-01T08:00:00Z", End: "2026-12-01T08:15:00Z",
			Schedule: &model.Reference{Reference: "Schedule/1"},
		}
		c.change(s)
		if got, reason := fhir.NewSlots(c.zone).Slot(s); reason != c.want || got.ID != s.ID {
			t.Errorf("%s: %q, want %q", name, reason, c.want)
		}
	}
}

func TestSlotsThatShareTheirConceptsGoOnSharingThem(t *testing.T) {
	t.Parallel()
	shared := []model.CodeableConcept{{Coding: []model.Coding{{System: "http://hl7.org/fhir/v2/0276", Code: "ROUTINE"}}}}
	d := fhir.NewSlots(time.UTC)
	a, _ := d.Slot(&model.Slot{Specialty: shared, AppointmentType: &shared[0]})
	b, _ := d.Slot(&model.Slot{Specialty: shared, AppointmentType: &shared[0]})
	if &a.Specialty[0] != &b.Specialty[0] || a.AppointmentType != b.AppointmentType {
		t.Error("each has its own")
	}
	if got := a.AppointmentType.Codings[0].System; got != "http://terminology.hl7.org/CodeSystem/v2-0276" {
		t.Errorf("the table's address inside is %s", got)
	}
}

func TestAProposedAppointmentNamesItsSlotOrIsVirtual(t *testing.T) {
	t.Parallel()
	a := &model.Appointment{
		Base: model.Base{ID: "a"}, Status: "proposed", Start: "2026-12-01T08:00:00Z", End: "2026-12-01T08:15:00Z",
		Slot: []model.Reference{{Reference: "Slot/s"}},
		Participant: []model.AppointmentParticipant{
			{Actor: &model.Reference{Reference: "Practitioner/p", Display: "Dr Y"}},
			{Actor: &model.Reference{Display: "Napa Office"}},
			{Actor: &model.Reference{Reference: "Patient/secret", Display: "Jane"}},
			{Actor: nil},
		},
	}
	slot, actors, reason := fhir.NewSlots(nil).Proposed(a)
	if reason != "" || slot.ID != "s" || slot.Virtual || slot.Appointment != "a" {
		t.Errorf("%+v %s", slot, reason)
	}
	want := []scheduling.Actor{{Kind: "Practitioner", ID: "p", Display: "Dr Y"}, {Display: "Napa Office"}}
	if diff := cmp.Diff(want, actors); diff != "" {
		t.Error(diff)
	}
	a.Slot = nil
	if slot, _, reason := fhir.NewSlots(nil).Proposed(a); reason != "" || slot.ID != "" || !slot.Virtual {
		t.Errorf("%+v %s", slot, reason)
	}
	a.Participant = a.Participant[2:]
	if _, _, reason := fhir.NewSlots(nil).Proposed(a); reason != scheduling.NoActor {
		t.Errorf("only a patient takes part: %q", reason)
	}
	a.Status = "booked"
	if _, _, reason := fhir.NewSlots(nil).Proposed(a); reason != scheduling.UnknownStatus {
		t.Errorf("booked: %q", reason)
	}
}

func origin() fhir.Origin {
	return fhir.Origin{Source: "napa", URI: fhir.SourceURI("napa"), Synced: time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)}
}

func concept(system, code string) []scheduling.Concept {
	return []scheduling.Concept{{Codings: []scheduling.Coding{{System: system, Code: code}}, Text: code}}
}

// Every record of the directory, written in both versions and both formats,
// reads back as the same record under our ids.
func TestTheDirectorySurvivesBeingWrittenAndRead(t *testing.T) {
	t.Parallel()
	npi := []scheduling.Identifier{{Use: "official", System: scheduling.NPISystem, Value: "1234567893"}}
	phone := []scheduling.Telecom{{System: "phone", Value: "1", Use: "work"}}
	address := scheduling.Address{Line: []string{"1 Main St"}, City: "Napa", State: "CA", PostalCode: "94558"}
	our := func(kind scheduling.Kind, id string) string { return scheduling.ResourceID("napa", kind, id) }
	kept := func(id string) []scheduling.Identifier {
		return append(append([]scheduling.Identifier{}, npi...), scheduling.Identifier{Use: "secondary", System: "urn:slotgate:source:napa", Value: id})
	}
	practitioner := scheduling.Practitioner{ID: "p", Identifiers: npi, Name: scheduling.HumanName{Text: "Dr Y", Family: "Y", Given: []string{"A"}}, Gender: "female"}
	location := scheduling.Location{
		ID: "l", Identifiers: npi, Name: "Napa", Description: "d", Telecom: phone, Address: address, Organization: "o",
		Position: &scheduling.Position{Latitude: 38.297, Longitude: -122.2869}, Zone: "America/Los_Angeles",
	}
	organization := scheduling.Organization{ID: "o", Identifiers: npi, Inactive: true, Name: "Org", Telecom: phone, Address: []scheduling.Address{address}, PartOf: "o2"}
	role := scheduling.Role{
		ID: "r", Identifiers: npi, Practitioner: "p", Organization: "o", Locations: []string{"l"}, Services: []string{"s"},
		Code: concept("c", "1"), Specialty: concept("s", "2"), Telecom: phone,
	}
	service := scheduling.Service{
		ID: "s", Identifiers: npi, Name: "S", Organization: "o", Locations: []string{"l"},
		Category: concept("c", "1"), Type: concept("t", "2"), Specialty: concept("s", "3"),
	}
	schedule := scheduling.Schedule{
		ID: "sch", Identifiers: npi, Actors: []scheduling.Actor{{Kind: "Practitioner", ID: "p", Display: "Dr Y"}},
		ServiceCategory: concept("c", "1"), ServiceType: concept("t", "2"), Specialty: concept("s", "3"),
		HorizonStart: "2026-12-01", HorizonEnd: "2026-12-31", Comment: "c",
	}
	for _, rel := range []scheduling.Release{scheduling.STU3, scheduling.R4} {
		dir := scheduling.NewDirectory()
		for _, res := range []model.Resource{
			fhir.FromPractitioner(origin(), &practitioner), fhir.FromLocation(origin(), &location),
			fhir.FromOrganization(origin(), &organization), fhir.FromRole(rel, origin(), &role),
			fhir.FromService(rel, origin(), &service), fhir.FromSchedule(rel, origin(), &schedule),
		} {
			data, err := fhir.Write(rel, fhir.XML, res)
			if err != nil {
				t.Fatal(err)
			}
			back, dropped, err := fhir.ReadCounting(rel, fhir.XML, data)
			if err != nil || dropped != 0 {
				t.Fatal(err, dropped)
			}
			if meta := back.Common().Meta; meta.Source != "urn:slotgate:source:napa" || meta.Extension[0].ValueDateTime != "2026-11-30T08:00:00Z" {
				t.Errorf("%s %s: meta %+v", rel, res.ResourceType(), meta)
			}
			if added, reason := fhir.AddTo(dir, back); !added || reason != "" {
				t.Fatal(reason)
			}
		}
		want := scheduling.NewDirectory()
		p, l, o, r, s, sch := practitioner, location, organization, role, service, schedule
		p.ID, p.Identifiers = our("Practitioner", "p"), kept("p")
		l.ID, l.Identifiers, l.Organization = our("Location", "l"), kept("l"), our("Organization", "o")
		o.ID, o.Identifiers, o.PartOf = our("Organization", "o"), kept("o"), our("Organization", "o2")
		r.ID, r.Identifiers, r.Practitioner, r.Organization = our("PractitionerRole", "r"), kept("r"), p.ID, o.ID
		r.Locations, r.Services = []string{l.ID}, []string{our("HealthcareService", "s")}
		s.ID, s.Identifiers, s.Organization, s.Locations = r.Services[0], kept("s"), o.ID, []string{l.ID}
		sch.ID, sch.Identifiers = our("Schedule", "sch"), kept("sch")
		sch.Actors = []scheduling.Actor{{Kind: "Practitioner", ID: p.ID, Display: "Dr Y"}}
		want.Practitioners[p.ID], want.Locations[l.ID], want.Organizations[o.ID] = &p, &l, &o
		want.Roles[r.ID], want.Services[s.ID], want.Schedules[sch.ID] = &r, &s, &sch
		if diff := cmp.Diff(want, dir); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rel, diff)
		}
	}
}

func TestASlotOfTheDirectoryCarriesItsPlacesOffset(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	// The hour that the clocks show twice: 01:30 after they were put back.
	start := time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC)
	slot := scheduling.Slot{ID: "s", Schedule: "sch", Status: scheduling.SlotFree, Start: start, End: start.Add(15 * time.Minute)}
	got := fhir.FromSlot(scheduling.R4, origin(), slot, zone)
	if got.Start != "2026-11-01T01:30:00-08:00" || got.End != "2026-11-01T01:45:00-08:00" {
		t.Errorf("%s to %s", got.Start, got.End)
	}
	if err := fhir.Check(scheduling.R4, got); err != nil {
		t.Error(err)
	}
}

func TestWhatASourceGotWrongIsNotWrittenOn(t *testing.T) {
	t.Parallel()
	p := fhir.FromPractitioner(origin(), &scheduling.Practitioner{ID: "p", Gender: "F", Identifiers: []scheduling.Identifier{{Use: "npi", Value: "1"}}})
	if p.Gender != "" || p.Name != nil || p.Identifier[0].Use != "" {
		t.Errorf("%+v", p)
	}
	s := fhir.FromSchedule(scheduling.R4, origin(), &scheduling.Schedule{ID: "s", HorizonStart: "2017-09-08", HorizonEnd: "2017-08-28"})
	if s.PlanningHorizon != nil {
		t.Error("a horizon that ends before it starts")
	}
	o := fhir.FromOrganization(origin(), &scheduling.Organization{ID: "o", Telecom: []scheduling.Telecom{{System: "telepathy", Value: "1"}}, Address: []scheduling.Address{{}}})
	if o.Telecom[0].System != "other" || o.Address != nil {
		t.Errorf("%+v", o)
	}
	l := fhir.ToLocation(&model.Location{
		Status: "suspended", Position: &model.LocationPosition{Latitude: "91", Longitude: "0"},
		Base: model.Base{Extension: []model.Extension{{URL: fhir.TimezoneExtension, ValueCode: "Mars/Olympus"}, {URL: fhir.TimezoneExtension, ValueString: "Europe/Rome"}}},
	})
	if !l.Inactive || l.Position != nil || l.Zone != "Europe/Rome" {
		t.Errorf("%+v", l)
	}
	if added, reason := fhir.AddTo(scheduling.NewDirectory(), &model.Location{}); added || reason != scheduling.NoID {
		t.Error(added, reason)
	}
	if added, reason := fhir.AddTo(scheduling.NewDirectory(), &model.Patient{}); added || reason != "" {
		t.Error(added, reason)
	}
}
