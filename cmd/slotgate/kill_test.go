package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// killJourney is what is asked of a gateway that dies on the way. Offers are
// called A and B; a step is "hold A", "book B for A" (A is replaced), "cancel A",
// or "rival A" (somebody takes the slot at the EHR, from under a hold too).
type killJourney struct {
	name  string
	setup []string // at another gateway
	ask   string   // the request that is never answered
	// ends: the point of death, and the states in the end. After further points,
	// with commas between, those die who settle it.
	ends [][2]string
	// For worlds of their own: a fault of the EHR, set after the setup, and how
	// the source is configured.
	fault  ehrsim.Fault
	config string // more keys of the source, or "booking: " and more of its times
}

var killJourneys = []killJourney{
	{name: "hold", ask: "hold A", ends: [][2]string{
		{"key.begun", "A none"}, {"hold.intent", "A free"}, {"hold.answered", "A free"},
	}},
	{name: "renew", setup: []string{"hold A"}, ask: "hold A", ends: [][2]string{
		{"renew.intent", "A held"}, {"renew.answered", "A held"},
	}},
	{name: "release", setup: []string{"hold A"}, ask: "cancel A", ends: [][2]string{
		{"key.begun", "A held"}, {"release.intent", "A free"}, {"release.answered", "A free"},
	}},
	{name: "book", ask: "book A", ends: [][2]string{
		{"key.begun", "A none"},
		{"book.intent", "A not-booked"},
		{"book.answered", "A booked"},
		{"book.read", "A booked"},
		{"book.saved", "A booked"},
	}},
	{name: "book what is held", setup: []string{"hold A"}, ask: "book A", ends: [][2]string{
		{"key.begun", "A held"},
		{"book.intent", "A not-booked"},
		{"book.answered", "A booked"},
		{"book.read", "A booked"},
		{"book.saved", "A booked"},
	}},
	{name: "book what a rival has", setup: []string{"hold A", "rival A"}, ask: "book A", ends: [][2]string{
		{"book.answered", "A not-booked"}, {"refused.saved", "A free"},
	}},
	{name: "cancel", setup: []string{"book A"}, ask: "cancel A", ends: [][2]string{
		{"key.begun", "A booked"},
		{"cancel.intent", "A booked"},
		{"cancel.answered", "A cancelled"},
		{"cancel.read", "A cancelled"},
		{"cancel.saved", "A cancelled"},
	}},
	{name: "reschedule", setup: []string{"book A"}, ask: "book B for A", ends: [][2]string{
		{"book.intent", "A booked, B free"},
		{"reschedule.claimed", "A booked, B free"},
		{"reschedule.prepared", "A booked, B free"},
		{"reschedule.intent", "A booked, B not-booked"},
		{"book.answered", "A cancelled, B booked"},
		{"book.read", "A cancelled, B booked"},
		{"book.saved", "A cancelled, B booked"},
		{"reschedule.old", "A cancelled, B booked"},
		{"cancel.intent", "A cancelled, B booked"},
		{"cancel.answered", "A cancelled, B booked"},
		{"cancel.read", "A cancelled, B booked"},
		{"cancel.saved", "A cancelled, B booked"},
	}},
}

// killCancelFirst and killMove are all steps of the other ways to reschedule: in
// the end one appointment stands.
var (
	killCancelFirst = []killJourney{{name: "replace", setup: []string{"book A"}, ask: "book B for A", ends: [][2]string{
		{"key.begun", "A booked, B none"},
		{"hold.intent", "A booked, B free"},
		{"hold.answered", "A booked, B free"},
		{"book.intent", "A booked, B held"},
		{"reschedule.claimed", "A cancelled, B booked"},
		{"cancel.intent", "A booked, B held"},
		{"cancel.answered", "A cancelled, B booked"},
		{"cancel.read", "A cancelled, B booked"},
		{"cancel.saved", "A cancelled, B booked"},
		{"reschedule.prepared", "A cancelled, B booked"},
		{"reschedule.intent", "A booked, B not-booked"},
		{"book.answered", "A cancelled, B booked"},
		{"book.read", "A cancelled, B booked"},
		{"book.saved", "A cancelled, B booked"},
	}}}
	killMove = []killJourney{{name: "replace", setup: []string{"book A"}, ask: "book B for A", ends: [][2]string{
		{"key.begun", "A booked, B none"},
		{"book.intent", "A booked, B free"},
		{"reschedule.claimed", "A cancelled, B booked"},
		{"reschedule.prepared", "A cancelled, B booked"},
		{"reschedule.intent", "A booked, B not-booked"},
		{"book.answered", "A cancelled, B booked"},
		{"book.read", "A cancelled, B booked"},
		{"book.saved", "A cancelled, B booked"},
	}}}
)

