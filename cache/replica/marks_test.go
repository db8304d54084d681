package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func claimed(slot string) scheduling.Change {
	return scheduling.Change{Marks: []scheduling.Mark{{Slot: slot, Claimed: true}}}
}

func fenced(slot string, fence uint64) scheduling.Change {
	return scheduling.Change{Marks: []scheduling.Mark{{Slot: slot, Fence: fence}}}
}

// refetched is the window as a fetch of this number found it.
func refetched(w scheduling.Window, fetch uint64) scheduling.Change {
	w.Fetch = fetch
	return scheduling.Change{Windows: []scheduling.Window{w}}
}

func confirmed(days scheduling.Days, fetch uint64, schedules ...string) scheduling.Change {
	return scheduling.Change{Check: &scheduling.Check{
		Scope: scheduling.Scope{Days: days, Schedules: schedules}, Fetch: fetch, At: noon,
	}}
}

// offered is the source's ids of the slots that are open, and fails unless
// every way to ask agrees.
func offered(t testing.TB, r *Replica) []string {
	t.Helper()
	found := find(t, r, scheduling.Query{Count: 1000})
	slots, err := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Count: 1000})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, source := range r.Sources() {
		total += source.Slots
	}
	if found.Total != len(found.Offers) || slots.Total != found.Total || total != found.Total {
		t.Fatalf("found %d of %d, listed %d, counted %d", len(found.Offers), found.Total, slots.Total, total)
	}
	ids := make([]string, 0, len(found.Offers))
	for _, offer := range found.Offers {
		id := offer.Slots[0].ID
		if _, ok := r.Offer(offer.ID); !ok {
			t.Fatalf("the offer of slot %s is found and cannot be read", id)
		}
		if _, ok := r.Read(scheduling.KindSlot, scheduling.ResourceID(offer.Setting.Source, scheduling.KindSlot, id)); !ok {
			t.Fatalf("slot %s is found and cannot be read", id)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func TestLaw3AClaimedSlotIsNobodysOfferUntilItIsGivenBack(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	w := snap.Windows[0]
	offer := scheduling.OfferID("a", 0, "s-1")
	slot := scheduling.ResourceID("a", scheduling.KindSlot, "s-1")
	r.Apply("a", claimed("s-1"))
	// Whatever is fetched or confirmed while it is claimed, by any number.
	changes := []scheduling.Change{{}, refetched(w, 900), confirmed(scheduling.Days{From: w.Key.Day, To: w.Key.Day + 1}, 901), claimed("s-1")}
	for i, change := range changes {
		r.Apply("a", change)
		if ids := offered(t, r); !slices.Equal(ids, []string{"s-0", "s-2", "s-3"}) {
			t.Fatalf("after change %d: %v is open", i, ids)
		}
		if _, ok := r.Offer(offer); ok {
			t.Errorf("after change %d the offer is still there", i)
		}
		if _, ok := r.Read(scheduling.KindSlot, slot); ok {
			t.Errorf("after change %d the slot can be read", i)
		}
		if !r.Gone(offer) {
			t.Errorf("after change %d the offer is unknown, not taken", i)
		}
	}
	r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{{Slot: "s-1"}}}) // nothing happened to it
	if ids := offered(t, r); len(ids) != 4 || r.Gone(offer) {
		t.Errorf("given back: %v is open, gone %v", ids, r.Gone(offer))
	}
	if hit, ok := r.Offer(offer); !ok || hit.Slots[0].ID != "s-1" {
		t.Error("a slot that was given back has another id")
	}
}

