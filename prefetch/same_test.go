package prefetch_test

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// clinic is a simulated EHR, a real Redis, and workers that compare.
type clinic struct {
	t      *testing.T
	sim    *ehrsim.Server
	server *embedded.Server
	store  *cache.Store
	redis  *redis.Client
	base   string
}

func newClinic(t *testing.T, bend ...func(*ehrsim.Options)) *clinic {
	t.Helper()
	o := ehrsim.Options{
		Seed: 7, Practitioners: 4, Days: 6, Zone: "UTC", Dialect: ehrsim.Slots, Validators: ehrsim.ETags, Paging: ehrsim.OffsetPaging,
	}
	for _, change := range bend {
		change(&o)
	}
	sim, err := ehrsim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &clinic{t: t, sim: sim, server: redistest.Start(t)}
	if c.base, err = sim.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	c.store = c.open()
	options, err := redis.ParseURL(c.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	c.redis = redis.NewClient(options)
	t.Cleanup(func() { _ = c.redis.Close() })
	return c
}

func (c *clinic) open() *cache.Store {
	c.t.Helper()
	store, err := cache.Open(c.t.Context(), cache.Options{URL: c.server.URL()}, cache.Deps{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = store.Close() })
	return store
}

// worker is one with a memory of its own, as another process has it.
type worker struct {
	client *upstream.Client
	reg    *prometheus.Registry
}

func (c *clinic) worker(bend ...func(*upstream.Options)) *worker {
	c.t.Helper()
	o := upstream.Options{ID: "a", Base: c.base, Dialect: upstream.Slots}
	o.Limits.Rate, o.Limits.Concurrency, o.Conditional.Use = 10_000, 8, "etag"
	for _, change := range bend {
		change(&o)
	}
	w := &worker{reg: prometheus.NewRegistry()}
	clients, err := upstream.NewRegistry([]upstream.Options{o}, upstream.Deps{Registerer: w.reg})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = clients.Close() })
	w.client, _ = clients.Get("a")
	return w
}

