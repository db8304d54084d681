package replica

import (
	"testing"
	"time"

	"slotgate/scheduling"
)

func TestAnOfferThatWasOneAShortWhileAgoIsKnownByItsSlots(t *testing.T) {
	t.Parallel()
	now := noon
	source, dir := clinic(t, "a")
	source.Rules = scheduling.Rules{hourly()}
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }, GoneFor: time.Hour})
	r.Load("a", scheduling.Snapshot{
		Loaded: true, Directory: dir, Status: fine("a", noon),
		Windows: windowsOf(slotsOn("sched", "s", tomorrow, 4), source.Zone, 1, noon),
	})
	ours := func(slots ...string) []string {
		for i, slot := range slots {
			slots[i] = scheduling.ResourceID("a", scheduling.KindSlot, slot)
		}
		return slots
	}
	expect := func(when string, slots []string, want string) {
		t.Helper()
		if id, ok := r.Left(slots); id != want || ok != (want != "") {
			t.Errorf("%s: %q, %v; want %q", when, id, ok, want)
		}
	}
	first := source.Rules[0].OfferID("a", 0, "s-0", "s-1")
	expect("an offer still", ours("s-0", "s-1"), "")
	r.Apply("a", claimed("s-1"))
	expect("claimed", ours("s-0", "s-1"), first)
	expect("also claimed", ours("s-1", "s-2"), source.Rules[0].OfferID("a", 0, "s-1", "s-2"))
	expect("an offer still", ours("s-2", "s-3"), "")
	expect("another order", ours("s-1", "s-0"), "")
	expect("never an offer", ours("s-0", "s-2"), "")
	expect("a part", ours("s-0"), "")
	expect("never seen", ours("s-0", "nobody"), "")
	expect("none", nil, "")
	if !r.Gone(first) {
		t.Error("its id is unknown")
	}
	now = now.Add(time.Hour)
	expect("long ago", ours("s-0", "s-1"), "")
	r.Apply("a", claimed("s-3"))
	if p := r.table.Load().byID["a"].gone.parted; len(p.last) != 1 || len(p.queue) != 1 {
		t.Errorf("what is over still takes memory: %d, %d", len(p.last), len(p.queue))
	}
}
