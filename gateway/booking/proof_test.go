package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// TestLaw1WhatOurCallHasJustMadeIsOurs: without an identifier to prove it, by the
// EHR's own clock, which may be any.
func TestLaw1WhatOurCallHasJustMadeIsOurs(t *testing.T) {
	t.Parallel()
	for fault, alarm := range map[bookingtest.Fault]string{
		bookingtest.OtherPatient: "wrong-patient", bookingtest.Nobody: "wrong-patient", bookingtest.OtherTime: "wrong-start",
	} {
		for name, fast := range map[string]time.Duration{"": 0, " by a clock that is fast": 7 * time.Minute} {
			t.Run(string(fault)+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 1)
				w.ehr.Be(bookingtest.HidesIDs, true)
				w.ehr.Fast = fast
				id := w.offer(0)
				w.ehr.Fail(scheduling.CallBook, fault)
				_, err := w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1"))
				wantCode(t, err, scheduling.SourceNonsense)
				if n := w.counter(t, "slotgate_booking_alarms_total", alarm); n != 1 || len(w.standing(0)) != 0 {
					t.Fatalf("%v alarms, standing: %v", n, w.standing(0))
				}
				w.settle(t, w.desk, 30*time.Hour)
				wantStatus(t, must(w.desk.Read(t.Context(), caller("ann"), id))(t), scheduling.ApptCancelled)
			})
		}
	}
}

func TestLaw13AnAnswerThatNamesAnothersAppointmentCancelsNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slot int           // the stranger's
		ago  time.Duration // that it was made
		fast time.Duration
	}{
		"that stood there before":                               {0, time.Minute, 0},
		"that stood there before, by a clock that is fast":      {0, time.Minute, 7 * time.Minute},
		"that was made at the same moment, of another slot":     {1, 0, 0},
		"that stood there long before, by a clock that is slow": {0, time.Hour, -7 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			w.ehr.Be(bookingtest.HidesIDs, true)
			w.ehr.Fast = c.fast
			id := w.offer(0)
			w.ehr.Stranger(w.slots[c.slot].ID)
			native := w.ehr.Appointments()[0].ID
			w.clock.Advance(c.ago)
			w.ehr.Fail(scheduling.CallBook, bookingtest.AnswersOther)
			v, err := w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1"))
			if err != nil || !v.InDoubt || v.Status == scheduling.ApptBooked {
				t.Fatalf("%+v %v", v, err)
			}
			w.settle(t, w.desk, 30*time.Hour)
			w.untouched(t, native, "stranger")
		})
	}
}