// TestKillNineAtEveryStepOfABooking: whatever a gateway was about when it died,
// another one brings the record to what the EHR says. Nothing is booked twice,
// nothing is lost, and every id answers.
func TestKillNineAtEveryStepOfABooking(t *testing.T) {
	argonaut, slots := ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3}, ehrsim.Options{Dialect: ehrsim.Slots, FHIR: ehrsim.R4}
	for name, house := range map[string]struct {
		ehrsim.Options
		config   string
		journeys []killJourney
	}{
		"argonaut":              {argonaut, "", killJourneys},
		"slots":                 {slots, "", killJourneys},
		"argonaut cancel-first": {argonaut, ", quirks: {reschedule: cancel-first}", killCancelFirst},
		"slots cancel-first":    {slots, ", quirks: {reschedule: cancel-first}", killCancelFirst},
		"slots move":            {slots, ", quirks: {reschedule: move}", killMove},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newKillWorld(t, house.Options, 30*time.Second, house.config)
			n := w.start(t, role{gateway: true})
			for _, j := range house.journeys {
				for _, end := range j.ends {
					t.Run(j.name+" until "+end[0], func(t *testing.T) {
						t.Parallel()
						killed := w.setUp(t, n.public.url(), j)
						killed.unfindable = house.Dialect == ehrsim.Argonaut && end[0] == "hold.answered"
						killed.dieAt(end[0])
						killed.settlesAs(n, end[1])
					})
				}
			}
		})
	}
}

// killAlone are journeys in worlds of their own: the EHR goes wrong in each, or
// the source is configured otherwise, or those who settle die as well.
func killAlone(dialect ehrsim.Dialect) []killJourney {
	book, replace := []string{"book A"}, "book B for A"
	list := []killJourney{
		{name: "settlers of a hold", ask: "hold A", ends: [][2]string{{"hold.intent,settle.holding,settle.releasing", "A free"}}},
		{name: "settlers of a release", setup: []string{"hold A"}, ask: "cancel A", ends: [][2]string{{"release.intent,settle.releasing", "A free"}}},
		{name: "settlers of a booking", ask: "book A", ends: [][2]string{{"book.answered,settle.booking", "A booked"}}},
		{name: "settlers of none", ask: "book A", ends: [][2]string{{"book.intent,settle.booking,settle.doubt,settle.not-booked", "A not-booked"}}},
		{name: "settlers of a cancel", setup: book, ask: "cancel A", ends: [][2]string{{"cancel.answered,settle.cancelling", "A cancelled"}}},
		{name: "settlers of a reschedule", setup: book, ask: replace, ends: [][2]string{{"book.saved,settle.booked", "A cancelled, B booked"}}},
		{name: "answer lost", ask: "book A", fault: ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "book", Count: 1}, ends: [][2]string{{"doubt.saved", "A booked"}}},
	}
	first := killJourney{name: "cancel first", setup: book, ask: replace, config: ", quirks: {reschedule: cancel-first}"}
	first.ends = [][2]string{{"cancel.answered,settle.cancelling", "A cancelled, B booked"}}
	back := first
	back.name, back.fault = "give back", ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: http.StatusUnprocessableEntity, On: "book", Count: 1}
	back.ends = [][2]string{{"giveback.intent", "A booked, B held"}}
	list = append(list, first, back)
	list = append(list, killJourney{
		name: "other slot", ask: "book A", fault: ehrsim.Fault{Kind: ehrsim.FaultOtherSlot, Count: 1},
		ends: [][2]string{{"undo.intent", "A not-booked"}},
	})
	if dialect == ehrsim.Slots {
		list = append(list, killJourney{
			name: "settlers of a hold that ran out", setup: []string{"hold A"}, ask: "cancel A", config: "booking: hold_default: 10s",
			ends: [][2]string{{"key.begun,settle.held", "A free"}},
		})
	}
	return list
}

