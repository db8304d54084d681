package ehrsim

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func generated(t *testing.T, o Options) *store {
	t.Helper()
	if o.Now == nil {
		o.Now = frozen(monday)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.data()
}

func dump(st *store, f flavour) string {
	var all []byte
	for _, typ := range []string{"Organization", "Location", "Practitioner", "PractitionerRole", "HealthcareService", "Schedule"} {
		st.every(typ, func(o object) { all = appendJSON(all, o) })
	}
	for _, s := range st.book {
		all = appendJSON(all, f.slot(s))
	}
	return string(all)
}

func TestTheSameSeedMakesTheSamePracticeAndAnotherSeedAnother(t *testing.T) {
	t.Parallel()
	f := flavour{fhir: R4, dialect: Argonaut, made: monday, zone: time.UTC}
	one, again, other := dump(generated(t, Options{Seed: 7}), f), dump(generated(t, Options{Seed: 7}), f), dump(generated(t, Options{Seed: 8}), f)
	if one != again {
		t.Error("two servers of one seed differ")
	}
	if one == other {
		t.Error("another seed made the same")
	}
}

func TestADefaultPracticeHasThousandsOfOpenSlotsInFourZonesAndPhoenix(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		st := generated(t, Options{Seed: seed})
		zones := map[string]bool{}
		for _, c := range st.calendars {
			zones[c.zone.String()] = true
		}
		free := 0
		for _, s := range st.book {
			if s.status == "free" {
				free++
			}
		}
		if free < 1500 {
			t.Errorf("seed %d: only %d open slots of %d", seed, free, len(st.book))
		}
		if len(zones) < 4 || !zones["America/Phoenix"] {
			t.Errorf("seed %d: zones %v", seed, zones)
		}
	}
}

func TestEveryNPIOfAPractitionerIsValidAndTheirOwn(t *testing.T) {
	t.Parallel()
	if got := npi(23456789); got != "1234567893" { // the example of the NPI standard
		t.Errorf("check digit of 123456789: %s", got)
	}
	seen := map[string]bool{}
	generated(t, Options{Practitioners: 500, Days: 1}).every("Practitioner", func(o object) {
		id, _ := o.find("identifier.value")[0].(string)
		if len(id) != 10 || luhnDigit("80840"+id[:9]) != int(id[9]-'0') || seen[id] {
			t.Errorf("NPI %q of %s is wrong or given twice", id, o.str("id"))
		}
		seen[id] = true
	})
}

func TestAnOrganizationHasOneToFourPlacesNearTheirTowns(t *testing.T) {
	t.Parallel()
	st := generated(t, Options{Practitioners: 80, Days: 1})
	places := map[string]int{}
	st.every("Location", func(o object) {
		places[o.obj("managingOrganization").str("reference")]++
		town := slices.IndexFunc(cities, func(c city) bool { return c.name == o.obj("address").str("city") })
		if town < 0 {
			t.Fatalf("%s is in no town", o.str("id"))
		}
		lat, _ := o.obj("position").get("latitude").(number)
		if got, err := strconv.ParseFloat(string(lat), 64); err != nil || math.Abs(got-cities[town].lat) > 0.05 {
			t.Errorf("latitude %s is not near %s (%v)", lat, cities[town].name, cities[town].lat)
		}
	})
	for org, n := range places {
		if n < 1 || n > 4 {
			t.Errorf("%s has %d places", org, n)
		}
	}
}

func TestEveryReferenceOfAGeneratedPracticeLeadsSomewhere(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {RoleActors: true}} {
		st := generated(t, o)
		for _, path := range []string{
			"Location.managingOrganization", "PractitionerRole.practitioner", "PractitionerRole.organization", "PractitionerRole.location",
			"PractitionerRole.healthcareService", "HealthcareService.providedBy", "HealthcareService.location", "Schedule.actor",
		} {
			typ, name, _ := strings.Cut(path, ".")
			st.every(typ, func(o object) {
				for _, ref := range o.find(name + ".reference") {
					target, id, _ := strings.Cut(ref.(string), "/")
					if st.get(target, id) == nil {
						t.Errorf("%s of %s: %s is not there", path, o.str("id"), ref)
					}
				}
			})
		}
		for _, s := range st.book {
			if st.get("Schedule", strings.TrimPrefix(s.schedule, "Schedule/")) == nil {
				t.Fatalf("slot %s: no %s", s.id, s.schedule)
			}
		}
	}
}

