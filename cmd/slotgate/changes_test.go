package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// changing is one source of the house below, and the EHR behind it.
type changing struct {
	id   string
	sim  *ehrsim.Server
	told bool // it is read once an hour, and tells of changes; else it is read by its clock
	// bare: it tells of no schedules, so that nobody can say who works on which.
	bare bool
	base string // of the gateway
	// Only what begins between these is compared: it neither passes nor comes
	// into the horizon while the test runs.
	from, to time.Time
}

// changingSources are all dialects in both releases, each in its own zone: those
// that are read, and those that tell.
func changingSources() []struct {
	id, more string
	told     bool
	sim      ehrsim.Options
} {
	type row = struct {
		id, more string
		told     bool
		sim      ehrsim.Options
	}
	argonaut, slots := ehrsim.Argonaut, ehrsim.Slots
	return []row{
		{"argonaut-stu3", "", false, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.STU3, Zone: "America/Chicago"}},
		{"argonaut-r4", "", false, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.R4, Zone: "Europe/Vienna"}},
		{"argonaut-stu3-find", "", false, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.STU3, Zone: "America/Denver", NoPrefetch: true}},
		{"argonaut-r4-find", "", false, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.R4, Zone: "Asia/Kolkata", NoPrefetch: true, FindNoSlot: true}},
		{"slots-stu3", "", false, ehrsim.Options{Dialect: slots, FHIR: ehrsim.STU3, Zone: "America/Phoenix"}},
		{"slots-r4", "", false, ehrsim.Options{Dialect: slots, FHIR: ehrsim.R4, Zone: "America/New_York", PageSize: 20}},
		{"ihe", "", false, ehrsim.Options{Dialect: ehrsim.IHE, FHIR: ehrsim.R4, Zone: "Australia/Lord_Howe"}},
		{"epic", "", false, ehrsim.Options{Dialect: ehrsim.Epic, FHIR: ehrsim.STU3, Zone: "America/Los_Angeles"}},
		{"links", "quirks: {file_every: 500ms}, ", false, ehrsim.Options{Dialect: ehrsim.Links, FHIR: ehrsim.R4, Zone: "Pacific/Auckland"}},
		{"argonaut-stu3-told", "", true, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.STU3, Zone: "America/Denver"}},
		{"argonaut-r4-told", "", true, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.R4, Zone: "Europe/London"}},
		{"argonaut-find-told", "", true, ehrsim.Options{Dialect: argonaut, FHIR: ehrsim.R4, Zone: "America/Halifax", NoPrefetch: true}},
		{"slots-stu3-told", "", true, ehrsim.Options{Dialect: slots, FHIR: ehrsim.STU3, Zone: "America/Anchorage"}},
		{"slots-r4-told", "", true, ehrsim.Options{Dialect: slots, FHIR: ehrsim.R4, Zone: "Asia/Tokyo"}},
	}
}

// openChanging starts them all, in front of one gateway.
func openChanging(t *testing.T) []*changing {
	t.Helper()
	var all []*changing
	// Each slot of a book that is lost may be told alone.
	text := housing(redistest.Start(t).URL()) + "notify: {rate: 10000}\nsources:\n"
	for i, row := range changingSources() {
		o := row.sim
		o.Practitioners, o.Days, o.Seed = 4, 7, uint64(10+i) // a seed each: else one doctor works at all of them
		clock := `cron: "@every 1s"`
		if row.told {
			clock = `cron: "@every 1h"`
			o.Notify = ehrsim.Notify{Offered: true, Heartbeat: 200 * time.Millisecond}
		}
		sim, base := simulate(t, o)
		text += fmt.Sprintf("  - {id: %s, base: %q, dialect: %s, fhir: %s, timezone: %s, subscribe: %t, %sprefetch: {%s, horizon: 7d},\n"+
			"     limits: {rate: 1000, concurrency: 4, breaker_failures: 10000, retries: 0}}\n", row.id, base, o.Dialect, o.FHIR, o.Zone, row.told, row.more, clock)
		all = append(all, &changing{
			id: row.id, sim: sim, told: row.told, bare: o.NoPrefetch || o.Dialect == ehrsim.Epic || o.Dialect == ehrsim.IHE,
			from: time.Now().Add(2 * time.Hour), to: time.Now().Add(5 * 24 * time.Hour),
		})
	}
	p := start(t, "serve", "--config", write(t, t.TempDir(), "slotgate.yaml", text))
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	for _, c := range all {
		c.base = gateway
	}
	eventually(t, func() error {
		var rows []toldRow
		getJSON(t, admin+"/api/sources", &rows)
		for i, row := range rows {
			if all[i].told && row.Subscription != "live" {
				return fmt.Errorf("the subscription at %s is %q", row.ID, row.Subscription)
			}
		}
		return nil
	})
	return all
}

