package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// gateways are two that share a Redis and its vault. They have a while to put
// back what they remember.
func gateways(t *testing.T, url string, while time.Duration) (a, b *cache.Books) {
	t.Helper()
	v := vault.Ephemeral()
	made := func() *cache.Books {
		return newBooks(t, open(t, url, func(o *cache.Options) { o.PutBack = while }), v)
	}
	return made(), made()
}

// beats looks once, as Run does.
func beats(t *testing.T, gateways ...*cache.Books) {
	t.Helper()
	for _, b := range gateways {
		_, err := b.Reassert(t.Context())
		must(t, err)
	}
}

func wantShed(t *testing.T, what string, err error) {
	t.Helper()
	var e *scheduling.Error
	if !errors.As(err, &e) || e.Code != scheduling.Shedding || e.RetryAfter <= 0 || e.Source != source {
		t.Errorf("%s: %v, want shedding by the source with a time to try again", what, err)
	}
}

// wantNothingTold wants neither changes nor answers while books are put back.
func wantNothingTold(t *testing.T, b *cache.Books, e scheduling.Entry) {
	t.Helper()
	rival := entryOf(scheduling.EntryBooking, "rival", 0, e.Offer.SlotIDs()...)
	_, err := b.Save(t.Context(), taking(rival))
	wantShed(t, "a rival", err)
	_, err = b.Read(t.Context(), e.ID)
	wantShed(t, "a read", err)
	_, err = b.ByPatient(t.Context(), source, e.Principal, "ada")
	wantShed(t, "a list", err)
	if due, err := b.Due(t.Context(), source, 9); err != nil || len(due) > 0 {
		t.Errorf("due are %v, %v", idList(due), err)
	}
}

func wantTold(t *testing.T, b *cache.Books, e scheduling.Entry) {
	t.Helper()
	got, err := b.Read(t.Context(), e.ID)
	if err != nil || got.State != e.State || got.Version != e.Version {
		t.Errorf("%s of version %d reads as %s of %d, %v", e.State, e.Version, got.State, got.Version, err)
	}
	list, err := b.ByPatient(t.Context(), source, e.Principal, "ada")
	if err != nil || len(list) != 1 {
		t.Errorf("listed are %v, %v", idList(list), err)
	}
	_, err = b.Save(t.Context(), taking(entryOf(scheduling.EntryBooking, "rival", 9, e.Offer.SlotIDs()...)))
	if scheduling.CodeOf(err) != scheduling.SlotTaken {
		t.Errorf("a rival is told %v, want slot-taken", err)
	}
}

// bookAt books a slot for Ada.
func bookAt(t *testing.T, b *cache.Books, slot string) scheduling.Entry {
	t.Helper()
	e := entryOf(scheduling.EntryBooking, "p1", 0, slot)
	e.Private.Patients = []scheduling.PatientRef{{Asked: "ada", Native: "7"}}
	e = save(t, b, taking(e))
	e.State, e.Used, e.Native = scheduling.EntryBooked, true, "a1"
	return save(t, b, scheduling.EntryChange{Entry: e, Wake: time.Hour})
}

func TestLaw4ARedisThatWentBackTakesAndTellsNothingUntilAllIsPutBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := gateways(t, server.URL(), time.Second)
	c := client(t, server.URL())
	beats(t, a, b)
	before := take(t, c)
	beats(t, a)
	booked := bookAt(t, b, "slot1")
	before.put(t, c)

	wantNothingTold(t, a, booked)
	beats(t, a)
	time.Sleep(1200 * time.Millisecond) // the other one's turn is not over
	wantNothingTold(t, a, booked)
	putBack(t, b)
	wantTold(t, a, booked)
}

func TestLaw4WithoutTheRightToAskWhoAnswersMissingWritesTell(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := client(t, server.URL())
	must(t, c.Do(t.Context(), "ACL", "SETUSER", "default", "-info").Err())
	a, b := gateways(t, server.URL(), time.Second)
	beats(t, a, b)
	before := take(t, c)
	booked := bookAt(t, b, "slot1")
	before.put(t, c)
	beats(t, b) // what it lost, it finds out first
	wantNothingTold(t, a, booked)
	putBack(t, a, b)
	wantTold(t, a, booked)
}