func TestEveryScheduleReachesAPractitionerAPlaceAndAnOrganization(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {RoleActors: true}} {
		for ref, r := range generated(t, o).reach {
			org := false
			for have := range r.refs {
				org = org || strings.HasPrefix(have, "Organization/")
			}
			if r.practitioner == nil || r.location == nil || !org || len(r.specialty) == 0 || len(r.addresses) != 1 {
				t.Errorf("%s (role actors %v) reaches only %v", ref, o.RoleActors, r.refs)
			}
		}
	}
}

func TestNobodyIsAtTwoPlacesAtOnceNorSeesTwoPatientsAtOnce(t *testing.T) {
	t.Parallel()
	st := generated(t, Options{Practitioners: 60, Days: 14, Zone: "America/Chicago"})
	busy := map[string][]*slot{}
	for _, s := range st.book {
		who := st.reach[s.schedule].practitioner.str("reference")
		busy[who] = append(busy[who], s)
	}
	for who, slots := range busy {
		for i := 1; i < len(slots); i++ {
			if slots[i].start.Before(slots[i-1].end) {
				t.Fatalf("%s: %s and %s overlap", who, slots[i-1].id, slots[i].id)
			}
		}
	}
}

func TestSlotLengthsStatusesAndWeeksVaryAsTheyDoInLife(t *testing.T) {
	t.Parallel()
	st := generated(t, Options{Practitioners: 40, Days: 28})
	lengths, status, weekdays := map[time.Duration]int{}, map[string]int{}, map[time.Weekday]int{}
	open := map[string]int{}
	for _, s := range st.book {
		lengths[s.end.Sub(s.start)]++
		status[s.status]++
		local := s.start.In(s.cal.zone)
		weekdays[local.Weekday()]++
		if s.status == "free" || open[s.schedule+local.Format(time.DateOnly)] > 0 {
			open[s.schedule+local.Format(time.DateOnly)]++
		} else {
			open[s.schedule+local.Format(time.DateOnly)] += 0
		}
		if minutes := local.Hour()*60 + local.Minute(); minutes < 7*60 || minutes >= 17*60+30 || minutes >= 12*60+30 && minutes < 13*60 && s.cal.week[local.Weekday()].lunch > 0 {
			t.Fatalf("%s is at %s", s.id, local)
		}
	}
	for _, want := range []time.Duration{10, 15, 20, 30, 60} {
		if lengths[want*time.Minute] == 0 {
			t.Errorf("no slot of %d minutes: %v", want, lengths)
		}
	}
	for _, want := range []string{"free", "busy", "busy-unavailable", "busy-tentative"} {
		if status[want] == 0 {
			t.Errorf("no slot is %s: %v", want, status)
		}
	}
	if weekdays[time.Sunday] > 0 || weekdays[time.Saturday] == 0 || weekdays[time.Saturday]*5 > weekdays[time.Monday] {
		t.Errorf("weekends should be mostly closed: %v", weekdays)
	}
	full := 0
	for _, n := range open {
		if n == 0 {
			full++
		}
	}
	if full == 0 || full > len(open)/2 {
		t.Errorf("%d of %d days are full; want some", full, len(open))
	}
}

func TestAZoneWithoutATownOfItsOwnBorrowsTowns(t *testing.T) {
	t.Parallel()
	for _, c := range generated(t, Options{Zone: "Europe/Berlin", Practitioners: 3, Days: 2}).calendars {
		if c.zone.String() != "Europe/Berlin" {
			t.Errorf("%s is in %s", c.id, c.zone)
		}
	}
}
