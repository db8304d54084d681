package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func holdOf(w *world, slot int) booking.HoldRequest {
	return booking.HoldRequest{Target: target(w.offer(slot))}
}

func TestAHoldLastsAsTheEHRSaysLessTwoSecondsAndIsRenewedUpToItsMaximum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann := caller("ann")
	began := w.clock.Now()
	v := must(w.desk.Hold(t.Context(), ann, holdOf(w, 0)))(t)
	wantStatus(t, v, scheduling.ApptPending)
	if got := v.Expires.Sub(v.Now); got != 5*time.Minute {
		t.Fatalf("lasts %s, want 5m", got)
	}
	for range 10 {
		w.clock.Advance(2 * time.Minute)
		next, err := w.desk.Hold(t.Context(), ann, holdOf(w, 0))
		if err != nil {
			break
		}
		if next.Expires.Before(v.Expires) || next.Entry.Hold.Native != v.Entry.Hold.Native {
			t.Fatalf("a renewal gave another hold: %+v", next.Entry.Hold)
		}
		v = next
	}
	if got := v.Expires.Sub(began); got != 20*time.Minute {
		t.Fatalf("renewed up to %s, want 20m", got)
	}
	w.settle(t, w.desk, time.Hour)
	if got := w.ehr.Slot("s0"); got != scheduling.SlotFree {
		t.Fatalf("after the end the slot is %s", got)
	}
	must(w.desk.Hold(t.Context(), caller("bob"), holdOf(w, 0)))(t) // the id is an offer again
}

func TestAnExpiredHoldCannotBeBooked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
	w.clock.Advance(6 * time.Minute)
	_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1"))
	wantCode(t, err, scheduling.HoldExpired)
	if len(w.standing(0)) != 0 || w.ehr.Slot("s0") != scheduling.SlotFree {
		t.Fatal("it was booked, or left held")
	}
}

func TestASourceWithoutHoldsGivesAGatewayClaimAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Hold = scheduling.HoldNone })
	v := must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
	if !v.Has(booking.HeldByGatewayOnly) || w.ehr.Writes[scheduling.CallHold] != 0 {
		t.Fatalf("notices %v", v.Notices)
	}
	_, err := w.desk.Hold(t.Context(), caller("bob"), holdOf(w, 0))
	wantCode(t, err, scheduling.SlotTaken)
	wantStatus(t, must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t), scheduling.ApptBooked)
	w.ehr.Set(func(can *scheduling.Abilities) { can.GatewayHolds = false })
	w2 := newWorld(t, 1, func(can *scheduling.Abilities) { can.Hold, can.GatewayHolds = scheduling.HoldNone, false })
	_, err = w2.desk.Hold(t.Context(), caller("ann"), holdOf(w2, 0))
	wantCode(t, err, scheduling.NotSupported)
}

func TestHoldsAreLimitedPerPrincipalAndCountedDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	ann := caller("ann")
	for i := range 3 {
		must(w.desk.Hold(t.Context(), ann, holdOf(w, i)))(t)
	}
	must(w.desk.Hold(t.Context(), ann, holdOf(w, 0)))(t) // the same one again
	_, err := w.desk.Hold(t.Context(), ann, holdOf(w, 3))
	wantCode(t, err, scheduling.HoldLimit)
	must(w.desk.Hold(t.Context(), caller("bob"), holdOf(w, 3)))(t)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: w.offer(0)}))(t)
	must(w.desk.Book(t.Context(), ann, bookFor(w.offer(1), "p1")))(t)
	w.ehr.Fail(scheduling.CallHold, bookingtest.RefuseRules)
	_, err = w.desk.Hold(t.Context(), ann, holdOf(w, 4))
	wantCode(t, err, scheduling.NotAcceptable)
	must(w.desk.Hold(t.Context(), ann, holdOf(w, 4)))(t)
}

