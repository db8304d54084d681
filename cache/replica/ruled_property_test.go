package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"slotgate/scheduling"
)

func TestOffersByRulesAgreeWithASearchThatForgetsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.ruled = true
		r, m := drawn(t, w)
		if rapid.Bool().Draw(t, "other rules") {
			m.sources = slices.Clone(m.sources)
			for i := range m.sources {
				m.sources[i].Rules = w.rules()
			}
			r.SetSources(m.sources)
		}
		for range 3 {
			q := w.query(m.sources)
			w.person(&q, m.sources)
			agree(t, r, m, q, w.now)
			q.Count = 4
			found, err := r.Find(q)
			if err != nil {
				t.Fatal(err)
			}
			for _, hit := range found.Offers {
				sound(t, r, hit)
			}
			if len(found.Offers) > 0 {
				last := found.Offers[len(found.Offers)-1]
				q.After = scheduling.Cursor{Start: last.Start(), ID: last.ID}
				agree(t, r, m, q, w.now)
			}
		}
	})
}

// sound looks at one offer by itself: what it is made of, and that it can be read.
func sound(t *rapid.T, r *Replica, hit scheduling.Hit) {
	var ids []string
	for i, s := range hit.Slots {
		ids = append(ids, scheduling.ResourceID(hit.Setting.Source, scheduling.KindSlot, s.ID))
		if s.Schedule != hit.Slots[0].Schedule || s.Status != scheduling.SlotFree {
			t.Fatalf("slot %d of %s: %+v", i, hit.ID, s)
		}
		if i == 0 {
			continue
		}
		if pause := s.Start.Sub(hit.Slots[i-1].End); pause < 0 || pause > hit.Rule.Gap {
			t.Fatalf("%v lies between slots %d and %d of %s", pause, i-1, i, hit.ID)
		}
		if short := hit.Slots[i-1].End.Sub(hit.Start()); short >= time.Duration(hit.Rule.Minutes)*time.Minute {
			t.Fatalf("%s has a slot more than it needs", hit.ID)
		}
	}
	if hit.Rule != nil && hit.End().Sub(hit.Start()) < time.Duration(hit.Rule.Minutes)*time.Minute {
		t.Fatalf("%s lasts %v, its rule wants %d minutes", hit.ID, hit.End().Sub(hit.Start()), hit.Rule.Minutes)
	}
	if by, ok := r.BySlots(ids); ok && !cmp.Equal(slotsOf(by), slotsOf(hit)) {
		t.Fatalf("%s is found by its slots as %v", hit.ID, slotsOf(by))
	}
	if r.Gone(hit.ID) {
		t.Fatalf("%s is offered and said to be gone", hit.ID)
	}
}

func slotsOf(hit scheduling.Hit) []string {
	var ids []string
	for _, s := range hit.Slots {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestPagesOfOffersByRulesNeverSkipOrRepeat(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.ruled = true
		turnPages(t, w)
	})
}

func TestOffersByRulesAreTheSameWhateverWayLedThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.ruled = true
		converge(t, w)
	})
}

func TestOffersByRulesAreTheSameAfterTheRulesWereOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.ruled = true
		sources := w.sources()[:1]
		snap := w.snapshot(sources[0])
		at := func(s scheduling.Source) *Replica {
			r := New(Options{Sources: []scheduling.Source{s}, Now: func() time.Time { return w.now }})
			r.Load(s.ID, snap)
			return r
		}
		want, other := at(sources[0]), sources[0]
		if other.Rules = nil; rapid.Bool().Draw(t, "some") {
			other.Rules = w.rules()
		}
		got := at(other)
		got.SetSources(sources)
		entryOf := func(r *Replica) *entry { return r.table.Load().byID[sources[0].ID] }
		if diff := cmp.Diff(shape(entryOf(want)), shape(entryOf(got))); diff != "" {
			t.Fatalf("with the rules from the beginning (-) and now (+):\n%s", diff)
		}
	})
}
