package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"slotgate/config"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// kinds are the EHRs that the tests of booking play at.
func kinds() []clinic {
	return []clinic{
		{id: "argonaut-stu3", sim: ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3}},
		{id: "argonaut-r4", sim: ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4}},
		{id: "slots-r4", sim: ehrsim.Options{Dialect: ehrsim.Slots, FHIR: ehrsim.R4}},
		{id: "ihe", sim: ehrsim.Options{Dialect: ehrsim.IHE, FHIR: ehrsim.R4}},
		{id: "epic", sim: ehrsim.Options{Dialect: ehrsim.Epic, FHIR: ehrsim.STU3, Patches: true}},
	}
}

// with gives a clinic so many doctors and days, and times for a busy machine.
func (c clinic) with(practitioners, days int, call config.Duration) clinic {
	c.sim.Practitioners, c.sim.Days, c.sim.Zone = practitioners, days, "UTC"
	c.bend = func(o *upstream.Options) {
		o.Booking.CallTimeout, o.Booking.ReadTimeout = call, call
		o.Booking.Settle = call + config.Duration(2e9)
	}
	return c
}

// TestConcurrentLaw3TwoHundredClientsBookTheSameFiftySlots: through two gateways
// on one Redis, and some straight at the EHR.
func TestConcurrentLaw3TwoHundredClientsBookTheSameFiftySlots(t *testing.T) {
	const clients, wanted, straight = 200, 50, 20
	var clinics []clinic
	for _, c := range kinds() {
		clinics = append(clinics, c.with(2, 8, config.Duration(30e9)))
	}
	h := newHouse(t, clinics...)
	for _, c := range clinics {
		t.Run(c.id, func(t *testing.T) {
			slots := h.slots(t, c.id, wanted)
			tries, rivals := h.rush(t.Context(), slots, clients, straight, half)
			for _, at := range rivals {
				if a := h.standing(at); a.History[0].By != "rival" {
					t.Errorf("%s was given to a rival, and the book says %+v", at.native, a)
				}
			}
			for _, try := range tries {
				won := try.answer.code == http.StatusOK && try.answer.status == "booked"
				lost := try.answer.code == http.StatusConflict && try.answer.has("slot-taken")
				if !won && !lost {
					t.Errorf("%s was told %s %v: %s", try.user.session, try.answer, try.answer.failure, try.answer.raw)
				}
			}
			if err := h.agrees(t.Context(), c.id, tries); err != nil {
				t.Error(err)
			}
			taken := map[string]int{}
			for _, line := range h.sims[c.id].Book() {
				taken[line.Slot]++
				if line.Status != "booked" || line.SlotStatus != "busy" {
					t.Errorf("neither free nor booked: %s", line)
				}
			}
			for _, s := range slots {
				if taken[s.native] != 1 {
					t.Errorf("%s is booked %d times", s.native, taken[s.native])
				}
			}
			t.Logf("%d tries: %d booked by gateways, %d straight", len(tries), len(taken)-len(rivals), len(rivals))
		})
	}
}

// half of the clients of each gateway hold first.
func half(client int) bool { return client%4 < 2 }

// rush lets everybody go for the slots at once: some hold first, and who loses
// one tries the next, three in all. The last few go straight to the EHR.
func (h *house) rush(ctx context.Context, slots []slot, clients, straight int, holds func(client int) bool) (tries []tried, rivals []slot) {
	var mu sync.Mutex
	var running sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		running.Go(func() {
			<-start
			if i >= clients-straight {
				at := slots[i*7%len(slots)]
				if taken, err := h.rival(ctx, at); err == nil && taken {
					mu.Lock()
					defer mu.Unlock()
					rivals = append(rivals, at)
				}
				return
			}
			u := h.user(i)
			for k := range 3 {
				at := slots[(i*7+k*11)%len(slots)]
				a := u.take(ctx, i%len(h.nodes), at, holds(i))
				mu.Lock()
				tries = append(tries, tried{u, at, a})
				mu.Unlock()
				if a.code == http.StatusOK {
					return
				}
			}
		})
	}
	close(start)
	running.Wait()
	return tries, rivals
}

// take books a slot, through one gateway held and through the other booked if it
// is to be held first.
func (u user) take(ctx context.Context, node int, at slot, held bool) answer {
	if held {
		if a := u.hold(ctx, node, at.offer); a.code != http.StatusOK {
			return a
		}
		node = (node + 1) % len(u.house.nodes)
	}
	return u.book(ctx, node, at.offer)
}

// standing is what is booked on a slot, by the EHR's own book.
func (h *house) standing(at slot) ehrsim.Appointment {
	for _, a := range h.sims[at.source].Appointments("booked") {
		if slices.Contains(a.Slots, at.native) {
			return a
		}
	}
	return ehrsim.Appointment{History: []ehrsim.Change{{}}}
}

// TestARepeatUnderTheSameKeyGetsTheSameAnswer: over both gateways and both
// bases; with another body it is refused.
func TestARepeatUnderTheSameKeyGetsTheSameAnswer(t *testing.T) {
	var clinics []clinic
	for _, c := range kinds() {
		clinics = append(clinics, c.with(1, 4, config.Duration(20e9)))
	}
	h := newHouse(t, clinics...)
	for i, c := range clinics {
		u, at := h.user(i), h.slots(t, c.id, 1)[0]
		for n, base := range []string{"r4", "stu3", "r4", "stu3"} {
			path := "/fhir/" + base + "/Appointment/" + at.offer + "/$book"
			a := u.tell(t.Context(), n/2, http.MethodPost, path, u.bookBody(u.session), "Idempotency-Key", "one-key")
			if a.code != http.StatusOK || a.status != "booked" || a.id != at.offer {
				t.Errorf("%s, node %d, %s: %s %v: %s", c.id, n/2, base, a, a.failure, a.raw)
			}
			other := u.tell(t.Context(), 1-n/2, http.MethodPost, path, u.bookBody("something else"), "Idempotency-Key", "one-key")
			if other.code != http.StatusUnprocessableEntity {
				t.Errorf("%s, %s: another body: %s: %s", c.id, base, other, other.raw)
			}
		}
		if made := h.sims[c.id].Appointments(); len(made) != 1 || made[0].Status != "booked" {
			t.Errorf("%s: the EHR has %+v", c.id, made)
		}
	}
}