func TestLaw4AFencedSlotWaitsForAFetchThatBeganLater(t *testing.T) {
	t.Parallel()
	_, _, snap := loaded(t)
	w := snap.Windows[0]
	day := scheduling.Days{From: w.Key.Day, To: w.Key.Day + 1}
	before := scheduling.Days{From: w.Key.Day - 3, To: w.Key.Day}
	tests := []struct {
		name   string
		change scheduling.Change
		open   bool
	}{
		{"the window of an earlier fetch", refetched(w, 4), false},
		{"the window of the fetch that was the latest then", refetched(w, 5), false},
		{"the window of the next fetch", refetched(w, 6), true},
		{"a check by an earlier fetch", confirmed(day, 5), false},
		{"a check by the next fetch", confirmed(day, 6), true},
		{"a check of its schedule by name", confirmed(day, 6, "other", "sched"), true},
		{"a check of another schedule", confirmed(day, 6, "other"), false},
		{"a check of other days", confirmed(before, 6), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, order := range []string{"mark first", "mark last", "claim between", "at once", "loaded"} {
				r, _, snap := loaded(t)
				switch order {
				case "mark first":
					r.Apply("a", fenced("s-2", 5))
					r.Apply("a", tt.change)
				case "mark last":
					r.Apply("a", tt.change)
					r.Apply("a", fenced("s-2", 5))
				case "claim between":
					r.Apply("a", claimed("s-2"))
					r.Apply("a", tt.change)
					r.Apply("a", fenced("s-2", 5))
				case "at once":
					both := tt.change
					both.Marks = fenced("s-2", 5).Marks
					r.Apply("a", both)
				case "loaded":
					r.Apply("a", tt.change)
					snap = r.table.Load().byID["a"].snapshot()
					snap.Marks = fenced("s-2", 5).Marks
					r.Load("a", snap)
				}
				if ids := offered(t, r); slices.Contains(ids, "s-2") != tt.open || len(ids) < 3 {
					t.Errorf("%s: %v is open", order, ids)
				}
			}
		})
	}
}

func TestLaw4ATakenSlotStaysAwayWhateverOrderAnswersArriveIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		sources := w.sources()[:1]
		sources[0].Horizon, sources[0].MaxAge = 0, 0
		source := sources[0].ID
		snap := w.snapshot(sources[0])
		var answers, told []scheduling.Change
		for range rapid.IntRange(0, 8).Draw(t, "answers") {
			change := w.change(sources[0])
			change.Directory, change.Status = nil, nil
			told = append(told, scheduling.Change{Marks: change.Marks})
			change.Marks = nil
			answers = append(answers, change)
		}
		// Answers arrive in any order, what the books say in its own.
		play := func(name string) (*Replica, *model) {
			r := New(Options{Sources: sources, Now: func() time.Time { return w.now }})
			m := newModel(sources)
			r.Load(source, snap)
			m.load(source, snap)
			arriving, marks := shuffled(t, answers), told
			for len(arriving)+len(marks) > 0 {
				from := &arriving
				if len(arriving) == 0 || len(marks) > 0 && w.oneIn(2, name) {
					from = &marks
				}
				r.Apply(source, (*from)[0])
				m.apply(source, (*from)[0])
				*from = (*from)[1:]
				agreeOnOpen(t, r, m, source, w.now)
			}
			return r, m
		}
		one, _ := play("one")
		other, _ := play("other")
		want := shape(one.table.Load().byID[source])
		if diff := cmp.Diff(want, shape(other.table.Load().byID[source])); diff != "" {
			t.Fatalf("another order gives another state:\n%s", diff)
		}
		again := New(Options{Sources: sources, Now: func() time.Time { return w.now }})
		again.Load(source, one.table.Load().byID[source].snapshot())
		if diff := cmp.Diff(want, shape(again.table.Load().byID[source])); diff != "" {
			t.Fatalf("loading the snapshot gives another state:\n%s", diff)
		}
	})
}

