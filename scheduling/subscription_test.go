package scheduling_test

import (
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestTheDaysOfANoticeAreThoseOfThePlace(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return loc
	}
	angeles, sydney := zone("America/Los_Angeles"), zone("Australia/Sydney")
	day := func(text string) scheduling.Day {
		d, err := scheduling.ParseDay(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	all := scheduling.Days{From: day("2026-11-01"), To: day("2026-12-01")}
	for _, tc := range []struct {
		name, start, end, from, to string // to is included
		zones                      []*time.Location
	}{
		{"dates, the end included", "2026-11-03", "2026-11-04", "2026-11-03", "2026-11-04", []*time.Location{angeles}},
		{"a time late in the day of the place", "2026-11-04T07:30:00Z", "2026-11-04T07:45:00Z", "2026-11-03", "2026-11-03", []*time.Location{angeles}},
		{"the same elsewhere", "2026-11-04T14:30:00Z", "2026-11-04T14:45:00Z", "2026-11-05", "2026-11-05", []*time.Location{sydney}},
		{"two places, both days", "2026-11-04T07:30:00Z", "2026-11-04T07:45:00Z", "2026-11-03", "2026-11-04", []*time.Location{angeles, sydney}},
		{"a time without an offset is the place's", "2026-11-03T23:30:00", "2026-11-03T23:45:00", "2026-11-03", "2026-11-03", []*time.Location{angeles}},
		{"a time that the clocks skip", "2026-03-08T02:30:00", "2026-11-02", "2026-11-01", "2026-11-02", []*time.Location{angeles}},
		{"the day of 25 hours", "2026-11-01T00:00:00-07:00", "2026-11-01T23:59:59-08:00", "2026-11-01", "2026-11-01", []*time.Location{angeles}},
		{"no zone is known", "2026-11-04T12:00:00Z", "2026-11-04T13:00:00Z", "2026-11-04", "2026-11-05", nil},
		{"open at both ends", "", "", "2026-11-01", "2026-11-30", []*time.Location{angeles}},
		{"longer than the horizon", "2020", "2031-02", "2026-11-01", "2026-11-30", []*time.Location{angeles}},
		{"a month", "2026-11", "2026-11", "2026-11-01", "2026-11-30", []*time.Location{angeles}},
		{"beyond", "2026-12-01", "2027-01-01", "", "", []*time.Location{angeles}},
		{"gone by", "2025-12-01", "2026-10-31", "", "", []*time.Location{angeles}},
	} {
		got, err := scheduling.Notice{Start: tc.start, End: tc.end}.Days(tc.zones, all)
		if err != nil {
			t.Error(tc.name, err)
			continue
		}
		if tc.from == "" {
			if got.Len() != 0 {
				t.Errorf("%s: %v to %v", tc.name, got.From, got.To)
			}
			continue
		}
		if got != (scheduling.Days{From: day(tc.from), To: day(tc.to) + 1}) {
			t.Errorf("%s: %v to %v", tc.name, got.From, got.To-1)
		}
	}
}

func TestANoticeOfNoTimeIsRefused(t *testing.T) {
	t.Parallel()
	for _, n := range []scheduling.Notice{
		{Start: "yesterday"},
		{End: "2026-13-01"},
		{Start: "2026-11-04", End: "2026-11-01"},
		{Start: "2026-11-04T10:00:00+99:00"},
		{Start: strings.Repeat("9", 100)},
		{End: "2026-11-04T10:00:00Z\x00"},
	} {
		if err := n.Check(); err == nil {
			t.Errorf("%+v", n)
		}
	}
}

func TestTheKeyOfASourceIsItsOwn(t *testing.T) {
	t.Parallel()
	a := scheduling.NotifyKey([]byte("secret"), "a")
	if a != scheduling.NotifyKey([]byte("secret"), "a") || a == scheduling.NotifyKey([]byte("secret"), "b") || a == scheduling.NotifyKey([]byte("other"), "a") {
		t.Error("it does not follow from source and secret")
	}
	if len(a) < 32 || strings.ContainsAny(a, "/+= ") {
		t.Errorf("%q does not fit into a path", a)
	}
}