func TestAHoldThatTheEHRLosesEarlyIsNotBookedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	v := must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
	w.ehr.Clinic(v.Entry.Hold.Native, func(a *scheduling.Appointment) { a.Status = scheduling.ApptCancelled })
	if !w.ehr.Stranger("s0") {
		t.Fatal("the slot is not free")
	}
	_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1"))
	wantCode(t, err, scheduling.SlotTaken)
	if got := w.standing(0); len(got) != 1 || got[0] != "stranger" {
		t.Fatalf("the EHR shows %v", got)
	}
}

func TestALostAnswerToAHoldLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, fault := range []bookingtest.Fault{bookingtest.LostBefore, bookingtest.LostAfter, bookingtest.LateCommit, bookingtest.LosesHold} {
		w := newWorld(t, 1)
		w.ehr.Fail(scheduling.CallHold, fault)
		if _, err := w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)); err == nil {
			t.Fatalf("%s: told as held", fault)
		}
		w.settle(t, w.desk, time.Hour)
		if _, claimed := w.store.Claimed(napa, "s0"); claimed || w.ehr.Slot("s0") != scheduling.SlotFree {
			t.Fatalf("%s: claimed %v, the slot is %s", fault, claimed, w.ehr.Slot("s0"))
		}
		must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
	}
}

func TestWhatCannotBeTakenIsRefusedWithoutATrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id, slot := w.offer(0), scheduling.ResourceID(napa, scheduling.KindSlot, "s0")
	for name, c := range map[string]struct {
		target booking.Target
		code   scheduling.Code
	}{
		"forged":        {target(scheduling.OfferID(napa, 9, "s0")), scheduling.UnknownID},
		"not an id":     {target("../../etc"), scheduling.UnknownID},
		"nothing":       {target(""), scheduling.UnknownID},
		"other start":   {booking.Target{ID: id, Start: opening.Add(time.Minute)}, scheduling.NotAcceptable},
		"other end":     {booking.Target{ID: id, End: opening}, scheduling.NotAcceptable},
		"other slot":    {booking.Target{ID: id, Slots: []string{"x"}}, scheduling.NotAcceptable},
		"no such slot":  {booking.Target{Slots: []string{"x"}}, scheduling.UnknownID},
		"slot and time": {booking.Target{Slots: []string{slot}, Start: opening.Add(time.Hour)}, scheduling.NotAcceptable},
	} {
		_, err := w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: c.target})
		if scheduling.CodeOf(err) != c.code {
			t.Errorf("hold, %s: %v, want %s", name, err, c.code)
		}
		_, err = w.desk.Book(t.Context(), caller("ann"), booking.BookRequest{Target: c.target, Patients: []string{"p1"}})
		if scheduling.CodeOf(err) != c.code {
			t.Errorf("book, %s: %v, want %s", name, err, c.code)
		}
	}
	if len(w.store.Entries()) != 0 || len(w.ehr.Appointments()) != 0 {
		t.Fatal("a trace was left")
	}
	v := must(w.desk.Hold(t.Context(), caller("ann"), booking.HoldRequest{Target: booking.Target{Slots: []string{slot}, Start: opening, ByResource: true}}))(t)
	if !v.Created || v.Entry.ID != id {
		t.Fatalf("by resource: created %v, id %s", v.Created, v.Entry.ID)
	}
}

func TestAReadonlySourceIsForFindingOnly(t *testing.T) {
	t.Parallel()
	for code, change := range map[scheduling.Code]func(*scheduling.Abilities){
		scheduling.Forbidden:    func(can *scheduling.Abilities) { can.Readonly = true },
		scheduling.NotSupported: func(can *scheduling.Abilities) { can.Bookable = false },
		scheduling.SourceDown:   func(can *scheduling.Abilities) { can.Paused = true },
	} {
		w := newWorld(t, 1, change)
		_, err := w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0))
		wantCode(t, err, code)
		_, err = w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1"))
		wantCode(t, err, code)
	}
}

