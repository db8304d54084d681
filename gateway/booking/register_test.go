package booking_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
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
	"slotgate/config/testenv"
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
		People: w.people, Named: w.named, Keys: store.Keys(v), Clock: w.clock, Log: log, Metrics: w.metric,
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

var ways = []scheduling.RegisterWay{scheduling.RegisterPost, scheduling.RegisterIfNoneExist, scheduling.RegisterSearch}

// TestManyRegistrationsOfOnePersonMakeOnePatient has twenty at once, of four
// principals and two gateways, at a server that looks first and adds later.
func TestManyRegistrationsOfOnePersonMakeOnePatient(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for name, race := range map[string]time.Duration{"racing": 30 * time.Millisecond, "not racing": 0} {
			t.Run(string(way)+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newClinic(t, way, func(o *ehrsim.Options) { o.PatientRace = race })
				deps := w.deps
				deps.Metrics = nil
				gateways := []*booking.Registrar{w.Registrar, w.registrar(deps)}
				natives := make([]string, 20)
				var all sync.WaitGroup
				for i := range natives {
					principal := fmt.Sprint("user", i%4)
					id := w.come(principal, canaryPatient)
					all.Go(func() {
						native, err := gateways[i%2].Native(t.Context(), principal, clinic, id)
						if err != nil {
							t.Error(err)
						}
						natives[i] = native
					})
				}
				all.Wait()
				for _, native := range natives {
					if native == "" || native != natives[0] {
						t.Fatalf("several: %v", natives)
					}
				}
				if w.made() != 1 {
					t.Errorf("the EHR has %d new patients", w.made())
				}
			})
		}
	}
}

// TestWithoutTheLockTheServerRaces shows that the race above is one.
func TestWithoutTheLockTheServerRaces(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterIfNoneExist, func(o *ehrsim.Options) { o.PatientRace = 100 * time.Millisecond })
	at, _ := w.deps.At(clinic)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			_, _ = at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, canaryPatient), Identifier: "x", Conditional: true})
		})
	}
	all.Wait()
	if w.made() < 2 {
		t.Skipf("the server did not race: %d", w.made())
	}
}

func TestARegisteredPersonIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w := newClinic(t, way, nil)
		id := w.come("alice", canaryPatient)
		first, err := w.native("alice", id)
		if err != nil {
			t.Fatal(way, err)
		}
		n := len(w.sim.Requests(0))
		second, err := w.native("alice", id)
		if err != nil || first != second || len(w.sim.Requests(0)) != n {
			t.Errorf("%s: %s %s %v, %d requests more", way, first, second, err, len(w.sim.Requests(0))-n)
		}
		if known, ok, err := w.Known(t.Context(), "alice", clinic, id); err != nil || !ok || known != first {
			t.Errorf("%s: known as %s %v %v", way, known, ok, err)
		}
	}
}

func TestLaw13NobodyRegistersOrNamesAnothersPatient(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, nil)
	id := w.come("alice", canaryPatient)
	native, err := w.native("alice", id)
	if err != nil {
		t.Fatal(err)
	}
	for name, asked := range map[string]string{
		"another principal's": id, "the EHR's own": native, "a seeded one": "pat-1", "no id": "../x", "empty": "",
	} {
		if got, err := w.native("mallory", asked); scheduling.CodeOf(err) != scheduling.UnknownID || got != "" {
			t.Errorf("%s: %q %v", name, got, err)
		}
		if _, err := w.Patient(t.Context(), "mallory", asked); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("%s, read: %v", name, err)
		}
		if err := w.Forget(t.Context(), "mallory", asked); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("%s, deleted: %v", name, err)
		}
	}
	if w.made() != 1 {
		t.Errorf("the EHR has %d new patients", w.made())
	}
}

