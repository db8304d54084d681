package ehrsim

import (
	"testing"
	"time"
)

func TestSlotsKeepTheWallClockWhenTheClocksChange(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		zone    string
		start   time.Time
		offsets int // that the period should show
	}{
		"spring, 23 hours":          {"America/New_York", time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC), 2},
		"autumn, 25 hours":          {"America/Los_Angeles", time.Date(2026, 10, 29, 12, 0, 0, 0, time.UTC), 2},
		"Phoenix has no such thing": {"America/Phoenix", time.Date(2026, 10, 29, 12, 0, 0, 0, time.UTC), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := generated(t, Options{Zone: tc.zone, Now: frozen(tc.start), Days: 10})
			offsets := map[int]bool{}
			first := map[string]string{} // schedule -> wall time of the first slot of a Thursday
			for _, s := range st.book {
				local := s.start.In(s.cal.zone)
				_, off := local.Zone()
				offsets[off] = true
				if local.Weekday() != time.Thursday && local.Weekday() != time.Tuesday {
					continue
				}
				key := s.schedule + local.Weekday().String()
				if day := local.Format("0102"); first[key+day] == "" {
					first[key+day] = local.Format("15:04")
					if before := first[key]; before != "" && before != first[key+day] {
						t.Errorf("%s began at %s, later at %s", key, before, first[key+day])
					}
					first[key] = first[key+day]
				}
			}
			if len(offsets) != tc.offsets || len(st.book) == 0 {
				t.Errorf("offsets %v over %d slots", offsets, len(st.book))
			}
		})
	}
}

func TestADayIsTheSameWhicheverDayTheServerStarted(t *testing.T) {
	t.Parallel()
	early := generated(t, Options{Now: frozen(monday)})
	late := generated(t, Options{Now: frozen(monday.AddDate(0, 0, 9))})
	same := 0
	for id, s := range late.slots {
		if before := early.slots[id]; before != nil {
			same++
			if before.status != s.status || !before.start.Equal(s.start) {
				t.Fatalf("%s differs", id)
			}
		}
	}
	if same < 1000 {
		t.Errorf("only %d slots of common days", same)
	}
}

func TestNewDaysAppearAndOldOnesGoAsTheClockRuns(t *testing.T) {
	t.Parallel()
	now := monday
	s, err := New(Options{Days: 5, Zone: "America/Denver", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	days := func() map[string]bool {
		out := map[string]bool{}
		for _, sl := range s.Slots() {
			out[sl.Start.In(s.zone).Format(time.DateOnly)] = true
		}
		return out
	}
	if d := days(); !d["2026-02-02"] || !d["2026-02-06"] || d["2026-02-09"] {
		t.Fatalf("at first: %v", d)
	}
	now = monday.AddDate(0, 0, 7)
	if d := days(); d["2026-02-02"] || d["2026-02-06"] || !d["2026-02-09"] || !d["2026-02-13"] || d["2026-02-16"] {
		t.Errorf("a week later: %v", d)
	}
	st := s.data()
	st.every("Schedule", func(o object) {
		if h := o.obj("planningHorizon"); h.str("start") != "2026-02-09" || h.str("end") != "2026-02-13" {
			t.Errorf("%s: horizon %v", o.str("id"), h)
		}
	})
}

func TestTheClockRunsFasterFromAFixedInstant(t *testing.T) {
	t.Parallel()
	real := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s, err := New(Options{Start: monday, TimeScale: 3600, Now: func() time.Time { return real }})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Now(); !got.Equal(monday) {
		t.Errorf("begins at %s", got)
	}
	real = real.Add(2 * time.Second)
	if got := s.Now(); !got.Equal(monday.Add(2 * time.Hour)) {
		t.Errorf("after two seconds: %s", got)
	}
}
