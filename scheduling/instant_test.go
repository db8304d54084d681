package scheduling_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestLaw9TimesWithoutOffsetUseTheZone(t *testing.T) {
	la := zone(t, "America/Los_Angeles")
	for _, c := range []struct {
		name, text string
		zone       *time.Location
		want       string
		err        error
	}{
		{"UTC", "2026-11-24T08:00:00Z", la, "2026-11-24T08:00:00Z", nil},
		{"an offset wins over the zone", "2026-11-24T08:00:00-05:00", la, "2026-11-24T13:00:00Z", nil},
		{"an offset of hours only", "2026-11-24T08:00:00-05", la, "2026-11-24T13:00:00Z", nil},
		{"an offset without a colon", "2026-11-24T08:00:00+0530", nil, "2026-11-24T02:30:00Z", nil},
		{"a plus that became a space", "2026-11-24T08:00:00 08:00", nil, "2026-11-24T00:00:00Z", nil},
		{"the odd offsets of the published example", "2017-08-28T08:15:00+08:15", nil, "2017-08-28T00:00:00Z", nil},
		{"fractions are dropped", "2026-11-24T08:00:00.123Z", nil, "2026-11-24T08:00:00Z", nil},
		{"no seconds", "2026-11-24T08:00-08:00", nil, "2026-11-24T16:00:00Z", nil},
		{"winter in Los Angeles", "2026-11-24T08:00:00", la, "2026-11-24T16:00:00Z", nil},
		{"summer in Los Angeles", "2026-07-24T08:00:00", la, "2026-07-24T15:00:00Z", nil},
		{"twice there: the first", "2026-11-01T01:30:00", la, "2026-11-01T08:30:00Z", nil},
		{"skipped", "2026-03-08T02:30:00", la, "", scheduling.ErrNoSuchTime},
		{"no zone at all", "2026-11-24T08:00:00", nil, "", scheduling.ErrNoZone},
		{"a date is no time", "2026-11-24", la, "", scheduling.ErrBadTime},
		{"a day that is not", "2026-02-30T08:00:00Z", la, "", scheduling.ErrBadTime},
		{"an offset of nonsense", "2026-11-24T08:00:00+25:00", la, "", scheduling.ErrBadTime},
		{"a fraction without digits", "2026-11-24T08:00:00.Z", la, "", scheduling.ErrBadTime},
		{"nothing", "", la, "", scheduling.ErrBadTime},
		{"words", "soon", la, "", scheduling.ErrBadTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scheduling.ParseInstant(c.text, c.zone)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && got.Format(time.RFC3339) != c.want {
				t.Errorf("got %s, want %s", got.Format(time.RFC3339), c.want)
			}
		})
	}
}

func TestLaw9TheShortestPeriodIsMeantWhereAnHourComesTwice(t *testing.T) {
	ny := zone(t, "America/New_York") // 2026-11-01: 01:00-02:00 comes twice
	for _, c := range []struct{ start, end, from, to string }{
		{"2026-11-01T00:45:00", "2026-11-01T01:00:00", "04:45", "05:00"},
		{"2026-11-01T01:00:00", "2026-11-01T01:15:00", "05:00", "05:15"},
		{"2026-11-01T01:45:00", "2026-11-01T02:00:00", "06:45", "07:00"},
		{"2026-11-01T01:45:00", "2026-11-01T01:00:00", "05:45", "06:00"},
		{"2026-11-01T00:30:00", "2026-11-01T02:30:00", "04:30", "07:30"},
	} {
		from, to, err := scheduling.ParsePeriod(c.start, c.end, ny)
		if err != nil {
			t.Fatal(err)
		}
		if got := from.Format("15:04") + " " + to.Format("15:04"); got != c.from+" "+c.to {
			t.Errorf("%s to %s: got %s UTC, want %s %s", c.start, c.end, got, c.from, c.to)
		}
	}
}

func TestAPeriodThatEndsBeforeItStartsIsGivenAsItIs(t *testing.T) {
	from, to, err := scheduling.ParsePeriod("2026-11-24T09:00:00Z", "2026-11-24T08:00:00Z", nil)
	if err != nil || !to.Before(from) {
		t.Errorf("from %v to %v, error %v", from, to, err)
	}
}

// Zones with one-hour, half-hour (Lord Howe) and midnight changes (Havana,
// Beirut), a skipped day (Apia), and none at all.
var zoneNames = []string{
	"America/Los_Angeles", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana",
	"Asia/Beirut", "Pacific/Apia", "America/Phoenix", "Asia/Kolkata", "UTC",
}

func TestEveryInstantIsOneOfTheOccurrencesOfItsWallClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zoneNames).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_300_000_000, 1_900_000_000).Draw(t, "unix"), 0).UTC()
		local := at.In(loc)
		y, m, d := local.Date()
		for _, o := range scheduling.Occurrences(y, m, d, local.Hour(), local.Minute(), local.Second(), loc) {
			if o.Equal(at) {
				return
			}
		}
		t.Fatalf("%s is missing", local)
	})
}

func TestLaw9DaysFollowOneAnotherWithoutGapOrOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zoneNames).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		day := scheduling.Day(rapid.Int32Range(15_000, 22_000).Draw(t, "day"))
		start, end := day.Start(loc), day.End(loc)
		if end.Before(start) {
			t.Fatalf("%s in %s ends before it starts", day, loc)
		}
		if start.Equal(end) {
			return // Apia has no 30 December 2011
		}
		if scheduling.DayOf(start, loc) != day || scheduling.DayOf(start.Add(-time.Second), loc) >= day {
			t.Fatalf("%s in %s does not begin at %s", day, loc, start.In(loc))
		}
		if scheduling.DayOf(end.Add(-time.Second), loc) != day {
			t.Fatalf("%s in %s does not end at %s", day, loc, end.In(loc))
		}
	})
}

func TestLaw9DaysHave23And25Hours(t *testing.T) {
	la := zone(t, "America/Los_Angeles")
	for text, hours := range map[string]float64{"2026-03-08": 23, "2026-11-01": 25, "2026-11-02": 24} {
		day, err := scheduling.ParseDay(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := day.End(la).Sub(day.Start(la)).Hours(); got != hours {
			t.Errorf("%s has %v hours, want %v", text, got, hours)
		}
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add("2026-11-24T08:00:00-05")
	f.Add("2026-11-24T08:00:00.5 08:00")
	f.Add("2026-11-24T08:00")
	la := zone(f, "America/Los_Angeles")
	f.Fuzz(func(t *testing.T, text string) {
		stamp, err := scheduling.ParseStamp(text, la)
		if err != nil {
			return
		}
		if stamp.First.IsZero() && stamp.First.Year() != 1 {
			t.Errorf("%q: no instant and no error", text)
		}
		if !stamp.Second.IsZero() && !stamp.Second.After(stamp.First) {
			t.Errorf("%q: second %v is not after first %v", text, stamp.Second, stamp.First)
		}
	})
}