func TestLaw4APromotedReplicaTakesNothingEvenFromAGatewayThatLostNothing(t *testing.T) {
	t.Parallel()
	pair := redistest.StartPair(t)
	a, b := gateways(t, pair.URL(), time.Second)
	putBack(t, a, b) // its first replica gives a server another history
	pair.Part(t)
	booked := bookAt(t, b, "slot1")
	pair.Promote()
	eventually(t, "the replica answers", func() bool {
		_, err := a.Ready(t.Context(), source)
		return err == nil
	})
	wantNothingTold(t, a, booked)
	putBack(t, a, b)
	wantTold(t, a, booked)
}

func TestAnEmptyRedisThatIsRebuiltAtOnceStillWaitsForWhatGatewaysRemember(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, server *embedded.Server) {
		a, b := gateways(t, server.URL(), 300*time.Millisecond)
		booked := bookAt(t, b, "slot1")
		must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
		must(t, a.Rebuilt(t.Context(), source)) // the EHR did not show it yet
		wantNothingTold(t, a, booked)
		eventually(t, "it is put back", func() bool {
			must(t, a.Rebuilt(t.Context(), source))
			beats(t, a, b)
			ready, err := a.Ready(t.Context(), source)
			return err == nil && ready
		})
		wantTold(t, a, booked)
	})
}

func TestLaw12WhatAGatewayThatDiedMayHaveBookedIsAskedOfTheEHR(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, dead := gateways(t, server.URL(), 30*time.Millisecond)
	c := client(t, server.URL())
	beats(t, a, dead)
	before := take(t, c)
	booked := bookAt(t, dead, "slot1")
	beats(t, a)
	before.put(t, c)
	eventually(t, "the books are taken for lost", func() bool {
		beats(t, a)
		lost, err := a.Lost(t.Context(), source)
		return err == nil && lost
	})
	_, err := a.Read(t.Context(), booked.ID)
	wantShed(t, "a read", err)
	restored := booked
	restored.Version = 0
	change := taking(restored)
	change.Restore = true
	restored = save(t, a, change)
	must(t, a.Rebuilt(t.Context(), source))
	putBack(t, a)
	wantTold(t, a, restored)
}

func TestAGatewayThatEndedInOrderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, ended := gateways(t, server.URL(), 30*time.Millisecond)
	c := client(t, server.URL())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, ignore(ended.Run(ctx), context.Canceled))
	beats(t, a)
	before := take(t, c)
	beats(t, a)
	before.put(t, c)
	putBack(t, a)
	if lost, err := a.Lost(t.Context(), source); err != nil || lost {
		t.Errorf("lost: %v, %v", lost, err)
	}
}

func ignore(err, which error) error {
	if errors.Is(err, which) {
		return nil
	}
	return err
}

func TestLaw12ARedisThatWentBackFartherThanGatewaysRememberIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		back time.Duration
		lost bool
	}{
		"a second": {time.Second, false},
		"a minute": {time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			b, _ := gateways(t, server.URL(), 30*time.Millisecond)
			redis := client(t, server.URL())
			beats(t, b)
			before := take(t, redis)
			beats(t, b)
			before.put(t, redis)
			goBack(t, redis, c.back)
			settled(t, b)
			if lost, err := b.Lost(t.Context(), source); err != nil || lost != c.lost {
				t.Errorf("lost: %v, %v", lost, err)
			}
		})
	}
}

// goBack makes it look as if all beats had been so much earlier.
func goBack(t *testing.T, c *redis.Client, by time.Duration) {
	t.Helper()
	const key = "slotgate:{s:napa}:alive"
	list, err := c.ZRangeWithScores(t.Context(), key, 0, -1).Result()
	must(t, err)
	for _, z := range list {
		must(t, c.ZIncrBy(t.Context(), key, -float64(by.Milliseconds()), z.Member.(string)).Err())
	}
}

