package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/upstream/ehrsim"
)

// newcomerKills are the points at which a gateway dies that books for a newcomer
// with coverage, by when the source wants to have it. Up to the booking somebody
// must come back; what comes after it goes on by itself.
var newcomerKills = map[string][]string{
	"before": {
		"journey.register", "register.intent", "register.answered", "journey.registered", "journey.cover",
		"coverage.intent", "coverage.answered", "journey.covered", "book.answered",
	},
	"first": {"register.answered", "coverage.answered", "journey.covered"},
	"after": {"book.saved", "cover.begin", "coverage.intent", "coverage.answered", "cover.answered"},
}

// TestKillNineAtEveryStepOfANewcomersJourney: one call registers a person, sends
// their coverage and books. Wherever the gateway dies, the end is one Patient, one
// Coverage and one appointment.
func TestKillNineAtEveryStepOfANewcomersJourney(t *testing.T) {
	for way, points := range newcomerKills {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newKillWorld(t, ehrsim.Options{Dialect: ehrsim.Slots, FHIR: ehrsim.R4}, 30*time.Second, ", register: search-then-post, coverage: "+way)
			n := w.start(t, role{gateway: true})
			for i, point := range points {
				t.Run(point, func(t *testing.T) {
					t.Parallel()
					c := newcomerCase{killWorld: w, t: t, v: visitor{n.public.url(), fmt.Sprintf("end-user-%s-%02d", way, i)}, number: fmt.Sprint(way, i), offer: w.offer(t, n.public.url())}
					c.dieAt(point)
					if way != "after" {
						c.comeBack()
					}
					c.endsWell(n)
				})
			}
		})
	}
}

type newcomerCase struct {
	*killWorld
	t      *testing.T
	v      visitor
	number string // of the person
	offer  killOffer
}

func (c *newcomerCase) book(gateway string) (int, said, error) {
	c.t.Helper()
	return c.bookUnder(gateway, onceKey)
}

func (c *newcomerCase) bookUnder(gateway, key string) (int, said, error) {
	c.t.Helper()
	body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[
		{"name":"patient-resource","resource":{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"%s"}],
			"name":[{"family":"Newcomer-%s","given":["Nora"]}],"gender":"female","birthDate":"1990-02-03"}},
		{"name":"coverage","resource":{"resourceType":"Coverage","status":"active","subscriberId":"sub-%s","payor":[{"display":"A payor"}]}}]}`,
		c.number, c.number, c.number)
	return visitor{gateway, c.v.session}.ask(c.t, http.MethodPost, "/"+c.offer.id+"/$book", "application/fhir+json", body, "Idempotency-Key", key)
}

func (c *newcomerCase) dieAt(point string) {
	c.t.Helper()
	gateway, died := c.mortal(c.t, point)
	eventually(c.t, func() error { // it knows the offer
		status, _, err := visitor{gateway, c.v.session}.ask(c.t, http.MethodGet, "/"+c.offer.id, "", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("not followed yet: %d %w", status, err)
		}
		return nil
	})
	if status, answer, err := c.book(gateway); err == nil {
		c.t.Fatalf("answered: %d %s", status, answer.text)
	}
	died()
}

// comeBack asks another gateway again under the same key, until there is an end.
func (c *newcomerCase) comeBack() {
	c.t.Helper()
	eventually(c.t, func() error {
		status, answer, err := c.book(c.v.gateway)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("the repeat: %d %w %s", status, err, answer.text)
		}
		return nil
	})
}

// endsWell wants one Patient, one Coverage of theirs, and one appointment.
func (c *newcomerCase) endsWell(n *node) {
	c.t.Helper()
	eventually(c.t, func() error {
		var patients []string
		for _, p := range c.sim.Patients() {
			if slices.Contains(p.Identifiers, "urn:mrn|"+c.number) {
				patients = append(patients, p.ID)
			}
		}
		if len(patients) != 1 {
			return fmt.Errorf("patients: %v", patients)
		}
		covered := 0
		for _, one := range c.sim.Coverages() {
			if one.Beneficiary == "Patient/"+patients[0] && one.SubscriberID == "sub-"+c.number {
				covered++
			}
		}
		booked := 0
		for _, a := range c.sim.Appointments("booked") {
			if slices.Contains(a.Patients, "Patient/"+patients[0]) && slices.Contains(a.Slots, c.offer.slot) {
				booked++
			}
		}
		if covered != 1 || booked != 1 {
			return fmt.Errorf("%d coverages, %d appointments", covered, booked)
		}
		status, answer, err := c.v.ask(c.t, http.MethodGet, "/"+c.offer.id, "", "")
		if err != nil || status != http.StatusOK || answer.Status != "booked" || strings.Contains(answer.text, "coverage-unsettled") {
			return fmt.Errorf("shown: %d %w %s", status, err, answer.text)
		}
		return c.listed(n, patients[0])
	})
}

// listed wants nobody listed as an orphan who has an appointment.
func (c *newcomerCase) listed(n *node, patient string) error {
	list, err := n.current.people.Orphans(c.t.Context())
	if err != nil {
		return err
	}
	text, err := json.Marshal(list)
	if err == nil && strings.Contains(string(text), `"`+patient+`"`) {
		err = fmt.Errorf("listed: %s", text)
	}
	return err
}
