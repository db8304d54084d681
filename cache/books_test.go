package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// The cache is what the desk keeps its books in.
var (
	_ booking.Books  = (*cache.Books)(nil)
	_ booking.Leases = (*cache.Books)(nil)
	_ booking.Holds  = (*cache.Holds)(nil)
	_ booking.Keys   = (*cache.Keys)(nil)
	_ booking.Clock  = (*cache.Clock)(nil)
)

// newBooks are books that are not lost.
func newBooks(t testing.TB, s *cache.Store, v *vault.Vault) *cache.Books {
	t.Helper()
	b := s.Books(v, []scheduling.SourceID{source, "elsewhere"})
	must(t, b.Open(t.Context(), source))
	return b
}

// putBack waits until gateways have put back what they remember.
// settled waits until the books are whole again, or known to be lost.
func settled(t testing.TB, gateways ...*cache.Books) {
	t.Helper()
	for _, b := range gateways {
		eventually(t, "the gateways have put back what they remember", func() bool {
			for _, each := range gateways {
				_, err := each.Reassert(t.Context())
				must(t, err)
			}
			ready, err := b.Ready(t.Context(), source)
			must(t, err)
			lost, err := b.Lost(t.Context(), source)
			must(t, err)
			return ready || lost
		})
	}
}

func putBack(t testing.TB, gateways ...*cache.Books) {
	t.Helper()
	eventually(t, "the books are put back", func() bool {
		ready := true
		for _, b := range gateways {
			_, err := b.Reassert(t.Context())
			must(t, err)
			now, err := b.Ready(t.Context(), source)
			must(t, err)
			ready = ready && now
		}
		return ready
	})
}

// slotAt is a slot of an appointment that is some days ahead.
func slotAt(id string) scheduling.Slot {
	start := time.Now().UTC().Truncate(time.Hour).Add(72 * time.Hour)
	return scheduling.Slot{ID: id, Schedule: "s1", Status: scheduling.SlotFree, Start: start, End: start.Add(20 * time.Minute)}
}

// entryOf is a new entry of an offer of these slots.
func entryOf(state scheduling.EntryState, principal string, generation uint32, slots ...string) scheduling.Entry {
	e := scheduling.Entry{
		ID: scheduling.OfferID(source, generation, slots...), Source: source, State: state, Principal: principal,
		Offer: scheduling.OfferRecord{Schedule: "s1", Zone: "America/Los_Angeles"},
	}
	for _, id := range slots {
		e.Offer.Slots = append(e.Offer.Slots, slotAt(id))
	}
	return e
}

func taking(e scheduling.Entry) scheduling.EntryChange {
	return scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake, Wake: time.Minute}
}

func save(t testing.TB, b *cache.Books, change scheduling.EntryChange) scheduling.Entry {
	t.Helper()
	e, err := b.Save(t.Context(), change)
	must(t, err)
	return e
}

// idList are the ids of entries.
func idList(entries []scheduling.Entry) []string {
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestAnEntryIsReadAsItWasSaved(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		v := vault.Ephemeral()
		a, b := newBooks(t, open(t, server.URL()), v), newBooks(t, open(t, server.URL()), v)
		e := entryOf(scheduling.EntryHolding, "p1", 0, "slot1")
		e.Private = scheduling.Private{Patients: []scheduling.PatientRef{{Asked: "ours-1", Native: "pat/7"}}, Comment: "kommt mit Ada"}
		e.Intent = &scheduling.Intent{Kind: scheduling.CallHold, SentAt: noon, Attempt: 1}
		e.Decision = &scheduling.Decision{Booked: true, By: "op", Reason: "Ada rang", At: noon}
		got := save(t, a, taking(e))
		if got.Version != 1 {
			t.Fatalf("version %d", got.Version)
		}
		read, err := b.Read(t.Context(), e.ID)
		must(t, err)
		if diff := cmp.Diff(got, read); diff != "" {
			t.Fatal(diff)
		}
		got.State, got.Private = scheduling.EntryFree, scheduling.Private{}
		got.Decision, got.Intent = nil, nil
		want := save(t, b, scheduling.EntryChange{Entry: got, Claims: scheduling.ClaimsDrop})
		read, err = a.Read(t.Context(), e.ID)
		must(t, err)
		if diff := cmp.Diff(want, read); diff != "" || read.Version != 2 {
			t.Fatal(diff)
		}
	})
}