// TestKillNineOfThoseWhoSettle, and of gateways whose EHR is not at its best.
func TestKillNineOfThoseWhoSettle(t *testing.T) {
	for _, so := range []ehrsim.Options{
		{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3}, {Dialect: ehrsim.Slots, FHIR: ehrsim.R4},
	} {
		for _, j := range killAlone(so.Dialect) {
			for _, end := range j.ends {
				t.Run(string(so.Dialect)+" "+j.name+" "+end[0], func(t *testing.T) {
					t.Parallel()
					w := newKillWorld(t, so, 300*time.Millisecond, j.config)
					n := w.start(t, role{gateway: true})
					killed := w.setUp(t, n.public.url(), j)
					killed.lapses = strings.HasSuffix(end[0], "settle.held")
					n.stop()
					killed.dieAt(end[0])
					killed.settlesAs(w.start(t, role{gateway: true}), end[1])
				})
			}
		}
	}
}

// killCase is one journey that ends at one point.
type killCase struct {
	*killWorld
	t       *testing.T
	journey killJourney
	session string
	offers  map[string]killOffer // by A and B
	// unfindable: a hold whose answer was lost cannot be found at the EHR, which
	// was named neither an identifier nor a patient. The record must say so.
	unfindable bool
	lapses     bool // whoever settles a hold that ran out died of it: another does it
}

func (w *killWorld) setUp(t *testing.T, gateway string, j killJourney) *killCase {
	t.Helper()
	c := &killCase{killWorld: w, t: t, journey: j, session: "end-user-of-" + strings.NewReplacer("/", ".", "_", "-").Replace(t.Name()), offers: map[string]killOffer{}}
	for _, name := range []string{"A", "B"} {
		if strings.Contains(strings.Join(append(j.setup, j.ask), " ")+" ", " "+name+" ") {
			c.offers[name] = w.offer(t, gateway)
		}
	}
	for _, step := range j.setup {
		eventually(t, func() error {
			status, answer, err := c.step(gateway, step, "")
			if err != nil || status >= http.StatusMultipleChoices {
				return fmt.Errorf("%s: %d %v %s", step, status, err, answer.text)
			}
			return nil
		})
	}
	if j.fault.Kind != "" {
		if _, err := w.sim.SetFaults(j.fault); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *killCase) step(gateway, step, key string) (int, said, error) {
	c.t.Helper()
	words := strings.Fields(step)
	if words[0] == "rival" {
		_, err := c.sim.TakeSlot(c.offers[words[1]].slot, "", true)
		return http.StatusOK, said{}, err
	}
	old := ""
	if len(words) > 2 {
		old = c.offers[words[3]].id
	}
	return visitor{gateway, c.session}.do(c.t, words[0], c.offers[words[1]].id, old, key)
}

const onceKey = "asked-once"

// dieAt asks a gateway that dies before it answers.
func (c *killCase) dieAt(points string) {
	c.t.Helper()
	first, then, _ := strings.Cut(points, ",")
	gateway, died := c.mortal(c.t, first)
	eventually(c.t, func() error { // it knows the offers
		for _, o := range c.offers {
			status, _, err := visitor{gateway, c.session}.ask(c.t, http.MethodGet, "/"+o.id, "", "")
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("not followed yet: %d %w", status, err)
			}
		}
		return nil
	})
	eventually(c.t, func() error {
		status, answer, err := c.step(gateway, c.journey.ask, onceKey)
		switch {
		case err != nil:
			return nil // it is dead
		case status == http.StatusServiceUnavailable:
			return errors.New("the books of a new Redis are not open yet")
		default:
			c.t.Fatalf("answered: %d %s", status, answer.text)
			return nil
		}
	})
	died()
	if then == "" {
		return
	}
	for _, point := range strings.Split(then, ",") {
		_, died := c.mortal(c.t, point)
		died()
	}
}

