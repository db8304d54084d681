package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// The limits of a large vendor: so many calls at once of all clients together,
// and so many records on a page. Others take the half of the calls.
const (
	crowdCalls, crowdPage, crowdOthers = 30, 20, 15
	crowdOurs                          = 6  // calls at once, by the configuration of each node
	eachBooks                          = 40 // of each who comes to book
)

// crowded is an EHR of forty practitioners that locks everybody out over its
// limit, says so in words alone, and has twenty records on a page, however many
// are asked for.
func crowded(id string, days int, lockout time.Duration) clinic {
	c := clinic{id: id, sim: ehrsim.Options{
		Dialect: ehrsim.Slots, FHIR: ehrsim.R4, Zone: "UTC", StrictSlots: true,
		Practitioners: 40, Days: days, PageSize: crowdPage, MaxCount: crowdPage, Faults: []ehrsim.Fault{slowly(60, time.Second)},
		Throttle: ehrsim.Throttle{Calls: crowdCalls, Strangers: crowdOthers, Lockout: lockout},
	}}
	c.bend = func(o *upstream.Options) {
		o.Limits.Concurrency, o.Limits.RetryWait = crowdOurs, config.Duration(500*time.Millisecond)
		o.Quirks.MaxDays = 1 // a search a day, several at once
		o.Prefetch.Cron, o.Prefetch.Horizon = "@every 5s", config.Duration(time.Duration(days)*24*time.Hour)
		o.Booking.CallTimeout, o.Booking.ReadTimeout = config.Duration(30*time.Second), config.Duration(30*time.Second)
		o.Booking.Settle = config.Duration(35 * time.Second)
	}
	return c
}

// slowly has pages take their time, but for the first. So nothing is over before
// somebody books.
func slowly(first int, delay time.Duration) ehrsim.Fault {
	return ehrsim.Fault{ID: "slowly", Kind: ehrsim.FaultLatency, Path: "/?_count=", Skip: first, Delay: ehrsim.Duration(delay)}
}