// within are the slots of the EHR's own book that are compared.
func (c *changing) within(status string) []ehrsim.Slot {
	return slices.DeleteFunc(c.sim.Slots(status), func(s ehrsim.Slot) bool { return s.Start.Before(c.from) || !s.Start.Before(c.to) })
}

// ours is our reference for one of the EHR's.
func (c *changing) ours(reference string) string {
	kind, id, _ := strings.Cut(reference, "/")
	return kind + "/" + scheduling.ResourceID(scheduling.SourceID(c.id), scheduling.Kind(kind), id)
}

// book is what $find should show: of one practitioner, or of all ("").
func (c *changing) book(practitioner string) []string {
	out := []string{}
	for _, s := range c.within("free") {
		if practitioner == "" || s.Practitioner == practitioner {
			out = append(out, strings.Join([]string{
				s.Start.UTC().Format(time.RFC3339), s.End.UTC().Format(time.RFC3339), s.Type, c.ours(s.Practitioner), c.ours(s.Location),
			}, " "))
		}
	}
	return c.sorted(out)
}

// sorted: at an EHR that names no slots, two of one time, place and person are
// one to everybody.
func (c *changing) sorted(offers []string) []string {
	slices.Sort(offers)
	if c.bare {
		return slices.Compact(offers)
	}
	return offers
}

// found is what $find shows at a FHIR base.
func (c *changing) found(base, practitioner string) ([]string, error) {
	address := c.base + "/fhir/" + base + "/Appointment/$find?_count=1000&source=" + c.id
	if practitioner != "" {
		address += "&practitioner=" + c.ours(practitioner)
	}
	var page struct {
		Entry []struct {
			Resource struct {
				ResourceType string
				Start, End   time.Time
				ServiceType  []struct{ Coding []struct{ Code string } }
				Participant  []struct{ Actor struct{ Reference string } }
			}
		}
	}
	if err := readJSON(address, &page); err != nil {
		return nil, err
	}
	out := []string{}
	for _, e := range page.Entry {
		r := e.Resource
		if r.ResourceType != "Appointment" || r.Start.Before(c.from) || !r.Start.Before(c.to) {
			continue
		}
		offer := r.Start.UTC().Format(time.RFC3339) + " " + r.End.UTC().Format(time.RFC3339)
		if len(r.ServiceType) > 0 && len(r.ServiceType[0].Coding) > 0 {
			offer += " " + r.ServiceType[0].Coding[0].Code
		}
		for _, kind := range []string{"Practitioner/", "Location/"} {
			for _, p := range r.Participant {
				if i := strings.LastIndex(p.Actor.Reference, kind); i >= 0 {
					offer += " " + p.Actor.Reference[i:]
				}
			}
		}
		out = append(out, offer)
	}
	return c.sorted(out), nil
}

// readJSON is getJSON for what is asked again.
func readJSON(address string, into any) error {
	res, err := http.Get(address) //nolint:noctx // it ends with the gateway
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", address, res.Status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// agrees tells where $find shows something else than the EHR's book, at both
// bases, for all and for each of these practitioners.
func (c *changing) agrees(practitioners ...string) error {
	for _, base := range []string{"r4", "stu3"} {
		for _, who := range append([]string{""}, practitioners...) {
			want := c.book(who)
			got, err := c.found(base, who)
			if err != nil {
				return err
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("%s at %s of %q: %d offers, want %d: too many %v, missing %v", c.id, base, who, len(got), len(want), less(got, want), less(want, got))
			}
		}
	}
	return nil
}

// less are those of some that are not among others.
func less(some, others []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(one string) bool { return slices.Contains(others, one) })
}

