package replica

import (
	"slices"
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
