package replica

import (
	"fmt"
	"testing"
	"time"

	"slotgate/scheduling"
)

// noon is when the clock of these tests stands: the day before the clocks of
// New York are put back (2026-11-01).
var noon = time.Date(2026, 10, 31, 16, 0, 0, 0, time.UTC)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func code(system, value string) []scheduling.Concept {
	return []scheduling.Concept{{Codings: []scheduling.Coding{{System: system, Code: value}}}}
}

// clinic is one source with one practitioner, place and schedule.
func clinic(t testing.TB, id scheduling.SourceID) (scheduling.Source, scheduling.Directory) {
	source := scheduling.Source{
		ID: id, Name: "Clinic " + string(id), Base: "https://" + string(id) + ".example/fhir",
		Release: scheduling.R4, Zone: zone(t, "America/New_York"),
		MaxAge: 24 * time.Hour, StaleAfter: time.Hour, Horizon: 60,
	}
	dir := scheduling.NewDirectory()
	dir.Organizations["hospital"] = &scheduling.Organization{ID: "hospital", Name: "Hospital"}
	dir.Organizations["practice"] = &scheduling.Organization{ID: "practice", Name: "Practice", PartOf: "hospital"}
	dir.Practitioners["who"] = &scheduling.Practitioner{
		ID: "who", Name: scheduling.HumanName{Family: "Rivera", Given: []string{"Ana"}},
		Identifiers: []scheduling.Identifier{{System: scheduling.NPISystem, Value: "1234567893"}},
	}
	dir.Locations["where"] = &scheduling.Location{
		ID: "where", Name: "Main Street Clinic", Organization: "practice",
		Address:  scheduling.Address{City: "Albany", State: "NY"},
		Position: &scheduling.Position{Latitude: 42.65, Longitude: -73.75},
	}
	dir.Roles["role"] = &scheduling.Role{
		ID: "role", Practitioner: "who", Organization: "practice", Locations: []string{"where"},
		Specialty: code("http://snomed.info/sct", "394582007"),
	}
	dir.Schedules["sched"] = &scheduling.Schedule{ID: "sched", Actors: []scheduling.Actor{
		{Kind: scheduling.KindPractitioner, ID: "who"}, {Kind: scheduling.KindLocation, ID: "where"},
	}}
	return source, dir
}

// slotsOn are n slots of half an hour from start.
func slotsOn(schedule, prefix string, start time.Time, n int) []scheduling.Slot {
	var slots []scheduling.Slot
	for i := range n {
		at := start.Add(time.Duration(i) * 30 * time.Minute)
		slots = append(slots, scheduling.Slot{
			ID: fmt.Sprintf("%s-%d", prefix, i), Schedule: schedule, Status: scheduling.SlotFree,
			Start: at, End: at.Add(30 * time.Minute),
		})
	}
	return slots
}

// windowsOf cuts slots into windows in the zone.
func windowsOf(slots []scheduling.Slot, zone *time.Location, fetch uint64, checked time.Time) []scheduling.Window {
	var windows []scheduling.Window
	for key, slots := range scheduling.Windows(slots, func(string) *time.Location { return zone }) {
		windows = append(windows, scheduling.Window{Key: key, Slots: slots, Fetch: fetch, Checked: checked, Changed: checked})
	}
	return windows
}

// fine is the status of a source that is well.
func fine(source scheduling.SourceID, at time.Time) scheduling.Status {
	return scheduling.Status{Source: source, Tried: at, LastSync: at, Loaded: at}
}

// open makes a replica whose clock stands at noon.
func open(t testing.TB, sources ...scheduling.Source) *Replica {
	t.Helper()
	opts := Options{Sources: sources, Now: func() time.Time { return noon }}
	if err := opts.Validate(); err != nil {
		t.Fatal(err)
	}
	return New(opts)
}

// loaded is a replica of one clinic with four slots tomorrow morning.
func loaded(t testing.TB) (*Replica, scheduling.Source, scheduling.Snapshot) {
	t.Helper()
	source, dir := clinic(t, "a")
	tomorrow := time.Date(2026, 11, 1, 9, 0, 0, 0, source.Zone)
	snap := scheduling.Snapshot{
		Loaded: true, Directory: dir, Status: fine("a", noon),
		Windows: windowsOf(slotsOn("sched", "s", tomorrow.UTC(), 4), source.Zone, 1, noon),
	}
	r := open(t, source)
	r.Load("a", snap)
	return r, source, snap
}

func find(t testing.TB, r *Replica, q scheduling.Query) scheduling.Found {
	t.Helper()
	found, err := r.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