// do makes a change of the EHR's book, each at a slot of its own.
func (c *changing) do(t *testing.T) {
	t.Helper()
	free, busy := c.within("free"), c.within("busy")
	if len(free) < 20 || len(busy) < 1 {
		t.Fatalf("%s has %d open slots", c.id, len(free))
	}
	zone, err := time.LoadLocation(changingZone(c.id))
	if err != nil {
		t.Fatal(err)
	}
	last := free[len(free)-1].Start.In(zone).Format(time.DateOnly)
	to := free[2].Start.Add(24*time.Hour + 7*time.Minute)
	for what, err := range map[string]error{
		"deleted":              c.sim.DeleteSlot(free[0].ID),
		"moved on its day":     c.sim.MoveSlot(free[1].ID, free[1].Start.Add(3*time.Minute), free[1].End.Add(3*time.Minute)),
		"moved to another":     c.sim.MoveSlot(free[2].ID, to, to.Add(10*time.Minute)),
		"made shorter":         c.sim.MoveSlot(free[3].ID, free[3].Start, free[3].End.Add(-time.Minute)),
		"of another type":      c.sim.SetSlotType(free[4].ID, ""),
		"taken":                c.sim.SetSlotStatus(free[5].ID, "busy"),
		"held":                 c.sim.SetSlotStatus(free[6].ID, "busy-tentative"),
		"never was":            c.sim.SetSlotStatus(free[7].ID, "entered-in-error"),
		"free again":           c.sim.SetSlotStatus(busy[0].ID, "free"),
		"deleted and put back": c.sim.DeleteSlot(free[8].ID),
	} {
		if err != nil {
			t.Fatal(c.id, what, err)
		}
	}
	again := free[8]
	again.ID = "another-id"
	if _, err := c.sim.AddSlot(again); err != nil {
		t.Fatal(err)
	}
	if n := c.sim.FillDay("", last); n == 0 {
		t.Fatalf("%s: nothing was filled on %s", c.id, last)
	}
}

// today is the day at the place.
func (c *changing) today(t *testing.T) scheduling.Day {
	t.Helper()
	zone, err := time.LoadLocation(changingZone(c.id))
	if err != nil {
		t.Fatal(err)
	}
	return scheduling.DayOf(time.Now(), zone)
}

func changingZone(id string) string {
	for _, row := range changingSources() {
		if row.id == id {
			return row.sim.Zone
		}
	}
	return ""
}

// lookedAt waits until the EHR was asked for slots so often since a request.
func (c *changing) lookedAt(t *testing.T, since, times int) {
	t.Helper()
	eventually(t, func() error {
		n := 0
		for _, r := range c.sim.Requests(since) {
			if strings.HasPrefix(r.Path, "/Slot") || strings.HasPrefix(r.Path, "/Appointment/$find") || strings.HasPrefix(r.Path, "/files/Slot") {
				n++
			}
		}
		if n < times {
			return fmt.Errorf("%s was asked %d times", c.id, n)
		}
		return nil
	})
}

