package bookingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// T is as much of *testing.T as a case needs.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Context() context.Context
}

// Fixture is an empty store to be tried.
type Fixture struct {
	Books  booking.Books
	Holds  booking.Holds
	Keys   booking.Keys
	Leases booking.Leases
	// Source is one that the store serves.
	Source scheduling.SourceID
	// Advance lets so much time pass by the store's clock.
	Advance func(time.Duration)
	// Lose takes everything of the source from the store. Recover puts back what
	// this process remembers, and returns once changes are taken again.
	Lose, Recover func()
}

// Case is one obligation of a store.
type Case struct {
	Name string
	Run  func(t T, f Fixture)
}

// Contract is everything that a store owes the desk.
func Contract() []Case {
	return []Case{
		{"an unknown id is told as such", unknownID},
		{"what was saved is read again, whole", roundTrip},
		{"a version is written once", compareAndSet},
		{"of many savers of a version one wins", manySavers},
		{"slots are taken together or not at all", slotsTogether},
		{"of many takers of a slot one wins", manyTakers},
		{"what overlaps with a claim cannot be taken", overlapping},
		{"of many takers of overlapping offers one wins for each time", manyOverlapping},
		{"dropped and fenced slots can be taken again", slotsAgain},
		{"nobody gives back another's slots", othersSlots},
		{"the due come in order, until they are saved", dueInOrder},
		{"a hold that has run out cannot be booked", unexpired},
		{"entries are listed by patient and principal", byPatient},
		{"what is in doubt is listed", unsettled},
		{"lost books tell nothing but what was restored", lostBooks},
		{"who has a slot is found by our id of it", bySlot},
		{"holds are counted for each principal", holdsCounted},
		{"a hold that ran out is not counted", holdsExpire},
		{"a key runs once and keeps its answer", keys},
		{"an abandoned key can be used again", keysAbandoned},
		{"a key whose runner died is fresh again", keysLease},
		{"a key whose runner lives is kept", keysRenewed},
		{"one at a time settles a source", leases},
	}
}

// Sample is an entry of an offer of these slots, which last half an hour each.
func Sample(source scheduling.SourceID, principal string, slots ...string) scheduling.Entry {
	start := time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)
	e := scheduling.Entry{
		ID: scheduling.OfferID(source, 0, slots...), Source: source, State: scheduling.EntryHeld, Principal: principal,
		Private: scheduling.Private{Patients: []scheduling.PatientRef{{Asked: "pat-" + principal, Native: "n-" + principal}}, Comment: "hélas"},
		Hold:    &scheduling.Hold{By: scheduling.HeldByEHR, Native: "h1", ETag: `W/"1"`, Until: start, Since: start, Max: start},
		Intent:  &scheduling.Intent{Kind: scheduling.CallHold, SentAt: start, Attempt: 1},
		Created: start, Updated: start, Identifier: "i.j.k.l",
	}
	for i, id := range slots {
		at := start.Add(time.Duration(i) * 30 * time.Minute)
		e.Offer.Slots = append(e.Offer.Slots, scheduling.Slot{ID: id, Schedule: "sched", Status: scheduling.SlotFree, Start: at, End: at.Add(30 * time.Minute)})
	}
	e.Offer.Schedule, e.Offer.Zone = "sched", "America/New_York"
	e.Offer.Actors = []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "dr", Display: "Dr. Ö"}}
	return e
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantCode(t T, err error, code scheduling.Code) {
	t.Helper()
	if got := scheduling.CodeOf(err); got != code {
		t.Fatalf("got error %v, want %s", err, code)
	}
}

func wantStale(t T, err error) {
	t.Helper()
	if !errors.Is(err, scheduling.ErrStaleEntry) {
		t.Fatalf("got error %v, want ErrStaleEntry", err)
	}
}

func take(e scheduling.Entry) scheduling.EntryChange {
	return scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsTake}
}

func keep(e scheduling.Entry) scheduling.EntryChange {
	return scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsKeep}
}

func save(t T, f Fixture, c scheduling.EntryChange) scheduling.Entry {
	t.Helper()
	e, err := f.Books.Save(t.Context(), c)
	must(t, err)
	return e
}

