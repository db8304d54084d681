package bookingtest

import (
	"errors"

	"slotgate/scheduling"
)

// lostBooks: what may have been lost is shed, and told whose it is, until the
// books were rebuilt.
func lostBooks(t T, f Fixture) {
	ctx := t.Context()
	save(t, f, take(Sample(f.Source, "p1", "s1")))
	restored, never := Sample(f.Source, "p2", "s2"), Sample(f.Source, "p2", "s3")
	f.Lose()
	shed := func(what string, err error) {
		t.Helper()
		var e *scheduling.Error
		if !errors.As(err, &e) || e.Code != scheduling.Shedding || e.Source != f.Source || e.RetryAfter <= 0 {
			t.Fatalf("%s: %v, want shedding by the source with a time to try again", what, err)
		}
	}
	_, err := f.Books.Read(ctx, never.ID)
	shed("a read of what may have been lost", err)
	_, err = f.Books.ByPatient(ctx, f.Source, "p2", "pat-p2")
	shed("a list", err)
	_, err = f.Books.Save(ctx, take(never))
	shed("a change", err)
	f.Recover()
	if lost, err := f.Books.Lost(ctx, f.Source); err != nil || !lost {
		t.Fatalf("lost: %v, %v", lost, err)
	}
	change := take(restored)
	change.Restore = true
	save(t, f, change)
	_, err = f.Books.ByPatient(ctx, f.Source, "p2", "pat-p2")
	shed("a list that may lack others", err)
	must(t, f.Books.Rebuilt(ctx, f.Source))
	f.Recover()
	if got, err := f.Books.Read(ctx, restored.ID); err != nil || got.Principal != "p2" {
		t.Fatalf("the restored one: %v, %v", got.Principal, err)
	}
	_, err = f.Books.Read(ctx, never.ID)
	wantCode(t, err, scheduling.UnknownID)
	list, err := f.Books.ByPatient(ctx, f.Source, "p2", "pat-p2")
	if err != nil || len(list) != 1 {
		t.Fatalf("%d listed, %v", len(list), err)
	}
	save(t, f, take(never))
}
