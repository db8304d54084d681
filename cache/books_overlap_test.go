package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// tomorrow is an entry of one slot of a doctor's schedule, so many minutes from
// an hour of tomorrow on.
func tomorrow(slot string, from, to int) scheduling.Entry {
	e := bookingtest.Between(source, "dr", slot, from, to)
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	e.Offer.Slots[0].Start = day.Add(time.Duration(from) * time.Minute)
	e.Offer.Slots[0].End = day.Add(time.Duration(to) * time.Minute)
	return e
}

func spanOf(e scheduling.Entry) scheduling.Span { return e.Offer.Span(e.Offer.Slots[0]) }

func TestLaw4FollowersHearWhichTimeAClaimOrItsFenceKeepsFree(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		s := open(t, server.URL())
		b := newBooks(t, s, vault.Ephemeral())
		early := &markSink{}
		followSink(t, s, early)
		e := save(t, b, taking(tomorrow("half", 600, 630)))
		want := scheduling.Mark{Slot: "half", Claimed: true, Span: spanOf(e)}
		late := &markSink{}
		followSink(t, s, late)
		for _, sink := range []*markSink{early, late} {
			eventually(t, "the claim's span is known", func() bool { m, _ := sink.of("half"); return m == want })
		}
		n, err := s.Begin(t.Context(), source)
		must(t, err)
		e.State = scheduling.EntryFree
		save(t, b, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
		want = scheduling.Mark{Slot: "half", Fence: n, Span: spanOf(e)}
		later := &markSink{}
		followSink(t, s, later)
		for _, sink := range []*markSink{early, late, later} {
			eventually(t, "the fence's span is known", func() bool { m, _ := sink.of("half"); return m == want })
		}
	})
}

// TestLaw12WhatIsPutBackKeepsItsTimeFree: also against a rival that came while it
// was lost.
func TestLaw12WhatIsPutBackKeepsItsTimeFree(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := gateways(t, server.URL(), 100*time.Millisecond)
	beats(t, a, b)
	e := save(t, a, taking(tomorrow("half", 600, 630)))
	must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
	settled(t, a, b)
	must(t, b.Rebuilt(t.Context(), source))
	putBack(t, a, b)
	_, err := b.Save(t.Context(), taking(tomorrow("quarter", 615, 630)))
	if scheduling.CodeOf(err) != scheduling.SlotTaken {
		t.Fatalf("what overlaps can be had after a loss: %v", err)
	}
	save(t, b, taking(tomorrow("next", 630, 645)))
	e.State = scheduling.EntryFree
	save(t, b, scheduling.EntryChange{Entry: e, Claims: scheduling.ClaimsFence})
	save(t, b, taking(tomorrow("quarter", 615, 630)))
}

// TestClaimsOfAnEarlierVersionAreFoundAndKeepTheirTimeFree: they were made
// without index and spans.
func TestClaimsOfAnEarlierVersionAreFoundAndKeepTheirTimeFree(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		b, c := newBooks(t, open(t, server.URL()), vault.Ephemeral()), client(t, server.URL())
		old := tomorrow("half", 600, 630)
		old.Offer.Alone = false // it did not know
		old.Offer.Actors = []scheduling.Actor{{Kind: scheduling.KindPractitioner, ID: "dr"}}
		save(t, b, taking(old))
		room := tomorrow("room", 600, 630)
		room.Offer.Alone, room.Offer.Actors = false, []scheduling.Actor{{Kind: scheduling.KindLocation, ID: "r1"}}
		room.Offer.Schedule, room.Offer.Slots[0].Schedule = "room", "room"
		save(t, b, taking(room))
		must(t, c.Del(t.Context(), "slotgate:{s:napa}:byslot", "slotgate:{s:napa}:spans", "slotgate:{s:napa}:taken:dr").Err())
		ours := scheduling.ResourceID(source, scheduling.KindSlot, "half")
		if id, err := b.BySlot(t.Context(), ours); err != nil || id != old.ID {
			t.Fatalf("before it is indexed: %s, %v", id, err)
		}
		if _, err := b.Due(t.Context(), source, 1); err != nil { // who settles indexes
			t.Fatal(err)
		}
		if n := c.HLen(t.Context(), "slotgate:{s:napa}:byslot").Val(); n != 3 {
			t.Fatalf("%d in the index, want 2 and the note that it is whole", n)
		}
		if id, err := b.BySlot(t.Context(), ours); err != nil || id != old.ID {
			t.Fatalf("indexed: %s, %v", id, err)
		}
		_, err := b.BySlot(t.Context(), scheduling.ResourceID(source, scheduling.KindSlot, "nobody's"))
		if scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("nobody's slot: %v", err)
		}
		if _, err := b.Save(t.Context(), taking(tomorrow("quarter", 600, 615))); scheduling.CodeOf(err) != scheduling.SlotTaken {
			t.Errorf("a doctor's time: %v", err)
		}
		parallel := tomorrow("parallel", 600, 615)
		parallel.Offer.Schedule, parallel.Offer.Slots[0].Schedule = "room", "room"
		save(t, b, taking(parallel))
	})
}

func TestWhatIsLongOverIsForgottenWithItsSpan(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b, c := newBooks(t, open(t, server.URL()), vault.Ephemeral()), client(t, server.URL())
	save(t, b, taking(tomorrow("half", 600, 630)))
	if ttl := c.TTL(t.Context(), "slotgate:{s:napa}:taken:dr").Val(); ttl < 8*24*time.Hour || ttl > 13*24*time.Hour {
		t.Errorf("what is taken is kept for %v", ttl)
	}
	must(t, c.ZAdd(t.Context(), "slotgate:{s:napa}:ends", redis.Z{Score: 1, Member: "half"}).Err())
	must(t, b.Tidy(t.Context(), source))
	for _, key := range []string{"claims", "spans", "byslot"} {
		if n := c.HLen(t.Context(), "slotgate:{s:napa}:"+key).Val(); n != 0 {
			t.Errorf("%s: %d are left", key, n)
		}
	}
	save(t, b, taking(tomorrow("quarter", 600, 615)))
}

// TestAClaimOnAFullScheduleLooksAtItsOwnDay: weeks of bookings on one schedule.
func TestAClaimOnAFullScheduleLooksAtItsOwnDay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newBooks(t, open(t, server.URL()), vault.Ephemeral())
	for day := range 40 {
		for n := range 8 {
			e := tomorrow(fmt.Sprint("d", day, "n", n), day*1440+n*30, day*1440+n*30+30)
			save(t, b, taking(e))
		}
	}
	for day := range 40 {
		_, err := b.Save(t.Context(), taking(tomorrow(fmt.Sprint("x", day), day*1440+100, day*1440+101)))
		if scheduling.CodeOf(err) != scheduling.SlotTaken {
			t.Fatalf("day %d: %v", day, err)
		}
		save(t, b, taking(tomorrow(fmt.Sprint("y", day), day*1440+240, day*1440+270)))
	}
	long := tomorrow("long", 2*1440+280, 3*1440+1)
	if _, err := b.Save(t.Context(), taking(long)); scheduling.CodeOf(err) != scheduling.SlotTaken {
		t.Errorf("over midnight: %v", err)
	}
	save(t, b, taking(tomorrow("night", 2*1440+280, 3*1440)))
}
