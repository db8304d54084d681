package booking_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

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
	for _, way := range ways { // a conditional create races with itself too
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
}

// TestALateCommitIsFound: what was taken for lost comes after all.
func TestALateCommitIsFound(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterSearch, nil)
	w.fault(ehrsim.Fault{Kind: ehrsim.FaultCommitLate, On: "register", Count: 1, Delay: ehrsim.Duration(300 * time.Millisecond)})
	id := w.come("alice", canaryPatient)
	deadline := time.Now().Add(2 * time.Minute)
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

// dyingPeople is a store whose gateway dies at the nth link that it keeps in a state.
type dyingPeople struct {
	*cache.Patients
	state scheduling.LinkState
	left  atomic.Int32
}

var errDied = scheduling.Fault(scheduling.Shedding, nil, "died")

func (d *dyingPeople) SaveLink(ctx context.Context, principal string, source scheduling.SourceID, id string, l scheduling.PatientLink) error {
	if l.State == d.state && d.left.Add(-1) >= 0 {
		return errDied
	}
	return d.Patients.SaveLink(ctx, principal, source, id, l)
}

// TestLaw12ACrashBesideTheCreateLosesAndDoublesNobody: before it nothing is
// sent, after it the Patient is found by our identifier.
func TestLaw12ACrashBesideTheCreateLosesAndDoublesNobody(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for state, made := range map[scheduling.LinkState]int{scheduling.LinkSending: 0, scheduling.LinkKnown: 1} {
			w := newClinic(t, way, nil)
			people := &dyingPeople{Patients: w.people, state: state}
			people.left.Store(1)
			deps := w.deps
			deps.Metrics, deps.People = nil, people
			id := w.come("alice", canaryPatient)
			_, err := w.registrar(deps).Native(t.Context(), "alice", clinic, id)
			if scheduling.CodeOf(err) != scheduling.Shedding || w.made() != made {
				t.Errorf("%s, dead at %s: %v, %d made", way, state, err, w.made())
			}
			if native, err := w.native("alice", id); err != nil || native == "" || w.made() != 1 {
				t.Errorf("%s, after a death at %s: %q %v, %d made", way, state, native, err, w.made())
			}
		}
	}
}

// TestACallersTimeIsNotOverdrawn: the source hangs, and the caller is answered.
func TestACallersTimeIsNotOverdrawn(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w := newClinic(t, way, nil)
		w.fault(ehrsim.Fault{Kind: ehrsim.FaultHang, Path: "/Patient", Count: 1})
		id := w.come("alice", canaryPatient)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := w.Native(ctx, "alice", clinic, id)
		cancel()
		if code := scheduling.CodeOf(err); code != scheduling.SourceDown && code != scheduling.SourceSlow {
			t.Errorf("%s: %v", way, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if native, err := w.Native(gone, "alice", clinic, id); err == nil {
			t.Errorf("%s: whoever has gone gets %q", way, native)
		}
		w.clock.forward(7 * time.Second)
		if native, err := w.native("alice", id); err != nil || native == "" || w.made() != 1 {
			t.Errorf("%s: %q %v, %d made", way, native, err, w.made())
		}
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

// TestLaw5ACallThatIsOverIsSentAgainWhereItIsConditional: the source says itself
// that it failed, so the call runs no longer. Where the create is conditional on
// our identifier it is sent again at once; anywhere else nobody is made twice.
func TestLaw5ACallThatIsOverIsSentAgainWhereItIsConditional(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for _, status := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusBadGateway} {
			w := newClinic(t, way, nil)
			w.fault(ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: status, On: "register", Count: 1})
			native, err := w.native("alice", w.come("alice", canaryPatient))
			again := way == scheduling.RegisterIfNoneExist && status != http.StatusBadGateway
			if again != (err == nil && native != "") || again && w.made() != 1 || !again && w.made() != 0 {
				t.Errorf("%s after %d: %q %v, %d made", way, status, native, err, w.made())
			}
		}
	}
}
