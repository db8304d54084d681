package booking_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// bent answers in the EHR's place, or does not.
type bent func(w http.ResponseWriter, r *http.Request) bool

// bentClinic is a clinic whose EHR answers some requests as bend says.
func bentClinic(t *testing.T, way scheduling.RegisterWay, bend bent) *clinicWorld {
	t.Helper()
	sim, err := ehrsim.New(ehrsim.Options{Practitioners: 1, Days: 1, Seed: 3, Dialect: ehrsim.Slots, FHIR: ehrsim.R4})
	if err != nil {
		t.Fatal(err)
	}
	base, err := sim.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	at, err := url.Parse(strings.TrimSuffix(base, "/fhir"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Header.Get("X-As-It-Is") != "" || !bend(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	w := clinicAt(t, srv.URL+"/fhir", way, string(ehrsim.Slots), scheduling.R4)
	w.sim, w.before = sim, len(sim.Patients())
	return w
}

func answered(status int, location, body string) bent {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/fhir+json")
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

// on bends one interaction: create, read, search or match.
func on(what string, answer bent) bent {
	return func(w http.ResponseWriter, r *http.Request) bool {
		is := map[string]bool{
			"create": r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Patient"),
			"read":   r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/Patient/"),
			"search": strings.HasSuffix(r.URL.Path, "/Patient/_search"),
			"match":  strings.HasSuffix(r.URL.Path, "/Patient/$match"),
		}[what]
		return is && answer(w, r)
	}
}

func both(a, b bent) bent {
	return func(w http.ResponseWriter, r *http.Request) bool { return a(w, r) || b(w, r) }
}

const (
	bruno = `{"resourceType":"Patient","id":"pat-2","name":[{"family":"Falk","given":["Bruno"]}],"gender":"male","birthDate":"1971-02-03"}`
	there = "http://ehr/fhir/Patient/pat-2/_history/1"
	amy   = `{"resourceType":"Patient","id":"pat-3","identifier":[{"system":"urn:ins","value":"M-1"},{"system":"urn:ssn","value":"111"}],"name":[{"family":"Pike","given":["Amy"]}],"gender":"female","birthDate":"2010-05-05"}`
	zoe   = `{"resourceType":"Patient","identifier":[{"system":"urn:ins","value":"M-1"},{"system":"urn:ssn","value":"222"}],"name":[{"family":"Pike","given":["Zoe"]}],"gender":"female","birthDate":"2010-05-05"}`
)

func listOf(more string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"searchset"` + more + `,"entry":[` + strings.Join(entries, ",") + `]}`
}

func entryOf(resource, grade string) string {
	if grade != "" {
		grade = `,"search":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"` + grade + `"}],"score":1}`
	}
	return `{"resource":` + resource + grade + `}`
}

func marked(resource, more string) string { return strings.TrimSuffix(resource, "}") + more + "}" }

// TestLaw3NobodyIsBookedForAStranger: whoever a source answers with is judged,
// and where it is not the person the one text says so.
func TestLaw3NobodyIsBookedForAStranger(t *testing.T) {
	t.Parallel()
	amysOwn := strings.Replace(amy, `"id":"pat-3",`, "", 1)
	const post, cond, search, match = scheduling.RegisterPost, scheduling.RegisterIfNoneExist, scheduling.RegisterSearch, scheduling.RegisterMatch
	texts := map[string]bool{}
	for name, c := range map[string]struct {
		way    scheduling.RegisterWay
		person string
		bend   bent
		code   scheduling.Code
	}{
		"201 with another person":      {post, canaryPatient, on("create", answered(201, there, bruno)), scheduling.NeedsClinic},
		"200 with another person":      {post, canaryPatient, on("create", answered(200, there, bruno)), scheduling.NeedsClinic},
		"201 with an id alone":         {post, canaryPatient, on("create", answered(201, there, "")), scheduling.NeedsClinic},
		"200 with an id alone":         {post, canaryPatient, on("create", answered(200, there, "")), scheduling.NeedsClinic},
		"conditional, an id alone":     {cond, canaryPatient, on("create", answered(200, there, "")), scheduling.NeedsClinic},
		"an id of nobody":              {post, canaryPatient, on("create", answered(201, "Patient/none", "")), scheduling.NeedsClinic},
		"an id that cannot be read":    {post, canaryPatient, both(on("read", answered(403, "", "")), on("create", answered(201, there, ""))), scheduling.NeedsClinic},
		"a Patient that says nothing":  {post, canaryPatient, both(on("read", answered(200, "", `{"resourceType":"Patient","id":"pat-2"}`)), on("create", answered(201, there, `{"resourceType":"Patient","id":"pat-2"}`))), scheduling.NeedsClinic},
		"it cannot be read just now":   {post, canaryPatient, both(on("read", answered(503, "", "")), on("create", answered(201, there, ""))), scheduling.SourceDown},
		"the twin, by condition":       {cond, zoe, on("create", answered(200, "", amy)), scheduling.NeedsClinic},
		"the twin, by search":          {search, zoe, on("search", answered(200, "", listOf("", entryOf(amy, "")))), scheduling.NeedsClinic},
		"the twin, certainly":          {match, zoe, on("match", answered(200, "", listOf("", entryOf(amy, "certain")))), scheduling.NeedsClinic},
		"possible, and one identifier": {match, amysOwn, on("match", answered(200, "", listOf("", entryOf(amy, "possible")))), scheduling.NeedsClinic},
		"merged":                       {search, amysOwn, on("search", answered(200, "", listOf("", entryOf(marked(amy, `,"link":[{"other":{"reference":"Patient/pat-1"},"type":"replaced-by"}]`), "")))), scheduling.NeedsClinic},
		"inactive":                     {match, amysOwn, on("match", answered(200, "", listOf("", entryOf(marked(amy, `,"active":false`), "certain")))), scheduling.NeedsClinic},
		"dead":                         {cond, amysOwn, on("create", answered(200, "", marked(amy, `,"deceasedDateTime":"2020-01-01"`))), scheduling.NeedsClinic},
		"counted, and not shown":       {search, amysOwn, on("search", answered(200, "", listOf(`,"total":3`))), scheduling.NeedsClinic},
		"an id that is none":           {search, amysOwn, on("search", answered(200, "", listOf("", entryOf(strings.Replace(amy, "pat-3", "pat_3", 1), "")))), scheduling.SourceNonsense},
		"the name as text":             {search, withoutIdentifier(""), on("search", answered(200, "", listOf("", entryOf(`{"resourceType":"Patient","id":"pat-4","name":[{"text":"Canaryfamily, C."}],"birthDate":"1964-06-19"}`, "")))), scheduling.NeedsClinic},
		"the person, by search":        {search, amysOwn, on("search", answered(200, "", listOf("", entryOf(amy, "")))), ""},
		"the person, by condition":     {cond, amysOwn, on("create", answered(200, "", amy)), ""},
	} {
		w := bentClinic(t, c.way, c.bend)
		id := w.come("alice", c.person)
		native, err := w.native("alice", id)
		if scheduling.CodeOf(err) != c.code || (native != "") != (c.code == "") || w.made() != 0 {
			t.Errorf("%s: %q %v, %d made", name, native, err, w.made())
		}
		if e := scheduling.AsError(err); e != nil && e.Code == scheduling.NeedsClinic {
			texts[e.Message+e.Param] = true
		}
		if _, known, err := w.Known(t.Context(), "alice", clinic, id); err != nil || known != (c.code == "") {
			t.Errorf("%s: known %v %v", name, known, err)
		}
	}
	if len(texts) != 1 {
		t.Errorf("%d texts: %v", len(texts), texts)
	}
}

// TestABareAnswerIsBelievedOnceItIsRead: the server did what it should, and says
// only where.
func TestABareAnswerIsBelievedOnceItIsRead(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w := bentClinic(t, way, on("create", func(rw http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			req, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+r.Host+r.URL.Path, bytes.NewReader(body))
			req.Header = r.Header.Clone()
			req.Header.Set("X-As-It-Is", "1")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return false
			}
			defer func() { _ = res.Body.Close() }()
			return answered(res.StatusCode, res.Header.Get("Location"), "")(rw, r)
		}))
		native, err := w.native("alice", w.come("alice", canaryPatient))
		if err != nil || native == "" || w.made() != 1 {
			t.Errorf("%s: %q %v, %d made", way, native, err, w.made())
		}
	}
}

// TestALinkIsLookedAtOnceADay: ids are given to others when an EHR is set up anew,
// and charts are closed.
func TestALinkIsLookedAtOnceADay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		later bent
		code  scheduling.Code
		anew  bool
	}{
		"the same":          {func(http.ResponseWriter, *http.Request) bool { return false }, "", false},
		"somebody else now": {nil, scheduling.NeedsClinic, false},
		"gone":              {on("read", answered(410, "", "")), "", true},
		"may not be read":   {on("read", answered(403, "", "")), "", false},
		"down":              {on("read", answered(503, "", "")), scheduling.SourceDown, false},
	} {
		var mu sync.Mutex
		bend := func(http.ResponseWriter, *http.Request) bool { return false }
		reads := 0
		w := bentClinic(t, scheduling.RegisterPost, func(rw http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/Patient/") {
				reads++
			}
			return bend(rw, r)
		})
		id := w.come("alice", canaryPatient)
		first, err := w.native("alice", id)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if bend = c.later; bend == nil {
			bend = on("read", answered(200, "", strings.Replace(bruno, "pat-2", first, 1)))
		}
		reads = 0
		mu.Unlock()
		if again, err := w.native("alice", id); err != nil || again != first || reads != 0 {
			t.Errorf("%s, at once: %q %v, %d reads", name, again, err, reads)
		}
		w.clock.forward(25 * time.Hour)
		if native, known, err := w.Known(t.Context(), "alice", clinic, id); err != nil || known || native != first {
			t.Errorf("%s, a day later: %q %v %v", name, native, known, err)
		}
		for range 3 {
			native, err := w.native("alice", id)
			if scheduling.CodeOf(err) != c.code || c.code == "" && (native != first) != c.anew {
				t.Errorf("%s: %q %v", name, native, err)
			}
		}
		if c.code == "" && reads != 1 {
			t.Errorf("%s: %d reads in a day", name, reads)
		}
	}
}

// TestOthersWaitForASearchThatLags: whoever searches before a new Patient can be
// found would make another.
func TestOthersWaitForASearchThatLags(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterSearch, nil)
	const lag = 400 * time.Millisecond
	at, _ := w.deps.At(clinic)
	deps := w.deps
	deps.Metrics = nil
	lagging := &laggingRegistry{Registry: at, lag: lag}
	deps.At = func(scheduling.SourceID) (booking.Registry, bool) { return lagging, true }
	r := w.registrar(deps)
	var all sync.WaitGroup
	for _, principal := range []string{"alice", "bob", "carol"} {
		id := w.come(principal, canaryPatient)
		all.Go(func() {
			if _, err := r.Native(t.Context(), principal, clinic, id); err != nil {
				t.Error(principal, err)
			}
		})
	}
	all.Wait()
	if w.made() != 1 {
		t.Errorf("%d made", w.made())
	}
}

// TestWithoutAnIdentifierAConditionalCreateIsSearchedFirst: many sessions of one
// person make one Patient.
func TestWithoutAnIdentifierAConditionalCreateIsSearchedFirst(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterIfNoneExist, nil)
	clear := 0
	for _, principal := range []string{"a", "b", "c", "d"} {
		switch _, err := w.native(principal, w.come(principal, withoutIdentifier(""))); {
		case err == nil:
			clear++
		case scheduling.CodeOf(err) != scheduling.NeedsClinic:
			t.Error(err)
		}
	}
	if clear != 1 || w.made() != 1 {
		t.Errorf("%d registered, %d made", clear, w.made())
	}
}

// TestAFormerNameIsLookedForToo: the source knows the person by that.
func TestAFormerNameIsLookedForToo(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterSearch, nil)
	at, _ := w.deps.At(clinic)
	if _, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, withoutIdentifier(""))}); err != nil {
		t.Fatal(err)
	}
	married := strings.Replace(withoutIdentifier(""), `"name":[`, `"name":[{"family":"Married","given":["Canarygiven"]},`, 1)
	if _, err := w.native("alice", w.come("alice", married)); scheduling.CodeOf(err) != scheduling.NeedsClinic || w.made() != 1 {
		t.Errorf("%v, %d made", err, w.made())
	}
}

// laggingRegistry finds a new Patient only after a while.
type laggingRegistry struct {
	booking.Registry
	lag  time.Duration
	mu   sync.Mutex
	last time.Time
}

func (l *laggingRegistry) Registering() scheduling.Registering {
	how := l.Registry.Registering()
	how.Lag = l.lag
	return how
}

func (l *laggingRegistry) CreatePatient(ctx context.Context, call scheduling.RegisterCall) (scheduling.NativePatient, error) {
	p, err := l.Registry.CreatePatient(ctx, call)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = time.Now()
	return p, err
}

func (l *laggingRegistry) FindPatients(ctx context.Context, q scheduling.PatientQuery) ([]scheduling.NativePatient, error) {
	l.mu.Lock()
	stale := time.Since(l.last) < l.lag
	l.mu.Unlock()
	if stale {
		return nil, nil
	}
	return l.Registry.FindPatients(ctx, q)
}

// doublingRegistry makes two of each create and answers nothing, as a server does
// that looks first, adds later and is slow.
type doublingRegistry struct{ booking.Registry }

func (d *doublingRegistry) CreatePatient(ctx context.Context, call scheduling.RegisterCall) (scheduling.NativePatient, error) {
	call.Conditional = false
	for range 2 {
		if p, err := d.Registry.CreatePatient(ctx, call); err != nil {
			return p, err
		}
	}
	return scheduling.NativePatient{}, scheduling.Blame(scheduling.InDoubt, clinic, nil, "lost")
}

// TestTwoOfOneCreateAreBothListed, once, and none of them is booked for.
func TestTwoOfOneCreateAreBothListed(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterIfNoneExist, nil)
	at, _ := w.deps.At(clinic)
	deps := w.deps
	deps.Metrics, deps.OrphanStore = nil, bookingtest.NewOrphans()
	deps.Sources = func() []scheduling.SourceID { return []scheduling.SourceID{clinic} }
	deps.At = func(scheduling.SourceID) (booking.Registry, bool) { return &doublingRegistry{at}, true }
	r, id := w.registrar(deps), w.come("alice", canaryPatient)
	for range 2 {
		if native, err := r.Native(t.Context(), "alice", clinic, id); scheduling.CodeOf(err) != scheduling.NeedsClinic {
			t.Fatalf("%q %v", native, err)
		}
	}
	w.clock.forward(time.Hour)
	list, err := r.Orphans(t.Context())
	if err != nil || len(list) != 2 || list[0].Native == list[1].Native || w.made() != 2 {
		t.Errorf("%v %v, %d made", list, err, w.made())
	}
}
