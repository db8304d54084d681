package prefetch_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/replica"
	"slotgate/config"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// regionSize is how many EHRs the region has; SLOTGATE_REGION says otherwise.
const regionSize = 60

// region is many EHRs of all dialects, each a server of its own.
type region struct {
	sites   []*site
	redis   *embedded.Server
	workers []*hand
}

// site is one of them.
type site struct {
	sim  *ehrsim.Server
	opts upstream.Options
	sick ehrsim.FaultKind // what is wrong with it later, "" for nothing
	look string           // the path that is asked at every look
	each int              // how often, at most
	mark int              // the number of the latest request when it was marked
}

// tongues are the ways in which they speak.
var tongues = []struct {
	dialect ehrsim.Dialect
	fhir    ehrsim.FHIR
	look    string
	each    int
}{
	{ehrsim.Argonaut, ehrsim.STU3, "/Slot/$prefetch", 1},
	{ehrsim.Argonaut, ehrsim.R4, "/Slot/$prefetch", 1},
	{ehrsim.Slots, ehrsim.STU3, "/Slot", 1},
	{ehrsim.Slots, ehrsim.R4, "/Slot", 1},
	{ehrsim.IHE, ehrsim.R4, "/Appointment/$find", regionDays},
	{ehrsim.Epic, ehrsim.STU3, "/Appointment/$find", regionDays},
	{ehrsim.Links, ehrsim.R4, "/$bulk-publish", 1},
}

const regionDays = 4

// ails are what goes wrong with some of them.
var ails = []ehrsim.FaultKind{ehrsim.FaultHang, ehrsim.FaultHTML, ehrsim.FaultCutGzip, ehrsim.FaultEndlessJSON}

func newRegion(t *testing.T, size int) *region {
	t.Helper()
	r := &region{redis: redistest.Start(t)}
	for i := range size {
		c := newSite(t, i)
		if at := i - size/2; at >= 0 && at < len(ails) {
			c.sick = ails[at]
			c.opts.Limits.Timeout = config.Duration(2 * time.Second)
			c.opts.Prefetch.StaleAfter, c.opts.Prefetch.MaxAge = config.Duration(5*time.Second), config.Duration(10*time.Second)
		}
		r.sites = append(r.sites, c)
	}
	return r
}

func newSite(t *testing.T, i int) *site {
	t.Helper()
	tongue := tongues[i%len(tongues)]
	sim, err := ehrsim.New(ehrsim.Options{
		Dialect: tongue.dialect, FHIR: tongue.fhir, Zone: "UTC", Seed: uint64(i), Practitioners: 1, Days: regionDays,
	})
	if err != nil {
		t.Fatal(err)
	}
	base, err := sim.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	night := sim.Now().Truncate(24 * time.Hour).Add(20 * time.Hour)
	for day := 1; day < regionDays; day++ { // there is something to find at weekends too
		at := night.Add(time.Duration(day) * 24 * time.Hour)
		if _, err := sim.AddSlot(ehrsim.Slot{Schedule: sim.Slots()[0].Schedule, Start: at, End: at.Add(30 * time.Minute), Status: "free"}); err != nil {
			t.Fatal(err)
		}
	}
	o := upstream.Options{
		ID: scheduling.SourceID(fmt.Sprintf("clinic-%03d", i)), Base: base,
		Dialect: string(tongue.dialect), FHIR: scheduling.Release(tongue.fhir),
	}
	o.Limits.Rate, o.Limits.MaxBody = 1000, 1<<20
	o.Quirks.FileEvery = config.Duration(time.Second)
	o.SetDefaults()
	return &site{sim: sim, opts: o, look: tongue.look, each: tongue.each}
}

// hand is one process that prefetches, as far as others see it.
type hand struct {
	agent   string
	manager *prefetch.Manager
	leaser  *mortal
	end     context.CancelFunc
	ended   chan struct{}
}

// mortal gives nothing back once its process is dead.
type mortal struct {
	*cache.Store
	dead atomic.Bool
}

