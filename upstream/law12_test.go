package upstream

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

func TestLaw12NoRecordIsLostInSilence(t *testing.T) {
	t.Parallel()
	slot := func(bend ...string) string { return strings.NewReplacer(bend...).Replace(slotJSON("a", 0)) }
	for name, tc := range map[string]struct {
		slot   string
		reason scheduling.Reason // "": nothing to count
	}{
		"no id":                       {slot(`"id":"a",`, ``), scheduling.NoID},
		"no start":                    {slot(`"start"`, `"_x"`), scheduling.NoTime},
		"a start that is none":        {slot(`2026-02-03T09:00:00Z`, `tomorrow`), scheduling.BadTime},
		"a date without a time":       {slot(`2026-02-03T09:00:00Z`, `2026-02-03`), scheduling.BadTime},
		"an end before the start":     {slot(`T09:15`, `T08:15`), scheduling.EndsBeforeStart},
		"a month long":                {slot(`"end":"2026-02-03`, `"end":"2026-03-03`), scheduling.TooLong},
		"a status that nobody knows":  {slot(`"free"`, `"maybe"`), scheduling.UnknownStatus},
		"no status":                   {slot(`"status":"free",`, ``), scheduling.UnknownStatus},
		"busy is no fault":            {slot(`"free"`, `"busy"`), ""},
		"no schedule":                 {slot(`"schedule":{"reference":"Schedule/s1"},`, ``), scheduling.NoSchedule},
		"a schedule by display alone": {slot(`"reference"`, `"display"`), scheduling.NoSchedule},
		"a dangling schedule":         {slot(`Schedule/s1`, `Schedule/s9`), scheduling.UnknownSchedule},
		"a broken resource":           {slot(`"schedule":{`, `"schedule":7,"x":{`), scheduling.BadResource},
		"outside what was asked":      {slot(`2026-02-03`, `2027-02-03`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, tiny(func(w http.ResponseWriter, _ *http.Request) {
				page(w, 2, "", tc.slot, slotJSON("good", 3))
			})), utc)
			got := fetch(t, c, ahead(noon, 2))
			want := scheduling.Tally{}
			if tc.reason != "" {
				want[tc.reason] = 1
			}
			if got.Slots() != 1 || !got.Complete || !maps.Equal(got.Unusable, want) {
				t.Errorf("%d slots, complete %v (%s), unusable %v, want %v", got.Slots(), got.Complete, got.Cut, got.Unusable, want)
			}
		})
	}
}

func TestLaw12WhatTheSimulatorSpoilsIsCountedByReason(t *testing.T) {
	t.Parallel()
	for kind, reason := range map[ehrsim.FaultKind]scheduling.Reason{
		ehrsim.FaultReversed: scheduling.EndsBeforeStart,
		ehrsim.FaultTwinIDs:  scheduling.Conflicting,
		ehrsim.FaultDangling: scheduling.UnknownSchedule,
		ehrsim.FaultNoZone:   "", // the place's zone is known
	} {
		for _, dialect := range []ehrsim.Dialect{ehrsim.Slots, ehrsim.Argonaut} {
			srv, base := sim(t, practice(func(o *ehrsim.Options) { o.Dialect = dialect }))
			c := client(t, base, func(o *Options) { o.Dialect, o.Quirks.Total = string(dialect), TotalNone })
			scope := ahead(noon, 3)
			want := fetch(t, c, scope)
			if _, err := srv.SetFaults(ehrsim.Fault{Kind: kind, Path: "/Slot", Every: 4}); err != nil {
				t.Fatal(err)
			}
			got := fetch(t, c, scope)
			lost := want.Slots() - got.Slots()
			switch {
			case reason == "" && (lost != 0 || got.Unusable.Total() != 0):
				t.Errorf("%s %s: %d lost, unusable %v", dialect, kind, lost, got.Unusable)
			case reason != "" && (lost < 10 || got.Unusable[reason] != lost || got.Unusable.Total() != lost):
				t.Errorf("%s %s: %d lost, unusable %v", dialect, kind, lost, got.Unusable)
			}
		}
	}
}

func TestLaw12SlotsOfActorsThatCannotBeFoundOrAreAwayAreCounted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bend   func(scheduling.Directory)
		reason scheduling.Reason
	}{
		"an unknown practitioner": {func(d scheduling.Directory) { delete(d.Practitioners, "p1") }, scheduling.UnknownActor},
		"an inactive one": {func(d scheduling.Directory) {
			d.Practitioners["p1"] = &scheduling.Practitioner{ID: "p1", Inactive: true}
		}, scheduling.InactiveActor},
		"a schedule of nobody": {func(d scheduling.Directory) { d.Schedules["s1"] = &scheduling.Schedule{ID: "s1"} }, scheduling.NoActor},
	} {
		source, dir := vienna(t)
		tc.bend(dir)
		day := scheduling.Date(2026, 10, 25)
		windows, unusable := assemble(source, dir, scheduling.Days{From: day, To: day + 1}, written("a", "2026-10-25T08:00:00", "2026-10-25T08:15:00"))
		if len(windows) != 0 || unusable[tc.reason] != 1 || unusable.Total() != 1 {
			t.Errorf("%s: %v, unusable %v", name, windows, unusable)
		}
	}
}

func TestLaw12RecordThatCannotBeReadCostsThatRecordOnly(t *testing.T) {
	t.Parallel()
	c := client(t, serve(t, tiny(func(w http.ResponseWriter, _ *http.Request) {
		page(w, 2, "", strings.Replace(slotJSON("a", 0), `"status"`, `"comment":"\ud800","status"`, 1), slotJSON("good", 3))
	})), utc)
	got := fetch(t, c, ahead(noon, 2))
	if got.Slots() != 1 || !got.Complete || got.Unusable[scheduling.BadResource] != 1 || len(got.Doubtful) != 1 || got.Nameless != 0 {
		t.Errorf("%d slots, complete %t, unusable %v, doubtful %v", got.Slots(), got.Complete, got.Unusable, got.Doubtful)
	}
}

func TestLaw12RecordReadByItselfThatIsBrokenDoesNotStopTheSource(t *testing.T) {
	t.Parallel()
	good := tiny(func(w http.ResponseWriter, _ *http.Request) {
		page(w, 2, "", strings.Replace(slotJSON("a", 0), "Schedule/s1", "Schedule/s9", 1), slotJSON("good", 3))
	})
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/Schedule/s9") {
			w.Header().Set("Content-Type", "application/fhir+json")
			_, _ = w.Write([]byte(`{"resourceType":"Schedule","id":"s9","comment":"\ud800"}`))
			return
		}
		good(w, r)
	}), utc)
	got := fetch(t, c, ahead(noon, 2))
	if got.Slots() != 1 || got.Unusable[scheduling.BadResource] != 1 || got.Unusable[scheduling.UnknownSchedule] != 1 {
		t.Errorf("%d slots, unusable %v", got.Slots(), got.Unusable)
	}
}
