package replica

import (
	"slices"
	"testing"
	"time"

	"slotgate/scheduling"
)

// sideBySide is a schedule with the same time in pieces of a quarter and of half
// an hour, and the same quarter on another schedule.
func sideBySide(t *testing.T) (*Replica, scheduling.Window) {
	t.Helper()
	r, source, snap := loaded(t)
	at := snap.Windows[0].Slots[0].Start
	slot := func(id string, from, minutes int) scheduling.Slot {
		start := at.Add(time.Duration(from) * time.Minute)
		return scheduling.Slot{ID: id, Schedule: "sched", Status: scheduling.SlotFree, Start: start, End: start.Add(time.Duration(minutes) * time.Minute)}
	}
	w := windowsOf([]scheduling.Slot{slot("a1", 0, 15), slot("a2", 15, 15), slot("a3", 30, 15), slot("half", 0, 30), slot("long", 0, 45)}, source.Zone, 2, noon)[0]
	r.Apply("a", scheduling.Change{Windows: []scheduling.Window{w}})
	return r, w
}

// marked is a mark of the slot's own time.
func marked(w scheduling.Window, slot string, m scheduling.Mark) scheduling.Change {
	at := slices.IndexFunc(w.Slots, func(s scheduling.Slot) bool { return s.ID == slot })
	m.Slot, m.Span = slot, scheduling.Span{Schedule: "sched", From: w.Slots[at].Start, To: w.Slots[at].End}
	return scheduling.Change{Marks: []scheduling.Mark{m}}
}

func TestLaw3WhatOverlapsWithAClaimIsNobodysOffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claimed string
		open    []string
	}{
		{"a1", []string{"a2", "a3"}},
		{"a2", []string{"a1", "a3"}},
		{"a3", []string{"a1", "a2", "half"}},
		{"half", []string{"a3"}},
		{"long", nil},
	} {
		t.Run(c.claimed, func(t *testing.T) {
			t.Parallel()
			r, w := sideBySide(t)
			r.Apply("a", marked(w, c.claimed, scheduling.Mark{Claimed: true}))
			r.Apply("a", refetched(w, 7)) // whatever is fetched meanwhile
			if ids := offered(t, r); !slices.Equal(ids, c.open) {
				t.Fatalf("%v is open, want %v", ids, c.open)
			}
			r.Apply("a", marked(w, c.claimed, scheduling.Mark{Fence: 9}))
			r.Apply("a", refetched(w, 9)) // it began before the claim ended
			if ids := offered(t, r); !slices.Equal(ids, c.open) {
				t.Fatalf("fenced: %v is open, want %v", ids, c.open)
			}
			r.Apply("a", refetched(w, 10))
			if ids := offered(t, r); len(ids) != 5 {
				t.Fatalf("confirmed: %v is open", ids)
			}
			r.Apply("a", marked(w, c.claimed, scheduling.Mark{Claimed: true}))
			r.Apply("a", marked(w, c.claimed, scheduling.Mark{})) // nothing happened to it
			if ids := offered(t, r); len(ids) != 5 {
				t.Fatalf("given back: %v is open", ids)
			}
		})
	}
}

func TestLaw4ASpanIsRememberedAsLongAsItHidesASlot(t *testing.T) {
	t.Parallel()
	r, w := sideBySide(t)
	known := r.table.Load().byID["a"].marks
	r.Apply("a", marked(w, "half", scheduling.Mark{Claimed: true}))
	without := w
	without.Slots = slices.DeleteFunc(slices.Clone(w.Slots), func(s scheduling.Slot) bool { return s.ID == "half" })
	r.Apply("a", refetched(without, 3))
	r.Apply("a", marked(w, "half", scheduling.Mark{Fence: 5}))
	// The slot itself is shown no longer, and many fetches of other scopes go by.
	r.Apply("a", confirmed(scheduling.Days{From: w.Key.Day + 9, To: w.Key.Day + 10}, 5000))
	r.Apply("a", confirmed(scheduling.Days{From: w.Key.Day + 9, To: w.Key.Day + 10}, 9000))
	if ids := offered(t, r); !slices.Equal(ids, []string{"a3"}) {
		t.Fatalf("%v is open", ids)
	}
	r.Load("a", scheduling.Snapshot{}) // the store lost its data
	if ids := offered(t, r); !slices.Equal(ids, []string{"a3"}) {
		t.Fatalf("after a loss: %v is open", ids)
	}
	r.Apply("a", refetched(without, 1))
	if ids := offered(t, r); !slices.Equal(ids, []string{"a1", "a2", "a3", "long"}) {
		t.Fatalf("%v is open in the end", ids)
	}
	r.Apply("a", refetched(without, 20000))
	r.Apply("a", refetched(without, 40000))
	if len(known.bySlot)+len(known.spans)+len(known.asideOn)+len(known.aside) != 0 {
		t.Errorf("still remembered: %+v", known)
	}
}