// agreeOnOpen holds every way to ask for open slots against the model, and
// looks for what is withheld by its ids.
func agreeOnOpen(t *rapid.T, r *Replica, m *model, source scheduling.SourceID, now time.Time) {
	t.Helper()
	agree(t, r, m, scheduling.Query{Count: 1000}, now)
	hits, _ := m.find(scheduling.Query{}, now)
	slots, err := r.Search(scheduling.Search{Kind: scheduling.KindSlot, Count: 1000})
	if err != nil || slots.Total != len(hits) || r.Sources()[0].Slots != len(hits) {
		t.Fatalf("%d are open, %d listed, %d counted: %v", len(hits), slots.Total, r.Sources()[0].Slots, err)
	}
	open := map[string]bool{}
	for _, hit := range hits {
		open[hit.id] = true
	}
	for slot, mark := range m.marks[source] {
		id := scheduling.OfferID(source, m.gens[source][slot], slot)
		if _, ok := r.Offer(id); ok != open[id] || ok && r.Gone(id) {
			t.Fatalf("slot %s, %+v: offered is %v", slot, mark, ok)
		}
		if _, ok := r.Read(scheduling.KindSlot, scheduling.ResourceID(source, scheduling.KindSlot, slot)); ok != open[id] {
			t.Fatalf("slot %s, %+v: can be read is %v", slot, mark, ok)
		}
	}
	// The account of what is withheld says where it is.
	e, aside := r.table.Load().byID[source], 0
	st := e.state.Load()
	for n := range st.books.count {
		for _, w := range st.books.at(n).windows {
			aside += len(w.aside)
			for _, slot := range w.aside {
				if !slices.Contains(e.marks.aside[slot.ID], spot{int32(n), w.day}) {
					t.Fatalf("nobody knows where %s is withheld", slot.ID)
				}
			}
		}
	}
	if aside != st.aside {
		t.Fatalf("%d are withheld, %d counted", aside, st.aside)
	}
	for slot, spots := range e.marks.aside {
		for _, at := range spots {
			w := st.books.at(int(at.schedule)).window(at.day)
			if w == nil || !slices.ContainsFunc(w.aside, func(s scheduling.Slot) bool { return s.ID == slot }) {
				t.Fatalf("%s is not withheld at %v", slot, at)
			}
		}
	}
}

func TestLaw4ABookedSlotThatIsFreeAgainHasAnotherID(t *testing.T) {
	t.Parallel()
	r, _, snap := loaded(t)
	w := snap.Windows[0]
	first, second := scheduling.OfferID("a", 0, "s-0"), scheduling.OfferID("a", 1, "s-0")
	booked := claimed("s-0")
	booked.Generations = map[string]uint32{"s-0": 1}
	r.Apply("a", booked)
	without := w
	without.Slots = w.Slots[1:]
	r.Apply("a", refetched(without, 2))
	if !r.Gone(first) || r.Gone(second) {
		t.Errorf("booked: the used id is gone %v, the next one %v", r.Gone(first), r.Gone(second))
	}
	r.Apply("a", fenced("s-0", 3)) // cancelled
	r.Apply("a", refetched(w, 3))  // an answer from before
	if ids := offered(t, r); slices.Contains(ids, "s-0") {
		t.Fatalf("an old answer brought it back: %v", ids)
	}
	r.Apply("a", refetched(w, 4))
	if hit, ok := r.Offer(second); !ok || hit.Slots[0].ID != "s-0" {
		t.Error("found again, it is not offered under its next id")
	}
	if _, ok := r.Offer(first); ok || !r.Gone(first) {
		t.Errorf("the used id is offered %v, gone %v", ok, r.Gone(first))
	}
	// The generation may also be told while the slot is withheld, or by the same
	// step that opens it.
	r.Apply("a", claimed("s-0"))
	r.Apply("a", scheduling.Change{Generations: map[string]uint32{"s-0": 2}})
	open := fenced("s-0", 4)
	open.Generations = map[string]uint32{"s-0": 3}
	open.Windows = refetched(w, 5).Windows
	r.Apply("a", open)
	if _, ok := r.Offer(scheduling.OfferID("a", 3, "s-0")); !ok || len(offered(t, r)) != 4 {
		t.Error("it is not offered under the latest generation")
	}
}
