package bookingtest

import (
	"slices"
	"time"

	"slotgate/scheduling"
)

func holdsCounted(t T, f Fixture) {
	ctx := t.Context()
	for _, offer := range []string{"o1", "o2", "o2"} {
		must(t, f.Holds.Take(ctx, "p1", offer, 2, time.Hour))
	}
	wantCode(t, f.Holds.Take(ctx, "p1", "o3", 2, time.Hour), scheduling.HoldLimit)
	if held, err := f.Holds.Held(ctx, "p1"); err != nil || !slices.Equal(slices.Sorted(slices.Values(held)), []string{"o1", "o2"}) {
		t.Fatalf("held: %v, %v", held, err)
	}
	if held, err := f.Holds.Held(ctx, "nobody"); err != nil || len(held) != 0 {
		t.Fatalf("held by nobody: %v, %v", held, err)
	}
	must(t, f.Holds.Take(ctx, "p2", "o3", 2, time.Hour))
	must(t, f.Holds.Drop(ctx, "p1", "o1"))
	must(t, f.Holds.Drop(ctx, "p1", "never"))
	must(t, f.Holds.Take(ctx, "p1", "o3", 2, time.Hour))
}

func holdsExpire(t T, f Fixture) {
	must(t, f.Holds.Take(t.Context(), "p1", "o1", 1, 50*time.Millisecond))
	f.Advance(200 * time.Millisecond)
	must(t, f.Holds.Take(t.Context(), "p1", "o2", 1, time.Hour))
}

func begin(t T, f Fixture, principal, digest string, want scheduling.KeyState) scheduling.KeyRecord {
	t.Helper()
	rec, err := f.Keys.Begin(t.Context(), principal, "k", digest, "offer", time.Hour)
	must(t, err)
	if rec.State != want {
		t.Fatalf("the key is %s, want %s", rec.State, want)
	}
	return rec
}

func keys(t T, f Fixture) {
	begin(t, f, "p1", "d1", scheduling.KeyFresh)
	if rec := begin(t, f, "p1", "d1", scheduling.KeyRunning); rec.Offer != "offer" {
		t.Fatalf("a running key is about %q", rec.Offer)
	}
	begin(t, f, "p1", "d2", scheduling.KeyOther)
	begin(t, f, "p2", "d2", scheduling.KeyFresh)
	must(t, f.Keys.Finish(t.Context(), "p1", "k", "d1", []byte("answer\x00é")))
	if rec := begin(t, f, "p1", "d1", scheduling.KeyDone); !slices.Equal(rec.Answer, []byte("answer\x00é")) {
		t.Fatalf("the answer came back as %q", rec.Answer)
	}
	begin(t, f, "p1", "d2", scheduling.KeyOther)
	must(t, f.Keys.Abandon(t.Context(), "p1", "k", "d1"))
	begin(t, f, "p1", "d1", scheduling.KeyDone) // what is done stays
}

func keysAbandoned(t T, f Fixture) {
	begin(t, f, "p1", "d1", scheduling.KeyFresh)
	must(t, f.Keys.Abandon(t.Context(), "p1", "k", "other"))
	begin(t, f, "p1", "d1", scheduling.KeyRunning)
	must(t, f.Keys.Abandon(t.Context(), "p1", "k", "d1"))
	begin(t, f, "p1", "d2", scheduling.KeyFresh)
}

func keysLease(t T, f Fixture) {
	rec, err := f.Keys.Begin(t.Context(), "p1", "k", "d1", "offer", 50*time.Millisecond)
	must(t, err)
	if rec.State != scheduling.KeyFresh {
		t.Fatalf("the key is %s, want fresh", rec.State)
	}
	f.Advance(200 * time.Millisecond)
	begin(t, f, "p1", "d2", scheduling.KeyOther)
	begin(t, f, "p1", "d1", scheduling.KeyFresh)
	begin(t, f, "p1", "d1", scheduling.KeyRunning)
}

func keysRenewed(t T, f Fixture) {
	ctx, short := t.Context(), 50*time.Millisecond
	_, err := f.Keys.Begin(ctx, "p1", "k", "d1", "offer", short)
	must(t, err)
	must(t, f.Keys.Renew(ctx, "p1", "k", "other", time.Millisecond))
	must(t, f.Keys.Renew(ctx, "p1", "k", "d1", time.Hour))
	f.Advance(200 * time.Millisecond)
	begin(t, f, "p1", "d1", scheduling.KeyRunning)
	must(t, f.Keys.Abandon(ctx, "p1", "k", "d1"))
	must(t, f.Keys.Renew(ctx, "p1", "k", "d1", time.Hour)) // brings nothing back
	begin(t, f, "p1", "d2", scheduling.KeyFresh)
	must(t, f.Keys.Finish(ctx, "p1", "k", "d2", []byte("answer")))
	must(t, f.Keys.Renew(ctx, "p1", "k", "d2", time.Hour))
	begin(t, f, "p1", "d2", scheduling.KeyDone)
}

func leases(t T, f Fixture) {
	ctx := t.Context()
	first, ok, err := f.Leases.Settling(ctx, f.Source, time.Hour)
	must(t, err)
	if !ok {
		t.Fatalf("nobody had the lease")
	}
	if _, ok, err = f.Leases.Settling(ctx, f.Source, time.Hour); err != nil || ok {
		t.Fatalf("two have the lease (%v)", err)
	}
	must(t, first.Renew(ctx))
	must(t, first.Release(ctx))
	second, ok, err := f.Leases.Settling(ctx, f.Source, 50*time.Millisecond)
	must(t, err)
	if !ok {
		t.Fatalf("a released lease was not given")
	}
	f.Advance(200 * time.Millisecond)
	if err := second.Renew(ctx); err == nil {
		t.Fatalf("a lease that ran out was renewed")
	}
}

func bySlot(t T, f Fixture) {
	e := Sample(f.Source, "p1", "s1", "s2")
	e.State = scheduling.EntryBooking
	e = save(t, f, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake, Wake: time.Hour})
	ours := func(slot string) string { return scheduling.ResourceID(f.Source, scheduling.KindSlot, slot) }
	for _, slot := range []string{"s1", "s2"} {
		if id, err := f.Books.BySlot(t.Context(), ours(slot)); err != nil || id != e.ID {
			t.Fatalf("%s is of %q, %v", slot, id, err)
		}
	}
	for _, slot := range []string{ours("s3"), "s1", "", "nobody-knows", "\x00"} {
		_, err := f.Books.BySlot(t.Context(), slot)
		wantCode(t, err, scheduling.UnknownID)
	}
	e.State = scheduling.EntryFree
	save(t, f, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
	_, err := f.Books.BySlot(t.Context(), ours("s1"))
	wantCode(t, err, scheduling.UnknownID)
}
