package upstream

import (
	"fmt"
	"testing"
	"time"

	"slotgate/scheduling"
)

// vienna is a source of one schedule in a zone with summer time: 23 hours on
// 2026-03-29, 25 hours on 2026-10-25.
func vienna(t *testing.T) (scheduling.Source, scheduling.Directory) {
	t.Helper()
	dir := scheduling.NewDirectory()
	dir.Practitioners["p1"] = &scheduling.Practitioner{ID: "p1"}
	dir.Schedules["s1"] = &scheduling.Schedule{ID: "s1", Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "p1"}}}
	return scheduling.Source{ID: "src", Zone: zone(t, "Europe/Vienna")}, dir
}

func written(id, start, end string) *record {
	return &record{start: start, end: end, slot: scheduling.Slot{ID: id, Schedule: "s1", Status: scheduling.SlotFree}}
}

func assemble(source scheduling.Source, dir scheduling.Directory, days scheduling.Days, records ...*record) (map[scheduling.WindowKey][]scheduling.Slot, scheduling.Tally) {
	a := newAssembler(source, scheduling.Scope{Days: days}, scheduling.NewResolver(source.ID, dir, source.Zone), nil)
	return a.windows(records), a.unusable
}

func TestLaw9InstantsInsideZonesAtTheEdge(t *testing.T) {
	t.Parallel()
	source, dir := vienna(t)
	summer := scheduling.Date(2026, 3, 29)  // 02:00 becomes 03:00
	winter := scheduling.Date(2026, 10, 25) // 03:00 becomes 02:00
	for name, tc := range map[string]struct {
		day     scheduling.Day
		records []*record
		starts  []string // UTC, in order
		minutes int
		reason  scheduling.Reason
	}{
		"an offset is taken as it is":                   {winter, []*record{written("a", "2026-10-25T02:30:00+01:00", "2026-10-25T02:45:00+01:00")}, []string{"01:30"}, 15, ""},
		"an offset of two digits too":                   {winter, []*record{written("a", "2026-10-25T02:30:00+02", "2026-10-25T02:45:00+02")}, []string{"00:30"}, 15, ""},
		"without one the place's zone counts":           {summer, []*record{written("a", "2026-03-29T08:00:00", "2026-03-29T08:15:00")}, []string{"06:00"}, 15, ""},
		"before the clocks go forward":                  {summer, []*record{written("a", "2026-03-29T01:45:00", "2026-03-29T03:00:00")}, []string{"00:45"}, 15, ""},
		"a time that is skipped is refused":             {summer, []*record{written("a", "2026-03-29T02:30:00", "2026-03-29T02:45:00")}, nil, 0, scheduling.NoSuchTime},
		"a time that occurs twice is the first":         {winter, []*record{written("a", "2026-10-25T02:00:00", "2026-10-25T02:15:00")}, []string{"00:00"}, 15, ""},
		"unless its end says that it is the second":     {winter, []*record{written("a", "2026-10-25T02:45:00", "2026-10-25T03:00:00")}, []string{"01:45"}, 15, ""},
		"or begins in the first and ends in the second": {winter, []*record{written("a", "2026-10-25T02:45:00", "2026-10-25T02:00:00")}, []string{"00:45"}, 15, ""},
		"twice the same is the first and the second": {winter, []*record{
			written("a", "2026-10-25T02:00:00", "2026-10-25T02:15:00"), written("b", "2026-10-25T02:00:00", "2026-10-25T02:15:00"),
		}, []string{"00:00", "01:00"}, 15, ""},
		"also where the end is written as after both": {winter, []*record{
			written("a", "2026-10-25T02:45:00", "2026-10-25T03:00:00"), written("b", "2026-10-25T02:45:00", "2026-10-25T03:00:00"),
		}, []string{"00:45", "01:45"}, 15, ""},
		"the second where the first is taken": {winter, []*record{
			written("a", "2026-10-25T02:00:00", "2026-10-25T02:45:00"),
			written("b", "2026-10-25T01:30:00", "2026-10-25T02:15:00"), written("c", "2026-10-25T02:15:00", "2026-10-25T02:00:00"),
		}, []string{"23:30", "00:15", "01:00"}, 45, ""},
		"the first where both are": {winter, []*record{
			written("a", "2026-10-25T02:15:00", "2026-10-25T02:30:00"),
			written("b", "2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00"), written("c", "2026-10-25T02:15:00+01:00", "2026-10-25T02:30:00+01:00"),
		}, []string{"00:15", "00:15", "01:15"}, 15, ""},
		"the second where the first is known by its offset": {winter, []*record{
			written("a", "2026-10-25T02:15:00", "2026-10-25T02:30:00"), written("b", "2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00"),
		}, []string{"00:15", "01:15"}, 15, ""},
		"twice the same on any other day is just that": {winter, []*record{
			written("a", "2026-10-25T08:00:00", "2026-10-25T08:15:00"), written("b", "2026-10-25T08:00:00", "2026-10-25T08:15:00"),
		}, []string{"07:00", "07:00"}, 15, ""},
		"the day is the place's, not the server's": {winter, []*record{written("a", "2026-10-24T22:00:00Z", "2026-10-24T22:15:00Z")}, []string{"22:00"}, 15, ""},
		"the last hour of 25 belongs to the day":   {winter, []*record{written("a", "2026-10-25T22:45:00Z", "2026-10-25T23:00:00Z")}, []string{"22:45"}, 15, ""},
		"the next day is outside the scope":        {winter, []*record{written("a", "2026-10-25T23:00:00Z", "2026-10-25T23:15:00Z")}, nil, 0, ""},
		"the day before is, too":                   {winter, []*record{written("a", "2026-10-24T21:59:00Z", "2026-10-24T22:14:00Z")}, nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			windows, unusable := assemble(source, dir, scheduling.Days{From: tc.day, To: tc.day + 1}, tc.records...)
			slots := windows[scheduling.WindowKey{Schedule: "s1", Day: tc.day}]
			var starts []string
			for _, slot := range slots {
				starts = append(starts, slot.Start.UTC().Format("15:04"))
				if slot.Minutes() != tc.minutes {
					t.Errorf("%d minutes", slot.Minutes())
				}
			}
			if fmt.Sprint(starts) != fmt.Sprint(tc.starts) {
				t.Errorf("starts %v, want %v", starts, tc.starts)
			}
			if tc.reason == "" && unusable.Total() != 0 || tc.reason != "" && unusable[tc.reason] != len(tc.records) {
				t.Errorf("unusable %v, want %q", unusable, tc.reason)
			}
		})
	}
}