func TestIDsThatNobodyGaveAreUnknown(t *testing.T) {
	t.Parallel()
	b := newBooks(t, open(t, redistest.Start(t).URL()), vault.Ephemeral())
	for _, id := range []string{
		"", "-", "x", scheduling.OfferID(source, 0, "never"), scheduling.OfferID("stranger", 0, "slot1"),
		scheduling.SourceTag(source) + "-*", scheduling.SourceTag(source) + "-}:meta", strings.Repeat("a", 1<<20),
	} {
		if _, err := b.Read(t.Context(), id); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("%.40q: %v", id, err)
		}
	}
}

func TestAChangeOfAnOldVersionIsRefused(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := newBooks(t, open(t, server.URL()), vault.Ephemeral())
		first := save(t, b, taking(entryOf(scheduling.EntryHolding, "p1", 0, "slot1")))
		second := first
		second.State = scheduling.EntryHeld
		save(t, b, scheduling.EntryChange{Entry: second, Claims: scheduling.ClaimsKeep})
		for name, e := range map[string]scheduling.Entry{
			"the version before": first,
			"none":               entryOf(scheduling.EntryHolding, "p2", 0, "slot1"),
			"one to come":        {ID: first.ID, Source: source, Version: 9, Offer: first.Offer},
		} {
			_, err := b.Save(t.Context(), scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
			if !errors.Is(err, scheduling.ErrStaleEntry) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, err := b.Read(t.Context(), first.ID); err != nil || got.Version != 2 || got.State != scheduling.EntryHeld {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestAllSlotsOfAnOfferAreTakenOrNone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := newBooks(t, open(t, server.URL()), vault.Ephemeral())
		held := save(t, b, taking(entryOf(scheduling.EntryHeld, "p1", 0, "slot2")))
		pair := entryOf(scheduling.EntryHolding, "p2", 0, "slot1", "slot2")
		if _, err := b.Save(t.Context(), taking(pair)); scheduling.CodeOf(err) != scheduling.SlotTaken {
			t.Fatalf("want slot-taken, got %v", err)
		}
		if _, err := b.Read(t.Context(), pair.ID); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Fatalf("a refused entry is there: %v", err)
		}
		save(t, b, taking(entryOf(scheduling.EntryHolding, "p2", 0, "slot1")))
		held.State = scheduling.EntryHolding
		save(t, b, taking(held)) // its own slot stays its own
	})
}

func TestWhatIsDueComesInOrderUntilItIsSaved(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := newBooks(t, open(t, server.URL()), vault.Ephemeral())
		var ids []string
		for i := range 4 {
			e := save(t, b, scheduling.EntryChange{
				Entry: entryOf(scheduling.EntryHolding, "p", 0, fmt.Sprint("slot", i)), Claims: scheduling.ClaimsTake,
				Wake: time.Duration(1+10*i) * time.Millisecond,
			})
			ids = append(ids, e.ID)
		}
		later := save(t, b, taking(entryOf(scheduling.EntryHolding, "p", 0, "later")))
		never := save(t, b, scheduling.EntryChange{Entry: entryOf(scheduling.EntryBooked, "p", 0, "never")})
		var due []scheduling.Entry
		eventually(t, "four are due", func() bool {
			var err error
			due, err = b.Due(t.Context(), source, 100)
			must(t, err)
			return len(due) == 4
		})
		if got := idList(due); !slices.Equal(got, ids) || slices.Contains(got, later.ID) || slices.Contains(got, never.ID) {
			t.Fatalf("due: %v, want %v", got, ids)
		}
		again, err := b.Due(t.Context(), source, 2)
		must(t, err)
		if !slices.Equal(idList(again), ids[:2]) {
			t.Fatalf("the longest overdue first: %v", idList(again))
		}
		save(t, b, scheduling.EntryChange{Entry: due[0]})
		save(t, b, scheduling.EntryChange{Entry: due[1], Wake: time.Hour})
		again, err = b.Due(t.Context(), source, 100)
		must(t, err)
		if !slices.Equal(idList(again), ids[2:]) {
			t.Fatalf("saved ones are due again: %v", idList(again))
		}
		if none, err := b.Due(t.Context(), "elsewhere", 100); err != nil || len(none) != 0 {
			t.Fatalf("another source: %v, %v", none, err)
		}
	})
}

