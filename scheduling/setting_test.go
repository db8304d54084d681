package scheduling_test

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func clinic() scheduling.Directory {
	dir := scheduling.NewDirectory()
	dir.Practitioners["p"] = &scheduling.Practitioner{ID: "p", Name: scheduling.HumanName{Family: "Boyce"}}
	dir.Practitioners["gone"] = &scheduling.Practitioner{ID: "gone", Inactive: true}
	dir.Locations["l"] = &scheduling.Location{ID: "l", Name: "San Jose", Zone: "America/Los_Angeles", Organization: "o"}
	dir.Locations["l2"] = &scheduling.Location{ID: "l2", Name: "Phoenix", Zone: "America/Phoenix"}
	dir.Organizations["o"] = &scheduling.Organization{ID: "o"}
	skin := []scheduling.Concept{{Codings: []scheduling.Coding{{System: "http://snomed.info/sct", Code: "394582007"}}}}
	dir.Services["s"] = &scheduling.Service{ID: "s", Specialty: skin, Type: skin, Locations: []string{"l"}}
	dir.Roles["r"] = &scheduling.Role{ID: "r", Practitioner: "p", Organization: "o", Locations: []string{"l"}, Services: []string{"s"}}
	schedule := func(id string, actors ...scheduling.Actor) {
		dir.Schedules[id] = &scheduling.Schedule{ID: id, Actors: actors}
	}
	who := scheduling.Actor{Kind: scheduling.KindPractitioner, ID: "p"}
	schedule("by-person", who)
	schedule("by-person-and-place", who, scheduling.Actor{Kind: scheduling.KindLocation, ID: "l2"})
	schedule("by-role", scheduling.Actor{Kind: scheduling.KindRole, ID: "r"})
	schedule("by-service", scheduling.Actor{Kind: scheduling.KindService, ID: "s"})
	schedule("by-name", scheduling.Actor{Kind: scheduling.KindPractitioner, Display: "Dr Y"})
	schedule("by-nobody")
	schedule("by-stranger", scheduling.Actor{Kind: scheduling.KindPractitioner, ID: "x"})
	schedule("by-retired", scheduling.Actor{Kind: scheduling.KindPractitioner, ID: "gone"})
	dir.Schedules["closed"] = &scheduling.Schedule{ID: "closed", Inactive: true, Actors: []scheduling.Actor{who}}
	return dir
}

func TestReferencesAreFollowedThroughTheRole(t *testing.T) {
	r := scheduling.NewResolver("napa", clinic(), nil)
	for _, schedule := range []string{"by-person", "by-role"} {
		s, reason := r.Setting(schedule)
		if reason != "" {
			t.Fatalf("%s: %s", schedule, reason)
		}
		if len(s.Practitioners) != 1 || len(s.Locations) != 1 || s.Locations[0].ID != "l" || s.Organization == nil {
			t.Errorf("%s: %+v", schedule, s)
		}
		if len(s.Specialty) != 1 || len(s.ServiceType) != 1 {
			t.Errorf("%s: the service's specialty and type are missing", schedule)
		}
		if s.Zone.String() != "America/Los_Angeles" {
			t.Errorf("%s: zone %s", schedule, s.Zone)
		}
	}
}

func TestAPlaceOfTheScheduleWinsOverTheRoles(t *testing.T) {
	s, reason := scheduling.NewResolver("napa", clinic(), time.UTC).Setting("by-person-and-place")
	if reason != "" || len(s.Locations) != 1 || s.Locations[0].ID != "l2" || s.Role != nil {
		t.Errorf("%s %+v", reason, s)
	}
}

func TestOfTwoRolesAtTwoPlacesNoneIsGuessed(t *testing.T) {
	dir := clinic()
	dir.Roles["r2"] = &scheduling.Role{ID: "r2", Practitioner: "p", Locations: []string{"l2"}}
	s, reason := scheduling.NewResolver("napa", dir, time.UTC).Setting("by-person")
	if reason != "" || len(s.Locations) != 0 || s.Zone != time.UTC {
		t.Errorf("%s %+v", reason, s)
	}
}

func TestLaw12WhatCannotBeOfferedHasAReason(t *testing.T) {
	for schedule, want := range map[string]scheduling.Reason{
		"unheard-of": scheduling.UnknownSchedule, "by-nobody": scheduling.NoActor,
		"by-stranger": scheduling.UnknownActor, "by-retired": scheduling.InactiveActor,
		"closed": scheduling.InactiveActor, "by-name": scheduling.NoZone,
	} {
		s, reason := scheduling.NewResolver("napa", clinic(), nil).Setting(schedule)
		if reason != want || s != nil {
			t.Errorf("%s: %q, want %q", schedule, reason, want)
		}
	}
}