// noOffers is a replica that has not been told yet that a slot is free again.
type noOffers struct{ *world }

func (noOffers) Offer(string) (scheduling.Hit, bool) { return scheduling.Hit{}, false }

func TestAReleasedIdCanBeTakenBeforeTheFeedShowsItButNotOneThatWasTaken(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		w := newWorld(t, 1)
		desk := w.newDeskOver(t, noOffers{w})
		id, want := w.offer(0), scheduling.Code("")
		if taken {
			w.ehr.Fail(scheduling.CallBook, bookingtest.RefuseTaken)
			_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1"))
			wantCode(t, err, scheduling.SlotTaken)
			want = scheduling.SlotTaken
		} else {
			must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
			must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id}))(t)
		}
		_, err := desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(id)})
		if scheduling.CodeOf(err) != want {
			t.Errorf("taken %v: %v", taken, err)
		}
		must(w.desk.Hold(t.Context(), caller("bob"), holdOf(w, 0)))(t) // once the feed shows it
	}
}

func TestAReleaseThatHasNoEffectIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, fault := range []bookingtest.Fault{bookingtest.RefuseRules, bookingtest.RefuseTaken, bookingtest.SaysOnly, bookingtest.LostBefore} {
		w := newWorld(t, 1)
		must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
		w.ehr.Fail(scheduling.CallRelease, fault)
		v := must(w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: w.offer(0)}))(t)
		if _, claimed := w.store.Claimed(napa, "s0"); !claimed || !v.Has(booking.ReleasedUnverified) {
			t.Errorf("%s: claimed %v, %v: the EHR still holds it", fault, claimed, v.Notices)
		}
		w.settle(t, w.desk, time.Hour)
		if _, claimed := w.store.Claimed(napa, "s0"); claimed || w.ehr.Slot("s0") != scheduling.SlotFree {
			t.Errorf("%s: claimed %v, the slot is %s", fault, claimed, w.ehr.Slot("s0"))
		}
	}
}

func TestAHoldEndsByTheStoresClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	behind := bookingtest.NewClock(w.clock.Now().Add(-time.Hour))
	w.deskClock = behind
	desk := w.newDesk(t, w.store, w.ehr)
	must(desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
	w.clock.Advance(6 * time.Minute)
	_, err := desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1"))
	wantCode(t, err, scheduling.HoldExpired)
	if w.ehr.Writes[scheduling.CallBook] != 0 {
		t.Fatal("the EHR was asked")
	}
	if _, err := desk.Sweep(t.Context(), napa); err != nil {
		t.Fatal(err)
	}
	if _, claimed := w.store.Claimed(napa, "s0"); claimed || w.ehr.Slot("s0") != scheduling.SlotFree {
		t.Fatal("what has run out by the store's clock is still held")
	}
}

func TestAHoldAskedForWhileALostOneIsReleasedIsToBeTriedAgain(t *testing.T) {
	t.Parallel()
	for _, fault := range []bookingtest.Fault{bookingtest.LostBefore, bookingtest.LateCommit} {
		w := newWorld(t, 1)
		id, ann := w.offer(0), caller("ann")
		w.ehr.Fail(scheduling.CallHold, fault)
		req := booking.HoldRequest{Target: target(id), Key: "k1"}
		_, err := w.desk.Hold(t.Context(), ann, req)
		wantCode(t, err, scheduling.SourceSlow)
		_, err = w.desk.Hold(t.Context(), ann, req)
		wantCode(t, err, scheduling.Shedding)
		if scheduling.AsError(err).RetryAfter <= 0 {
			t.Fatalf("no word of when: %v", err)
		}
		_, err = w.desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(id)})
		wantCode(t, err, scheduling.SlotTaken)
		w.settle(t, w.desk, time.Hour)
		v := must(w.desk.Hold(t.Context(), ann, req))(t)
		wantStatus(t, v, scheduling.ApptPending)
	}
}