func unknownID(t T, f Fixture) {
	_, err := f.Books.Read(t.Context(), scheduling.OfferID(f.Source, 0, "nothing"))
	wantCode(t, err, scheduling.UnknownID)
	_, err = f.Books.Read(t.Context(), "no-such-source")
	wantCode(t, err, scheduling.UnknownID)
}

func roundTrip(t T, f Fixture) {
	in := Sample(f.Source, "p1", "s1", "s2")
	saved := save(t, f, take(in))
	if saved.Version != 1 {
		t.Fatalf("first version is %d, want 1", saved.Version)
	}
	got, err := f.Books.Read(t.Context(), in.ID)
	must(t, err)
	in.Version = 1
	if show(got) != show(in) {
		t.Fatalf("read\n%s\nwant\n%s", show(got), show(in))
	}
}

// show is everything in an entry, with what its pointers lead to.
func show(e scheduling.Entry) string {
	hold, intent := e.Hold, e.Intent
	e.Hold, e.Intent = nil, nil
	return fmt.Sprintf("%+v %+v %+v", e, *hold, *intent)
}

func compareAndSet(t T, f Fixture) {
	first := save(t, f, take(Sample(f.Source, "p1", "s1")))
	again := Sample(f.Source, "p2", "s1")
	_, err := f.Books.Save(t.Context(), take(again))
	wantStale(t, err)
	first.State = scheduling.EntryBooking
	second := save(t, f, keep(first))
	if second.Version != 2 {
		t.Fatalf("version %d, want 2", second.Version)
	}
	_, err = f.Books.Save(t.Context(), keep(first))
	wantStale(t, err)
	never := Sample(f.Source, "p1", "s9")
	never.Version = 7
	_, err = f.Books.Save(t.Context(), keep(never))
	wantStale(t, err)
}

func manySavers(t T, f Fixture) {
	e := save(t, f, take(Sample(f.Source, "p1", "s1")))
	if won, _ := race(t, f, 8, func(int) scheduling.EntryChange { return keep(e) }); won != 1 {
		t.Fatalf("%d of 8 won, want 1", won)
	}
}

// race saves at once and counts who won.
func race(t T, f Fixture, n int, change func(int) scheduling.EntryChange) (won int, errs []error) {
	errs = make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = f.Books.Save(t.Context(), change(i)) })
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	return won, errs
}

func slotsTogether(t T, f Fixture) {
	save(t, f, take(Sample(f.Source, "p1", "s2")))
	_, err := f.Books.Save(t.Context(), take(Sample(f.Source, "p2", "s1", "s2")))
	wantCode(t, err, scheduling.SlotTaken)
	_, err = f.Books.Read(t.Context(), scheduling.OfferID(f.Source, 0, "s1", "s2"))
	wantCode(t, err, scheduling.UnknownID)
	save(t, f, take(Sample(f.Source, "p3", "s1"))) // it was left alone
}

func manyTakers(t T, f Fixture) {
	won, errs := race(t, f, 8, func(i int) scheduling.EntryChange {
		return take(Sample(f.Source, fmt.Sprint("p", i), "shared", fmt.Sprint("own", i)))
	})
	if won != 1 {
		t.Fatalf("%d of 8 won, want 1", won)
	}
	for _, err := range errs {
		if err != nil {
			wantCode(t, err, scheduling.SlotTaken)
		}
	}
}

func slotsAgain(t T, f Fixture) {
	for i, claims := range []scheduling.SlotClaims{scheduling.ClaimsDrop, scheduling.ClaimsFence} {
		slot := fmt.Sprint("s", i)
		e := save(t, f, take(Sample(f.Source, "p1", slot)))
		e.State = scheduling.EntryFree
		e = save(t, f, scheduling.EntryChange{Entry: e, Claims: claims})
		save(t, f, take(Sample(f.Source, "p2", slot, "more"+slot)))
		e.State = scheduling.EntryHeld
		_, err := f.Books.Save(t.Context(), take(e))
		wantCode(t, err, scheduling.SlotTaken)
	}
}

