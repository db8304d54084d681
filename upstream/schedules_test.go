package upstream

import (
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// Who works on a schedule is seen with the next look, also where $prefetch tells
// of slots alone and none of them has changed.
func TestWhoWorksOnAScheduleIsSeenThoughItsSlotsStayTheSame(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(nil))
	o := Options{ID: "src", Base: base, Dialect: Argonaut}
	quick(&o)
	c := registered(t, o, Deps{Now: func() time.Time { return noon }})
	scope := ahead(noon, 3)
	since := func(token string) scheduling.Fetched {
		t.Helper()
		got, err := c.FetchSince(t.Context(), scope, scheduling.Basis{Token: token})
		if err != nil || !got.Complete {
			t.Fatal(err, got.Cut)
		}
		return got
	}
	first := since("")
	second := since(since(first.Token).Token)
	if !second.Unchanged {
		t.Error("what has not changed is read again")
	}
	schedule := strings.TrimPrefix(srv.Slots("free")[0].Schedule, "Schedule/")
	if err := srv.SetSchedulePractitioner(schedule, "prac-306"); err != nil {
		t.Fatal(err)
	}
	third := since(second.Token)
	binds := func(d scheduling.Directory) bool {
		s := d.Schedules[schedule]
		return s != nil && slices.ContainsFunc(s.Actors, func(a scheduling.Actor) bool { return a.ID == "prac-306" })
	}
	if third.Unchanged || !binds(third.Found) || !slices.Equal(idsOf(third), idsOf(first)) {
		t.Errorf("unchanged %v; %+v", third.Unchanged, third.Found.Schedules[schedule])
	}
}

func TestSchedulesAreListedOnlyWhereTheyDoNotComeAlongAndNotForFarDaysEachTime(t *testing.T) {
	t.Parallel()
	lists := func(srv *ehrsim.Server) int {
		n := 0
		for _, r := range srv.Requests(0) {
			if r.Path == "/Schedule" {
				n++
			}
		}
		return n
	}
	for name, tc := range map[string]struct {
		sim         func(*ehrsim.Options)
		dialect     string
		refused     bool
		near, after int // lists of three looks at near days, and of three at far ones
	}{
		"$prefetch":                       {nil, Argonaut, false, 3, 0},
		"$prefetch, lists refused":        {nil, Argonaut, true, 1, 0},
		"$find names everybody":           {func(o *ehrsim.Options) { o.NoPrefetch = true }, Argonaut, false, 0, 0},
		"a search brings them (_include)": {func(o *ehrsim.Options) { o.Dialect = ehrsim.Slots }, Slots, false, 0, 0},
	} {
		srv, base := sim(t, practice(tc.sim))
		o := Options{ID: "src", Base: base, Dialect: tc.dialect}
		quick(&o)
		o.Limits.Retries = new(int)
		c := registered(t, o, Deps{Now: func() time.Time { return noon }})
		fetch(t, c, ahead(noon, 3)) // the directory, and whether schedules come along
		if tc.refused {
			if _, err := srv.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 403, Path: "/Schedule"}); err != nil {
				t.Fatal(err)
			}
		}
		srv.ClearRequests()
		today := scheduling.DayOf(noon, time.UTC)
		look := func(from scheduling.Day) int {
			before := lists(srv)
			for range 3 {
				if got := fetch(t, c, scheduling.Scope{Days: scheduling.Days{From: from, To: from + 2}}); !got.Complete {
					t.Errorf("%s: %s", name, got.Cut)
				}
			}
			return lists(srv) - before
		}
		if near, far := look(today), look(today+4); near != tc.near || far != tc.after {
			t.Errorf("%s: listed %d times for near days, %d for far ones; want %d, %d", name, near, far, tc.near, tc.after)
		}
	}
}
