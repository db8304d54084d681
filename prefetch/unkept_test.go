package prefetch_test

import (
	"sync"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/prefetch"
	"slotgate/scheduling"
)

// TestNoSlotIsFetchedNorKeptOfASourceThatForbidsIt begins with what was kept
// before that was forbidden.
func TestNoSlotIsFetchedNorKeptOfASourceThatForbidsIt(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store, err := cache.Open(t.Context(), cache.Options{URL: server.URL()}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	p := &practice{}
	job := prefetch.Job{Options: prefetch.Options{
		Source: scheduling.Source{ID: "a", Zone: time.UTC}, Horizon: 5, Cron: "@every 1s",
	}, Fetcher: p}
	m := prefetch.NewManager(prefetch.Deps{Writer: store, Leaser: store}, []prefetch.Job{job})
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(t.Context()); err != nil {
			t.Error("Run:", err)
		}
	})
	t.Cleanup(running.Wait)
	all := scheduling.Scope{Days: scheduling.Days{From: 0, To: 1 << 20}}
	known := func() int {
		n, err := store.Known(t.Context(), "a", all)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "it is loaded while its slots may be kept", func() bool { return m.Loaded() && known() > 0 })
	job.Source.Live = true
	if err := m.Update([]prefetch.Job{job}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was kept is gone", func() bool { return known() == 0 })
	eventually(t, "who and where is known", m.Loaded)
	asked := p.asked()
	day := scheduling.DayOf(time.Now(), time.UTC)
	scope := scheduling.Scope{Days: scheduling.Days{From: day, To: day + 2}}
	if m.Revalidate("a", scope, func(error) {}) {
		t.Error("a scope may be looked at again")
	}
	m.Trigger("a", scope)
	m.Notice("a", scheduling.Notice{})
	before := m.States()[0].Status.Tried
	job.DirectoryEvery = time.Second // another look, behind all that was asked for
	if err := m.Update([]prefetch.Job{job}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the directory is read again", func() bool { return m.States()[0].Status.Tried.After(before) })
	if n := p.asked(); n != asked {
		t.Errorf("it was asked for slots %d times", n-asked)
	}
	if known() != 0 {
		t.Error("slots are kept")
	}
}
