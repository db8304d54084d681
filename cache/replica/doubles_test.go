package replica

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestASlotThatMovedIsOfferedOnceWhereTheLaterFetchSawIt(t *testing.T) {
	t.Parallel()
	r, source, snap := loaded(t)
	later := time.Date(2026, 11, 5, 15, 0, 0, 0, time.UTC)
	moved := slotsOn("sched", "s", later, 1) // s-0 again, four days on
	r.Apply("a", scheduling.Change{Windows: windowsOf(moved, source.Zone, 2, noon)})

	id := scheduling.OfferID("a", 0, "s-0")
	check := func(name string, total int, at time.Time) {
		t.Helper()
		found := find(t, r, scheduling.Query{Count: 10})
		seen := 0
		for _, offer := range found.Offers {
			if offer.ID == id {
				seen++
			}
		}
		hit, ok := r.Offer(id)
		record, read := r.Read(scheduling.KindSlot, scheduling.ResourceID("a", scheduling.KindSlot, "s-0"))
		slots, err := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Count: 10})
		if found.Total != total || seen != 1 || r.Sources()[0].Slots != total || err != nil || slots.Total != total {
			t.Fatalf("%s: total %d, seen %d times, %d open, %d listed; want %d", name, found.Total, seen, r.Sources()[0].Slots, slots.Total, total)
		}
		if !ok || !hit.Start().Equal(at) || !read || !record.Slot.Start.Equal(at) {
			t.Fatalf("%s: the offer begins at %v, want %v", name, hit.Start(), at)
		}
	}
	check("moved away", 4, later)

	// It moves back, and the window of its second day is read anew only later.
	first := snap.Windows[0]
	first.Fetch = 3
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{first}})
	check("moved back", 4, first.Slots[0].Start)

	gone := scheduling.Window{Key: scheduling.WindowKey{Schedule: "sched", Day: scheduling.DayOf(later, source.Zone)}, Fetch: 4}
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{gone}})
	check("its second day read anew", 4, first.Slots[0].Start)
	if st := r.table.Load().byID["a"].state.Load(); len(st.doubles.homes) != 0 || len(st.doubles.shadows) != 0 {
		t.Errorf("what no longer stands twice is still remembered: %+v", st.doubles)
	}
}