func TestAHoldThatHasRunOutIsNotBooked(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := newBooks(t, open(t, server.URL()), vault.Ephemeral())
		hold := func(slot string, wake time.Duration) scheduling.EntryChange {
			e := save(t, b, scheduling.EntryChange{
				Entry: entryOf(scheduling.EntryHeld, "p", 0, slot), Claims: scheduling.ClaimsTake, Wake: wake,
			})
			e.State = scheduling.EntryBooking
			return scheduling.EntryChange{Entry: e, Unexpired: true, Wake: time.Minute}
		}
		standing, over := hold("standing", time.Hour), hold("over", time.Millisecond)
		eventually(t, "one is due", func() bool {
			due, err := b.Due(t.Context(), source, 9)
			return err == nil && len(due) == 1
		})
		if _, err := b.Save(t.Context(), over); scheduling.CodeOf(err) != scheduling.HoldExpired {
			t.Errorf("want hold-expired, got %v", err)
		}
		save(t, b, standing)
		over.Unexpired = false
		save(t, b, over) // whoever does not ask is not refused
	})
}

func TestListsByPatientAndOfWhatIsUnsettled(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b := newBooks(t, open(t, server.URL()), vault.Ephemeral())
		patients := func(ids ...string) scheduling.Private {
			var p scheduling.Private
			for _, id := range ids {
				p.Patients = append(p.Patients, scheduling.PatientRef{Asked: "ours-" + id, Native: id})
			}
			return p
		}
		one := entryOf(scheduling.EntryBooked, "p1", 0, "slot1")
		one.Private = patients("ada", "bob")
		one = save(t, b, taking(one))
		two := entryOf(scheduling.EntryDoubt, "p1", 0, "slot2")
		two.Private, two.Doubt = patients("ada"), &scheduling.Doubt{Call: scheduling.CallBook}
		two = save(t, b, taking(two))
		other := entryOf(scheduling.EntryBooked, "p2", 0, "slot3")
		other.Private = patients("ada")
		save(t, b, taking(other))
		list := func(principal, patient string, want ...string) {
			t.Helper()
			got, err := b.ByPatient(t.Context(), source, principal, patient)
			must(t, err)
			slices.Sort(want)
			ids := idList(got)
			slices.Sort(ids)
			if !slices.Equal(ids, want) {
				t.Errorf("%s, %s: got %v, want %v", principal, patient, ids, want)
			}
		}
		list("p1", "ada", one.ID, two.ID)
		list("p1", "ours-ada", one.ID, two.ID)
		list("p1", "bob", one.ID)
		list("p2", "ada", other.ID)
		list("p2", "bob")
		list("p1", "ad")
		unsettled := func(want ...string) {
			t.Helper()
			got, err := b.Unsettled(t.Context(), source)
			must(t, err)
			slices.Sort(want)
			if !slices.Equal(idList(got), want) {
				t.Errorf("unsettled %v, want %v", idList(got), want)
			}
		}
		unsettled(two.ID)
		one.State, one.Doubt = scheduling.EntryCancelling, &scheduling.Doubt{Call: scheduling.CallCancel}
		one = save(t, b, scheduling.EntryChange{Entry: one})
		unsettled(one.ID, two.ID)
		two.State = scheduling.EntryNotBooked // and watched for a day
		two = save(t, b, scheduling.EntryChange{Entry: two})
		unsettled(one.ID)
		hold := entryOf(scheduling.EntryReleasing, "p1", 0, "slot4")
		hold.Doubt = &scheduling.Doubt{Call: scheduling.CallHold}
		save(t, b, taking(hold))
		unsettled(one.ID)
		two.State, two.Doubt = scheduling.EntryBooked, nil
		save(t, b, scheduling.EntryChange{Entry: two})
		unsettled(one.ID)
		one.State, one.Doubt, one.Private = scheduling.EntryFree, nil, patients("bob")
		save(t, b, scheduling.EntryChange{Entry: one, Claims: scheduling.ClaimsDrop})
		unsettled()
		list("p1", "ada", two.ID)
		list("p1", "bob")
	})
}