func (m *mortal) Depart(ctx context.Context, worker string) error {
	if m.dead.Load() {
		return nil
	}
	return m.Store.Depart(ctx, worker)
}

func (m *mortal) Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (scheduling.Lease, bool, error) {
	lease, ok, err := m.Store.Lease(ctx, source, ttl)
	return &mortalLease{lease, m}, ok && !m.dead.Load(), err
}

type mortalLease struct {
	scheduling.Lease
	of *mortal
}

func (l *mortalLease) Release(ctx context.Context) error {
	if l.of.dead.Load() {
		return nil
	}
	return l.Lease.Release(ctx)
}

// employ starts one more worker.
func (r *region) employ(t *testing.T) {
	t.Helper()
	w := &hand{agent: fmt.Sprint("worker-", len(r.workers)), ended: make(chan struct{})}
	store := r.open(t)
	var sources []upstream.Options
	for _, c := range r.sites {
		sources = append(sources, c.opts)
	}
	registry, err := upstream.NewRegistry(sources, upstream.Deps{UserAgent: w.agent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Retire(&upstream.Registry{}) })
	var jobs []prefetch.Job
	for _, o := range sources {
		client, _ := registry.Get(o.ID)
		jobs = append(jobs, prefetch.Job{Fetcher: client, Options: prefetch.Options{
			Source: o.Source(), Cron: "@every 3s", Horizon: regionDays - 1, NearDays: regionDays, LeaseTTL: 8 * time.Second,
		}})
	}
	w.leaser = &mortal{Store: store}
	w.manager = prefetch.NewManager(prefetch.Deps{
		Writer: store, Leaser: w.leaser, Spread: 2 * time.Second, EpochEvery: time.Second,
	}, jobs)
	ctx, end := context.WithCancel(t.Context())
	w.end = end
	go func() {
		defer close(w.ended)
		if err := w.manager.Run(ctx); err != nil {
			t.Error("Run:", err)
		}
	}()
	t.Cleanup(w.leave)
	r.workers = append(r.workers, w)
}

func (w *hand) leave() { w.end(); <-w.ended }

// kill ends it as signal 9 does: what it has leased stays so until that runs out.
func (w *hand) kill() { w.leaser.dead.Store(true); w.leave() }

func (w *hand) leased() (count int) {
	for _, state := range w.manager.States() {
		if state.Leased {
			count++
		}
	}
	return count
}

func (r *region) open(t *testing.T) *cache.Store {
	t.Helper()
	store, err := cache.Open(t.Context(), cache.Options{URL: r.redis.URL()}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// watch follows what the workers find, as a gateway does.
func (r *region) watch(t *testing.T) *replica.Replica {
	t.Helper()
	var sources []scheduling.Source
	for _, c := range r.sites {
		sources = append(sources, c.opts.Source())
	}
	view, store := replica.New(replica.Options{Sources: sources}), r.open(t)
	ctx, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = view.Run(ctx, store) })
	t.Cleanup(func() { end(); running.Wait() })
	return view
}

// mark begins to count looks anew.
func (r *region) mark() {
	for _, c := range r.sites {
		c.mark = c.sim.Counters().Requests
	}
}

// looked wants every source that is well to have been looked at so often since
// the mark.
func (r *region) looked(times int) error {
	for _, c := range r.sites {
		seen := 0
		for _, request := range c.sim.Requests(c.mark) {
			if request.Path == c.look && request.Status > 0 && request.Status < 400 {
				seen++
			}
		}
		if c.sick == "" && seen < times*c.each {
			return fmt.Errorf("%s (%s) was looked at %d times, want %d", c.opts.ID, c.opts.Dialect, seen/c.each, times)
		}
	}
	return nil
}

