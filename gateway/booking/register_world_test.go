package booking_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/fhir"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

const clinic scheduling.SourceID = "clinic"

// entries are those that name patients, as a test says.
type entries map[string][]scheduling.Entry

func (e entries) ByPatient(_ context.Context, _ scheduling.SourceID, principal, patient string) ([]scheduling.Entry, error) {
	return e[principal+"/"+patient], nil
}

// clinicWorld is a registrar with a real store, a real client and a simulated
// EHR.
type clinicWorld struct {
	*booking.Registrar
	t      *testing.T
	sim    *ehrsim.Server
	people *cache.Patients
	named  entries
	log    *bytes.Buffer
	redis  string
	metric *prometheus.Registry
	clock  *clock
	before int // patients at the EHR
	deps   booking.RegistrarDeps
}

// clock is a real one that can be put forward.
type clock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *clock) forward(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += by
}

type syncBuffer struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func newClinic(t *testing.T, way scheduling.RegisterWay, simulate func(*ehrsim.Options)) *clinicWorld {
	t.Helper()
	o := ehrsim.Options{Practitioners: 1, Days: 1, Seed: 3, Dialect: ehrsim.Slots, FHIR: ehrsim.R4}
	if way == scheduling.RegisterPost {
		o.Dialect, o.FHIR = ehrsim.Argonaut, ehrsim.STU3
	}
	if simulate != nil {
		simulate(&o)
	}
	srv, err := ehrsim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	base, err := srv.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	w := clinicAt(t, base, way, string(o.Dialect), scheduling.Release(o.FHIR))
	w.sim, w.before = srv, len(srv.Patients())
	return w
}

func clinicAt(t *testing.T, base string, way scheduling.RegisterWay, dialect string, release scheduling.Release) *clinicWorld {
	t.Helper()
	w := &clinicWorld{t: t, named: entries{}, log: &bytes.Buffer{}, metric: prometheus.NewRegistry(), clock: &clock{}}
	o := upstream.Options{ID: clinic, Base: base, Dialect: dialect, FHIR: release, Register: upstream.Register{Register: string(way)}}
	o.SetDefaults()
	o.Limits.Rate, o.Limits.Concurrency, o.Limits.BreakerFailures = 10_000, 20, 1000
	o.Booking.CallTimeout = config.Duration(3 * time.Second)
	o.Booking.Settle = config.Duration(6 * time.Second)
	log := slog.New(slog.NewJSONHandler(&syncBuffer{b: w.log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	registry, err := upstream.NewRegistry([]upstream.Options{o}, upstream.Deps{Logger: log, Registerer: w.metric})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	w.redis = redistest.Start(t).URL()
	store, err := cache.Open(t.Context(), cache.Options{URL: w.redis}, cache.Deps{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	v := vault.Ephemeral()
	if w.people, err = store.Patients(v, cache.PatientOptions{}); err != nil {
		t.Fatal(err)
	}
	w.deps = booking.RegistrarDeps{
		People: w.people, Named: w.named, Keys: store.Keys(v), Clock: w.clock, Log: log, Metrics: w.metric, Secret: []byte("0123456789abcdef0123456789abcdef"),
		At: func(source scheduling.SourceID) (booking.Registry, bool) {
			c, ok := registry.Get(source)
			return c, ok
		},
	}
	w.Registrar = w.registrar(w.deps)
	return w
}

// registrar is another gateway's.
func (w *clinicWorld) registrar(deps booking.RegistrarDeps) *booking.Registrar {
	w.t.Helper()
	r, err := booking.NewRegistrar(deps, booking.DefaultRegisterOptions())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *clinicWorld) fault(f ehrsim.Fault) {
	w.t.Helper()
	if _, err := w.sim.AddFaults(f); err != nil {
		w.t.Fatal(err)
	}
}

// made is how many patients the EHR has got.
func (w *clinicWorld) made() int { return len(w.sim.Patients()) - w.before }

const canaryPatient = `{"resourceType":"Patient","identifier":[{"system":"urn:canary:mrn","value":"CANARY-77"}],
	"name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"gender":"female","birthDate":"1964-06-19",
	"telecom":[{"system":"phone","value":"555-canary"}],"address":[{"line":["1 Canary Street"],"city":"Canaryville"}]}`

func patientFrom(t testing.TB, body string) scheduling.Registration {
	t.Helper()
	r, err := fhir.ReadPatient(scheduling.R4, fhir.JSON, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// come registers a person at the gateway.
func (w *clinicWorld) come(principal, body string) string {
	w.t.Helper()
	r, _, err := w.Register(w.t.Context(), principal, patientFrom(w.t, body), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return r.ID
}

func (w *clinicWorld) native(principal, id string) (string, error) {
	return w.Native(w.t.Context(), principal, clinic, id)
}

func withoutIdentifier(more string) string {
	return `{"resourceType":"Patient","name":[{"family":"Canaryfamily","given":["Canarygiven"]}],"gender":"female","birthDate":"1964-06-19"` + more + `}`
}

var ways = []scheduling.RegisterWay{scheduling.RegisterPost, scheduling.RegisterIfNoneExist, scheduling.RegisterSearch, scheduling.RegisterMatch}

// dump is everything in a Redis.
func dump(t testing.TB, url string) string {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	var out strings.Builder
	for _, key := range c.Keys(t.Context(), "*").Val() {
		fmt.Fprintln(&out, key, c.Dump(t.Context(), key).Val())
		fmt.Fprintln(&out, c.Get(t.Context(), key).Val(), c.HGetAll(t.Context(), key).Val(), c.ZRange(t.Context(), key, 0, -1).Val())
	}
	return out.String()
}
