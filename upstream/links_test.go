package upstream

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// publisher is a simulated publisher of files and its client, by one clock.
type publication struct {
	sim    *ehrsim.Server
	client *Client
	clock  *atomic.Int64 // seconds after noon
}

func published(t *testing.T, o ehrsim.Options, bend func(*Options)) publication {
	t.Helper()
	p := publication{clock: &atomic.Int64{}}
	now := func() time.Time { return noon.Add(time.Duration(p.clock.Load()) * time.Second) }
	o.Dialect, o.Now = ehrsim.Links, now
	o.Practitioners, o.Days = 3, 5
	srv, base := sim(t, o)
	p.sim = srv
	opts := Options{ID: "src", Base: base, Dialect: Links}
	quick(&opts)
	if bend != nil {
		bend(&opts)
	}
	opts.SetDefaults()
	p.client = registered(t, opts, Deps{Now: now})
	return p
}

func (p publication) pass(d time.Duration) { p.clock.Add(int64(d / time.Second)) }

func (p publication) asked() map[string]int {
	counts := map[string]int{}
	for what, n := range p.sim.Counters().ByPath {
		counts[what] = n
	}
	return counts
}

// What is published is found, with who and where it is and the page on which it
// is booked; each file is read once for all scopes.
func TestPublishedFilesGiveEveryOpenSlotWithItsPage(t *testing.T) {
	t.Parallel()
	p := published(t, ehrsim.Options{Zone: "America/Los_Angeles"}, func(o *Options) { o.Quirks.LinkSource = "slotgate.example" })
	free := map[string]bool{}
	for _, s := range p.sim.Slots("free") {
		free[s.ID] = true
	}
	seen := map[string]bool{}
	today := scheduling.DayOf(noon, time.UTC)
	for day := today - 1; day < today+8; day++ {
		got := fetch(t, p.client, scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}})
		if !got.Complete || !got.AsOf.Equal(noon) {
			t.Fatalf("%s: complete %v (%s), as of %v", day, got.Complete, got.Cut, got.AsOf)
		}
		for key, slots := range got.Windows {
			for _, s := range slots {
				if key.Day != day || seen[s.ID] || !free[s.ID] {
					t.Fatalf("%s on %s of %v, seen before: %v", s.ID, day, key, seen[s.ID])
				}
				seen[s.ID] = true
				if s.Portal == nil || s.Portal.Phone == "" || !strings.Contains(s.Portal.URL, "slot="+s.ID) || !strings.Contains(s.Portal.URL, "source=slotgate.example") {
					t.Fatalf("booked at %+v", s.Portal)
				}
			}
		}
	}
	if len(seen) != len(free) || len(seen) == 0 {
		t.Errorf("%d of %d open slots", len(seen), len(free))
	}
	dir, tally, err := p.client.Directory(t.Context())
	if err != nil || tally.Total() != 0 || len(dir.Schedules) == 0 || len(dir.Locations) == 0 {
		t.Errorf("%v, unusable %v, %d records", err, tally, dir.Len())
	}
	for what, n := range p.asked() {
		if n != 1 {
			t.Errorf("%s %d times", what, n)
		}
	}
}

// Nobody asks for a file more than once a minute, or while its max-age lasts;
// what is kept meanwhile is told with its age (law 7).
func TestLaw7APublisherIsAskedNoSoonerThanItWants(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ age, every, wait time.Duration }{
		"a minute":                {0, 0, time.Minute},
		"the publisher's max-age": {5 * time.Minute, 0, 5 * time.Minute},
		"as configured":           {time.Minute, 10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := published(t, ehrsim.Options{LinksMaxAge: tc.age}, func(o *Options) { o.Quirks.FileEvery = config.Duration(tc.every) })
			first := fetch(t, p.client, ahead(noon, 5))
			if err := p.sim.DeleteSlot(p.sim.Slots("free")[0].ID); err != nil {
				t.Fatal(err)
			}
			p.pass(tc.wait - time.Second)
			kept := fetch(t, p.client, ahead(noon, 5))
			if kept.Slots() != first.Slots() || !kept.AsOf.Equal(noon) {
				t.Errorf("%d slots as of %v", kept.Slots(), kept.AsOf)
			}
			p.pass(time.Second)
			anew := fetch(t, p.client, ahead(noon, 5))
			if anew.Slots() != first.Slots()-1 || !anew.AsOf.Equal(noon.Add(tc.wait)) {
				t.Errorf("%d slots as of %v, before %d", anew.Slots(), anew.AsOf, first.Slots())
			}
			p.pass(tc.wait)
			same := fetch(t, p.client, ahead(noon, 5))
			statuses := p.sim.Counters().ByStatus
			if same.Slots() != anew.Slots() || statuses[http.StatusNotModified] == 0 {
				t.Errorf("%d slots; answers %v", same.Slots(), statuses)
			}
		})
	}
}

// Real publishers write relative and whole addresses, offsets without minutes,
// empty and broken lines, a byte order mark, types that nobody knows, and no ETag.
func TestWhatRealPublishersDoCostsNothingButTheBrokenLines(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/Los_Angeles", ""} {
		p := published(t, ehrsim.Options{SloppyLinks: true, Zone: zone}, nil)
		got := fetch(t, p.client, ahead(noon, 8))
		free := p.sim.Slots("free")
		if !got.Complete || got.Slots() != len(free) || len(free) == 0 {
			t.Errorf("%d of %d slots, complete: %v, unusable: %v", got.Slots(), len(free), got.Complete, got.Unusable)
		}
		if len(got.Doubtful) != 1 || got.Doubtful[0] != "broken" || got.Nameless != 1 {
			t.Errorf("doubtful %v, nameless %d", got.Doubtful, got.Nameless)
		}
		_, tally, err := p.client.Directory(t.Context())
		if err != nil || tally[scheduling.BadResource] != 2 {
			t.Errorf("%v %v", err, tally)
		}
	}
}

