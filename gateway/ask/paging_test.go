package ask_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slotgate/cache/replica"
	"slotgate/gateway/ask"
	"slotgate/scheduling"
)

func paris(t testing.TB) *time.Location { return zoneOf(t, "Europe/Paris") }

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	must(t, err)
	return z
}

// book is sources that answer from memory, and a store that numbers.
type book struct {
	slots map[scheduling.SourceID][]scheduling.Slot
	zones map[scheduling.SourceID]*time.Location
	most  int // days

	mu     sync.Mutex
	number uint64
	wide   bool // a question was of more days
	leads  map[string]scheduling.Lead
	away   bool
	begun  func() // called between a number and its answer; nil: nothing
}

func (b *book) Find(_ context.Context, id scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error) {
	b.mu.Lock()
	b.wide = b.wide || scope.Days.Len() > b.most
	b.mu.Unlock()
	if b.begun != nil {
		b.begun()
	}
	zone := func(string) *time.Location { return b.zones[id] }
	// All there is: what was not asked for must not be shown.
	return scheduling.Fetched{Scope: scope, Complete: true, Windows: scheduling.Windows(b.slots[id], zone), Found: scheduling.NewDirectory()}, nil
}

func (b *book) Again(ctx context.Context, id scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error) {
	return b.Find(ctx, id, scope)
}

func (b *book) Begin(context.Context, scheduling.SourceID) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return 0, scheduling.Fault(scheduling.Shedding, nil, "away")
	}
	b.number++
	return b.number, nil
}

func (b *book) MergeDirectory(context.Context, scheduling.SourceID, scheduling.Directory) error {
	return nil
}

func (b *book) Remember(_ context.Context, _ scheduling.SourceID, leads map[string]scheduling.Lead, _ time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.leads, leads)
	return nil
}

func (b *book) Recall(_ context.Context, _ scheduling.SourceID, id string) (scheduling.Lead, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lead, ok := b.leads[id]
	return lead, ok, nil
}

// library is an Asker over a book: the sources in live are asked, the others
// kept.
func (b *book) library(t testing.TB, opts ask.Options, now time.Time, horizon int, live ...scheduling.SourceID) (*ask.Asker, *replica.Replica) {
	t.Helper()
	var all, asked []scheduling.Source
	for _, id := range slices.Sorted(maps.Keys(b.zones)) {
		s := scheduling.Source{ID: id, Zone: b.zones[id], Horizon: horizon, Live: slices.Contains(live, id)}
		all = append(all, s)
		if s.Live {
			asked = append(asked, s)
		}
	}
	clock := func() time.Time { return now }
	r := replica.New(replica.Options{Sources: all, Now: clock})
	for _, s := range all {
		dir := scheduling.NewDirectory()
		for _, n := range []string{"1", "2"} {
			dir.Practitioners["who"+n] = &scheduling.Practitioner{ID: "who" + n, Identifiers: []scheduling.Identifier{{System: scheduling.NPISystem, Value: "npi" + n}}}
			dir.Schedules["s"+n] = &scheduling.Schedule{ID: "s" + n, Actors: []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "who" + n}}}
		}
		status := scheduling.Status{Source: s.ID, Tried: now, Loaded: now, LastSync: now}
		snap := scheduling.Snapshot{Loaded: true, Directory: dir, Status: status}
		for key, slots := range scheduling.Windows(b.slots[s.ID], func(string) *time.Location { return s.Zone }) {
			snap.Windows = append(snap.Windows, scheduling.Window{Key: key, Slots: slots, Fetch: 1, Checked: now})
		}
		r.Load(s.ID, snap) // what a source in live is never to show
	}
	a, err := ask.New(opts, ask.Deps{
		Index: index{r}, Sources: b, Store: b, Leads: b, Live: asked, Life: t.Context(), Now: clock, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	return a, r
}

// TestThePagesOfAllSourcesTogetherAreAllOffersOnce: kept and live ones, over any
// period, in zones whose clocks change within it, by any number on a page and
// any number of days asked for at a time, in order, none twice.
func TestThePagesOfAllSourcesTogetherAreAllOffersOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 10, 20, rapid.IntRange(0, 23).Draw(rt, "hour"), 7, 0, 0, time.UTC)
		b := &book{
			slots: map[scheduling.SourceID][]scheduling.Slot{}, leads: map[string]scheduling.Lead{},
			zones: map[scheduling.SourceID]*time.Location{"east": zoneOf(t, "Pacific/Auckland"), "kept": paris(t), "west": zoneOf(t, "America/Los_Angeles")},
			most:  rapid.IntRange(1, 9).Draw(rt, "days at a time"),
		}
		for id := range b.zones {
			b.slots[id] = drawSlots(rt, string(id), now)
		}
		opts := patient()
		opts.Days = b.most
		horizon := rapid.IntRange(1, 40).Draw(rt, "horizon")
		a, r := b.library(t, opts, now, horizon, "east", "west")
		q := drawQuery(rt, now)
		want := wanted(b, q, now, horizon)
		var got []string
		last := scheduling.Cursor{}
		for pages := 0; ; pages++ {
			if pages > 400 {
				rt.Fatal("the pages do not end")
			}
			found, err := a.Ask(t.Context(), q).Find(q)
			must(t, err)
			if !found.Complete() {
				rt.Fatalf("incomplete: %+v", found.Sources)
			}
			for _, o := range found.Offers {
				if !last.Before(o.Start(), o.ID) {
					rt.Fatalf("%s at %s comes after %+v", o.ID, o.Start(), last)
				}
				last = scheduling.Cursor{Start: o.Start(), ID: o.ID}
				got = append(got, string(o.Setting.Source)+" "+o.Slots[0].ID)
			}
			if !found.More {
				break
			}
			next := found.Next
			if next.IsZero() {
				next = last
			}
			if !q.After.IsZero() && !q.After.Before(next.Start, next.ID) && next != q.After {
				rt.Fatalf("from %+v back to %+v", q.After, next)
			}
			q.After = next
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			rt.Fatalf("got  %v\nwant %v", got, want)
		}
		if b.wide {
			rt.Fatal("a question was of more days than may be")
		}
		if kept, _ := r.Find(scheduling.Query{Count: 1000, Sources: []scheduling.SourceID{"east", "west"}}); len(kept.Offers) > 0 {
			rt.Fatal("slots of a live source are kept")
		}
	})
}