func TestWhatBecameOfACallIsSavedOnceRedisIsWholeAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := gateways(t, server.URL(), 500*time.Millisecond)
	c := client(t, server.URL())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for _, g := range []*cache.Books{a, b} {
		go func() { ended <- g.Run(ctx) }()
	}
	t.Cleanup(func() { cancel(); <-ended; <-ended })
	beats(t, a, b)
	before := take(t, c)
	e := save(t, a, taking(entryOf(scheduling.EntryBooking, "p1", 0, "slot1")))
	before.put(t, c)
	e.State, e.Used, e.Native = scheduling.EntryBooked, true, "a1"
	e = save(t, a, scheduling.EntryChange{Entry: e, Wake: time.Hour})
	if got, err := b.Read(t.Context(), e.ID); err != nil || got.State != scheduling.EntryBooked || got.Version != 2 {
		t.Errorf("%s of version %d, %v", got.State, got.Version, err)
	}
}

// TestLaw12AGatewayThatComesBackLateLosesNothingThatStands: Redis lost what it
// saved, it was away for longer than it is waited for, and another principal came
// meanwhile.
func TestLaw12AGatewayThatComesBackLateLosesNothingThatStands(t *testing.T) {
	t.Parallel()
	rival := func(state scheduling.EntryState, used bool) scheduling.Entry {
		e := entryOf(state, "rival", 0, "slot1")
		e.Used, e.Native = used, map[bool]string{true: "a9"}[used]
		return e
	}
	for name, c := range map[string]struct {
		theirs, then scheduling.EntryState
		used         bool
		ours         bool // in the end
	}{
		"a hold of the rival's yields":              {theirs: scheduling.EntryHeld, ours: true},
		"so does what ended":                        {theirs: scheduling.EntryFree, ours: true},
		"a call under way is waited for":            {theirs: scheduling.EntryBooking, then: scheduling.EntryFree, ours: true},
		"two that were booked: a person must see":   {theirs: scheduling.EntryBooking, then: scheduling.EntryBooked, used: true, ours: false},
		"in doubt, which is settled as not booked":  {theirs: scheduling.EntryDoubt, then: scheduling.EntryNotBooked, used: true, ours: true},
		"held, and by now being given back: waited": {theirs: scheduling.EntryReleasing, then: scheduling.EntryFree, ours: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			late, b := gateways(t, server.URL(), 30*time.Millisecond)
			booked := bookAt(t, late, "slot1")
			must(t, client(t, server.URL()).FlushAll(t.Context()).Err())
			must(t, b.Open(t.Context(), source))
			e := save(t, b, taking(rival(c.theirs, c.theirs == scheduling.EntryDoubt)))
			if c.then != "" {
				beats(t, late)
				if got := stored(t, server, e.ID); got != "1" {
					t.Fatalf("version %s takes the place of a call that is under way", got)
				}
				eventually(t, "the books are open again", func() bool {
					must(t, b.Rebuilt(t.Context(), source))
					beats(t, b, late)
					ready, err := b.Ready(t.Context(), source)
					return err == nil && ready
				})
				e.State, e.Used, e.Native = c.then, c.used, "a9"
				save(t, b, scheduling.EntryChange{Entry: e})
			}
			eventually(t, "the books are put back", func() bool {
				must(t, b.Rebuilt(t.Context(), source))
				beats(t, late, b)
				ready, err := b.Ready(t.Context(), source)
				return err == nil && ready
			})
			got, err := b.Read(t.Context(), booked.ID)
			must(t, err)
			if (got.Principal == "p1") != c.ours || got.State != map[bool]scheduling.EntryState{true: scheduling.EntryBooked, false: c.then}[c.ours] {
				t.Errorf("%s of %s stands", got.State, got.Principal)
			}
			if c.ours && got.Version <= e.Version {
				t.Errorf("version %d does not follow %d", got.Version, e.Version)
			}
		})
	}
}

func stored(t *testing.T, server *embedded.Server, id string) string {
	t.Helper()
	return client(t, server.URL()).HGet(t.Context(), "slotgate:{s:napa}:entry:"+id, "v").Val()
}
