package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"slotgate/cache/replica"
	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
)

// TestMain looks for goroutines left behind. The two of fasthttp's sleep on for
// seconds after a server has ended, and then end too.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// noon is when every test plays: 04:00 in Napa, 07:00 in New York.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	snomed       = "http://snomed.info/sct"
	dermatology  = "394582007"
	familyDoctor = "419772000"
)

// world is a gateway over a replica of two sources: napa (STU3, two doctors)
// and york (R4, one doctor).
type world struct {
	t       *testing.T
	base    string
	server  *Server
	replica *replica.Replica
	now     *clock
	log     *logbook
	metrics *prometheus.Registry
	client  *http.Client
}

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// logbook is everything that was logged.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func sources(tb testing.TB) []scheduling.Source {
	tb.Helper()
	return []scheduling.Source{
		{
			ID: "napa", Name: "Napa Valley Health", Dialect: "argonaut", Release: scheduling.STU3, Zone: zone(tb, "America/Los_Angeles"),
			StaleAfter: 10 * time.Minute, MaxAge: 24 * time.Hour, Horizon: 60,
		},
		{
			ID: "york", Name: "York Street Clinic", Dialect: "slots", Release: scheduling.R4, Zone: zone(tb, "America/New_York"),
			StaleAfter: 10 * time.Minute, MaxAge: 24 * time.Hour, Horizon: 60,
		},
	}
}

// practice is a source's directory: n doctors, each with a place and a schedule.
func practice(name, specialty string, n int) scheduling.Directory {
	d := scheduling.NewDirectory()
	d.Organizations["org"] = &scheduling.Organization{ID: "org", Name: name}
	for i := range n {
		k := fmt.Sprint(i + 1)
		d.Practitioners["dr-"+k] = &scheduling.Practitioner{
			ID: "dr-" + k, Name: scheduling.HumanName{Family: name + "son" + k, Given: []string{"Ada"}},
			Identifiers: []scheduling.Identifier{{System: scheduling.NPISystem, Value: name + "-npi-" + k}},
		}
		d.Locations["loc-"+k] = &scheduling.Location{
			ID: "loc-" + k, Name: name + " Office " + k, Organization: "org",
			Address:  scheduling.Address{Line: []string{k + " Main Street"}, City: name + " City"},
			Position: &scheduling.Position{Latitude: 38.3 + float64(i), Longitude: -122.3},
		}
		d.Roles["role-"+k] = &scheduling.Role{
			ID: "role-" + k, Practitioner: "dr-" + k, Organization: "org", Locations: []string{"loc-" + k},
			Specialty: []scheduling.Concept{{Codings: []scheduling.Coding{{System: snomed, Code: specialty}}}},
		}
		d.Schedules["sched-"+k] = &scheduling.Schedule{ID: "sched-" + k, Actors: []scheduling.Actor{
			{Kind: scheduling.KindPractitioner, ID: "dr-" + k}, {Kind: scheduling.KindLocation, ID: "loc-" + k},
		}}
	}
	return d
}

// openings are perDay free slots on each of the days from tomorrow, from 09:00
// local, each of 30 minutes, on every schedule of the directory.
func openings(d scheduling.Directory, zone *time.Location, days, perDay int) []scheduling.Window {
	var slots []scheduling.Slot
	for id := range d.Schedules {
		for day := range days {
			for n := range perDay {
				at := time.Date(2026, 11, 24+day, 9, 30*n, 0, 0, zone).UTC()
				slots = append(slots, scheduling.Slot{
					ID: fmt.Sprintf("%s-%d-%d", id, day, n), Schedule: id, Status: scheduling.SlotFree,
					Start: at, End: at.Add(30 * time.Minute),
				})
			}
		}
	}
	var list []scheduling.Window
	for key, of := range scheduling.Windows(slots, func(string) *time.Location { return zone }) {
		list = append(list, scheduling.Window{Key: key, Slots: of, Fetch: 1, Checked: noon, Changed: noon})
	}
	return list
}

func loaded(d scheduling.Directory, windows []scheduling.Window, source scheduling.SourceID) scheduling.Snapshot {
	today := scheduling.DayOf(noon, time.UTC)
	return scheduling.Snapshot{
		Loaded: true, Directory: d, Windows: windows,
		Checks: []scheduling.Check{{Scope: scheduling.Scope{Days: scheduling.Days{From: today - 2, To: today + 100}}, Fetch: 1, At: noon}},
		Status: scheduling.Status{Source: source, Tried: noon, LastSync: noon, Loaded: noon},
	}
}

// newReplica holds napa with 2 schedules and york with 1: 3 days of 8 slots on
// each, 72 in all.
func newReplica(tb testing.TB, now func() time.Time) *replica.Replica {
	tb.Helper()
	list := sources(tb)
	r := replica.New(replica.Options{Sources: list, Now: now, Render: fhir.NewRenderer(nil).Render})
	napa, york := practice("Napa", dermatology, 2), practice("York", familyDoctor, 1)
	r.Load("napa", loaded(napa, openings(napa, list[0].Zone, 3, 8), "napa"))
	r.Load("york", loaded(york, openings(york, list[1].Zone, 3, 8), "york"))
	return r
}