func TestLaw9ATimeWithoutAnyZoneIsRefusedAndCounted(t *testing.T) {
	t.Parallel()
	source, dir := vienna(t)
	source.Zone = nil
	day := scheduling.Date(2026, 10, 25)
	windows, unusable := assemble(source, dir, scheduling.Days{From: day, To: day + 1}, written("a", "2026-10-25T08:00:00", "2026-10-25T08:15:00"))
	if len(windows) != 0 || unusable[scheduling.NoZone] != 1 || unusable.Total() != 1 {
		t.Errorf("%v, unusable %v", windows, unusable)
	}
}

func TestLaw9ThePlacesZoneGoesBeforeTheSources(t *testing.T) {
	t.Parallel()
	source, dir := vienna(t)
	dir.Locations["l1"] = &scheduling.Location{ID: "l1", Zone: "America/New_York"}
	dir.Schedules["s1"].Actors = append(dir.Schedules["s1"].Actors, scheduling.Actor{Kind: scheduling.KindLocation, ID: "l1"})
	day := scheduling.Date(2026, 10, 24)
	windows, _ := assemble(source, dir, scheduling.Days{From: day, To: day + 1}, written("a", "2026-10-24T23:30:00", "2026-10-24T23:45:00"))
	slots := windows[scheduling.WindowKey{Schedule: "s1", Day: day}]
	if len(slots) != 1 || !slots[0].Start.Equal(time.Date(2026, 10, 25, 3, 30, 0, 0, time.UTC)) {
		t.Errorf("%v", windows)
	}
}