// TestLaw13OneTextForWhoeverIsNotCertain: a caller must not learn whom the
// source knows.
func TestLaw13OneTextForWhoeverIsNotCertain(t *testing.T) {
	t.Parallel()
	twins := func(t *testing.T, w *clinicWorld) {
		at, _ := w.deps.At(clinic)
		for range 2 {
			if _, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, canaryPatient)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	one := func(body string) func(*testing.T, *clinicWorld) {
		return func(t *testing.T, w *clinicWorld) {
			at, _ := w.deps.At(clinic)
			if _, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, body)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := strings.Replace(canaryPatient, "1964-06-19", "1999-01-01", 1)
	texts := map[string]bool{}
	for name, c := range map[string]struct {
		way  scheduling.RegisterWay
		have func(*testing.T, *clinicWorld)
		body string
	}{
		"several by If-None-Exist":               {scheduling.RegisterIfNoneExist, twins, canaryPatient},
		"several by search":                      {scheduling.RegisterSearch, twins, canaryPatient},
		"name and birth date alone":              {scheduling.RegisterSearch, one(withoutIdentifier("")), withoutIdentifier(`,"active":true`)},
		"name and birth date, other number":      {scheduling.RegisterSearch, one(strings.Replace(canaryPatient, "CANARY-77", "x", 1)), canaryPatient},
		"the number, and another birth date":     {scheduling.RegisterSearch, one(other), canaryPatient},
		"the number, another birth date, by 200": {scheduling.RegisterIfNoneExist, one(other), canaryPatient},
		"the server's guess":                     {scheduling.RegisterPost, one(other), canaryPatient},
	} {
		w := newClinic(t, c.way, nil)
		c.have(t, w)
		before := w.made()
		id := w.come("alice", c.body)
		native, err := w.native("alice", id)
		e := scheduling.AsError(err)
		if e == nil || e.Code != scheduling.NeedsClinic || native != "" {
			t.Errorf("%s: %q %v", name, native, err)
			continue
		}
		texts[fmt.Sprint(e.Message, e.Param, e.Who, e.RetryAfter)] = true
		if w.made() != before {
			t.Errorf("%s: %d were made", name, w.made()-before)
		}
		if links, err := w.people.Links(t.Context(), "alice", id); err != nil || len(links) != 0 {
			t.Errorf("%s: something was kept: %v %v", name, links, err)
		}
	}
	if len(texts) != 1 {
		t.Errorf("%d texts: %v", len(texts), texts)
	}
}

func TestOneKnownByIdentifierIsUsed(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w := newClinic(t, way, nil)
		at, _ := w.deps.At(clinic)
		known, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, canaryPatient)})
		if err != nil {
			t.Fatal(err)
		}
		if native, err := w.native("alice", w.come("alice", canaryPatient)); err != nil || native != known.ID || w.made() != 1 {
			t.Errorf("%s: %s %v, %d made", way, native, err, w.made())
		}
	}
}

func TestWhatTheSourceWantsToKnowIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, func(o *ehrsim.Options) { o.PatientRequires = []string{"telecom"} })
	id := w.come("alice", withoutIdentifier(""))
	_, err := w.native("alice", id)
	if e := scheduling.AsError(err); e == nil || e.Code != scheduling.MissingData || e.Param != "Patient.telecom" {
		t.Errorf("%v", err)
	}
	if _, err := w.native("alice", w.come("alice", withoutIdentifier(`,"telecom":[{"value":"1"}]`))); err != nil {
		t.Errorf("with it: %v", err)
	}
}

func TestNobodyIsRegisteredWhereThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterNone, nil)
	if _, err := w.native("alice", w.come("alice", canaryPatient)); scheduling.CodeOf(err) != scheduling.NotSupported {
		t.Errorf("%v", err)
	}
	if _, err := w.Native(t.Context(), "alice", "gone", w.come("alice", canaryPatient)); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("a source that is gone: %v", err)
	}
}

// TestALostAnswerIsSettledByOurIdentifier: the EHR has done it and did not say,
// in each way of not saying.
func TestALostAnswerIsSettledByOurIdentifier(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for _, kind := range []ehrsim.FaultKind{ehrsim.FaultCommitLost, ehrsim.FaultCommitError, ehrsim.FaultCommitNonsense, ehrsim.FaultCommitEmpty} {
			t.Run(string(way)+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				w := newClinic(t, way, nil)
				w.fault(ehrsim.Fault{Kind: kind, On: "register", Count: 1})
				native, err := w.native("alice", w.come("alice", canaryPatient))
				if err != nil || native == "" || w.made() != 1 {
					t.Errorf("%q %v, %d made", native, err, w.made())
				}
			})
		}
	}
}

// TestWhatIsNotKnownIsNotSentAgainTooEarly: the answer is lost, and nothing is
// found. It may still come.
func TestWhatIsNotKnownIsNotSentAgainTooEarly(t *testing.T) {
	t.Parallel()
	for _, way := range []scheduling.RegisterWay{scheduling.RegisterPost, scheduling.RegisterSearch} {
		w := newClinic(t, way, nil)
		w.fault(ehrsim.Fault{Kind: ehrsim.FaultLost, On: "register", Count: 1})
		id := w.come("alice", canaryPatient)
		posts := func() (n int) {
			for _, r := range w.sim.Requests(0) {
				if r.Method == http.MethodPost && r.Path == "/Patient" {
					n++
				}
			}
			return n
		}
		for range 2 {
			_, err := w.native("alice", id)
			if e := scheduling.AsError(err); e == nil || e.Code != scheduling.SourceDown || e.RetryAfter <= 0 {
				t.Fatalf("%s: %v", way, err)
			}
			if posts() != 1 {
				t.Fatalf("%s: sent %d times", way, posts())
			}
		}
		w.clock.forward(7 * time.Second)
		if native, err := w.native("alice", id); err != nil || native == "" || w.made() != 1 || posts() != 2 {
			t.Errorf("%s: settled: %q %v, %d made, %d sent", way, native, err, w.made(), posts())
		}
	}
	// What is conditional on our own identifier may be sent again at once.
	w := newClinic(t, scheduling.RegisterIfNoneExist, nil)
	w.fault(ehrsim.Fault{Kind: ehrsim.FaultLost, On: "register", Count: 1})
	if native, err := w.native("alice", w.come("alice", canaryPatient)); err != nil || native == "" || w.made() != 1 {
		t.Errorf("conditional: %q %v, %d made", native, err, w.made())
	}
}

