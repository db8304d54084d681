package upstream

import (
	"fmt"
	"testing"
	"time"

	"slotgate/config/testenv"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

const connectathonZone = "America/Los_Angeles"

// connectathonData is the real data of the Argonaut connectathon, moved to the
// weeks after today.
func connectathonData(t *testing.T, today time.Time) *ehrsim.Dataset {
	t.Helper()
	dir := testenv.Shared(t, "argonaut/connectathon")
	data, err := ehrsim.Load(dir, ehrsim.LoadOptions{FHIR: ehrsim.STU3, Zone: connectathonZone, ShiftTo: today})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// connectathon starts an EHR that holds it.
func connectathon(t *testing.T, data *ehrsim.Dataset, today time.Time, o ehrsim.Options) (*ehrsim.Server, string) {
	t.Helper()
	o.FHIR, o.Zone, o.Data = ehrsim.STU3, connectathonZone, data
	o.Now = func() time.Time { return today }
	return sim(t, o)
}

func connectathonOptions(t *testing.T, o *Options) {
	t.Helper()
	o.Dialect, o.FHIR, o.Timezone = Argonaut, scheduling.STU3, configZone(t, connectathonZone)
	o.Quirks.ScheduleRef = `(arg-s-\d+)$`
}

// weekly covers the loaded period in scopes of a week.
func weekly(t *testing.T, c *Client, today time.Time) []scheduling.Fetched {
	t.Helper()
	var all []scheduling.Fetched
	day := scheduling.DayOf(today, zone(t, connectathonZone))
	for range 6 {
		all = append(all, fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: day, To: day + 7}}))
		day += 7
	}
	return all
}

// In winter and in summer Los Angeles is another number of hours from UTC.
var connectathonDays = map[string]time.Time{
	"in standard time": time.Date(2026, 1, 7, 18, 0, 0, 0, time.UTC),
	"in summer time":   time.Date(2026, 6, 10, 18, 0, 0, 0, time.UTC),
}

func TestEveryOpenSlotOfTheConnectathonIsFoundWithWhoAndWhere(t *testing.T) {
	t.Parallel()
	for name, today := range connectathonDays {
		data := connectathonData(t, today)
		for _, o := range []ehrsim.Options{{Dialect: ehrsim.Argonaut}, {Dialect: ehrsim.Slots, PageSize: 100}} {
			t.Run(fmt.Sprintf("%s by %s", name, o.Dialect), func(t *testing.T) {
				t.Parallel()
				_, base := connectathon(t, data, today, o)
				c := client(t, base, func(opts *Options) {
					connectathonOptions(t, opts)
					if o.Dialect == ehrsim.Slots {
						opts.Dialect, opts.Quirks.PageSize = Slots, 200
					}
				})
				checkConnectathon(t, c, today)
			})
		}
	}
}

func checkConnectathon(t *testing.T, c *Client, today time.Time) {
	t.Helper()
	slots := map[string]scheduling.Slot{}
	weeks := weekly(t, c, today)
	resolver := scheduling.NewResolver("src", c.known.directory(), zone(t, connectathonZone))
	for _, f := range weeks {
		if !f.Complete || f.Unusable.Total() != 0 {
			t.Errorf("complete %v (%s), unusable %v", f.Complete, f.Cut, f.Unusable)
		}
		for key, window := range f.Windows {
			for _, slot := range window {
				slots[slot.ID] = slot
				checkConnectathonSlot(t, resolver, key, slot)
			}
		}
	}
	if len(slots) != 1852 {
		t.Errorf("%d open slots, want 1852", len(slots))
	}
}

func checkConnectathonSlot(t *testing.T, resolver *scheduling.Resolver, key scheduling.WindowKey, slot scheduling.Slot) {
	t.Helper()
	la := zone(t, connectathonZone)
	setting, reason := resolver.Setting(slot.Schedule)
	if reason != "" || len(setting.Practitioners) != 1 || len(setting.Locations) != 1 {
		t.Fatalf("slot %s: %q, setting %+v", slot.ID, reason, setting)
	}
	// The id tells the wall clock of the original data: 2017-08-28T080000-arg-s-1.
	local := slot.Start.In(la)
	if want := slot.ID[11:17]; local.Format("150405") != want {
		t.Errorf("slot %s begins at %s", slot.ID, local)
	}
	if scheduling.DayOf(slot.Start, la) != key.Day || slot.Minutes() != 15 {
		t.Errorf("slot %s of %d minutes is filed under %s", slot.ID, slot.Minutes(), key.Day)
	}
}

func TestWithoutTheScheduleRefQuirkEverySlotIsCountedAsUnknownSchedule(t *testing.T) {
	t.Parallel()
	today := connectathonDays["in summer time"]
	srv, base := connectathon(t, connectathonData(t, today), today, ehrsim.Options{})
	c := client(t, base, func(o *Options) {
		connectathonOptions(t, o)
		o.Quirks.ScheduleRef = ""
	})
	tally := scheduling.Tally{}
	for _, f := range weekly(t, c, today) {
		if f.Slots() != 0 || !f.Complete {
			t.Errorf("%d slots, complete %v %s", f.Slots(), f.Complete, f.Cut)
		}
		tally.Merge(f.Unusable)
	}
	if tally[scheduling.UnknownSchedule] != 1852 || tally.Total() != 1852 {
		t.Errorf("unusable: %v, want 1852 of unknown-schedule", tally)
	}
	if n := len(srv.Requests(0)); n > 100 {
		t.Errorf("%d requests: what dangles was looked for one by one", n)
	}
}