func callers() auth.Options {
	return auth.Options{
		Callers: []auth.Caller{
			{ID: "site", KeySHA256: auth.Digest("site-key"), Trusted: []scheduling.SourceID{"napa"}},
			{ID: "book", KeySHA256: auth.Digest("book-key"), Rights: []auth.Right{auth.Directory}},
		},
		Anonymous: []auth.Right{auth.Find, auth.Directory},
	}
}

// newServer is a gateway that does not listen.
func newServer(tb testing.TB, bend func(*Options, *Deps)) (*Server, *world) {
	tb.Helper()
	w := &world{now: &clock{at: noon}, log: &logbook{}, metrics: prometheus.NewRegistry(), client: &http.Client{Transport: &http.Transport{}}}
	w.replica = newReplica(tb, w.now.now)
	opts := DefaultOptions()
	deps := Deps{
		Finder: w.replica, Sources: sources(tb), Secret: []byte("0123456789abcdef"),
		Logger:     slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: w.metrics, Version: "test", Now: w.now.now,
	}
	a, err := auth.New(callers())
	if err != nil {
		tb.Fatal(err)
	}
	deps.Auth = a
	if bend != nil {
		bend(&opts, &deps)
	}
	s, err := New(opts, deps)
	if err != nil {
		tb.Fatal(err)
	}
	w.server = s
	return s, w
}

// start is a gateway that listens until the test ends.
func start(t *testing.T, bend func(*Options, *Deps)) *world {
	t.Helper()
	s, w := newServer(t, bend)
	w.t = t
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.base = "http://" + ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Listen(ln) }()
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		if err := s.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request; header lines are "Name: value".
func (w *world) ask(method, path, body string, header ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

func (w *world) get(path string, header ...string) reply {
	w.t.Helper()
	return w.ask(http.MethodGet, path, "", header...)
}

// find asks $find on R4 and wants an answer.
func (w *world) find(query string, header ...string) *model.Bundle {
	w.t.Helper()
	return w.bundle(w.get("/fhir/r4/Appointment/$find?"+query, header...), scheduling.R4)
}

func (w *world) bundle(r reply, rel scheduling.Release) *model.Bundle {
	w.t.Helper()
	if r.status != http.StatusOK {
		w.t.Fatalf("status %d: %s", r.status, r.body)
	}
	b, ok := w.resource(r, rel).(*model.Bundle)
	if !ok {
		w.t.Fatalf("not a Bundle: %s", r.body)
	}
	return b
}

func (w *world) resource(r reply, rel scheduling.Release) model.Resource {
	w.t.Helper()
	format, ok := fhir.FormatOf(r.header.Get("Content-Type"))
	if !ok {
		w.t.Fatalf("content type %q: %s", r.header.Get("Content-Type"), r.body)
	}
	res, err := fhir.Read(rel, format, []byte(r.body))
	if err != nil {
		w.t.Fatalf("%v in %s", err, r.body)
	}
	return res
}

// code is the contract's code of an OperationOutcome, "" where there is none.
func (w *world) code(r reply, rel scheduling.Release) string {
	w.t.Helper()
	o, ok := w.resource(r, rel).(*model.OperationOutcome)
	if !ok || len(o.Issue) == 0 {
		w.t.Fatalf("not an outcome: %s", r.body)
	}
	for _, c := range o.Issue[0].Details.Coding {
		if c.System == fhir.ErrorSystem {
			return c.Code
		}
	}
	return ""
}

// offers are the Appointments of an answer, and its outcome.
func offers(t *testing.T, b *model.Bundle) ([]*model.Appointment, *model.OperationOutcome) {
	t.Helper()
	var list []*model.Appointment
	var outcome *model.OperationOutcome
	for i, e := range b.Entry {
		switch res := e.Resource.(type) {
		case *model.Appointment:
			if e.Search.Mode != "match" {
				t.Errorf("an Appointment of mode %q", e.Search.Mode)
			}
			list = append(list, res)
		case *model.OperationOutcome:
			if e.Search.Mode != "outcome" || i != len(b.Entry)-1 {
				t.Errorf("the outcome is entry %d of mode %q", i, e.Search.Mode)
			}
			outcome = res
		default:
			t.Errorf("entry %d is a %s", i, res.ResourceType())
		}
	}
	if outcome == nil {
		t.Fatal("no outcome entry")
	}
	return list, outcome
}

// told is everything an outcome says, as one text.
func told(o *model.OperationOutcome) string {
	var b strings.Builder
	for _, i := range o.Issue {
		fmt.Fprintf(&b, "%s %s: %s\n", i.Severity, i.Code, i.Details.Text)
	}
	return b.String()
}

// path is the part of an address behind the host.
func path(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}
