package ask_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/cache/replica"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/gateway/ask"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// index is the replica as answers are found in it.
type index struct{ *replica.Replica }

func (x index) Layer(a scheduling.Answer) ask.Layer {
	if layer := x.Replica.Layer(a); layer != nil {
		return layer
	}
	return nil
}

func (x index) With(layers []ask.Layer) ask.View {
	var own []*replica.Layer
	for _, l := range layers {
		if layer, ok := l.(*replica.Layer); ok {
			own = append(own, layer)
		}
	}
	return x.Replica.With(own...)
}

// clients are the sources.
type clients struct{ *upstream.Registry }

func (c clients) Find(ctx context.Context, id scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error) {
	client, _ := c.Get(id)
	return client.Live(ctx, scope)
}

func (c clients) Again(ctx context.Context, id scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error) {
	client, _ := c.Get(id)
	return client.Again(ctx, scope)
}

// ward is one simulated EHR whose searches for slots can be held up.
type ward struct {
	id    scheduling.SourceID
	sim   *ehrsim.Server
	calls atomic.Int64 // searches for slots that came

	mu   sync.Mutex
	shut chan struct{} // nil: open
}

func (w *ward) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/Slot") {
		w.calls.Add(1)
		w.mu.Lock()
		shut := w.shut
		w.mu.Unlock()
		if shut != nil {
			select {
			case <-shut:
			case <-r.Context().Done():
				return
			}
		}
	}
	w.sim.ServeHTTP(rw, r)
}

// close holds searches up until the door is opened.
func (w *ward) close() (open func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	shut := make(chan struct{})
	w.shut = shut
	return sync.OnceFunc(func() {
		w.mu.Lock()
		w.shut = nil
		w.mu.Unlock()
		close(shut)
	})
}

// world is an Asker over simulated EHRs, a replica and a real Redis.
type world struct {
	*ask.Asker
	replica *replica.Replica
	store   *cache.Store
	wards   map[scheduling.SourceID]*ward
}

// patient is how long everything may take on a slow machine.
func patient() ask.Options {
	var o ask.Options
	o.SetDefaults()
	o.Deadline, o.Timeout = time.Minute, 2*time.Minute
	return o
}

// newWorld asks sources of these names, plain FHIR servers of one practitioner.
func newWorld(t *testing.T, opts ask.Options, names ...scheduling.SourceID) *world {
	t.Helper()
	store, err := cache.Open(t.Context(), cache.Options{URL: redistest.Start(t).URL()}, cache.Deps{})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	w := &world{store: store, wards: map[scheduling.SourceID]*ward{}}
	var all []upstream.Options
	var sources []scheduling.Source
	for i, id := range names {
		sim, err := ehrsim.New(ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 6, Zone: "Europe/Paris", Seed: uint64(i + 1)})
		must(t, err)
		one := &ward{id: id, sim: sim}
		server := httptest.NewServer(one)
		t.Cleanup(server.Close)
		w.wards[id] = one
		all = append(all, source(id, server.URL+ehrsim.BasePath))
		sources = append(sources, all[i].Source())
	}
	registry, err := upstream.NewRegistry(all, upstream.Deps{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = registry.Close() })
	w.replica = replica.New(replica.Options{Sources: sources})
	for _, id := range names {
		client, _ := registry.Get(id)
		dir, _, err := client.Directory(t.Context())
		must(t, err)
		now := time.Now()
		w.replica.Apply(id, scheduling.Change{Directory: &dir, Status: &scheduling.Status{Source: id, Tried: now, Loaded: now, LastSync: now}})
	}
	w.Asker, err = ask.New(opts, ask.Deps{
		Index: index{w.replica}, Sources: clients{registry}, Store: store, Leads: store.Leads(vault.Ephemeral(), true),
		Live: sources, Life: t.Context(), Now: time.Now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Registerer: prometheus.NewRegistry(),
	})
	must(t, err)
	return w
}

func source(id scheduling.SourceID, base string) upstream.Options {
	o := upstream.Options{ID: id, Base: base, Dialect: upstream.Slots, FHIR: scheduling.R4, Store: new(bool)}
	o.Limits.Rate, o.Limits.Concurrency, o.Limits.BreakerFailures = 10_000, 16, 10_000
	o.Limits.Retries = new(int)
	o.Limits.MaxBody, o.Limits.MaxPages = 1<<20, 5
	o.Limits.Timeout = config.Duration(time.Minute)
	o.SetDefaults()
	return o
}

// open are the slots of a ward that can be found now.
func (w *ward) open() map[string]bool {
	ids := map[string]bool{}
	for _, s := range w.sim.Slots("free") {
		if s.Start.After(time.Now().Add(time.Minute)) {
			ids[s.ID] = true
		}
	}
	return ids
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits, a while.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not: " + what)
		}
	}
}

// asked is what came of asking a source.
func asked(found scheduling.Found, id scheduling.SourceID) scheduling.Freshness {
	for _, f := range found.Sources {
		if f.Source == id {
			return f
		}
	}
	return scheduling.Freshness{}
}