func othersSlots(t T, f Fixture) {
	e := save(t, f, take(Sample(f.Source, "p1", "s1")))
	e.State = scheduling.EntryFree
	e = save(t, f, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsDrop})
	save(t, f, take(Sample(f.Source, "p2", "s1", "s2")))
	save(t, f, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
	_, err := f.Books.Save(t.Context(), take(Sample(f.Source, "p3", "s1", "s3")))
	wantCode(t, err, scheduling.SlotTaken)
}

func dueInOrder(t T, f Fixture) {
	for i, wake := range []time.Duration{30 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, time.Hour, 0} {
		c := take(Sample(f.Source, "p1", fmt.Sprint("s", i)))
		c.Wake = wake
		save(t, f, c)
		f.Advance(0)
	}
	f.Advance(100 * time.Millisecond)
	due, err := f.Books.Due(t.Context(), f.Source, 10)
	must(t, err)
	if len(due) != 3 {
		t.Fatalf("%d are due, want 3", len(due))
	}
	two, err := f.Books.Due(t.Context(), f.Source, 2)
	must(t, err)
	if len(two) != 2 || two[0].ID != due[0].ID || two[1].ID != due[1].ID {
		t.Fatalf("the limit does not keep the order")
	}
	save(t, f, keep(due[0]))
	rest, err := f.Books.Due(t.Context(), f.Source, 10)
	must(t, err)
	if len(rest) != 2 || rest[0].ID != due[1].ID {
		t.Fatalf("a saved one stayed due, or the order changed")
	}
}

func unexpired(t T, f Fixture) {
	c := take(Sample(f.Source, "p1", "s1"))
	c.Wake = 50 * time.Millisecond
	e := save(t, f, c)
	f.Advance(200 * time.Millisecond)
	e.State = scheduling.EntryBooking
	late := keep(e)
	late.Unexpired = true
	_, err := f.Books.Save(t.Context(), late)
	wantCode(t, err, scheduling.HoldExpired)
	c = take(Sample(f.Source, "p1", "s2"))
	c.Wake = time.Hour
	e = save(t, f, c)
	e.State = scheduling.EntryBooking
	early := keep(e)
	early.Unexpired = true
	save(t, f, early)
}

func byPatient(t T, f Fixture) {
	mine := save(t, f, take(Sample(f.Source, "p1", "s1")))
	free := Sample(f.Source, "p1", "s2")
	free.State = scheduling.EntryFree
	save(t, f, keep(free))
	save(t, f, take(Sample(f.Source, "p2", "s3")))
	for _, patient := range []string{"pat-p1", "n-p1"} {
		list, err := f.Books.ByPatient(t.Context(), f.Source, "p1", patient)
		must(t, err)
		if len(list) != 1 || list[0].ID != mine.ID || list[0].Private.Comment != "hélas" {
			t.Fatalf("by %s: got %d entries, want one's own one", patient, len(list))
		}
	}
	for _, ask := range [][2]string{{"p2", "pat-p1"}, {"p1", "pat-p2"}, {"p1", ""}, {"", "pat-p1"}} {
		list, err := f.Books.ByPatient(t.Context(), f.Source, ask[0], ask[1])
		must(t, err)
		if len(list) != 0 {
			t.Fatalf("%q saw %d entries of %q", ask[0], len(list), ask[1])
		}
	}
}

func unsettled(t T, f Fixture) {
	e := Sample(f.Source, "p1", "s1")
	e.State, e.Doubt = scheduling.EntryDoubt, &scheduling.Doubt{Since: e.Created, Call: scheduling.CallBook}
	e = save(t, f, take(e))
	save(t, f, take(Sample(f.Source, "p1", "s2")))
	list, err := f.Books.Unsettled(t.Context(), f.Source)
	must(t, err)
	if len(list) != 1 || list[0].ID != e.ID || list[0].Doubt == nil {
		t.Fatalf("got %d unsettled, want the one in doubt", len(list))
	}
	e.State, e.Doubt = scheduling.EntryBooked, nil
	save(t, f, keep(e))
	if list, err = f.Books.Unsettled(t.Context(), f.Source); err != nil || len(list) != 0 {
		t.Fatalf("a settled one stayed listed: %v %v", list, err)
	}
}