// settlesAs waits until a living gateway has settled everything, and holds the
// record against the EHR's own book.
func (c *killCase) settlesAs(n *node, want string) {
	c.t.Helper()
	eventually(c.t, func() error {
		for _, o := range c.offers {
			switch state, err := inBooks(c.t, n, o.id); {
			case err != nil:
				return err
			case c.lapses && state == scheduling.EntryHeld:
				return fmt.Errorf("%s is still held", o.id)
			}
		}
		return nil
	})
	for _, line := range strings.Split(want, ", ") {
		name, state, _ := strings.Cut(line, " ")
		c.agree(n, name, scheduling.EntryState(state))
	}
	c.repeat(n)
	if twice := c.sim.DoubleBooked(); len(twice) > 0 {
		c.t.Errorf("booked twice: %v", twice)
	}
}

// agree: the state in the books, what the gateway shows, and the EHR.
func (c *killCase) agree(n *node, name string, want scheduling.EntryState) {
	c.t.Helper()
	o, v := c.offers[name], visitor{n.public.url(), c.session}
	got, err := inBooks(c.t, n, o.id)
	if want == "none" {
		want = ""
	}
	if err != nil || got != want {
		c.t.Errorf("%s is %q (%v), want %q; at the EHR: %s", name, got, err, want, c.atEHR(o.slot))
		return
	}
	shows, stands := "cancelled", "on free"
	switch want {
	case "", scheduling.EntryFree:
		shows = "proposed"
	case scheduling.EntryHeld:
		shows, stands = "pending", "on busy-tentative"
	case scheduling.EntryBooked:
		shows, stands = "booked", "booked on busy"
	}
	if c.rival() {
		stands = "on busy"
	}
	at := strings.TrimPrefix(c.atEHR(o.slot), "pending ") // a hold of ours, where there is such
	unseen := want == scheduling.EntryFree && at == "on busy-tentative" && c.unfindable
	if unseen { // such a hold ends by itself
		c.lapse(o.slot)
	} else if at != stands {
		c.t.Errorf("%s is %s, but at the EHR: %s", name, got, at)
	}
	status, answer, err := v.ask(c.t, http.MethodGet, "/"+o.id, "", "")
	if err != nil || status != http.StatusOK || answer.Status != shows || answer.tagged("in-doubt") || unseen && !answer.tagged("released-unverified") {
		c.t.Errorf("%s answers %d %v, %q, want %q: %s", name, status, err, answer.Status, shows, answer.text)
	}
	if stands == "on free" {
		eventually(c.t, func() error {
			if !v.offered(c.t, o) {
				return fmt.Errorf("the slot of %s is free, and not found again", name)
			}
			return nil
		})
	}
}

// lapse ends the EHR's hold of a slot, as its time would.
func (c *killCase) lapse(slot string) {
	c.t.Helper()
	for _, a := range c.sim.Appointments("pending") {
		if slices.Contains(a.Slots, slot) {
			if err := c.sim.LapseHold(a.ID); err != nil {
				c.t.Error(err)
			}
		}
	}
}

func (c *killCase) rival() bool { return strings.Contains(strings.Join(c.journey.setup, " "), "rival") }

// repeat asks again under the same key, as a client would that got no answer.
func (c *killCase) repeat(n *node) {
	c.t.Helper()
	status, answer, err := c.step(n.public.url(), c.journey.ask, onceKey)
	switch {
	case err != nil:
		c.t.Errorf("the repeat: %v", err)
	case status == http.StatusOK || status == http.StatusConflict || status == http.StatusGone || status == http.StatusServiceUnavailable:
	default:
		c.t.Errorf("the repeat: %d %s", status, answer.text)
	}
}
