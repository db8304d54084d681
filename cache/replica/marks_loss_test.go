package replica

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestLaw4AFenceOutlastsTheFetchesThatMayBeUnderWay(t *testing.T) {
	t.Parallel()
	source, dir := clinic(t, "a")
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return noon }, FenceFetches: 10})
	start := time.Date(2026, 11, 2, 15, 0, 0, 0, time.UTC)
	here := windowsOf(slotsOn("sched", "s", start, 2), source.Zone, 1, noon)[0]
	there := windowsOf(slotsOn("sched", "s", start.Add(72*time.Hour), 1), source.Zone, 4, noon)[0] // s-0 elsewhere
	r.Load("a", scheduling.Snapshot{Loaded: true, Directory: dir, Status: fine("a", noon), Windows: []scheduling.Window{here}})
	known := r.table.Load().byID["a"].marks

	r.Apply("a", fenced("s-0", 5))
	r.Apply("a", refetched(here, 6))
	emptied := here
	emptied.Slots = here.Slots[1:]
	r.Apply("a", refetched(emptied, 7))
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{there}}) // fetch 4 ends at last
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-1"}) {
		t.Fatalf("an old answer brought it back on another day: %v", ids)
	}
	r.Apply("a", refetched(here, 1000))
	if len(known.bySlot) != 1 {
		t.Fatal("a fence is forgotten while it hides a slot")
	}
	r.Apply("a", refetched(there, 1001))
	r.Apply("a", refetched(emptied, 1002))
	if ids := offered(t, r); len(ids) != 2 {
		t.Fatalf("%v is open", ids)
	}
	r.Apply("a", refetched(emptied, 2000))
	if len(known.bySlot)+len(known.ended)+len(known.aside) != 0 {
		t.Errorf("a passed fence is still remembered: %+v", known)
	}
	// One of a slot that nobody has seen goes too, a claim never.
	r.Apply("a", fenced("unseen", 2000))
	r.Apply("a", claimed("unseen too"))
	r.Apply("a", refetched(emptied, 2011))
	if _, claim := known.bySlot["unseen too"]; len(known.bySlot) != 1 || !claim {
		t.Errorf("remembered: %v", known.bySlot)
	}
}

func TestLaw4HoldsWhenTheStoreLosesItsData(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	w := snap.Windows[0]
	r.Apply("a", claimed("s-0"))
	r.Apply("a", fenced("s-1", 70))
	r.Apply("a", refetched(w, 70))
	r.Apply("a", confirmed(scheduling.Days{From: w.Key.Day, To: w.Key.Day + 1}, 70))
	r.Apply("a", confirmed(scheduling.Days{From: w.Key.Day, To: w.Key.Day + 1}, 70, "sched"))
	r.Apply("a", fenced("s-2", 69)) // passed
	r.Load("a", scheduling.Snapshot{Marks: []scheduling.Mark{{Slot: "s-3", Claimed: true}}})
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-2"}) {
		t.Fatalf("%v is open after the loss", ids)
	}
	r.Apply("a", refetched(w, 1)) // fetches are numbered anew
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-1", "s-2"}) {
		t.Fatalf("%v is open after the first new fetch", ids)
	}
	// A claim outlives what is forgotten of the fence before it.
	r.Apply("a", claimed("s-1"))
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{{Key: w.Key, Fetch: 2000}}})
	r.Apply("a", refetched(w, 2001))
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-2"}) {
		t.Errorf("%v is open after a claim", ids)
	}
}

func TestLaw4PackingASourceAnewKeepsItsMarks(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	r.Apply("a", claimed("s-0"))
	r.Apply("a", fenced("s-1", 5))
	r.Apply("a", scheduling.Change{Generations: map[string]uint32{"s-2": 4}})
	e := r.table.Load().byID["a"]
	e.repack = 0
	r.Apply("a", scheduling.Change{})
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-2", "s-3"}) {
		t.Fatalf("%v is open", ids)
	}
	if _, ok := r.Offer(scheduling.OfferID("a", 4, "s-2")); !ok {
		t.Error("the generation is lost")
	}
	r.Apply("a", refetched(snap.Windows[0], 6))
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-1", "s-2", "s-3"}) {
		t.Errorf("%v is open after the next fetch", ids)
	}
}

func TestLaw4MarksOfNonsenseAreHarmless(t *testing.T) {
	t.Parallel()
	r, _, _ := loaded(t)
	for _, mark := range []scheduling.Mark{
		{},
		{Claimed: true},
		{Slot: "never heard of", Claimed: true},
		{Slot: "never heard of", Fence: 1 << 63},
		{Slot: "S-0", Claimed: true},
		{Slot: strings.Repeat("s-0", 1<<16), Claimed: true},
		{Slot: "s-0\x00", Claimed: true},
	} {
		r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{mark}})
		r.Apply("unknown", scheduling.Change{Marks: []scheduling.Mark{mark}})
		if ids := offered(t, r); len(ids) != 4 {
			t.Errorf("%.40q: %v is open", mark.Slot, ids)
		}
	}
	// Of two marks of one slot in one step the last holds.
	r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{{Slot: "s-0", Claimed: true}, {Slot: "s-0"}, {Slot: "s-1"}, {Slot: "s-1", Claimed: true}}})
	if ids := offered(t, r); !slices.Equal(ids, []string{"s-0", "s-2", "s-3"}) {
		t.Errorf("%v is open", ids)
	}
}

func TestLaw4NoReaderSeesASlotBetweenClaimAndFetch(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	w := snap.Windows[0]
	r.Apply("a", claimed("s-0"))
	taken := scheduling.OfferID("a", 0, "s-0")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				found, err := r.Find(scheduling.Query{Count: 10})
				_, offered := r.Offer(taken)
				if err != nil || found.Total < 2 || found.Total > 3 || offered || !r.Gone(taken) {
					t.Errorf("total %d, offered %v, %v", found.Total, offered, err)
					return
				}
			}
		})
	}
	for i := uint64(2); i < 400; i++ {
		r.Apply("a", refetched(w, i))
		r.Apply("a", claimed("s-1"))
		r.Apply("a", fenced("s-1", i))
		r.Apply("a", claimed(fmt.Sprintf("other-%d", i)))
	}
	close(stop)
	readers.Wait()
}
