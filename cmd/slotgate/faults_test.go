package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/upstream/ehrsim"
)

// misbehaviour is one way in which an EHR goes wrong while many book.
type misbehaviour struct {
	name   string
	faults []ehrsim.Fault
	holds  bool           // all hold first
	only   ehrsim.Dialect // where there is such a call
}

const tooLate = "commit-late, after not booked was told"

// ofHolds: it strikes where the EHR is asked to hold.
func (m misbehaviour) ofHolds() bool {
	return m.faults[0].On == "hold" || m.faults[0].Kind == ehrsim.FaultLoseHolds
}

// misbehaviours are all the write faults of the simulator, each alone. A count
// ends them, so that what comes after can be booked.
func misbehaviours() []misbehaviour {
	const some = 4
	var all []misbehaviour
	add := func(name string, faults ...ehrsim.Fault) {
		first := faults[0]
		m := misbehaviour{name: name, faults: faults, holds: first.On == "hold" || first.Kind == ehrsim.FaultLoseHolds}
		if first.On == "release" {
			m.only = ehrsim.Slots // argonaut releases a hold as it cancels
		}
		all = append(all, m)
	}
	for _, shape := range ehrsim.RefusalShapes() {
		add("refuse as "+shape, ehrsim.Fault{Kind: ehrsim.FaultRefuse, Shape: shape, On: "book", Count: some, RetryAfter: 1})
	}
	short, long := ehrsim.Duration(300*time.Millisecond), ehrsim.Duration(5*time.Second)
	for _, kind := range []ehrsim.FaultKind{
		ehrsim.FaultLost, ehrsim.FaultCommitLost, ehrsim.FaultCommitError, ehrsim.FaultCommitEmpty, ehrsim.FaultCommitNonsense, ehrsim.FaultDie,
	} {
		for _, on := range []string{"book", "hold", "cancel", "release"} {
			add(string(kind)+" on "+on, ehrsim.Fault{Kind: kind, On: on, Count: some})
		}
	}
	add("commit-late", ehrsim.Fault{Kind: ehrsim.FaultCommitLate, On: "book", Count: some, Delay: short})
	add("commit-late on hold", ehrsim.Fault{Kind: ehrsim.FaultCommitLate, On: "hold", Count: some, Delay: short})
	add("commit-late on cancel", ehrsim.Fault{Kind: ehrsim.FaultCommitLate, On: "cancel", Count: some, Delay: short})
	add(tooLate, ehrsim.Fault{Kind: ehrsim.FaultCommitLate, On: "book", Count: some, Delay: long})
	add("commit-lost, hanging", ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "book", Count: some, Hang: true})
	add("other-slot", ehrsim.Fault{Kind: ehrsim.FaultOtherSlot, Count: some})
	add("other-patient", ehrsim.Fault{Kind: ehrsim.FaultOtherPatient, Count: some})
	add("false-booked", ehrsim.Fault{Kind: ehrsim.FaultFalseBooked, Count: some})
	add("rival", ehrsim.Fault{Kind: ehrsim.FaultRival, Count: some})
	add("lose-holds", ehrsim.Fault{Kind: ehrsim.FaultLoseHolds})
	add("stale-search", ehrsim.Fault{Kind: ehrsim.FaultStaleSearch, Delay: ehrsim.Duration(time.Second)},
		ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "book", Count: some})
	add("lagging-search", ehrsim.Fault{Kind: ehrsim.FaultLaggingSearch, Delay: ehrsim.Duration(2 * time.Second)},
		ehrsim.Fault{Kind: ehrsim.FaultCommitLost, On: "book", Count: some})
	add("false-cancel", ehrsim.Fault{Kind: ehrsim.FaultFalseCancel, Count: 2})
	add("keep-busy", ehrsim.Fault{Kind: ehrsim.FaultKeepBusy, Count: some})
	add("throttle", ehrsim.Fault{Kind: ehrsim.FaultThrottle, Count: 2 * some, RetryAfter: 1})
	add("throttle-text", ehrsim.Fault{Kind: ehrsim.FaultThrottleText, Count: 2 * some, RetryAfter: 1})
	return all
}