func TestNonsenseIsNotSaved(t *testing.T) {
	t.Parallel()
	b := newBooks(t, open(t, redistest.Start(t).URL()), vault.Ephemeral())
	for name, bend := range map[string]func(*scheduling.Entry){
		"no slots":       func(e *scheduling.Entry) { e.Offer.Slots = nil },
		"too many slots": func(e *scheduling.Entry) { e.Offer.Slots = make([]scheduling.Slot, 2000) },
		"no id":          func(e *scheduling.Entry) { e.ID = "" },
		"a hostile id":   func(e *scheduling.Entry) { e.ID = "a}:claims" },
	} {
		e := entryOf(scheduling.EntryHeld, "p", 0, "slot1")
		bend(&e)
		if _, err := b.Save(t.Context(), taking(e)); scheduling.CodeOf(err) != scheduling.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutRedisEverythingIsShed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	// A pool that fails as often as it is large goes on dialling by itself.
	s, v := open(t, server.URL(), func(o *cache.Options) { o.PoolSize = 100 }), vault.Ephemeral()
	b, h, k := newBooks(t, s, v), s.Holds(), s.Keys(v)
	must(t, server.Kill())
	e := entryOf(scheduling.EntryHeld, "p", 0, "slot1")
	e.Private.Comment = "Ada"
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Read":      func() error { _, err := b.Read(ctx, e.ID); return err },
		"Save":      func() error { _, err := b.Save(ctx, taking(e)); return err },
		"Due":       func() error { _, err := b.Due(ctx, source, 1); return err },
		"ByPatient": func() error { _, err := b.ByPatient(ctx, source, "p", "x"); return err },
		"Unsettled": func() error { _, err := b.Unsettled(ctx, source); return err },
		"Lost":      func() error { _, err := b.Lost(ctx, source); return err },
		"Rebuilt":   func() error { return b.Rebuilt(ctx, source) },
		"Settling":  func() error { _, _, err := b.Settling(ctx, source, time.Second); return err },
		"Take":      func() error { return h.Take(ctx, "p", "o", 3, time.Second) },
		"Drop":      func() error { return h.Drop(ctx, "p", "o") },
		"Begin":     func() error { _, err := k.Begin(ctx, "p", "k", "d", "o", time.Second); return err },
		"Finish":    func() error { return k.Finish(ctx, "p", "k", "d", nil) },
		"Abandon":   func() error { return k.Abandon(ctx, "p", "k", "d") },
		"Sync":      func() error { return s.Clock().Sync(ctx) },
		"the vault": func() error { return s.CheckVault(ctx, v) },
	} {
		var ours *scheduling.Error
		if err := call(); !errors.As(err, &ours) || ours.Code != scheduling.Shedding || ours.RetryAfter <= 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := s.Clock().Now(); time.Since(now).Abs() > time.Minute {
		t.Errorf("the clock says %v", now)
	}
	ctx2, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := b.Save(ctx2, taking(e)); scheduling.CodeOf(err) != scheduling.Shedding {
		t.Errorf("a caller that went away: %v", err)
	}
}