// Whatever an EHR does to its book, $find says what the book says: after the
// next look at that day by the source's clock, and at once where the source
// tells, though its clock comes round in an hour. What was cut removes nothing.
func TestWhatAnEHRChangesIsSeenInEveryDialect(t *testing.T) {
	all := openChanging(t)
	each := func(what string, as func(t *testing.T, c *changing)) {
		t.Run(what, func(t *testing.T) {
			for _, c := range all {
				t.Run(c.id, func(t *testing.T) {
					t.Parallel()
					as(t, c)
				})
			}
		})
	}
	agrees := func(t *testing.T, c *changing, practitioners ...string) {
		t.Helper()
		eventually(t, func() error { return c.agrees(practitioners...) })
	}
	each("all that is there", func(t *testing.T, c *changing) { agrees(t, c) })
	each("slots deleted, moved, of another type, taken, held, in error, free again, under another id, and a day that is full", func(t *testing.T, c *changing) {
		c.do(t)
		agrees(t, c)
	})
	each("somebody else works on a schedule, and nothing else changes", func(t *testing.T, c *changing) {
		was := c.within("free")[0]
		next := "Practitioner/prac-301"
		if was.Practitioner == next {
			next = "Practitioner/prac-302"
		}
		schedule := strings.TrimPrefix(was.Schedule, "Schedule/")
		if err := c.sim.SetSchedulePractitioner(schedule, strings.TrimPrefix(next, "Practitioner/")); err != nil {
			t.Fatal(err)
		}
		agrees(t, c, was.Practitioner, next)
		if !c.bare {
			eventually(t, func() error { return c.worksOn(was.Schedule, next) })
		}
	})
	each("answers that are cut", func(t *testing.T, c *changing) {
		since := c.sim.Counters().Requests
		before, err := c.found("r4", "")
		fault := ehrsim.Fault{Kind: ehrsim.FaultWrongTotal}
		if c.id == "links" {
			fault = ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503, Path: "/files/Slot"}
		}
		if _, faults := c.sim.SetFaults(fault); err != nil || faults != nil {
			t.Fatal(err, faults)
		}
		free := c.within("free")
		if err := c.sim.DeleteSlot(free[0].ID); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.told:
			c.lookedAt(t, since, 1)
		case c.id == "links": // it is left alone for longer each time
			c.lookedAt(t, since, 2)
		default:
			c.lookedAt(t, since, 4)
		}
		if after, err := c.found("r4", ""); err != nil || !slices.Equal(after, before) {
			t.Errorf("%v; gone: %v, new: %v", err, less(before, after), less(after, before))
		}
		if _, err := c.sim.SetFaults(); err != nil {
			t.Fatal(err)
		}
		if c.told { // what was told while it was cut is seen by the clock, or with what is told next
			if _, err := c.sim.AddSlot(free[0]); err != nil {
				t.Fatal(err)
			}
			if err := c.sim.DeleteSlot(free[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		agrees(t, c)
	})
	gone := make([][]ehrsim.Slot, len(all))
	each("the whole book is lost", func(t *testing.T, c *changing) {
		today := c.today(t)
		gone[slices.Index(all, c)] = c.sim.DeleteSlots("")
		agrees(t, c)
		eventually(t, func() error {
			if c.today(t) != today {
				return nil // that is said until the day turns
			}
			return c.saysEmptied(true)
		})
	})
	each("and comes back", func(t *testing.T, c *changing) {
		for _, s := range gone[slices.Index(all, c)] {
			if _, err := c.sim.AddSlot(s); err != nil {
				t.Fatal(err)
			}
		}
		agrees(t, c)
		eventually(t, func() error { return c.saysEmptied(false) })
	})
}

// worksOn: the directory says who works on a schedule.
func (c *changing) worksOn(schedule, practitioner string) error {
	for _, base := range []string{"r4", "stu3"} {
		var got struct {
			Actor []struct{ Reference string }
		}
		if err := readJSON(c.base+"/fhir/"+base+"/"+c.ours(schedule), &got); err != nil {
			return err
		}
		if !slices.ContainsFunc(got.Actor, func(a struct{ Reference string }) bool { return strings.HasSuffix(a.Reference, c.ours(practitioner)) }) {
			return fmt.Errorf("%s at %s: %+v", c.id, base, got)
		}
	}
	return nil
}

// saysEmptied: $find says whether most of the source has vanished.
func (c *changing) saysEmptied(want bool) error {
	res, err := http.Get(c.base + "/fhir/r4/Appointment/$find?_count=1&source=" + c.id) //nolint:noctx // it ends with the gateway
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && strings.Contains(string(body), "emptied") != want {
		err = errors.New("emptied is not said as it is: " + string(body))
	}
	return err
}
