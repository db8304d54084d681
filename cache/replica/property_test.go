package replica

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"slotgate/scheduling"
)

// drawn is a replica and its model after the same random history.
func drawn(t *rapid.T, w *world) (*Replica, *model) {
	sources := w.sources()
	r := New(Options{Sources: sources, Now: func() time.Time { return w.now }})
	m := newModel(sources)
	for _, source := range sources {
		snap := w.snapshot(source)
		r.Load(source.ID, snap)
		m.load(source.ID, snap)
	}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		source := rapid.SampledFrom(sources).Draw(t, "changed")
		change := w.change(source)
		r.Apply(source.ID, change)
		m.apply(source.ID, change)
	}
	return r, m
}

// agree compares one answer with the model's.
func agree(t *rapid.T, r *Replica, m *model, q scheduling.Query, now time.Time) {
	t.Helper()
	want, complete := m.find(q, now)
	got, err := r.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	if got.Total != len(want) {
		t.Fatalf("total %d, the model has %d\n%+v", got.Total, len(want), q)
	}
	page := slices.DeleteFunc(slices.Clone(want), func(h modelHit) bool { return !q.After.Before(h.start, h.id) })
	if more := q.Count > 0 && len(page) > q.Count; more != got.More {
		t.Fatalf("more is %v, want %v", got.More, more)
	}
	page = page[:min(q.Count, len(page))]
	hits := make([]modelHit, 0, len(got.Offers))
	for _, offer := range got.Offers {
		hits = append(hits, modelHit{offer.Start(), offer.ID})
		if offer.Start().Before(now) {
			t.Fatalf("offer %s has begun", offer.ID)
		}
		if back, ok := r.Offer(offer.ID); q.MaxAge == 0 && (!ok || !back.Start().Equal(offer.Start())) {
			t.Fatalf("offer %s is found and cannot be read", offer.ID)
		}
	}
	if diff := cmp.Diff(page, hits, cmp.AllowUnexported(modelHit{}), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the page differs (-model +replica):\n%s\n%+v", diff, q)
	}
	for _, source := range got.Sources {
		if source.Complete != complete[source.Source] {
			t.Fatalf("source %s: complete is %v", source.Source, source.Complete)
		}
	}
	if len(got.Sources) != len(complete) {
		t.Fatalf("%d sources are told of, %d were asked", len(got.Sources), len(complete))
	}
}

func TestFindAgreesWithAFlatListOfSlots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		r, m := drawn(t, w)
		for range 3 {
			q := w.query(m.sources)
			agree(t, r, m, q, w.now)
			q.Count = 3
			if found, _ := r.Find(q); len(found.Offers) > 0 {
				last := found.Offers[len(found.Offers)-1]
				q.After = scheduling.Cursor{Start: last.Start(), ID: last.ID}
				agree(t, r, m, q, w.now)
			}
			q.After = scheduling.Cursor{Start: w.now.Add(20*time.Hour + 3), ID: "zz"}
			agree(t, r, m, q, w.now)
		}
	})
}

func TestPagesNeverSkipOrRepeatWhileWindowsAreSwapped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { turnPages(t, newWorld(t)) })
}

// turnPages goes through an answer page by page while windows are swapped.
func turnPages(t *rapid.T, w *world) {
	r, m := drawn(t, w)
	q := w.query(m.sources)
	q.Count = rapid.IntRange(1, 4).Draw(t, "page")
	always := setOf(m, q, w.now) // present at every page
	ever := setOf(m, q, w.now)   // present at one of them
	seen := map[modelHit]int{}
	for page := 0; ; page++ {
		found, err := r.Find(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, offer := range found.Offers {
			seen[modelHit{offer.Start(), offer.ID}]++
		}
		if !found.More {
			break
		}
		last := found.Offers[len(found.Offers)-1]
		q.After = scheduling.Cursor{Start: last.Start(), ID: last.ID}
		if page > 6 {
			continue // let it end
		}
		source := rapid.SampledFrom(m.sources).Draw(t, "changed")
		change := w.change(source)
		change.Directory = nil
		r.Apply(source.ID, change)
		m.apply(source.ID, change)
		now := setOf(m, q, w.now)
		for hit := range always {
			if !now[hit] {
				delete(always, hit)
			}
		}
		for hit := range now {
			ever[hit] = true
		}
	}
	for hit := range always {
		if seen[hit] != 1 {
			t.Fatalf("%v was there all the while and seen %d times", hit, seen[hit])
		}
	}
	for hit := range seen {
		if !ever[hit] {
			t.Fatalf("%v never matched", hit)
		}
	}
}

// setOf is all offers that the model finds, and when they begin: one whose time
// was changed is another one to whoever turns pages.
func setOf(m *model, q scheduling.Query, now time.Time) map[modelHit]bool {
	hits, _ := m.find(q, now)
	set := map[modelHit]bool{}
	for _, hit := range hits {
		set[hit] = true
	}
	return set
}

func TestChangesInAnyOrderConverge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { converge(t, newWorld(t)) })
}

