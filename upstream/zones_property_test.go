package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// In any week of the year, in zones whose clocks change by an hour or by half of
// one, at two o'clock or at midnight, every slot is in the window of its own day
// at the place, once, at its instant, however times are written; and no more
// comes of a day than what begins on it.
func TestLaw9WindowsHoldTheirOwnSlotsInAnyZoneAndWeek(t *testing.T) {
	t.Parallel()
	zones := []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "Asia/Kathmandu", "Pacific/Kiritimati"}
	dialects := []ehrsim.Options{
		{Dialect: ehrsim.Slots, FHIR: ehrsim.R4},
		{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3},
		{Dialect: ehrsim.IHE, FHIR: ehrsim.R4},
		{Dialect: ehrsim.Epic, FHIR: ehrsim.STU3},
		{Dialect: ehrsim.Links, FHIR: ehrsim.R4},
		{Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4, NoPrefetch: true},
	}
	rapid.Check(t, func(rt *rapid.T) {
		o := rapid.SampledFrom(dialects).Draw(rt, "dialect")
		o.Zone = rapid.SampledFrom(zones).Draw(rt, "zone")
		o.Times = rapid.SampledFrom([]ehrsim.Times{ehrsim.UTCTimes, ehrsim.OffsetTimes, ehrsim.LocalTimes}).Draw(rt, "times")
		place := zone(t, o.Zone)
		changes := changesIn(place, 2026)
		day := rapid.SampledFrom(append(changes, scheduling.Date(2026, 6, 17))).Draw(rt, "day")
		before := (day - 1).Start(place)
		o.Now, o.Practitioners, o.Days = func() time.Time { return before }, 2, 4
		srv, base := sim(t, o)
		defer func() { _ = srv.Close() }()
		want := map[string]string{}
		schedule := srv.Slots()[0].Schedule
		srv.DeleteSlots("")
		minute := rapid.IntRange(0, 3*24*4-1)
		for i, quarter := range rapid.SliceOfNDistinct(minute, 1, 40, rapid.ID[int]).Draw(rt, "starts") {
			start := (day - 1).Start(place).Add(time.Duration(quarter) * 15 * time.Minute)
			end := start.Add(time.Duration(rapid.IntRange(1, 16).Draw(rt, "length")) * 15 * time.Minute)
			if o.Times == ehrsim.LocalTimes && (twice(start, place) || twice(end, place)) {
				continue // nobody can tell, but by its neighbours
			}
			id := fmt.Sprint("n", i)
			if _, err := srv.AddSlot(ehrsim.Slot{ID: id, Schedule: schedule, Start: start, End: end}); err != nil {
				rt.Fatal(err)
			}
			if start.After(before) {
				want[start.UTC().Format(time.RFC3339)+" "+end.UTC().Format(time.RFC3339)] = scheduling.DayOf(start, place).String()
			}
		}
		c := client(t, base, func(to *Options) { to.Dialect, to.FHIR = string(o.Dialect), scheduling.Release(o.FHIR) })
		got := map[string]string{}
		for at := day - 2; at < day+3; at++ {
			found := fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: at, To: at + 1}})
			if !found.Complete || found.Unusable.Total() > 0 {
				rt.Fatalf("%s: complete %v (%s), unusable %v", at, found.Complete, found.Cut, found.Unusable)
			}
			for key, window := range found.Windows {
				for _, slot := range window {
					name := slot.Start.UTC().Format(time.RFC3339) + " " + slot.End.UTC().Format(time.RFC3339)
					if !slot.Start.After(before) {
						continue
					}
					if got[name] != "" || key.Day != at {
						rt.Fatalf("%s is in %s and %s, asked for %s", name, got[name], key.Day, at)
					}
					got[name] = key.Day.String()
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("got %v\nwant %v", listed(got), listed(want))
		}
	})
}

func listed(slots map[string]string) string {
	var out []string
	for slot, day := range slots {
		out = append(out, day+": "+slot)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// changesIn are the days of a year that are not 24 hours long.
func changesIn(place *time.Location, year int) []scheduling.Day {
	var out []scheduling.Day
	for day := scheduling.Date(year, 1, 2); day < scheduling.Date(year, 12, 28); day++ {
		if (day + 1).Start(place).Sub(day.Start(place)) != 24*time.Hour {
			out = append(out, day)
		}
	}
	return out
}

// twice: the wall clock shows this time twice.
func twice(at time.Time, place *time.Location) bool {
	y, m, d := at.In(place).Date()
	h, min, s := at.In(place).Clock()
	return len(scheduling.Occurrences(y, m, d, h, min, s, place)) > 1
}