// TestALateCommitIsFound: what was taken for lost comes after all.
func TestALateCommitIsFound(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterSearch, nil)
	w.fault(ehrsim.Fault{Kind: ehrsim.FaultCommitLate, On: "register", Count: 1, Delay: ehrsim.Duration(300 * time.Millisecond)})
	id := w.come("alice", canaryPatient)
	deadline := time.Now().Add(10 * time.Second)
	for {
		native, err := w.native("alice", id)
		if err == nil {
			if native == "" || w.made() != 1 {
				t.Errorf("%q, %d made", native, w.made())
			}
			return
		}
		if scheduling.CodeOf(err) != scheduling.SourceDown || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestEveryFaultEndsWithOnePatientOrNone(t *testing.T) {
	t.Parallel()
	for _, kind := range []ehrsim.FaultKind{
		ehrsim.FaultStatus, ehrsim.FaultThrottle, ehrsim.FaultHTML, ehrsim.FaultEmptyBody, ehrsim.FaultReset, ehrsim.FaultCutJSON,
		ehrsim.FaultHugeGzip, ehrsim.FaultRefuse, ehrsim.FaultWrongType,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for _, way := range ways {
				w := newClinic(t, way, nil)
				w.fault(ehrsim.Fault{Kind: kind, Path: "/Patient", Count: 1})
				id := w.come("alice", canaryPatient)
				for range 3 {
					if _, err := w.native("alice", id); err == nil {
						break
					}
					w.clock.forward(7 * time.Second)
				}
				if native, err := w.native("alice", id); err != nil || native == "" || w.made() != 1 {
					t.Errorf("%s: %q %v, %d made", way, native, err, w.made())
				}
			}
		})
	}
}

func TestADeletedPersonIsForgottenAndTheirLinksWhenNothingIsOpen(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, nil)
	id := w.come("alice", canaryPatient)
	if _, err := w.native("alice", id); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(time.Hour)
	w.named["alice/"+id] = []scheduling.Entry{{State: scheduling.EntryBooked, Offer: scheduling.OfferRecord{Slots: []scheduling.Slot{{Start: start, End: start.Add(time.Hour)}}}}}
	if err := w.Forget(t.Context(), "alice", id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Patient(t.Context(), "alice", id); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("read: %v", err)
		}
		if _, err := w.native("alice", id); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("booked for: %v", err)
		}
		if links, err := w.people.Links(t.Context(), "alice", id); err != nil || !links[clinic].Forgotten {
			t.Errorf("an appointment is open, and the link %v, %v", links, err)
		}
	}
	if err := w.Forget(t.Context(), "alice", id); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Errorf("deleted again: %v", err)
	}
	again := w.come("alice", canaryPatient)
	if again == id {
		t.Error("the deleted one came back")
	}
	if _, err := w.native("alice", again); err != nil {
		t.Fatal(err)
	}
	if err := w.Forget(t.Context(), "alice", again); err != nil {
		t.Fatal(err)
	}
	if links, err := w.people.Links(t.Context(), "alice", again); err != nil || len(links) != 0 {
		t.Errorf("nothing is open, and the link %v, %v", links, err)
	}
}

func TestARegistrationIsAnsweredAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, nil)
	person := patientFrom(t, canaryPatient)
	first, added, err := w.Register(t.Context(), "alice", person, "key-1")
	if err != nil || !added {
		t.Fatal(err, added)
	}
	again, added, err := w.Register(t.Context(), "alice", person, "key-1")
	if err != nil || !added || again.ID != first.ID {
		t.Errorf("again: %v %v %v", again, added, err)
	}
	if known, added, err := w.Register(t.Context(), "alice", person, ""); err != nil || added || known.ID != first.ID {
		t.Errorf("without the key: %v %v %v", known, added, err)
	}
	other := patientFrom(t, withoutIdentifier(""))
	if _, _, err := w.Register(t.Context(), "alice", other, "key-1"); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("another body: %v", err)
	}
	bad := patientFrom(t, `{"resourceType":"Patient","birthDate":"1990-01-01"}`)
	for range 2 {
		if _, _, err := w.Register(t.Context(), "alice", bad, "key-2"); scheduling.CodeOf(err) != scheduling.MissingData {
			t.Errorf("refused: %v", err)
		}
	}
	ids := make([]string, 10)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			r, added, err := w.Register(t.Context(), "bob", person, "key-3")
			if err != nil || !added {
				t.Error(err, added)
			}
			ids[i] = r.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several: %v", ids)
		}
	}
	if err := w.Forget(t.Context(), "alice", first.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Register(t.Context(), "alice", person, "key-1"); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Errorf("the one who was deleted: %v", err)
	}
}

