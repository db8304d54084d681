package prefetch

import (
	"testing"
	"testing/synctest"
	"time"

	"slotgate/scheduling"
)

// A source whose clock comes round in an hour, and that tells that all is gone, is
// shown as emptied at once, and no longer once it has told that all is back.
func TestLaw8WhatIsToldEmptiesASourceAndBringsItBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, e := newMemory(), newEHR(14, "s1", "s2")
		o := options("a")
		o.Cron = "@every 1h"
		m, _ := start(t, store, Job{o, e})
		synctest.Wait()
		if store.open("a") != 28 {
			t.Fatalf("%d slots", store.open("a"))
		}
		full := e.slots
		for _, gone := range []bool{true, false, true} {
			now := full
			if gone {
				now = map[scheduling.WindowKey][]scheduling.Slot{}
			}
			e.set(func() { e.slots = now })
			for _, schedule := range []string{"s1", "s2"} {
				if !m.Notice("a", scheduling.Notice{Schedule: schedule}) {
					t.Fatal("the source is not worked on")
				}
			}
			after(time.Minute)
			want := 28
			if gone {
				want = 0
			}
			if st := store.status("a"); st.Emptied != gone || store.open("a") != want {
				t.Errorf("told: emptied is %t with %d slots known, want %t and %d", st.Emptied, store.open("a"), gone, want)
			}
		}
	})
}
