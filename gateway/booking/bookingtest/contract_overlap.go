package bookingtest

import (
	"fmt"
	"sync"
	"time"

	"slotgate/scheduling"
)

// Between is an entry of one slot of the schedule from one minute of a day to
// another; alone, so that nothing may overlap with it.
func Between(source scheduling.SourceID, schedule, slot string, from, to int) scheduling.Entry {
	e := Sample(source, "p-"+slot, slot)
	e.State, e.Offer.Alone, e.Offer.Schedule = scheduling.EntryHeld, true, schedule
	s := &e.Offer.Slots[0]
	day := s.Start.Truncate(24 * time.Hour)
	s.Schedule, s.Start, s.End = schedule, day.Add(time.Duration(from)*time.Minute), day.Add(time.Duration(to)*time.Minute)
	return e
}

func overlapping(t T, f Fixture) {
	half := save(t, f, take(Between(f.Source, "dr", "half", 600, 630)))
	for _, c := range []struct {
		slot     string
		schedule string
		from, to int
		taken    bool
	}{
		{"first", "dr", 600, 615, true},
		{"second", "dr", 615, 630, true},
		{"around", "dr", 590, 640, true},
		{"into", "dr", 590, 601, true},
		{"outof", "dr", 629, 640, true},
		{"day", "dr", 0, 1440, true},
		{"same", "dr", 600, 630, true},
		{"before", "dr", 585, 600, false},
		{"after", "dr", 630, 645, false},
		{"other", "room", 600, 630, false},
	} {
		_, err := f.Books.Save(t.Context(), take(Between(f.Source, c.schedule, c.slot, c.from, c.to)))
		if got := scheduling.CodeOf(err) == scheduling.SlotTaken; got != c.taken || !got && err != nil {
			t.Fatalf("%s: %v, want taken %v", c.slot, err, c.taken)
		}
		if _, err := f.Books.Read(t.Context(), scheduling.OfferID(f.Source, 0, c.slot)); c.taken && scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Fatalf("%s was refused and is there: %v", c.slot, err)
		}
	}
	parallel := Between(f.Source, "dr", "parallel", 600, 615)
	parallel.Offer.Alone = false
	save(t, f, take(parallel))
	half.State = scheduling.EntryBooked
	half = save(t, f, take(half)) // its own time is no hindrance
	half.State = scheduling.EntryCancelled
	save(t, f, scheduling.EntryChange{Entry: half, Claims: scheduling.ClaimsFence})
	save(t, f, take(Between(f.Source, "dr", "second", 615, 630)))
	_, err := f.Books.Save(t.Context(), take(Between(f.Source, "dr", "again", 600, 630)))
	wantCode(t, err, scheduling.SlotTaken)
}

func manyOverlapping(t T, f Fixture) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[string][2]int{}
	for n := range 40 {
		from := 600 + n%8*15
		to := from + 15 + n%3*15
		slot := fmt.Sprint("q", n)
		wg.Go(func() {
			_, err := f.Books.Save(t.Context(), take(Between(f.Source, "dr", slot, from, to)))
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				won[slot] = [2]int{from, to}
			}
		})
	}
	wg.Wait()
	for a, x := range won {
		for b, y := range won {
			if a != b && x[0] < y[1] && y[0] < x[1] {
				t.Fatalf("%s %v and %s %v share time", a, x, b, y)
			}
		}
	}
	if len(won) == 0 {
		t.Fatalf("nobody won")
	}
}
