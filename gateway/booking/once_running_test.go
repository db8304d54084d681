package booking_test

import (
	"context"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// afterALease is more than a key stays with a request that has crashed.
const afterALease = 100 * time.Second

// impatient is a world that settles soon, and where nobody waits for the first.
func impatient(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Settle = time.Second })
	w.opts.WaitRunning = 20 * time.Millisecond
	w.desk = w.newDesk(t, w.store, w.ehr)
	return w
}

func TestARepeatedCancelThatCameToNothingIsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault bookingtest.Fault
		code  scheduling.Code
	}{{bookingtest.SaysOnly, scheduling.NotAcceptable}, {bookingtest.LostAfter, ""}} {
		w := impatient(t)
		id, ann := w.offer(0), caller("ann")
		must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
		w.ehr.Fail(scheduling.CallCancel, c.fault)
		req := booking.CancelRequest{ID: id, Key: "k1"}
		v := must(w.desk.Cancel(t.Context(), ann, req))(t)
		if c.code != "" {
			if !v.InDoubt {
				t.Fatalf("%+v", v)
			}
			if v = must(w.desk.Cancel(t.Context(), ann, req))(t); !v.InDoubt {
				t.Fatalf("a repeat while it is in doubt: %+v", v)
			}
		}
		w.settle(t, w.desk, afterALease)
		writes := w.ehr.Writes[scheduling.CallCancel]
		v, err := w.desk.Cancel(t.Context(), ann, req)
		wantCode(t, err, c.code)
		if c.code == "" {
			wantStatus(t, v, scheduling.ApptCancelled)
		}
		if w.ehr.Writes[scheduling.CallCancel] != writes {
			t.Fatal("a repeat was sent")
		}
	}
}

func TestARepeatAfterACrashIsAnsweredAsSoonAsItIsSettled(t *testing.T) {
	t.Parallel()
	for half, code := range map[int64]scheduling.Code{0: scheduling.UsedID, 1: ""} { // killed before the EHR was asked, and after
		w := impatient(t)
		f := newFuse()
		id, ann := w.offer(0), caller("ann")
		req := bookFor(id, "p1")
		req.Key = "k1"
		f.left.Store(half)
		if !dying(func() { _, _ = w.newDesk(t, w.store, mortalEHR{w.ehr, f}).Book(t.Context(), ann, req) }) {
			t.Fatal("it lives")
		}
		w.settle(t, w.desk, afterALease)
		v, err := w.desk.Book(t.Context(), ann, req)
		wantCode(t, err, code)
		if code == "" {
			wantStatus(t, v, scheduling.ApptBooked)
		}
		if w.ehr.Writes[scheduling.CallBook] > 1 {
			t.Fatal("a repeat was sent")
		}
	}
}

func TestARepeatAfterACrashRunsAfreshWhereNothingCameOfTheFirst(t *testing.T) {
	t.Parallel()
	for _, hold := range []bool{false, true} {
		seen := 0
		for half := range int64(30) {
			w := impatient(t)
			f := newFuse()
			id, ann := w.offer(0), caller("ann")
			if hold {
				must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id)}))(t)
			}
			req := bookFor(id, "p1")
			req.Key = "k1"
			w.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
			f.left.Store(half)
			died := dying(func() { _, _ = w.newDesk(t, mortalStore{w.store, f}, w.ehr).Book(t.Context(), ann, req) })
			e, err := w.store.Read(t.Context(), id)
			if !died || err != nil || w.ehr.Writes[scheduling.CallBook] != 1 || e.State != scheduling.EntryFree && e.State != scheduling.EntryHeld {
				continue
			}
			v, err := w.desk.Book(t.Context(), ann, req)
			if is(err, scheduling.NotAcceptable) {
				continue // its answer was kept
			}
			if err != nil {
				t.Fatalf("killed at half call %d: %v", half, err)
			}
			wantStatus(t, v, scheduling.ApptBooked)
			seen++
		}
		if seen == 0 {
			t.Fatal("it was never killed where it should")
		}
	}
}

// TestLaw12ARepeatAfterACrashNeedNotWaitLong: the gateway died before anything of
// the request was written down but its key.
func TestLaw12ARepeatAfterACrashNeedNotWaitLong(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"hold", "book", "cancel"} {
		w := impatient(t)
		w.opts.Checkpoint = func(name string) {
			if name == "key.begun" {
				panic(killed{})
			}
		}
		mortal := w.newDesk(t, w.store, w.ehr)
		id, ann := w.offer(0), caller("ann")
		if what == "cancel" {
			must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
		}
		ask := func(desk *booking.Desk) (booking.View, error) {
			switch what {
			case "hold":
				return desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id), Key: "k1"})
			case "cancel":
				return desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, Key: "k1"})
			}
			req := bookFor(id, "p1")
			req.Key = "k1"
			return desk.Book(t.Context(), ann, req)
		}
		if !dying(func() { _, _ = ask(mortal) }) {
			t.Fatal("it lives")
		}
		w.clock.Advance(10 * time.Second)
		v := must(ask(w.desk))(t)
		wantStatus(t, v, map[string]scheduling.AppointmentStatus{
			"hold": scheduling.ApptPending, "book": scheduling.ApptBooked, "cancel": scheduling.ApptCancelled,
		}[what])
	}
}

// TestARepeatedCancelIsRefusedAsTheFirstWas: the gateway died when the refusal had
// been written down, before it could be kept under its key.
func TestARepeatedCancelIsRefusedAsTheFirstWas(t *testing.T) {
	t.Parallel()
	for fault, again := range map[bookingtest.Fault]bool{bookingtest.RefuseRules: false, bookingtest.RefuseBusy: true} {
		w := impatient(t)
		id, ann := w.offer(0), caller("ann")
		must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
		req := booking.CancelRequest{ID: id, Key: "k1"}
		w.ehr.Fail(scheduling.CallCancel, fault, fault, fault)
		_, first := w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, Key: "k0"})
		mortal := w.newDesk(t, forgetful{w.store}, w.ehr)
		_, second := mortal.Cancel(t.Context(), ann, req)
		if scheduling.CodeOf(first) != scheduling.CodeOf(second) {
			t.Fatalf("%v, %v", first, second)
		}
		for _, wait := range []time.Duration{0, afterALease} {
			w.clock.Advance(wait)
			writes := w.ehr.Writes[scheduling.CallCancel]
			_, err := w.desk.Cancel(t.Context(), ann, req)
			wantCode(t, err, scheduling.CodeOf(second))
			if sent := w.ehr.Writes[scheduling.CallCancel] > writes; sent && !again {
				t.Fatal("a refusal that is final was asked for again")
			}
		}
	}
}

// forgetful is a store as a gateway leaves it that dies before it keeps an answer.
type forgetful struct{ stores }

func (f forgetful) Finish(context.Context, string, string, string, []byte) error { return nil }
func (f forgetful) Abandon(context.Context, string, string, string) error        { return nil }

func TestAnotherTimeUnderTheSameKeyIsAnotherRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann := caller("ann")
	slots := []string{scheduling.ResourceID(napa, scheduling.KindSlot, "s0")}
	req := booking.HoldRequest{Target: booking.Target{Slots: slots, Start: w.slots[0].Start}, Key: "k1"}
	must(w.desk.Hold(t.Context(), ann, req))(t)
	req.Start = req.Start.In(time.FixedZone("", 3600)) // the same instant
	must(w.desk.Hold(t.Context(), ann, req))(t)
	req.Start = req.Start.Add(time.Hour)
	_, err := w.desk.Hold(t.Context(), ann, req)
	wantCode(t, err, scheduling.NotAcceptable)
}