// TestLaw10ACanaryIsSeenNowhere walks every way, refusal and fault with a person
// whose strings are then looked for.
func TestLaw10ACanaryIsSeenNowhere(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	for _, way := range ways {
		w := newClinic(t, way, func(o *ehrsim.Options) { o.PatientRequires = []string{"telecom"} })
		note := func(err error) {
			if err == nil {
				return
			}
			e := scheduling.AsError(err)
			fmt.Fprintln(&told, err, e.Message, e.Param)
			w.deps.Log.ErrorContext(t.Context(), "x", "error", err)
		}
		_, err := w.native("alice", w.come("alice", withoutIdentifier("")))
		note(err)
		for i, kind := range []ehrsim.FaultKind{ehrsim.FaultStatus, ehrsim.FaultCommitLost, ehrsim.FaultHTML, ehrsim.FaultRefuse, ehrsim.FaultReset, ehrsim.FaultCutJSON} {
			w.fault(ehrsim.Fault{Kind: kind, Path: "/Patient", Count: 3})
			principal := fmt.Sprint("user", i)
			id := w.come(principal, canaryPatient)
			for range 3 {
				_, err := w.native(principal, id)
				note(err)
			}
		}
		id := w.come("carol", canaryPatient)
		_, err = w.native("carol", id)
		note(err)
		_, _, err = w.Register(t.Context(), "carol", patientFrom(t, strings.Replace(canaryPatient, "1964-06-19", "1964-06-66", 1)), "")
		note(err)
		_, err = w.SearchPatients(t.Context(), "carol", scheduling.PatientSearch{Family: "Canary"})
		note(err)
		for _, r := range w.sim.Requests(0) {
			fmt.Fprintln(&told, r.Path, r.Query)
		}
		families, err := w.metric.Gather()
		if err != nil || len(families) == 0 {
			t.Fatal(err)
		}
		fmt.Fprintln(&told, families, w.log.String(), dump(t, w.redis))
	}
	if told.Len() < 10_000 || !strings.Contains(told.String(), "pt-") {
		t.Fatal("there is nothing to look at")
	}
	for _, word := range []string{"anary", "CANARY", "1964-06", "555-c"} {
		if at := strings.Index(told.String(), word); at >= 0 {
			t.Errorf("%q is told: %.200q", word, told.String()[max(0, at-100):])
		}
	}
}

// TestMedplumHasOnePatient registers at a server that nobody here wrote, by each
// way that it knows.
func TestMedplumHasOnePatient(t *testing.T) {
	t.Parallel()
	base := testenv.StartNode(t, "medplum.mjs")
	first := ""
	for _, way := range []scheduling.RegisterWay{scheduling.RegisterIfNoneExist, scheduling.RegisterSearch} {
		w := clinicAt(t, base, way, upstream.Slots, scheduling.R4)
		natives := make([]string, 8)
		var all sync.WaitGroup
		for i := range natives {
			principal := fmt.Sprint("user", i%4)
			id := w.come(principal, canaryPatient)
			all.Go(func() {
				native, err := w.native(principal, id)
				if err != nil {
					t.Error(way, err)
				}
				natives[i] = native
			})
		}
		all.Wait()
		if first == "" {
			first = natives[0]
		}
		for _, native := range natives {
			if native == "" || native != first {
				t.Errorf("%s: %v", way, natives)
			}
		}
	}
}

func TestRegisterOptionsAreChecked(t *testing.T) {
	t.Parallel()
	if err := booking.DefaultRegisterOptions().Validate(); err != nil {
		t.Error(err)
	}
	for key, bend := range map[string]func(*booking.RegisterOptions){
		"wait:":         func(o *booking.RegisterOptions) { o.Wait = 0 },
		"margin:":       func(o *booking.RegisterOptions) { o.Margin = time.Hour },
		"limits.names:": func(o *booking.RegisterOptions) { o.Limits.Names = 0 },
	} {
		o := booking.DefaultRegisterOptions()
		bend(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s %v", key, err)
		}
	}
}

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
