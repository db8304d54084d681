package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/redistest"
	"slotgate/config"
	"slotgate/upstream/ehrsim"
)

// losing is a Redis that loses something: begin is called when bookings are under
// way, and strike a while later.
type losing struct {
	url    string
	begin  func(t *testing.T)
	strike func(ctx context.Context) error
}

// TestChaosLaw4RedisIsLostInTheMiddleOfBookings: it is killed and comes back
// empty, or as it was a moment before, or its replica takes its place that has
// not seen the last of it. Nothing is booked twice or lost, nobody is told what
// is not so, and who was told 503 asks again under the same key.
func TestChaosLaw4RedisIsLostInTheMiddleOfBookings(t *testing.T) {
	for name, redis := range map[string]func(t *testing.T) losing{
		"restarted empty": func(t *testing.T) losing {
			server := redistest.Start(t)
			return losing{server.URL(), func(*testing.T) {}, server.Restart}
		},
		"its last second lost": func(t *testing.T) losing {
			server := redistest.Start(t)
			var before photo
			return losing{
				server.URL(),
				func(t *testing.T) { before = photograph(t, server.URL()) },
				func(ctx context.Context) error { return before.put(ctx, server.URL()) },
			}
		},
		"a replica promoted that missed the last second": func(t *testing.T) losing {
			pair := redistest.StartPair(t)
			return losing{
				pair.URL(), func(t *testing.T) { pair.Part(t) },
				func(context.Context) error { pair.Promote(); return nil },
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bookThroughALoss(t, redis(t))
		})
	}
}

// How the users come: so many of them for so few slots of each EHR, so many
// before what is lost, and so many before it is lost.
const (
	lossUsers, lossSlots     = 72, 10
	lossBegins, lossStrikes  = 12, 42
	lossPause, lossPauseEach = 20 * time.Millisecond, 3
)

