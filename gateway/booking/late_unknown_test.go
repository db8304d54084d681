package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestLaw5AnEHRWhoseClockIsWrongShowsWhatBecameOfALostAnswer(t *testing.T) {
	t.Parallel()
	for _, fast := range []time.Duration{0, -30 * time.Second, -2 * time.Minute, -time.Hour, time.Hour} {
		t.Run(fast.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.ehr.Fast = fast
			w.ehr.Be(bookingtest.HidesIDs, true)
			w.ehr.Fail(scheduling.CallBook, bookingtest.LostAfter)
			must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t)
			id := w.store.Entries()[0].ID
			w.settle(t, w.desk, time.Hour)
			v := must(w.desk.Read(t.Context(), caller("ann"), id))(t)
			if wantStatus(t, v, scheduling.ApptBooked); v.InDoubt || len(w.standing(0)) != 1 {
				t.Fatalf("in doubt %v, standing %v", v.InDoubt, w.standing(0))
			}
		})
	}
}

func TestLaw1AnEHRWhoseClockIsWrongKeepsNoBookingOfAnotherPatient(t *testing.T) {
	t.Parallel()
	for _, fast := range []time.Duration{0, -5 * time.Second, -time.Hour, time.Hour} {
		t.Run(fast.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.ehr.Fast = fast
			w.ehr.Fail(scheduling.CallBook, bookingtest.OtherPatient)
			if _, err := w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")); err == nil {
				t.Error("another patient's appointment is told as asked for")
			}
			w.settle(t, w.desk, time.Hour)
			if len(w.standing(0)) != 0 {
				t.Fatalf("it stands for %v", w.standing(0))
			}
		})
	}
}

func TestLaw5WhatCommitsLateWithoutAnIdentifierIsListedForAPerson(t *testing.T) {
	t.Parallel()
	for name, booked := range map[string]bool{"who says it is booked": true, "who says it is not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, func(can *scheduling.Abilities) {
				can.Slots, can.Hold, can.Exclusive = false, scheduling.HoldNone, false
			})
			w.ehr.Be(bookingtest.HidesIDs, true)
			w.ehr.LateBy = 10 * time.Minute
			w.ehr.Fail(scheduling.CallBook, bookingtest.LateCommit)
			id := must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t).Entry.ID
			w.settle(t, w.desk, 26*time.Hour)
			if n := w.counter(t, "slotgate_booking_alarms_total", "late-not-ours"); n != 1 {
				t.Fatalf("%v alarms", n)
			}
			list, err := w.desk.Unsettled(t.Context())
			if err != nil || len(list) != 1 || list[0].ID != id || w.ehr.Writes[scheduling.CallCancel] != 0 {
				t.Fatalf("listed %v (%v)", list, err)
			}
			d := booking.Decision{ID: id, Booked: booked, By: "anna", Reason: "looked"}
			if booked {
				d.Native = w.ehr.Appointments()[0].ID
			}
			if err := w.desk.Decide(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			want := scheduling.ApptCancelled
			if booked {
				want = scheduling.ApptBooked
			}
			wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), want)
			if list, _ = w.desk.Unsettled(t.Context()); len(list) != 0 {
				t.Fatalf("still listed: %v", list)
			}
		})
	}
}

func TestLaw12WhatWasPendingAfterALossAndStandsWhenItIsReleasedIsBooked(t *testing.T) {
	t.Parallel()
	for name, patient := range map[string]string{"for ours": "p1", "for another": "somebody-else"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			ann, id := caller("ann"), w.offer(0)
			v := must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id), Patients: []string{"p1"}}))(t)
			native := v.Entry.Hold.Native
			w.store.Lose(napa)
			must(w.desk.Sweep(t.Context(), napa))(t)
			w.given(native, patient) // a booking that was on its way commits
			w.settle(t, w.desk, time.Hour)
			w.untouched(t, native, patient)
			e := must(w.store.Read(t.Context(), id))(t)
			if booked := e.State == scheduling.EntryBooked; booked != (patient == "p1") || booked && e.Native != native {
				t.Fatalf("%s %s", e.State, e.Native)
			}
		})
	}
}

func TestUnderOneKeyAnotherPatchIsAnotherRequest(t *testing.T) {
	t.Parallel()
	first := booking.CancelRequest{Key: "key-1", Reason: "pat", Sent: `[{"op":"replace"}]`}
	for name, change := range map[string]func(*booking.CancelRequest){
		"another body":     func(r *booking.CancelRequest) { r.Sent = `[{"op":"test"},{"op":"replace"}]` },
		"another If-Match": func(r *booking.CancelRequest) { r.IfMatch = 7 },
		"another status":   func(r *booking.CancelRequest) { r.Status = scheduling.ApptBooked },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			ann, req := caller("ann"), first
			req.ID = w.offer(0)
			must(w.desk.Book(t.Context(), ann, bookFor(req.ID, "p1")))(t)
			must(w.desk.Cancel(t.Context(), ann, req))(t)
			must(w.desk.Cancel(t.Context(), ann, req))(t)
			change(&req)
			_, err := w.desk.Cancel(t.Context(), ann, req)
			wantCode(t, err, scheduling.NotAcceptable)
			if is(err, scheduling.NotAcceptable) && scheduling.AsError(err).Param != "Idempotency-Key" {
				t.Fatal(err)
			}
		})
	}
}