// quickly has every page take as long as it does in a good hour.
func (h *house) quickly(t *testing.T, source string) {
	t.Helper()
	if _, err := h.sims[source].AddFaults(slowly(0, 2*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
}

// TestAFullLoadOfACrowdedEHR reads all that an EHR has whose limits lock out
// whoever goes over them, and books there meanwhile.
func TestAFullLoadOfACrowdedEHR(t *testing.T) {
	h := newHouse(t, crowded("calm", 60, 15*time.Minute), crowded("rush", 14, 4*time.Second))
	t.Run("is never locked out, and bookings go through", func(t *testing.T) { t.Parallel(); h.staysBelow(t, "calm") })
	t.Run("heeds a lockout that others brought about, and goes on after it", func(t *testing.T) { t.Parallel(); h.waitsOut(t, "rush") })
}

// staysBelow books while everything is read: nobody is refused, and the EHR never
// locks anybody out.
func (h *house) staysBelow(t *testing.T, source string) {
	sim := h.sims[source]
	c := h.crowd(t, source)
	eventually(t, func() error { return wantSome("bookings", c.booked()) })
	if h.loaded(source) == nil {
		t.Error("it was loaded before")
	}
	h.quickly(t, source)
	h.awaitLoad(t, source)
	during := c.booked()
	trials := c.leave()
	for _, one := range trials {
		for _, a := range one.refusals {
			t.Errorf("%s was told %s: %.300s", one.user.session, a, a.raw)
		}
	}
	calls := sim.Counters().Requests
	h.hasItAll(t, source, trials)
	got := sim.Throttling()
	if got.Lockouts != 0 || got.Most > len(h.nodes)*crowdOurs {
		t.Errorf("%+v", got)
	}
	t.Logf("%d booked, %d of them during the load; %d slots are open; %d calls, %d at once", len(trials), during, len(sim.Slots("free")), calls, got.Most)
}

// waitsOut has others take all places in the middle of the load. Whoever books is
// told for how long to wait, hardly anything more is asked, and in the end
// everything is read and booked.
func (h *house) waitsOut(t *testing.T, source string) {
	sim := h.sims[source]
	c := h.crowd(t, source)
	eventually(t, func() error { return wantSome("bookings", c.booked()) })
	sim.SetStrangers(crowdCalls)
	eventually(t, func() error { return wantSome("lockouts", sim.Throttling().Lockouts) })
	if h.loaded(source) == nil {
		t.Error("it was loaded before")
	}
	eventually(t, func() error { return wantSome("bookings that were refused", c.refused()) })
	h.quickly(t, source)
	sim.SetStrangers(crowdOthers)
	h.awaitLoad(t, source)
	trials, told := c.leave(), 0
	for _, one := range trials {
		for _, a := range one.refusals {
			if a.code == http.StatusAccepted && a.doubt {
				continue // it was sent before, and could not be read back
			}
			told++
			wait, err := strconv.Atoi(a.header.Get("Retry-After"))
			if a.code != http.StatusTooManyRequests || !a.has("throttled") || err != nil || wait < 1 {
				t.Errorf("%s was told %s, Retry-After %q: %s", one.user.session, a, a.header.Get("Retry-After"), a.raw)
			}
		}
	}
	h.hasItAll(t, source, trials)
	got := sim.Throttling()
	if most := len(h.nodes) * crowdOurs * got.Lockouts; got.Refused > most {
		t.Errorf("%d calls went against %d lockouts, want %d at most: those that were under way", got.Refused, got.Lockouts, most)
	}
	t.Logf("%d booked, refused %d times before; %d lockouts, %d calls against them", len(trials), told, got.Lockouts, got.Refused)
}

func wantSome(what string, n int) error {
	if n == 0 {
		return errors.New("there are no " + what)
	}
	return nil
}

// awaitLoad waits for as long as a load may take on a machine with much to do.
func (h *house) awaitLoad(t *testing.T, source string) {
	t.Helper()
	deadline := time.Now().Add(8 * time.Minute)
	for err := h.loaded(source); err != nil; err = h.loaded(source) {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// loaded wants the worker to have read all of a source.
func (h *house) loaded(source string) error {
	for _, state := range h.nodes[0].manager.States() {
		if string(state.Status.Source) == source && state.Status.Loaded.IsZero() {
			return fmt.Errorf("%s is not loaded: %+v", source, state.Status)
		}
	}
	return nil
}

// hasItAll wants the EHR's own book to have just what was told as booked, and
// every node to offer just what is left.
func (h *house) hasItAll(t *testing.T, source string, trials []trial) {
	t.Helper()
	eventually(t, func() error { return h.settled(t.Context(), source) })
	want, have := map[string]string{}, map[string]string{}
	for _, one := range trials {
		want[one.user.session] = one.user.patient
	}
	for _, line := range h.sims[source].Book() {
		a, err := h.sims[source].Appointment(line.Appointment)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == "booked" {
			have[a.Comment] = strings.Join(line.Patients, ",")
		}
	}
	if !maps.Equal(want, have) {
		t.Errorf("%d were told that they are booked, the EHR has %d:\n%v\n%v", len(want), len(have), want, have)
	}
	if twice := h.sims[source].DoubleBooked(); len(twice) > 0 {
		t.Errorf("booked twice: %v", twice)
	}
	eventually(t, func() error { return h.offersAll(source) })
}

// offersAll wants every node to offer as much as is free at the EHR.
func (h *house) offersAll(source string) error {
	want, now := 0, h.sims[source].Now()
	for _, s := range h.sims[source].Slots("free") {
		if s.Start.After(now) {
			want++
		}
	}
	for i, n := range h.nodes {
		for _, f := range n.replica.Sources() {
			if string(f.Source) == source && f.Slots != want {
				return fmt.Errorf("node %d offers %d of %s, want %d", i, f.Slots, source, want)
			}
		}
	}
	return nil
}

// trial is an offer that somebody booked in the end, and what they were told
// before.
type trial struct {
	user     user
	refusals []answer
}

// crowd are people who book one offer of a source after another.
type crowd struct {
	h      *house
	source string
	stop   chan struct{}
	people sync.WaitGroup

	mu       sync.Mutex
	trials   []trial
	refusals int
	taken    map[string]bool // offers that somebody goes for
}

// crowd lets four of them begin. They look at the second node, which fetches
// nothing, and book at both.
func (h *house) crowd(t *testing.T, source string) *crowd {
	t.Helper()
	c := &crowd{h: h, source: source, stop: make(chan struct{}), taken: map[string]bool{}}
	for i := range 4 {
		c.people.Go(func() {
			for n := 0; n < eachBooks; n++ {
				select {
				case <-c.stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
				if offer := c.pick(t); offer != "" {
					c.book(t, h.user(1000*i+n), (i+n)%len(h.nodes), offer)
				}
			}
		})
	}
	t.Cleanup(func() { c.leave() })
	return c
}

// leave waits for what is being booked and gives what was.
func (c *crowd) leave() []trial {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.mu.Unlock()
	c.people.Wait()
	c.mu.Lock()
	return c.trials
}

func (c *crowd) booked() int  { c.mu.Lock(); defer c.mu.Unlock(); return len(c.trials) }
func (c *crowd) refused() int { c.mu.Lock(); defer c.mu.Unlock(); return c.refusals }

// pick gives an offer that nobody goes for yet, none of today's; "": there is none.
func (c *crowd) pick(t *testing.T) string {
	var page struct {
		Entry []struct {
			Resource struct{ ResourceType, ID string }
		}
	}
	from := time.Now().UTC().Add(24 * time.Hour).Format(time.DateOnly)
	a := c.h.user(0).tell(t.Context(), 1, http.MethodGet, "/fhir/r4/Appointment/$find?_count=10&source="+c.source+"&start="+from, "")
	if err := json.Unmarshal([]byte(a.raw), &page); err != nil || a.code != http.StatusOK {
		t.Errorf("find: %s %v: %s", a, a.failure, a.raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, entry := range page.Entry {
		if id := entry.Resource.ID; entry.Resource.ResourceType == "Appointment" && !c.taken[id] {
			c.taken[id] = true
			return id
		}
	}
	return ""
}

// book asks again, as a client does, until it is booked.
func (c *crowd) book(t *testing.T, u user, node int, offer string) {
	one := trial{user: u}
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		a := u.book(t.Context(), node, offer)
		c.mu.Lock()
		if a.code == http.StatusOK && a.status == "booked" {
			c.trials = append(c.trials, one)
			c.mu.Unlock()
			return
		}
		one.refusals = append(one.refusals, a)
		if a.code == http.StatusTooManyRequests {
			c.refusals++
		}
		c.mu.Unlock()
		if time.Now().After(deadline) || a.code == 0 {
			t.Errorf("%s is not booked: %s %v: %s", u.session, a, a.failure, a.raw)
			return
		}
	}
}
