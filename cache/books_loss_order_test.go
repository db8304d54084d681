package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/scheduling"
)

// TestLaw12AGatewayThatEndsWhileBooksArePutBackPutsItsOwnBackFirst: restarts
// one after the other, in the middle of a failover.
func TestLaw12AGatewayThatEndsWhileBooksArePutBackPutsItsOwnBackFirst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, ends := gateways(t, server.URL(), 300*time.Millisecond)
	c := client(t, server.URL())
	beats(t, a, ends)
	before := take(t, c)
	beats(t, a)
	booked := bookAt(t, ends, "slot1")
	before.put(t, c)
	wantNothingTold(t, a, booked) // the loss is found out by the other
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, ignore(ends.Run(ctx), context.Canceled))
	settled(t, a)
	if lost, err := a.Lost(t.Context(), source); err != nil || lost {
		t.Errorf("lost: %v, %v: who left had put all back", lost, err)
	}
	wantTold(t, a, booked)
}

// TestLaw12AGatewayThatCannotPutBackWhatItRemembersDoesNotLeave: then it is
// waited for, and the books are lost: the EHR is asked.
func TestLaw12AGatewayThatCannotPutBackWhatItRemembersDoesNotLeave(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, ends := gateways(t, server.URL(), 100*time.Millisecond)
	c := client(t, server.URL())
	beats(t, a, ends)
	before := take(t, c)
	beats(t, a)
	booked := bookAt(t, ends, "slot1")
	before.put(t, c)
	wantNothingTold(t, a, booked)
	// What it would put back meets another type: it cannot.
	must(t, c.Set(t.Context(), "slotgate:{s:napa}:entry:"+booked.ID, "x", 0).Err())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, ignore(ends.Run(ctx), context.Canceled))
	settled(t, a)
	if lost, err := a.Lost(t.Context(), source); err != nil || !lost {
		t.Errorf("lost: %v, %v: nobody has what the other one knew", lost, err)
	}
}

func TestWhatGatewaysRememberGoesBeforeWhatTheEHRShows(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := gateways(t, server.URL(), 200*time.Millisecond)
	beats(t, a, b)
	booked := bookAt(t, a, "slot1")
	held := save(t, a, scheduling.EntryChange{
		Entry: entryOf(scheduling.EntryHeld, "p1", 3, "slot3"), Claims: scheduling.ClaimsTake, Wake: time.Hour,
	})
	must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
	for what, e := range map[string]scheduling.Entry{
		"the booking": restoredFrom(booked, scheduling.EntryBooked), "the hold": restoredFrom(held, scheduling.EntryReleasing),
	} {
		if lost, err := b.Lost(t.Context(), source); err != nil || lost {
			t.Errorf("lost: %v, %v, before anybody has put anything back", lost, err)
		}
		_, err := b.Save(t.Context(), scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake, Wake: time.Second, Restore: true})
		wantShed(t, what+", from the EHR", err)
	}
	settled(t, a, b)
	_, err := b.Save(t.Context(), scheduling.EntryChange{
		Entry: restoredFrom(held, scheduling.EntryReleasing), Claims: scheduling.ClaimsTake, Wake: time.Second, Restore: true,
	})
	if !errors.Is(err, scheduling.ErrStaleEntry) {
		t.Errorf("the hold, from the EHR: %v, want that it is there", err)
	}
	must(t, b.Rebuilt(t.Context(), source))
	putBack(t, a, b)
	wantTold(t, b, booked)
	if got, err := b.Read(t.Context(), held.ID); err != nil || got.State != scheduling.EntryHeld {
		t.Errorf("the hold is %s, %v", got.State, err)
	}
}

// restoredFrom is what an EHR shows of an entry.
func restoredFrom(e scheduling.Entry, state scheduling.EntryState) scheduling.Entry {
	e.Version, e.State, e.Reason = 0, state, scheduling.Restored
	e.Private = scheduling.Private{Patients: []scheduling.PatientRef{{Asked: "7", Native: "7"}}}
	return e
}

// TestLaw12AGatewayThatComesBackLateGivesWhatTheEHRDoesNotShow: its books were
// rebuilt without it.
func TestLaw12AGatewayThatComesBackLateGivesWhatTheEHRDoesNotShow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	late, b := gateways(t, server.URL(), 30*time.Millisecond)
	booked := bookAt(t, late, "slot1")
	held := save(t, late, scheduling.EntryChange{
		Entry: entryOf(scheduling.EntryHeld, "p1", 3, "slot3"), Claims: scheduling.ClaimsTake, Wake: time.Hour,
	})
	must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
	must(t, b.Open(t.Context(), source))
	save(t, b, scheduling.EntryChange{Entry: restoredFrom(booked, scheduling.EntryBooked), Claims: scheduling.ClaimsTake, Wake: time.Hour})
	given := save(t, b, scheduling.EntryChange{Entry: restoredFrom(held, scheduling.EntryReleasing), Claims: scheduling.ClaimsTake, Wake: time.Hour})
	given.State = scheduling.EntryFree
	save(t, b, scheduling.EntryChange{Entry: given, Claims: scheduling.ClaimsFence})
	eventually(t, "the books are put back", func() bool {
		must(t, b.Rebuilt(t.Context(), source))
		beats(t, late, b)
		ready, err := b.Ready(t.Context(), source)
		return err == nil && ready
	})
	list, err := b.ByPatient(t.Context(), source, "p1", "ada")
	if err != nil || len(list) != 1 || list[0].ID != booked.ID || list[0].Reason != "" {
		t.Errorf("Ada's list: %v, %v", idList(list), err)
	}
	if got, err := b.Read(t.Context(), held.ID); err != nil || got.State != scheduling.EntryFree {
		t.Errorf("the hold that was given back is %s, %v", got.State, err)
	}
}

func TestLaw4WhoNamesASlotIsNotToldThatNobodyHasItWhileBooksAreLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := gateways(t, server.URL(), 100*time.Millisecond)
	beats(t, a, b)
	booked := bookAt(t, a, "slot1")
	ours := scheduling.ResourceID(source, scheduling.KindSlot, "slot1")
	if got, err := b.BySlot(t.Context(), ours); err != nil || got != booked.ID {
		t.Fatalf("%s, %v", got, err)
	}
	must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
	_, err := b.BySlot(t.Context(), ours)
	wantShed(t, "while they are put back", err)
	settled(t, a, b)
	_, err = b.BySlot(t.Context(), scheduling.ResourceID(source, scheduling.KindSlot, "slot2"))
	wantShed(t, "while they are lost", err)
	must(t, b.Rebuilt(t.Context(), source))
	putBack(t, a, b)
	if got, err := b.BySlot(t.Context(), ours); err != nil || got != booked.ID {
		t.Errorf("%s, %v", got, err)
	}
}