// TestConcurrentFaultsOfAnEHRLeaveNobodyDeceived: many book, hold and cancel
// while their EHR misbehaves. What they were told is, in the end, what the EHR's
// own book says, and nothing stays in doubt.
func TestConcurrentFaultsOfAnEHRLeaveNobodyDeceived(t *testing.T) {
	clients, wanted, share := 8, 4, 3
	if os.Getenv("SLOTGATE_LONG") == "1" {
		clients, wanted, share = 40, 10, 1
	}
	for k, kind := range kinds() {
		t.Run(kind.id, func(t *testing.T) {
			t.Parallel()           // most of the time they wait for what is to settle
			var all []misbehaviour // of all kinds together, every one
			for i, m := range misbehaviours() {
				if kind.sim.Dialect == ehrsim.Epic && (m.ofHolds() || m.name == tooLate) {
					continue // it holds nothing, and what comes too late bears no sign of ours
				}
				if m.only == "" && (i+k)%share == 0 || m.only == kind.sim.Dialect {
					all = append(all, m)
				}
			}
			var clinics []clinic
			for i := range all {
				c := kind.with(1, 4, config.Duration(3e9))
				c.sim.HoldFor = 10 * time.Second // what nobody can find ends by itself
				c.id = fmt.Sprintf("%s-%d", kind.id, i)
				clinics = append(clinics, c)
			}
			h := newHouse(t, clinics...)
			slots := make([][]slot, len(clinics))
			for i, c := range clinics {
				slots[i] = h.slots(t, c.id, wanted)
			}
			// Beside each other, too.
			var running sync.WaitGroup
			for i, m := range all {
				running.Go(func() {
					if err := h.misbehaves(t.Context(), slots[i], m, clients); err != nil {
						t.Errorf("%s: %v", m.name, err)
					}
				})
			}
			running.Wait()
		})
	}
}

// misbehaves has people book and cancel under a fault.
func (h *house) misbehaves(ctx context.Context, slots []slot, m misbehaviour, clients int) error {
	source := slots[0].source
	if _, err := h.sims[source].SetFaults(m.faults...); err != nil {
		return err
	}
	tries, _ := h.rush(ctx, slots, clients, 0, func(i int) bool { return m.holds || half(i) })
	errs := []error{understood(tries), h.agrees(ctx, source, tries), h.cancelAll(ctx, tries), h.agrees(ctx, source, tries)}
	for _, line := range h.sims[source].Book() {
		if line.Status == "pending" {
			errs = append(errs, soon(ctx, func() error { return h.knows(ctx, line, tries) }))
		}
	}
	if h.sims[source].Counters().ByFault[string(m.faults[0].Kind)] == 0 {
		errs = append(errs, errors.New("the fault struck nobody"))
	}
	return errors.Join(errs...)
}

// understood wants every answer to be one that the contract has.
func understood(tries []tried) error {
	for _, try := range tries {
		a := try.answer
		switch {
		case a.code == http.StatusOK && a.status == "booked", a.code == http.StatusAccepted && a.header.Get("Location") != "":
		case a.code >= 400 && len(a.errors) > 0 && !a.has("internal"):
		default:
			return fmt.Errorf("%s was told %s %v: %s", try.user.session, a, a.failure, a.raw)
		}
	}
	return nil
}

// cancelAll cancels what is booked, each through another gateway than before.
func (h *house) cancelAll(ctx context.Context, tries []tried) error {
	errs := make([]error, len(tries))
	var running sync.WaitGroup
	for i, try := range tries {
		if try.answer.code >= 300 {
			continue
		}
		running.Go(func() { errs[i] = h.cancelOne(ctx, i%len(h.nodes), try) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (h *house) cancelOne(ctx context.Context, node int, try tried) error {
	if now := try.user.see(ctx, node, try.slot.offer); now.status != "booked" {
		return nil
	}
	a := try.user.cancel(ctx, node, try.slot.offer)
	if a.code == 0 || a.code == http.StatusInternalServerError || a.code == http.StatusOK && a.status != "cancelled" {
		return fmt.Errorf("cancel: %s %v: %s", a, a.failure, a.raw)
	}
	if now := h.standing(try.slot); a.code == http.StatusOK && now.Comment == try.user.session {
		return fmt.Errorf("told as cancelled, and it stands: %s: %+v", a, now)
	}
	return nil
}

// knows wants a hold that stands at the EHR to be that of somebody who knows it.
func (h *house) knows(ctx context.Context, line ehrsim.BookLine, tries []tried) error {
	if a, err := h.sims[tries[0].slot.source].Appointment(line.Appointment); err != nil || a.Status != "pending" {
		return err
	}
	for _, try := range tries {
		if try.slot.native == line.Slot && try.user.see(ctx, 0, try.slot.offer).status == "pending" {
			return nil
		}
	}
	return fmt.Errorf("nobody knows of the hold %s", line)
}
