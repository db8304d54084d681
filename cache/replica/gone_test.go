package replica

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func TestGoneTellsTakenFromUnknown(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	now := noon
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }, GoneFor: time.Hour})
	r.Load("a", snap)
	offer := func(slot string) string { return scheduling.OfferID("a", 0, slot) }
	without := snap.Windows[0]
	without.Slots = without.Slots[1:]
	r.Apply("a", refetched(without, 2))
	r.Apply("a", claimed("s-1"))

	for name, tt := range map[string]struct {
		id   string
		want bool
	}{
		"withdrawn by its source": {offer("s-0"), true},
		"claimed":                 {offer("s-1"), true},
		"still an offer":          {offer("s-2"), false},
		"never an offer":          {offer("s-9"), false},
		"another generation":      {scheduling.OfferID("a", 1, "s-0"), false},
		"another source":          {scheduling.OfferID("b", 0, "s-0"), false},
		"the slot's id":           {scheduling.ResourceID("a", scheduling.KindSlot, "s-0"), false},
		"the source's own id":     {"s-0", false},
		"no id":                   {"", false},
		"a longer one":            {offer("s-0") + "0", false},
	} {
		if got := r.Gone(tt.id); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	now = now.Add(59 * time.Minute)
	r.Apply("a", claimed("s-2"))
	if !r.Gone(offer("s-0")) {
		t.Error("forgotten before its time")
	}
	now = now.Add(time.Minute)
	if r.Gone(offer("s-0")) || r.Gone(offer("s-1")) || !r.Gone(offer("s-2")) {
		t.Error("remembered for too long, or too short")
	}
	r.Apply("a", claimed("s-3"))
	if g := r.table.Load().byID["a"].gone; len(g.last) != 2 || len(g.queue) != 2 {
		t.Errorf("what is over still takes memory: %d, %d", len(g.last), len(g.queue))
	}
	r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{{Slot: "s-2"}}})
	if r.Gone(offer("s-2")) {
		t.Error("gone, though it is an offer again")
	}
}

func TestGoneKnowsWhatAReloadTookAway(t *testing.T) {
	t.Parallel()
	r, source, snap := loaded(t)
	fewer := snap
	fewer.Windows = windowsOf(snap.Windows[0].Slots[:2], source.Zone, 2, noon)
	fewer.Marks = []scheduling.Mark{{Slot: "s-1", Claimed: true}}
	r.Load("a", fewer)
	for slot, want := range map[string]bool{"s-0": false, "s-1": true, "s-2": true, "s-3": true, "s-4": false} {
		if got := r.Gone(scheduling.OfferID("a", 0, slot)); got != want {
			t.Errorf("%s: gone is %v", slot, got)
		}
	}
	r.Load("a", scheduling.Snapshot{Loaded: true, Status: fine("a", noon)})
	if !r.Gone(scheduling.OfferID("a", 0, "s-0")) {
		t.Error("the schedule went too, and the offer is unknown")
	}
}

func TestGoneIsFalseForAnOfferOfLongAgo(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	now := noon
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return now }})
	r.Load("a", snap)
	now = now.Add(10 * 24 * time.Hour) // all have begun long since; the next window sweeps them out
	r.Apply("a", scheduling.Change{Windows: windowsOf(slotsOn("sched", "n", now.Add(48*time.Hour), 1), source.Zone, 2, now)})
	if r.Gone(scheduling.OfferID("a", 0, "s-0")) {
		t.Error("it was no offer within the hour")
	}
}

func TestGoneRemembersNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 8).Draw(t, "most")
		g := newGone(time.Hour, most)
		now := noon
		type left struct {
			hash uint64
			at   time.Time
		}
		var all []left // the last departure of each, in order
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
			hashes := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 12), 0, 12, rapid.ID).Draw(t, "left")
			g.add(hashes, now)
			for _, hash := range hashes {
				all = append(all, left{hash, now})
			}
			if len(g.queue) > most || len(g.last) > len(g.queue) {
				t.Fatalf("%d are remembered in %d, at most %d may", len(g.last), len(g.queue), most)
			}
			for i, one := range all {
				want := now.Sub(one.at) < time.Hour && len(all)-i <= most
				at, got := g.last[one.hash]
				if got = got && at == one.at.UnixNano(); want && !got && at < one.at.UnixNano() {
					t.Fatalf("%v is forgotten", one)
				}
			}
		}
	})
}

func TestMetricsTellHowManySlotsAreWithheld(t *testing.T) {
	t.Parallel()
	_, source, snap := loaded(t)
	registry := prometheus.NewPedanticRegistry()
	r := New(Options{Sources: []scheduling.Source{source}, Now: func() time.Time { return noon }, Registerer: registry})
	snap.Marks = []scheduling.Mark{{Slot: "s-0", Claimed: true}, {Slot: "unseen", Claimed: true}}
	r.Load("a", snap)
	r.Apply("a", fenced("s-1", 7))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
	}
	if values["slotgate_replica_withheld_slots"] != 2 || values["slotgate_replica_open_slots"] != 2 {
		t.Errorf("withheld %v, open %v", values["slotgate_replica_withheld_slots"], values["slotgate_replica_open_slots"])
	}
}

func TestOptionsRefuseLimitsBelowZero(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{"time": {GoneFor: -1}, "number": {GoneMost: -1}} {
		opts.Sources = []scheduling.Source{{ID: "a"}}
		if opts.Validate() == nil {
			t.Errorf("a negative %s passes", name)
		}
	}
}