// A file that fails, or ends too soon, is no empty clinic (laws 7 and 8).
func TestLaw8AFileThatFailsEmptiesNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]ehrsim.Fault{
		"cut":          {Kind: ehrsim.FaultCutJSON, Path: "/files/Slot.ndjson"},
		"down":         {Kind: ehrsim.FaultStatus, Path: "/files/Slot.ndjson"},
		"a login page": {Kind: ehrsim.FaultHTML, Path: "/$bulk-publish"},
		"no body":      {Kind: ehrsim.FaultEmptyBody, Path: "/$bulk-publish"},
		"no schedules": {Kind: ehrsim.FaultStatus, Status: 404, Path: "/files/Schedule.ndjson"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := published(t, ehrsim.Options{}, nil)
			before := fetch(t, p.client, ahead(noon, 5))
			if err := p.sim.DeleteSlot(p.sim.Slots("free")[0].ID); err != nil {
				t.Fatal(err)
			}
			if _, err := p.sim.SetFaults(fault); err != nil {
				t.Fatal(err)
			}
			p.pass(2 * time.Minute)
			if got, err := p.client.Fetch(t.Context(), ahead(noon, 5)); err == nil {
				t.Errorf("no error; complete: %v, %d slots", got.Complete, got.Slots())
			}
			if _, err := p.sim.SetFaults(); err != nil {
				t.Fatal(err)
			}
			p.pass(2 * time.Minute)
			if after := fetch(t, p.client, ahead(noon, 5)); !after.Complete || after.Slots() != before.Slots()-1 {
				t.Errorf("%d slots afterwards, before %d", after.Slots(), before.Slots())
			}
		})
	}
}

func TestAFileThatIsTooLargeIsACutAnswer(t *testing.T) {
	t.Parallel()
	p := published(t, ehrsim.Options{}, func(o *Options) { o.Limits.MaxBody = 4096 })
	if got := fetch(t, p.client, ahead(noon, 5)); got.Complete || !strings.Contains(got.Cut, "max_body") {
		t.Errorf("whole: %v, %q", got.Complete, got.Cut)
	}
	few := published(t, ehrsim.Options{}, func(o *Options) { o.Limits.MaxSlots = 10 })
	got := fetch(t, few.client, ahead(noon, 5))
	if got.Complete || got.Cut == "" {
		t.Errorf("more slots than allowed are whole: %q", got.Cut)
	}
}

// A manifest may name files anywhere: only its own origin, and those that are
// configured, are asked; without our token.
func TestLaw11AFileIsReadFromTheOriginsThatAreConfiguredAndWithoutOurToken(t *testing.T) {
	t.Parallel()
	var tokens, asked atomic.Int32
	files := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			tokens.Add(1)
		}
		_, _ = w.Write([]byte(`{"resourceType":"Location","id":"l1","name":"Clinic"}` + "\n"))
	})
	origin := strings.TrimSuffix(files, "/fhir")
	main := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			t.Error("the manifest is asked for without the token")
		}
		_, _ = w.Write([]byte(`{"transactionTime":"2026-02-03T12:00:00Z","request":"x","output":[{"type":"Location","url":"` + origin + `/l.ndjson","extension":null}],"error":[]}`))
	})
	for _, allowed := range []bool{false, true} {
		asked.Store(0)
		c := client(t, main, func(o *Options) {
			o.Dialect, o.Auth.Kind, o.Auth.Token = Links, "bearer", secret("ours")
			if allowed {
				o.Quirks.FileOrigins = []string{origin}
			}
		})
		got, err := c.Fetch(t.Context(), ahead(noon, 2))
		if (err == nil) != allowed || (asked.Load() > 0) != allowed || tokens.Load() != 0 {
			t.Errorf("allowed: %v: %v, asked %d times, %d times with our token", allowed, err, asked.Load(), tokens.Load())
		}
		if allowed && len(got.Found.Locations) != 1 {
			t.Errorf("found %d places", len(got.Found.Locations))
		}
		if !allowed && scheduling.CodeOf(err) != scheduling.SourceNonsense {
			t.Errorf("told as %v", err)
		}
	}
}

func TestNothingCanBeBookedAtAPublisher(t *testing.T) {
	t.Parallel()
	p := published(t, ehrsim.Options{}, nil)
	can := p.client.Can()
	if can.Bookable || can.Hold != scheduling.HoldNone || p.client.Registering().Way != scheduling.RegisterNone || p.client.Covering().Way != scheduling.CoverNone {
		t.Errorf("%+v", can)
	}
}

func TestTheKeysOfAPublisherAreChecked(t *testing.T) {
	t.Parallel()
	for key, bend := range map[string]func(*Options){
		"quirks.file_every":     func(o *Options) { o.Quirks.FileEvery = -1 },
		"quirks.file_origins.0": func(o *Options) { o.Quirks.FileOrigins = []string{"https://files.example.org/path"} },
		"quirks.states.1":       func(o *Options) { o.Quirks.States = []string{"MA", "Ohio"} },
		"quirks.link_source":    func(o *Options) { o.Quirks.LinkSource = strings.Repeat("x", 201) },
		"fhir":                  func(o *Options) { o.FHIR = scheduling.STU3 },
	} {
		o := Options{ID: "src", Base: "https://files.example.org", Dialect: Links}
		bend(&o)
		o.SetDefaults()
		if err := o.Validate(); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "quirks: ", "quirks."), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
	good := Options{ID: "src", Base: "https://files.example.org/$bulk-publish", Dialect: Links}
	good.SetDefaults()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