// work has the worker at work until stop is called.
func (c *clinic) work(w *worker, bend ...func(*prefetch.Deps)) (stop func()) {
	deps := prefetch.Deps{Writer: c.store, Leaser: c.store, Registerer: w.reg, EpochEvery: 100 * time.Millisecond}
	for _, change := range bend {
		change(&deps)
	}
	m := prefetch.NewManager(deps, []prefetch.Job{{
		Options: prefetch.Options{
			Source: scheduling.Source{ID: "a", Zone: time.UTC, MaxAge: time.Hour},
			Cron:   "@every 1s", Horizon: 5, MiddleEvery: 1, FarEvery: 1,
		},
		Fetcher: w.client,
	}})
	ctx, cancel := context.WithCancel(c.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(ctx); err != nil {
			c.t.Error("Run:", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	c.t.Cleanup(stop)
	return stop
}

// count sums a metric of the worker, of the series that have the label.
func (w *worker) count(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == label {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// compared waits until the worker has found so many more scopes unchanged.
func (c *clinic) compared(w *worker, more int) {
	c.t.Helper()
	const name, label = "slotgate_prefetch_unchanged_total", "confirmed"
	from := w.count(c.t, name, label)
	eventually(c.t, "answers that are the same", func() bool { return w.count(c.t, name, label) >= from+float64(more) })
}

var ever = scheduling.Scope{Days: scheduling.Days{From: 0, To: 1 << 20}}

// has tells whether the store holds the slot.
func (c *clinic) has(id string) bool {
	found, err := c.store.KnownAmong(c.t.Context(), "a", ever, []string{id})
	return err == nil && len(found) == 1
}

// tomorrow is a free slot of the near days that the store holds.
func (c *clinic) tomorrow(n int) string {
	c.t.Helper()
	from := time.Now().Add(3 * time.Hour)
	for _, slot := range c.sim.Slots("free") {
		if slot.Start.After(from) && slot.Start.Before(from.Add(40*time.Hour)) && c.has(slot.ID) {
			if n--; n < 0 {
				return slot.ID
			}
		}
	}
	c.t.Fatal("there is no such slot")
	return ""
}

// gone deletes the slot without a trace and waits until the store has noticed.
func (c *clinic) gone(id string) {
	c.t.Helper()
	if err := c.sim.DeleteSlot(id); err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "the slot's end", func() bool { return !c.has(id) })
}

func TestLaw8WhatIsDeletedWithoutATraceGoesThoughAllElseIsUnchanged(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	w := c.worker()
	c.work(w)
	c.compared(w, 6)
	for range 3 {
		stays := c.tomorrow(5)
		c.gone(c.tomorrow(0))
		if !c.has(stays) {
			t.Error("a slot that is there went too")
		}
		c.compared(w, 3)
	}
}

func TestARedisThatWasEmptiedIsFilledThoughNothingChangedAtTheSource(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	w := c.worker()
	c.work(w)
	c.compared(w, 6)
	before, err := c.store.Known(t.Context(), "a", ever)
	if err != nil || before < 10 {
		t.Fatal(before, err)
	}
	for name, lose := range map[string]func() error{
		"restarted empty": func() error { return c.server.Restart(t.Context()) },
		"flushed":         func() error { return c.redis.FlushAll(t.Context()).Err() },
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all slots after it was "+name, func() bool {
			n, err := c.store.Known(t.Context(), "a", ever)
			return err == nil && n == before
		})
		c.compared(w, 6)
	}
}

// The store lost windows, and not what it knows of the answer they are of.
func TestWindowsThatWereLostComeBackThoughNothingChangedAtTheSource(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	w := c.worker()
	c.work(w, func(d *prefetch.Deps) { d.CountEvery = time.Millisecond })
	c.compared(w, 6)
	before, err := c.store.Known(t.Context(), "a", ever)
	if err != nil || before < 10 {
		t.Fatal(before, err)
	}
	if w.count(t, "slotgate_prefetch_unchanged_total", "read") > 0 {
		t.Error("windows that are there were read again")
	}
	lost := 0
	for _, key := range c.redis.Keys(t.Context(), "slotgate:{s:a}:*").Val() {
		if strings.Contains(key, ":head") || strings.Contains(key, ":window") {
			lost += int(c.redis.Del(t.Context(), key).Val())
		}
	}
	if n, err := c.store.Known(t.Context(), "a", ever); err != nil || lost < 2 {
		t.Fatalf("%d keys lost, %d slots left: %v", lost, n, err)
	}
	eventually(t, "all slots", func() bool {
		n, err := c.store.Known(t.Context(), "a", ever)
		return err == nil && n == before
	})
	c.compared(w, 6)
}

func TestAWorkerThatComesBackTrustsNothingThatAnotherWrote(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	first, second := c.worker(), c.worker()
	stop := c.work(first)
	c.compared(first, 6)
	back := c.tomorrow(0)
	slot, err := c.sim.Slot(back)
	if err != nil {
		t.Fatal(err)
	}
	stop()

	stop = c.work(second)
	c.gone(back)
	c.compared(second, 6)
	stop()

	// The source is as the first worker remembers it, and Redis is not.
	if _, err = c.sim.AddSlot(slot); err != nil {
		t.Fatal(err)
	}
	c.work(first)
	eventually(t, "the slot that is back", func() bool { return c.has(back) })
	c.compared(first, 6)
	if !c.has(back) {
		t.Error("it went again")
	}
}

// Law 4: while a claim's end is not proved over, nothing is taken by a 304.
func TestLaw4AfterAClaimTheSourcesWordIsNotTaken(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	w := c.worker()
	c.work(w)
	byWord := func() float64 { return w.count(t, "slotgate_upstream_pages_unchanged_total", "304") }
	c.compared(w, 6)
	eventually(t, "answers by 304", func() bool { return byWord() > 0 })

	// A fence that no fetch passes.
	fences := "slotgate:{s:a}:fences"
	never := strconv.FormatInt(math.MaxInt64, 10)
	if err := c.redis.HSet(t.Context(), fences, c.tomorrow(0), never).Err(); err != nil {
		t.Fatal(err)
	}
	c.compared(w, 3) // what was under way when it was set
	from := byWord()
	c.compared(w, 6)
	if n := byWord(); n != from {
		t.Errorf("%v pages were taken by the source's word", n-from)
	}
	if err := c.redis.Del(t.Context(), fences).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "answers by 304 again", func() bool { return byWord() > from })
}

// The source says that nothing changed, and lies: what was claimed meanwhile is
// seen to be gone all the same.
func TestLaw4ASourceWhoseETagNeverChangesBringsNothingBack(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	w := c.worker()
	c.work(w)
	c.compared(w, 6)
	taken := c.tomorrow(0)
	if _, err := c.sim.AddFaults(ehrsim.Fault{Kind: ehrsim.FaultOldTag}); err != nil {
		t.Fatal(err)
	}
	if err := c.sim.SetSlotStatus(taken, "busy"); err != nil {
		t.Fatal(err)
	}
	number, err := c.store.Begin(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err = c.redis.HSet(t.Context(), "slotgate:{s:a}:fences", taken, strconv.FormatUint(number, 10)).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slot's end", func() bool { return !c.has(taken) })
}

func TestWhatIsMarkedAsDeletedGoesAndComesByItsChangeAlone(t *testing.T) {
	t.Parallel()
	c := newClinic(t, func(o *ehrsim.Options) { o.MarkDeleted, o.TimeScale = true, 60 })
	w := c.worker(func(o *upstream.Options) { o.Quirks.Deletions = "marked" })
	c.work(w)
	c.compared(w, 6)
	merged := func() float64 { return w.count(t, "slotgate_prefetch_unchanged_total", "merged") }
	for i := range 3 {
		id, stays := c.tomorrow(i), c.tomorrow(i+5)
		from := merged()
		c.gone(id)
		if merged() == from {
			t.Error("it went, and no change was merged")
		}
		if err := c.sim.SetSlotStatus(id, "free"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the slot that is back", func() bool { return c.has(id) })
		if !c.has(stays) {
			t.Error("a slot that never went is not there")
		}
	}
	// A whole look finds nothing else.
	want := 0
	for _, slot := range c.sim.Slots("free") {
		if c.has(slot.ID) {
			want++
		}
	}
	if n, err := c.store.Known(t.Context(), "a", ever); err != nil || n != want {
		t.Errorf("%d slots are known, %d of them are there: %v", n, want, err)
	}
}
