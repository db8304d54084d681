package booking_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// dated is a world whose offers were confirmed a while ago.
type dated struct {
	*world
	ago time.Duration
}

func (d dated) Offer(id string) (scheduling.Hit, bool) {
	hit, ok := d.world.Offer(id)
	if d.ago > 0 {
		hit.Checked = d.clock.Now().Add(-d.ago)
	}
	return hit, ok
}

// lessons are what was learnt.
type lessons struct {
	mu  sync.Mutex
	all []lesson
}

type lesson struct {
	source scheduling.SourceID
	age    time.Duration
	taken  bool
}

func (l *lessons) Learn(source scheduling.SourceID, age time.Duration, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, lesson{source, age, taken})
}

// What an EHR says when it is first asked for an offer is learnt, and nothing
// else: neither what another caller has, nor what nobody knows.
func TestWhatBecameOfAnOfferIsLearnt(t *testing.T) {
	t.Parallel()
	there, taken := []lesson{{napa, time.Minute, false}}, []lesson{{napa, time.Minute, true}}
	hold := func(t *testing.T, d *booking.Desk, w *world) {
		_, _ = d.Hold(t.Context(), caller("ann"), holdOf(w, 0))
	}
	book := func(t *testing.T, d *booking.Desk, w *world) {
		_, _ = d.Book(t.Context(), caller("ann"), booking.BookRequest{Target: target(w.offer(0)), Patients: []string{"p1"}})
	}
	for name, tc := range map[string]struct {
		ago   time.Duration
		ail   func(*world)
		do    []func(*testing.T, *booking.Desk, *world)
		learn []lesson
	}{
		"held":                        {time.Minute, nil, []func(*testing.T, *booking.Desk, *world){hold}, there},
		"held, then booked":           {time.Minute, nil, []func(*testing.T, *booking.Desk, *world){hold, book}, there},
		"held twice":                  {time.Minute, nil, []func(*testing.T, *booking.Desk, *world){hold, hold}, there},
		"booked":                      {time.Minute, nil, []func(*testing.T, *booking.Desk, *world){book}, there},
		"taken when held":             {time.Minute, func(w *world) { w.ehr.Stranger("s0") }, []func(*testing.T, *booking.Desk, *world){hold}, taken},
		"taken when booked":           {time.Minute, func(w *world) { w.ehr.Stranger("s0") }, []func(*testing.T, *booking.Desk, *world){book}, taken},
		"nobody knows when it was so": {0, nil, []func(*testing.T, *booking.Desk, *world){hold}, nil},
		"the answer was lost": {
			time.Minute, func(w *world) { w.ehr.Fail(scheduling.CallBook, bookingtest.LostAfter); w.ehr.FailReads(10) },
			[]func(*testing.T, *booking.Desk, *world){book},
			nil,
		},
		"another of our callers has it": {
			time.Minute, func(w *world) { _, _ = w.desk.Hold(t.Context(), caller("bob"), holdOf(w, 0)) },
			[]func(*testing.T, *booking.Desk, *world){hold, book},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			learnt := &lessons{}
			desk := w.newDeskOver(t, dated{w, tc.ago})
			desk.Learned = learnt
			if tc.ail != nil {
				tc.ail(w)
			}
			for _, do := range tc.do {
				do(t, desk, w)
			}
			if !slices.Equal(learnt.all, tc.learn) {
				t.Errorf("learnt %+v, want %+v", learnt.all, tc.learn)
			}
		})
	}
}