func bookThroughALoss(t *testing.T, redis losing) {
	var clinics []clinic
	for _, c := range kinds() {
		clinics = append(clinics, c.with(1, 4, config.Duration(3*time.Second)))
	}
	h := newHouseOn(t, redis.url, clinics...)
	slots := map[string][]slot{}
	for _, c := range clinics {
		slots[c.id] = h.slots(t, c.id, lossSlots)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	tries, cancelled, shed := map[string][]tried{}, map[slot]tried{}, 0
	for i := range lossUsers {
		c := clinics[i%len(clinics)]
		switch i {
		case lossBegins:
			redis.begin(t)
		case lossStrikes:
			running.Go(func() {
				if err := redis.strike(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		running.Go(func() {
			u, at := h.user(i), slots[c.id][i/len(clinics)%lossSlots]
			booked, gone, refused := u.visit(t.Context(), i, at)
			mu.Lock()
			defer mu.Unlock()
			tries[c.id] = append(tries[c.id], tried{u, at, booked})
			if gone.code == http.StatusOK {
				cancelled[at] = tried{u, at, gone}
			}
			shed += refused
		})
		if i%lossPauseEach == 0 {
			time.Sleep(lossPause) // bookings before, while and after
		}
	}
	running.Wait()
	h.rebuilt(t)
	if shed == 0 {
		t.Error("nobody was told to come again: nothing was lost, and the test shows nothing")
	}
	for _, c := range clinics {
		for _, try := range tries[c.id] {
			if a := try.answer; a.code == 0 || a.code >= 500 {
				t.Errorf("%s was told %s to the end: %v %s", try.user.session, a, a.failure, a.raw)
			}
		}
		if err := h.agrees(t.Context(), c.id, tries[c.id]); err != nil {
			t.Error(err)
		}
		if err := h.allBooked(t.Context(), tries[c.id], slots[c.id], cancelled); err != nil {
			t.Error(err)
		}
	}
	for _, try := range cancelled {
		if now := try.user.see(t.Context(), 0, try.slot.offer); now.status != "cancelled" {
			t.Errorf("%s of %s was told as cancelled, and is %s", try.slot.offer, try.user.session, now)
		}
	}
}

// visit is what one user does: some hold before they book, some cancel.
func (u user) visit(ctx context.Context, i int, at slot) (booked, gone answer, refused int) {
	key := func(what string) []string { return []string{"Idempotency-Key", what + "-of-" + u.session} }
	if i%4 == 1 {
		_, n := u.insist(ctx, i, func(node int) answer { return u.hold(ctx, node, at.offer, key("hold")...) })
		refused += n
	}
	booked, n := u.insist(ctx, i, func(node int) answer { return u.book(ctx, node, at.offer, key("book")...) })
	refused += n
	if i%8 == 2 && booked.code == http.StatusOK && booked.status == "booked" {
		gone, n = u.insist(ctx, i, func(node int) answer { return u.cancel(ctx, node, at.offer, key("cancel")...) })
		refused += n
	}
	return booked, gone, refused
}

// allBooked wants every slot to have gone to somebody: more came than there were.
// Not so one that was in doubt: it may have been settled as not booked when
// everybody else had been told that it is taken.
func (h *house) allBooked(ctx context.Context, tries []tried, slots []slot, cancelled map[slot]tried) error {
	for _, at := range slots {
		if _, gone := cancelled[at]; gone {
			continue
		}
		var heard strings.Builder
		booked := slices.ContainsFunc(h.sims[at.source].Book(), func(line ehrsim.BookLine) bool { return line.Slot == at.native })
		doubt := slices.ContainsFunc(tries, func(try tried) bool { return try.slot == at && try.answer.doubt })
		for i, try := range tries {
			if try.slot == at && !booked {
				_, _ = fmt.Fprintf(&heard, "\n\t%s: %s, now %s", try.user.session, try.answer, try.user.see(ctx, i%len(h.nodes), at.offer))
			}
		}
		if !booked && !doubt {
			return fmt.Errorf("%s: %s was asked for, and nobody has it:%s", at.source, at.native, heard.String())
		}
	}
	return nil
}

// insist asks until the answer is final, always the same: the gateway that it
// asked first and the other one in turn.
func (u user) insist(ctx context.Context, node int, ask func(node int) answer) (a answer, refused int) {
	for deadline := time.Now().Add(2 * time.Minute); ctx.Err() == nil && time.Now().Before(deadline); node++ {
		a = ask(node % len(u.house.nodes))
		if a.code != 0 && a.code != http.StatusServiceUnavailable {
			return a, refused
		}
		refused++
		time.Sleep(100 * time.Millisecond)
	}
	return a, refused
}

// photo is everything that a Redis has.
type photo map[string]pictured

type pictured struct {
	value string
	ttl   time.Duration // 0: for ever
}

func photograph(t *testing.T, url string) photo {
	t.Helper()
	c := redisClient(t, url)
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	pipe := c.TxPipeline()
	dumps, ttls := map[string]*redis.StringCmd{}, map[string]*redis.DurationCmd{}
	for _, key := range keys {
		dumps[key], ttls[key] = pipe.Dump(t.Context(), key), pipe.PTTL(t.Context(), key)
	}
	if _, err := pipe.Exec(t.Context()); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	p := photo{}
	for _, key := range keys {
		p[key] = pictured{dumps[key].Val(), max(ttls[key].Val(), 0)}
	}
	return p
}

// put makes the Redis what it was: as a replica is that was promoted too early.
func (p photo) put(ctx context.Context, url string) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	_, err = c.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.FlushAll(ctx)
		for key, was := range p {
			if was.value != "" {
				pipe.RestoreReplace(ctx, key, was.ttl, was.value)
			}
		}
		return nil
	})
	return err
}

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestLaw12ReadyForWritesMeansThatBookingsAreTaken: as long as what Redis lost
// is not put back, whoever sends requests here is told.
func TestLaw12ReadyForWritesMeansThatBookingsAreTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t, clinic{id: "sl", sim: ehrsim.Options{Dialect: ehrsim.Slots, FHIR: ehrsim.R4, Practitioners: 1, Days: 2}})
	ready := func(n *node) (int, string) {
		res, err := h.client.Get(n.admin.url() + "/readyz/writes")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, why := ready(h.nodes[0]); code != http.StatusOK {
		t.Errorf("%d: %s", code, why)
	}
	other := *h.file
	other.Redis.URL, other.Redis.PutBack = redistest.Start(t).URL(), 10*time.Minute
	n, err := startNode(t.Context(), &other, role{gateway: true}, newLogger(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	if code, why := ready(n); code != http.StatusServiceUnavailable || !strings.Contains(why, "put together again") {
		t.Errorf("%d: %s", code, why)
	}
}
