package booking_test

import (
	"context"
	"sync"
	"testing"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// newcomers are people of everyone's whom no source knows before they are
// registered there.
type newcomers struct {
	mu      sync.Mutex
	refuse  scheduling.Code // of a registration; "" for none
	natives map[string]string
	calls   int
	during  func() // what stood when one was registered
}

func (n *newcomers) Known(_ context.Context, _ string, _ scheduling.SourceID, id string) (string, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	native, ok := n.natives[id]
	return native, ok, nil
}

func (n *newcomers) Native(_ context.Context, _ string, source scheduling.SourceID, id string) (string, error) {
	n.during()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.refuse != "" {
		return "", scheduling.Blame(n.refuse, source, nil, "not like this")
	}
	n.natives[id] = "native-" + id
	return n.natives[id], nil
}

func newcomer(t *testing.T, change ...func(*scheduling.Abilities)) (*world, *newcomers, *booking.Desk, booking.Caller) {
	t.Helper()
	w := newWorld(t, 1, change...)
	people := &newcomers{natives: map[string]string{}, during: func() {}}
	w.people = people
	return w, people, w.newDesk(t, w.store, w.ehr), booking.Caller{Principal: "ann", Holds: 3}
}

func TestAHoldForANewcomerRegistersNobody(t *testing.T) {
	t.Parallel()
	w, people, desk, ann := newcomer(t)
	v := must(desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(w.offer(0)), Patients: []string{"p"}}))(t)
	if v.Status != scheduling.ApptPending || people.calls != 0 {
		t.Errorf("%s, %d registered", v.Status, people.calls)
	}
	v = must(desk.Book(t.Context(), ann, bookFor(w.offer(0), "p")))(t)
	if v.Status != scheduling.ApptBooked || people.calls != 1 || v.Entry.Private.Patients[0].Native != "native-p" {
		t.Errorf("%s, %d registered, %+v", v.Status, people.calls, v.Entry.Private)
	}
}

func TestANewcomerIsRegisteredWhenTheSlotIsTheirsAndOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*scheduling.Abilities){
		"held by the EHR":     func(*scheduling.Abilities) {},
		"held by the gateway": func(can *scheduling.Abilities) { can.Hold, can.GatewayHolds = scheduling.HoldNone, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, people, desk, ann := newcomer(t, change)
			held := scheduling.EntryState("")
			people.during = func() {
				if e, err := w.store.Read(t.Context(), w.offer(0)); err == nil {
					held = e.State
				}
			}
			v := must(desk.Book(t.Context(), ann, booking.BookRequest{Target: target(w.offer(0)), Patients: []string{"p", "q"}}))(t)
			if v.Status != scheduling.ApptBooked || people.calls != 2 || held != scheduling.EntryHeld {
				t.Errorf("%s, %d registered, while %q", v.Status, people.calls, held)
			}
			again := must(desk.Book(t.Context(), ann, booking.BookRequest{Target: target(v.Entry.ID), Patients: []string{"p", "q"}}))(t)
			if again.Entry.ID != v.Entry.ID || people.calls != 2 || len(w.ehr.Appointments()) != 1 {
				t.Errorf("a repeat registered %d, %d appointments", people.calls, len(w.ehr.Appointments()))
			}
		})
	}
}

func TestATakenSlotRegistersNobody(t *testing.T) {
	t.Parallel()
	w, people, desk, ann := newcomer(t)
	bob := booking.Caller{Principal: "bob", Holds: 3}
	must(desk.Hold(t.Context(), bob, booking.HoldRequest{Target: target(w.offer(0))}))(t)
	_, err := desk.Book(t.Context(), ann, bookFor(w.offer(0), "p"))
	wantCode(t, err, scheduling.SlotTaken)
	if people.calls != 0 {
		t.Errorf("%d registered for a slot of another's", people.calls)
	}
}

func TestARefusedRegistrationLeavesNothingHeld(t *testing.T) {
	t.Parallel()
	for _, code := range []scheduling.Code{scheduling.NeedsClinic, scheduling.MissingData, scheduling.SourceDown} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			w, people, desk, ann := newcomer(t)
			people.refuse = code
			_, err := desk.Book(t.Context(), ann, bookFor(w.offer(0), "p"))
			wantCode(t, err, code)
			if e, err := w.store.Read(t.Context(), w.offer(0)); err != nil || e.State != scheduling.EntryFree {
				t.Errorf("the entry is %q, %v", e.State, err)
			}
			if got := w.ehr.Slot("s0"); got != scheduling.SlotFree {
				t.Errorf("the slot is %s", got)
			}
		})
	}
}

func TestARefusedRegistrationLeavesTheCallersOwnHold(t *testing.T) {
	t.Parallel()
	w, people, desk, ann := newcomer(t)
	must(desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(w.offer(0))}))(t)
	people.refuse = scheduling.MissingData
	_, err := desk.Book(t.Context(), ann, bookFor(w.offer(0), "p"))
	wantCode(t, err, scheduling.MissingData)
	people.refuse = ""
	if v := must(desk.Book(t.Context(), ann, bookFor(w.offer(0), "p")))(t); v.Status != scheduling.ApptBooked {
		t.Errorf("%s", v.Status)
	}
}

func TestAnIdOfOurMakingIsNeverTakenForASources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.people = register{}
	desk := w.newDesk(t, w.store, w.ehr)
	trusted := booking.Caller{Principal: "ann", Holds: 3, Trusted: []scheduling.SourceID{napa}}
	ours := scheduling.NewPatientID([26]byte{1, 2, 3})
	if !scheduling.OwnPatientID(ours) {
		t.Fatalf("%s is not of our making", ours)
	}
	_, err := desk.Book(t.Context(), trusted, bookFor(w.offer(0), ours))
	wantCode(t, err, scheduling.UnknownID)
}
