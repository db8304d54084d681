package prefetch

import (
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// Another configuration touches the sources that changed, and no other: those go
// on where they were, without a new load, and keep their clock.
func TestAnUpdateTouchesOnlyTheSourcesThatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		kept, changed, gone, added := newEHR(28, "s1"), newEHR(28, "s1"), newEHR(28, "s1"), newEHR(28, "s1")
		m, stop := start(t, store, Job{options("kept"), kept}, Job{options("changed"), changed}, Job{options("gone"), gone})
		synctest.Wait()
		loaded, was := kept.count(), changed.count()
		if err := m.Update([]Job{{options("kept"), kept}, {options(""), added}}); err == nil || len(m.States()) != 3 {
			t.Fatalf("%v, %d sources: a job without an id is taken", err, len(m.States()))
		}
		longer := options("changed")
		longer.Horizon++
		if err := m.Update([]Job{{options("kept"), kept}, {longer, changed}, {options("added"), added}}); err != nil {
			t.Fatal(err)
		}
		after(30 * time.Second) // less than a tick
		if kept.count() != loaded || changed.count() <= was || added.count() != loaded || !m.Loaded() {
			t.Errorf("asked: kept %d of %d, changed %d after %d, added %d", kept.count(), loaded, changed.count(), was, added.count())
		}
		left := gone.count()
		if m.Trigger("gone", scheduling.Scope{}) {
			t.Error("what is gone can be asked for")
		}
		after(2 * time.Minute)
		if kept.count() <= loaded || gone.count() != left {
			t.Errorf("afterwards: kept %d of %d, gone %d of %d", kept.count(), loaded, gone.count(), left)
		}
		stop()
		if err := m.Update([]Job{{options("late"), added}}); err != nil || len(m.States()) != 3 {
			t.Errorf("%v, %d sources: what has ended was changed", err, len(m.States()))
		}
	})
}

// However often the configuration changes, nobody asks a source twice at a time,
// not even where the old work takes its time to end.
func TestASourceThatChangesAgainAndAgainIsAskedByOneAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, e := newMemory(), newEHR(28, "s1")
		e.took = 300 * time.Millisecond
		m, _ := start(t, store, Job{options("a"), e})
		for i := range 20 {
			after(170 * time.Millisecond)
			o := options("a")
			o.MaxFetches = 10 + i
			if err := m.Update([]Job{{o, e}}); err != nil {
				t.Fatal(err)
			}
		}
		after(2 * time.Minute)
		if e.most != 1 || !m.Loaded() {
			t.Errorf("%d at a time, loaded: %v", e.most, m.Loaded())
		}
	})
}