func drawSlots(rt *rapid.T, id string, now time.Time) []scheduling.Slot {
	var slots []scheduling.Slot
	for n, hours := range rapid.SliceOfN(rapid.IntRange(-30, 45*24), 0, 12).Draw(rt, "hours from now, "+id) {
		start := now.Add(time.Duration(hours) * time.Hour).Truncate(15 * time.Minute)
		slots = append(slots, scheduling.Slot{
			ID: fmt.Sprintf("%s-%d", id, n), Schedule: fmt.Sprintf("s%d", 1+n%2), Status: scheduling.SlotFree, Start: start, End: start.Add(15 * time.Minute),
		})
	}
	return slots
}

func drawQuery(rt *rapid.T, now time.Time) scheduling.Query {
	q := scheduling.Query{Count: rapid.IntRange(1, 7).Draw(rt, "count")}
	from, length := rapid.IntRange(-3, 30).Draw(rt, "from"), rapid.IntRange(0, 30).Draw(rt, "length")
	day := scheduling.DayOf(now, time.UTC) + scheduling.Day(from)
	switch rapid.IntRange(0, 3).Draw(rt, "bounds") {
	case 0:
	case 1:
		q.Start = scheduling.DayBound(day)
	case 2:
		q.Start, q.End = scheduling.DayBound(day), scheduling.DayBound(day+scheduling.Day(length))
	default:
		at := now.Add(time.Duration(from) * 17 * time.Hour)
		q.Start, q.End = scheduling.InstantBound(at), scheduling.InstantBound(at.Add(time.Duration(length)*19*time.Hour))
	}
	if rapid.Bool().Draw(rt, "of one doctor") {
		q.Practitioners = []scheduling.Ref{{Kind: scheduling.KindPractitioner, Identifier: scheduling.Identifier{System: scheduling.NPISystem, Value: "npi1"}}}
	}
	return q
}

// wanted is what the pages must hold, by the plainest reading of the query.
func wanted(b *book, q scheduling.Query, now time.Time, horizon int) []string {
	var want []string
	for id, slots := range b.slots {
		zone := b.zones[id]
		from, to := q.Span(zone, now)
		end := (scheduling.DayOf(now, zone) + scheduling.Day(horizon)).Start(zone)
		if to.IsZero() || end.Before(to) {
			to = end
		}
		for _, s := range slots {
			if !s.Start.Before(from) && s.Start.Before(to) && (len(q.Practitioners) == 0 || s.Schedule == "s1") {
				want = append(want, string(id)+" "+s.ID)
			}
		}
	}
	slices.Sort(want)
	return want
}