// converge plays changes in several orders.
func converge(t *rapid.T, w *world) {
	sources := w.sources()[:1]
	source := sources[0]
	snap := w.snapshot(source)
	var changes []scheduling.Change
	for range rapid.IntRange(0, 6).Draw(t, "changes") {
		change := w.change(source)
		// Of directories and statuses the last one holds, by design.
		// of marks too (see TestLaw4...).
		change.Directory, change.Status, change.Marks = nil, nil, nil
		changes = append(changes, change)
	}
	replay := func(changes []scheduling.Change) *entry {
		r := New(Options{Sources: sources, Now: func() time.Time { return w.now }})
		r.Load(source.ID, snap)
		for _, change := range changes {
			r.Apply(source.ID, change)
		}
		return r.table.Load().byID[source.ID]
	}
	want := replay(changes)
	if diff := cmp.Diff(shape(want), shape(replay(shuffled(t, changes)))); diff != "" {
		t.Fatalf("another order gives another state:\n%s", diff)
	}
	// A snapshot taken at the end says the same as the way there.
	again := New(Options{Sources: sources, Now: func() time.Time { return w.now }})
	again.Load(source.ID, want.snapshot())
	if diff := cmp.Diff(shape(want), shape(again.table.Load().byID[source.ID])); diff != "" {
		t.Fatalf("loading the snapshot gives another state:\n%s", diff)
	}
}

// shaped is what can be seen of a state, whatever way led there.
type shaped struct {
	Slots   map[string]slotShape
	Hidden  scheduling.Tally
	Held    int
	Aside   int
	IDs     int
	Offers  map[string]string // what the source's rules made: its slots
	Gens    map[string]uint32
	Checked map[scheduling.WindowKey]int64
}

type slotShape struct {
	Slot     scheduling.Slot
	Offer    string
	Shadowed bool
}

func shape(e *entry) shaped {
	st := e.state.Load()
	s := shaped{
		Slots: map[string]slotShape{}, Hidden: scheduling.Tally{}, Held: st.held, Aside: st.aside, IDs: st.ids.count,
		Offers: map[string]string{}, Gens: map[string]uint32{}, Checked: map[scheduling.WindowKey]int64{},
	}
	s.Hidden.Merge(st.hidden)
	for id, n := range e.gens {
		s.Gens[id] = n
	}
	for n, p := range st.layout.places {
		b := st.books.at(n)
		if b.ruling != nil {
			b.shown(func(w *window) {
				for i := range w.slots {
					hit := st.hit(p, b, w, i)
					s.Offers[hit.ID+w.day.String()] = strings.Join(slotsOf(hit), " ") + hit.Checked.String() + hit.Start().String()
				}
			})
		}
		for _, w := range b.windows {
			if len(w.slots) > 0 {
				s.Checked[scheduling.WindowKey{Schedule: p.id, Day: w.day}] = b.checkedAt(w, st.cover)
			}
			for i := range w.slots {
				s.Slots[w.slotID(i)+p.id+w.day.String()+w.slot(i, p.id, st.sets).Start.String()] = slotShape{w.slot(i, p.id, st.sets), w.offerID(i), st.doubles.shadowed(int32(n), w, i)}
			}
		}
	}
	return s
}

func TestCoverageKeepsTheLatestCheckOfEachDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c coverage
		days, fetches := [30]int64{}, [30]uint64{}
		for range rapid.IntRange(0, 12).Draw(t, "checks") {
			from := rapid.IntRange(0, 28).Draw(t, "from")
			to := rapid.IntRange(0, 29).Draw(t, "to")
			at := int64(rapid.IntRange(1, 5).Draw(t, "at"))
			fetch := uint64(rapid.IntRange(0, 5).Draw(t, "fetch"))
			c = c.with(stretch{scheduling.Days{From: scheduling.Day(from), To: scheduling.Day(to)}, at, fetch, 0}, 3)
			for day := max(from, 3); day < to; day++ {
				days[day], fetches[day] = max(days[day], at), max(fetches[day], fetch)
			}
		}
		for day, want := range days {
			if got := c.at(scheduling.Day(day)); got != want {
				t.Fatalf("day %d was checked at %d, want %d: %v", day, got, want, c)
			}
			if got := c.fetch(scheduling.Day(day)); got != fetches[day] {
				t.Fatalf("day %d was confirmed by fetch %d, want %d: %v", day, got, fetches[day], c)
			}
		}
		from := rapid.IntRange(0, 28).Draw(t, "floorFrom")
		to := rapid.IntRange(from+1, 29).Draw(t, "floorTo")
		if got, want := c.floor(scheduling.Days{From: scheduling.Day(from), To: scheduling.Day(to)}), slices.Min(days[from:to]); got != want {
			t.Fatalf("days %d to %d were checked at %d, want %d: %v", from, to, got, want, c)
		}
	})
}

func TestIdsAreFoundAfterAnyEdits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := newIDIndex(0)
		type occurrence struct {
			id       string
			schedule int32
		}
		have := map[occurrence]int{}
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			before, count := x, x.count
			var edits []idEdit
			for range rapid.IntRange(0, 600).Draw(t, "edits") {
				o := occurrence{string(rune('a' + rapid.IntRange(0, 2000).Draw(t, "id"))), int32(rapid.IntRange(0, 2).Draw(t, "schedule"))}
				remove := have[o] > 0 && rapid.Bool().Draw(t, "remove")
				if have[o]++; remove {
					have[o] -= 2
				}
				edits = append(edits, idEdit{idPlace{x.hash(o.id), o.schedule}, remove})
			}
			x, _ = x.with(edits)
			if before.count != count {
				t.Fatal("an edit changed the index before it")
			}
		}
		total := 0
		for o, want := range have {
			got := 0
			x.schedules(o.id, func(schedule int32) bool {
				if schedule == o.schedule {
					got++
				}
				return true
			})
			if got < want {
				t.Fatalf("%v is there %d times, want %d", o, got, want)
			}
			total += want
		}
		if x.count != total {
			t.Fatalf("the index counts %d, want %d", x.count, total)
		}
	})
}