// shows wants a replica to have just what is open at every source that is well,
// and to tell of each one that is not.
func (r *region) shows(view *replica.Replica) error {
	told := map[scheduling.SourceID]scheduling.Freshness{}
	for _, f := range view.Sources() {
		told[f.Source] = f
	}
	for _, c := range r.sites {
		f := told[c.opts.ID]
		if c.sick != "" {
			continue
		}
		want, now := 0, time.Now()
		for _, s := range c.sim.Slots("free") {
			if s.Start.After(now) {
				want++
			}
		}
		if f.Slots != want || f.State != scheduling.StateOK {
			return fmt.Errorf("%s (%s): %s, %d slots, want %d: %+v", c.opts.ID, c.opts.Dialect, f.State, f.Slots, want, f.Status)
		}
	}
	return nil
}

// tells wants those that are not well to be told as stale or down.
func (r *region) tells(view *replica.Replica) error {
	for _, f := range view.Sources() {
		i := slices.IndexFunc(r.sites, func(c *site) bool { return c.opts.ID == f.Source })
		if r.sites[i].sick != "" && f.State != scheduling.StateStale && f.State != scheduling.StateDown {
			return fmt.Errorf("%s, which answers %s, is told as %s", f.Source, r.sites[i].sick, f.State)
		}
	}
	return nil
}

// overlaps are calls of two workers that a source had at the same time.
func (r *region) overlaps() (all []string) {
	for _, c := range r.sites {
		last := map[string]time.Time{} // ends, by worker
		for _, request := range c.sim.Requests(0) {
			for agent, end := range last {
				if agent != request.UserAgent && request.At.Before(end) {
					all = append(all, fmt.Sprintf("%s: %s asked %s while a call of %s was under way", c.opts.ID, request.UserAgent, request.Path, agent))
				}
			}
			if end := request.At.Add(time.Duration(request.Took)); end.After(last[request.UserAgent]) {
				last[request.UserAgent] = end
			}
		}
	}
	return all
}

func soon(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestChaosARegionKeepsItsClock: many EHRs of all dialects on three workers. One
// worker is killed, one EHR hangs, others answer garbage, Redis is restarted
// empty: every other EHR is looked at as before, by one worker at a time, and all
// that they have is found.
func TestChaosARegionKeepsItsClock(t *testing.T) {
	t.Parallel()
	size, err := strconv.Atoi(os.Getenv("SLOTGATE_REGION"))
	if err != nil {
		size = regionSize
	}
	r := newRegion(t, size)
	for range 3 {
		r.employ(t)
	}
	view := r.watch(t)
	soon(t, func() error { return r.shows(view) })
	soon(t, r.shared)
	r.note(t, "loaded")

	for _, c := range r.sites {
		if c.sick == "" {
			continue
		}
		if _, err := c.sim.SetFaults(ehrsim.Fault{Kind: c.sick}); err != nil {
			t.Fatal(err)
		}
	}
	r.workers[0].kill()
	r.mark()
	soon(t, func() error { return r.looked(3) })
	soon(t, func() error { return r.tells(view) })
	soon(t, r.shared)
	r.note(t, "a worker was killed")

	if err := r.redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mark()
	soon(t, func() error { return r.looked(3) })
	late := r.watch(t) // what it knows is what was brought since
	for _, one := range []*replica.Replica{view, late} {
		soon(t, func() error { return r.shows(one) })
		soon(t, func() error { return r.tells(one) })
	}
	soon(t, r.shared)
	r.note(t, "Redis was emptied")
	for _, overlap := range r.overlaps() {
		t.Error(overlap)
	}
}

// shared wants every source to have a worker, and the living ones to have parts
// of about one size.
func (r *region) shared() error {
	var parts []int
	alive, sum := 0, 0
	for _, w := range r.workers {
		parts = append(parts, w.leased())
		sum += w.leased()
		if !w.leaser.dead.Load() {
			alive++
		}
	}
	most := (len(r.sites) + alive - 1) / alive
	if sum != len(r.sites) || slices.Max(parts) > most {
		return fmt.Errorf("%d sources are shared as %v by %d workers", len(r.sites), parts, alive)
	}
	return nil
}

// note logs how the work is shared.
func (r *region) note(t *testing.T, what string) {
	var leased []int
	for _, w := range r.workers {
		leased = append(leased, w.leased())
	}
	t.Logf("%s: %d EHRs are shared as %v", what, len(r.sites), leased)
}