// TestTheTotalOfDaysThatWereNotAskedForIsToldAsUnknown: and where all were, it is
// the same on each page.
func TestTheTotalOfDaysThatWereNotAskedForIsToldAsUnknown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	b := &book{slots: map[scheduling.SourceID][]scheduling.Slot{}, zones: map[scheduling.SourceID]*time.Location{"a": time.UTC}, most: 5, leads: map[string]scheduling.Lead{}}
	for n := range 20 {
		start := now.Add(time.Duration(n)*24*time.Hour + time.Hour)
		b.slots["a"] = append(b.slots["a"], scheduling.Slot{ID: fmt.Sprint(n), Schedule: "s1", Status: scheduling.SlotFree, Start: start, End: start.Add(time.Hour)})
	}
	opts := patient()
	opts.Days = b.most
	a, _ := b.library(t, opts, now, 60, "a")
	q := scheduling.Query{}
	page := a.Ask(t.Context(), q)
	if found, err := page.Find(q); err != nil || found.Complete() || len(page.Cut) != 1 || found.More {
		t.Errorf("the total of all: %v %+v %v", err, found, page.Cut)
	}
	day := scheduling.DayOf(now, time.UTC)
	q = scheduling.Query{Count: 2, Start: scheduling.DayBound(day), End: scheduling.DayBound(day + 4)}
	for n := range 2 {
		page := a.Ask(t.Context(), q)
		found, err := page.Find(q)
		if err != nil || found.Total != 5 || len(found.Offers) != 2 || len(page.Cut) > 0 || !found.Complete() {
			t.Errorf("page %d: %v, %d of %d, %v", n, err, len(found.Offers), found.Total, page.Cut)
		}
		last := found.Offers[len(found.Offers)-1]
		q.After = scheduling.Cursor{Start: last.Start(), ID: last.ID}
	}
}

// TestLaw4NoAnswerThatWasUnderWayBringsATakenSlotBack: the order is that of
// numbers, also where an answer is late, and where nobody can give a number.
func TestLaw4NoAnswerThatWasUnderWayBringsATakenSlotBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	b := &book{slots: map[scheduling.SourceID][]scheduling.Slot{}, zones: map[scheduling.SourceID]*time.Location{"a": time.UTC}, most: 60, leads: map[string]scheduling.Lead{}}
	for _, id := range []string{"x", "y"} {
		b.slots["a"] = append(b.slots["a"], scheduling.Slot{ID: id, Schedule: "s1", Status: scheduling.SlotFree, Start: now.Add(time.Hour), End: now.Add(2 * time.Hour)})
	}
	opts := patient()
	opts.Days = b.most
	a, r := b.library(t, opts, now, 60, "a")
	q := scheduling.Query{Count: 10}
	shown := func() (ids string, offers []scheduling.Hit) {
		found, err := a.Ask(t.Context(), q).Find(q)
		must(t, err)
		for _, o := range found.Offers {
			ids += o.Slots[0].ID
		}
		a.Remember(t.Context(), found.Offers)
		return ids, found.Offers
	}
	mark := func(m scheduling.Mark) { r.Apply("a", scheduling.Change{Marks: []scheduling.Mark{m}}) }
	ids, offers := shown()
	if len(ids) != 2 {
		t.Fatal(ids)
	}
	x := offers[0]
	if x.Slots[0].ID != "x" {
		x = offers[1]
	}
	mark(scheduling.Mark{Slot: "x", Claimed: true})
	if ids, _ := shown(); ids != "y" {
		t.Errorf("what is claimed is shown: %s", ids)
	}
	if _, ok, err := a.Offer(t.Context(), x.ID); ok || scheduling.CodeOf(err) != scheduling.SlotTaken {
		t.Errorf("what is claimed can be held: %v %v", ok, err)
	}
	// The claim ends while a question is under way, which began before.
	b.begun = func() { mark(scheduling.Mark{Slot: "x", Fence: b.number}) }
	if ids, _ := shown(); ids != "y" {
		t.Errorf("an older answer brings it back: %s", ids)
	}
	b.begun = nil
	b.away = true
	if ids, _ := shown(); ids != "y" {
		t.Errorf("an answer without a number brings it back: %s", ids)
	}
	b.away = false
	if ids, _ := shown(); len(ids) != 2 {
		t.Errorf("it stays away for ever: %s", ids)
	}
	// Its id is used up: the slot has another one now, the same on every node.
	r.Apply("a", scheduling.Change{Generations: map[string]uint32{"x": 1}})
	_, offers = shown()
	want := scheduling.OfferID("a", 1, "x")
	if !slices.ContainsFunc(offers, func(o scheduling.Hit) bool { return o.ID == want }) {
		t.Error("the new id is not the one that every node gives")
	}
	if hit, ok, err := a.Offer(t.Context(), want); !ok || err != nil || hit.Slots[0].ID != "x" {
		t.Errorf("by its new id: %v %v", ok, err)
	}
	slot := scheduling.ResourceID("a", scheduling.KindSlot, "x")
	if hit, ok, err := a.BySlots(t.Context(), []string{slot}); !ok || err != nil || hit.ID != want {
		t.Errorf("by its Slot: %v %v", ok, err)
	}
	for _, id := range []string{"", "x", scheduling.OfferID("a", 7, "x"), scheduling.OfferID("b", 0, "x"), want + "\n", "\xff\xff\xff\xff\xff\xff"} {
		if _, ok, err := a.Offer(t.Context(), id); ok || err != nil {
			t.Errorf("%q leads somewhere: %v", id, err)
		}
		if _, ok, err := a.BySlots(t.Context(), []string{id}); ok || err != nil {
			t.Errorf("a Slot %q leads somewhere: %v", id, err)
		}
	}
}
