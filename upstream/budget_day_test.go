package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/config"
	"slotgate/scheduling"
)

// middayZone is a zone in which no day ends while the test runs.
func middayZone(t *testing.T) config.Zone {
	t.Helper()
	hours := time.Now().UTC().Hour() - 12 // Etc/GMT+3 is three hours west
	name := fmt.Sprintf("Etc/GMT%+d", hours)
	if hours == 0 {
		name = "Etc/GMT"
	}
	return configZone(t, name)
}

// What is spent of a day is that of all nodes: prefetch stops first, then
// reading, then holding; booking, and what undoes or finds out, goes on.
func TestLaw6OfADayPrefetchLeavesRoomForReadingAndThatForBooking(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"one process by itself": 0, "two nodes": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			day := func(o *Options) {
				o.Timezone = middayZone(t)
				o.Limits.Day, o.Limits.DayPrefetch, o.Limits.DayRead = 20, 0.5, 0.8
			}
			var all []*Client
			if n == 0 {
				all = []*Client{client(t, "http://127.0.0.1:1", day)}
			} else {
				all = nodes(t, n, redistest.Start(t).URL(), "http://127.0.0.1:1", day)
			}
			spend := func(l lane, most int) (calls int) {
				for i := range most {
					b := all[i%len(all)].budget
					err := b.enter(t.Context(), l)
					if err == nil {
						calls++
						b.leave(l)
						continue
					}
					e := scheduling.AsError(err)
					if e.Code != scheduling.Throttled || !errors.Is(err, errDaySpent) || e.RetryAfter < 10*time.Hour || e.RetryAfter > 24*time.Hour {
						t.Fatalf("%s: %v, retry after %v", l, err, e.RetryAfter)
					}
				}
				return calls
			}
			got := []int{spend(lanePrefetch, 30), spend(laneRevalidate, 4), spend(laneRead, 30), spend(lanePrefetch, 4), spend(laneHold, 30), spend(laneBook, 30)}
			// A node may have kept a call for a moment that nobody makes then.
			if got[0] < 8 || got[0] > 10 || got[1] != 0 || got[2] < 6 || got[0]+got[2] > 16 || got[3] != 0 || got[0]+got[2]+got[4] > 20 || got[4] < 4 || got[5] != 30 {
				t.Errorf("%v", got)
			}
			b := all[0].budget
			if b.laneOf(&call{lane: laneHold, probe: true}) != laneBook || b.laneOf(&call{lane: laneHold}) != laneHold {
				t.Error("a release is refused when the day is spent")
			}
			shown, _ := all[0].Budget()["day"].(map[string]any)
			if shown["limit"] != 20 || shown["left"] != 0 || shown["spent"].(int) < 45 {
				t.Errorf("%v", shown)
			}
			if a := all[0].Allowance(); !a.Limited || a.Left != 0 || time.Until(a.Until) > 24*time.Hour {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestLaw6WhenTheDayIsSpentABookingGoesOnAndAReadIsToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	var reads atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reads.Add(1)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(appointmentJSON("booked")))
	})
	all := nodes(t, 2, redistest.Start(t).URL(), base, func(o *Options) {
		argonautR4(o)
		o.Timezone = middayZone(t)
		o.Limits.Day = 4
		o.Limits.Timeout, o.Booking.CallTimeout, o.Booking.Settle = minute, minute, 2*minute
	})
	for i := range 8 {
		_ = readMetadata(t, all[i%2])
	}
	if n := reads.Load(); n < 2 || n > 4 {
		t.Errorf("%d reads of 3 or 4", n)
	}
	for _, c := range all {
		if e := scheduling.AsError(readMetadata(t, c)); e.Code != scheduling.Throttled || e.RetryAfter == 0 {
			t.Errorf("%v", e)
		}
		if _, err := c.Book(t.Context(), bookCall(anOffer(), nil)); err != nil {
			t.Errorf("book: %v", err)
		}
	}
}

// A day is cut in the zone of the source, on days of 23 and 25 hours as well, by
// the clock of the store where there is one.
func TestADayOfCallsIsCutInTheSourcesZone(t *testing.T) {
	t.Parallel()
	vienna := zone(t, "Europe/Vienna")
	for name, tc := range map[string]struct {
		at   time.Time
		long time.Duration
	}{
		"a usual day": {time.Date(2026, 2, 3, 22, 59, 59, 0, time.UTC), 24 * time.Hour},
		"a short day": {time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC), 23 * time.Hour},
		"a long day":  {time.Date(2026, 10, 25, 12, 0, 0, 0, time.UTC), 25 * time.Hour},
	} {
		d := newDayCount(Limits{Day: 10, DayPrefetch: 0.8, DayRead: 0.9}, vienna)
		d.add(7, tc.at)
		if got := d.to.Sub(d.from); got != tc.long || tc.at.Before(d.from) || !tc.at.Before(d.to) || d.spent != 7 {
			t.Errorf("%s: %v from %v, %d spent", name, got, d.from, d.spent)
		}
		if d.add(1, d.to.Add(-time.Nanosecond)); d.spent != 8 || !d.over(lanePrefetch.rank(), 0) || d.over(laneRead.rank(), 0) {
			t.Errorf("%s: %+v", name, d)
		}
		if d.roll(d.to); d.spent != 0 {
			t.Errorf("%s: the new day begins with %d", name, d.spent)
		}
	}
}
