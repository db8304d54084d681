package booking_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// amnesiac answers reads with 404, as a lagging replica or a proxy does.
type amnesiac struct {
	*bookingtest.EHR
	skip, times atomic.Int64
}

func (f *amnesiac) Read(ctx context.Context, native string, p scheduling.Purpose) (scheduling.Appointment, error) {
	if f.skip.Add(-1) < 0 && f.times.Add(-1) >= 0 {
		return scheduling.Appointment{}, scheduling.Blame(scheduling.UnknownID, napa, nil, "404")
	}
	return f.EHR.Read(ctx, native, p)
}

func (f *amnesiac) forget(skip, times int64) {
	f.skip.Store(skip)
	f.times.Store(times)
}

const forGood = 1 << 40

func forgetting(t *testing.T, slots int) (*world, *amnesiac, *booking.Desk) {
	w := newWorld(t, slots)
	f := &amnesiac{EHR: w.ehr}
	return w, f, w.newDesk(t, w.store, f)
}

func TestLaw1WhatOneReadDoesNotShowIsStillBooked(t *testing.T) {
	t.Parallel()
	w, f, desk := forgetting(t, 1)
	ann, id := caller("ann"), w.offer(0)
	must(desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
	f.forget(0, 1)
	v := must(desk.Read(t.Context(), ann, id))(t)
	if wantStatus(t, v, scheduling.ApptBooked); !v.Has(booking.NotShown) {
		t.Fatalf("it is not told that the source does not show it: %v", v.Notices)
	}
	if v = must(desk.Read(t.Context(), ann, id))(t); v.Has(booking.NotShown) || v.Status != scheduling.ApptBooked {
		t.Fatalf("shown again: %s %v", v.Status, v.Notices)
	}
	must(desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
	if len(w.standing(0)) != 0 {
		t.Fatal("it cannot be cancelled")
	}
}

func TestLaw1WhatIsNotShownForLongIsGoneAndWhatShowsAgainIsBookedAgain(t *testing.T) {
	t.Parallel()
	w, f, desk := forgetting(t, 1)
	ann, id := caller("ann"), w.offer(0)
	must(desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
	f.forget(0, forGood)
	for range 20 { // however often a caller asks
		wantStatus(t, must(desk.Read(t.Context(), ann, id))(t), scheduling.ApptBooked)
	}
	w.settle(t, desk, w.opts.LookMax-time.Second)
	wantStatus(t, must(desk.Read(t.Context(), ann, id))(t), scheduling.ApptBooked)
	w.settle(t, desk, time.Hour)
	v := must(desk.Read(t.Context(), ann, id))(t)
	if wantStatus(t, v, scheduling.ApptCancelled); !v.Has(booking.NotShown) {
		t.Fatalf("how it ended is not told: %v", v.Notices)
	}
	f.forget(0, 0)
	w.settle(t, desk, 2*time.Hour)
	if v = must(desk.Read(t.Context(), ann, id))(t); v.Status != scheduling.ApptBooked || v.Has(booking.NotShown) {
		t.Fatalf("it stands, and is told as %s %v", v.Status, v.Notices)
	}
	if _, claimed := w.store.Claimed(napa, "s0"); !claimed {
		t.Fatal("its slot is open to others")
	}
}

func TestLaw1ASourceThatShowsNothingAnyMoreIsNotBelieved(t *testing.T) {
	t.Parallel()
	w, f, desk := forgetting(t, 6)
	ann := caller("ann")
	var ids []string
	for i := range 6 {
		ids = append(ids, w.offer(i))
		must(desk.Book(t.Context(), ann, bookFor(w.offer(i), "p1")))(t)
	}
	f.forget(0, forGood)
	w.settle(t, desk, 40*time.Hour)
	for _, id := range ids {
		e, err := w.store.Read(t.Context(), id)
		if err != nil || e.State != scheduling.EntryBooked {
			t.Fatalf("%s is %s (%v)", id, e.State, err)
		}
	}
	if w.counter(t, "slotgate_booking_alarms_total", "many-not-shown") == 0 {
		t.Fatal("nobody was told")
	}
}

func TestLaw1ACancelOfWhatIsNotShownIsSentAndNotToldAsDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		skip, times int64
		refused     bool
		want        scheduling.AppointmentStatus // a day later
	}{
		"not shown before it":          {0, 1, false, scheduling.ApptCancelled},
		"not shown before and after":   {0, 2, false, scheduling.ApptCancelled},
		"not shown for good":           {0, forGood, false, scheduling.ApptCancelled},
		"refused, and not shown after": {1, 1, true, scheduling.ApptBooked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f, desk := forgetting(t, 1)
			ann, id := caller("ann"), w.offer(0)
			must(desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
			if c.refused {
				w.ehr.Fail(scheduling.CallCancel, bookingtest.RefuseRules)
			}
			f.forget(c.skip, c.times)
			v := must(desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
			if n := w.ehr.Writes[scheduling.CallCancel]; n != 1 {
				t.Fatalf("%d cancels were sent", n)
			}
			if seen := c.times == 1 && !c.refused; v.InDoubt == seen {
				t.Fatalf("told as %s, in doubt %v", v.Status, v.InDoubt)
			}
			w.settle(t, desk, 24*time.Hour)
			if v = must(desk.Read(t.Context(), ann, id))(t); v.Status != c.want || v.InDoubt {
				t.Fatalf("a day later %s, in doubt %v", v.Status, v.InDoubt)
			}
			if stands := len(w.standing(0)) > 0; stands != (c.want == scheduling.ApptBooked) {
				t.Fatalf("the EHR says otherwise: it stands: %v", stands)
			}
		})
	}
}

func TestLaw13WhatTheClinicGaveToAnotherIsNeitherShownNorCancelled(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*world, *testing.T, string) (booking.View, error){
		"a read": func(w *world, t *testing.T, id string) (booking.View, error) {
			return w.desk.Read(t.Context(), caller("ann"), id)
		},
		"a cancel": func(w *world, t *testing.T, id string) (booking.View, error) {
			return w.desk.Cancel(t.Context(), caller("ann"), booking.CancelRequest{ID: id})
		},
		"a reschedule": func(w *world, t *testing.T, id string) (booking.View, error) {
			req := bookFor(w.offer(1), "p1")
			req.Replaces = id
			must(w.desk.Book(t.Context(), caller("ann"), req))(t)
			return w.desk.Read(t.Context(), caller("ann"), id)
		},
		"the settler": func(w *world, t *testing.T, id string) (booking.View, error) {
			w.settle(t, w.desk, 25*time.Hour)
			e, err := w.store.Read(t.Context(), id)
			return booking.View{Entry: e, Status: e.Status(), Notices: []booking.Notice{booking.ChangedByClinic}}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			id := w.offer(0)
			native := must(w.desk.Book(t.Context(), caller("ann"), bookFor(id, "p1")))(t).Entry.Native
			w.ehr.Clinic(native, func(a *scheduling.Appointment) {
				a.Patient, a.Start = []string{"somebody-else"}, a.Start.Add(time.Minute)
			})
			v := must(ask(w, t, id))(t)
			if wantStatus(t, v, scheduling.ApptCancelled); !v.Has(booking.ChangedByClinic) || !v.Entry.SeenStart.IsZero() {
				t.Fatalf("%v, seen at %v", v.Notices, v.Entry.SeenStart)
			}
			w.untouched(t, native, "somebody-else")
			if w.counter(t, "slotgate_booking_alarms_total", "given-to-another") != 1 {
				t.Fatal("nobody was told")
			}
		})
	}
}

func TestLaw13AnAppointmentThatOthersShareIsShownAndNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann, id := caller("ann"), w.offer(0)
	native := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t).Entry.Native
	w.ehr.Clinic(native, func(a *scheduling.Appointment) { a.Patient = []string{"p1", "somebody-else"} })
	wantStatus(t, must(w.desk.Read(t.Context(), ann, id))(t), scheduling.ApptBooked)
	_, err := w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
	wantCode(t, err, scheduling.NotAcceptable)
	if w.ehr.Writes[scheduling.CallCancel] != 0 {
		t.Fatal("it was cancelled for both")
	}
}

func TestARescheduleLeavesThePatientTheOldOneWhenTheNewOneIsCancelledFirst(t *testing.T) {
	t.Parallel()
	for name, byClinic := range map[string]bool{"by the clinic": true, "by the patient": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			ann, old, next := caller("ann"), w.offer(0), w.offer(1)
			must(w.desk.Book(t.Context(), ann, bookFor(old, "p1")))(t)
			req := bookFor(next, "p1")
			req.Replaces = old
			w.ehr.Fail(scheduling.CallCancel, bookingtest.NotSent)
			native := must(w.desk.Book(t.Context(), ann, req))(t).Entry.Native
			if byClinic {
				w.ehr.Clinic(native, func(a *scheduling.Appointment) { a.Status = scheduling.ApptCancelled })
			} else if v := must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: next}))(t); !v.Has(booking.OldStillBooked) {
				t.Fatalf("what stands is not told: %v", v.Notices)
			}
			w.settle(t, w.desk, 25*time.Hour)
			if len(w.standing(0)) != 1 || len(w.standing(1)) != 0 {
				t.Fatalf("old %v, new %v", w.standing(0), w.standing(1))
			}
			v := must(w.desk.Read(t.Context(), ann, next))(t)
			if wantStatus(t, v, scheduling.ApptCancelled); !v.Has(booking.OldStillBooked) {
				t.Fatalf("the new one does not tell of the old one: %v", v.Notices)
			}
			if v = must(w.desk.Read(t.Context(), ann, old))(t); v.Status != scheduling.ApptBooked || !v.Has(booking.OldKept) {
				t.Fatalf("the old one is %s %v", v.Status, v.Notices)
			}
			must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: old}))(t)
			if v = must(w.desk.Read(t.Context(), ann, next))(t); v.Has(booking.OldStillBooked) || len(w.standing(0)) != 0 {
				t.Fatalf("once it is cancelled nothing is left: %v, standing %v", v.Notices, w.standing(0))
			}
		})
	}
}

func TestLaw1WhatTheEHRShowsIsTheStatusThatIsTold(t *testing.T) {
	t.Parallel()
	for shown, c := range map[scheduling.AppointmentStatus]struct {
		told      scheduling.AppointmentStatus
		notProved bool
		fixed     bool // it cannot be cancelled
	}{
		scheduling.ApptPending:   {told: scheduling.ApptPending},
		scheduling.ApptProposed:  {told: scheduling.ApptPending},
		scheduling.ApptWaitlist:  {told: scheduling.ApptWaitlist},
		scheduling.ApptCheckedIn: {told: scheduling.ApptCheckedIn},
		scheduling.ApptFulfilled: {told: scheduling.ApptFulfilled, fixed: true},
		scheduling.ApptNoShow:    {told: scheduling.ApptNoShow, fixed: true},
		"":                       {told: scheduling.ApptBooked, notProved: true},
		"weird":                  {told: scheduling.ApptBooked, notProved: true},
	} {
		t.Run(string(shown), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			ann, id := caller("ann"), w.offer(0)
			native := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t).Entry.Native
			w.ehr.Clinic(native, func(a *scheduling.Appointment) { a.Status = shown })
			v := must(w.desk.Read(t.Context(), ann, id))(t)
			if wantStatus(t, v, c.told); v.Has(booking.NotProved) != c.notProved {
				t.Fatalf("%v %v", v.Notices, v.NotProved)
			}
			_, err := w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
			if c.fixed != (err != nil) || c.fixed == (len(w.ehr.Appointments()) == 1 && w.ehr.Appointments()[0].Status.Void()) {
				t.Fatalf("cancel: %v, at the EHR %s", err, w.ehr.Appointments()[0].Status)
			}
		})
	}
}

func TestLaw4WhatTheClinicMovedAndMovedBackKeepsItsSlot(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"free meanwhile": false, "taken meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 3)
			w.ehr.Be(bookingtest.Lax, true)
			ann, id := caller("ann"), w.offer(0)
			native := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t).Entry.Native
			move := func(by time.Duration) booking.View {
				w.ehr.Clinic(native, func(a *scheduling.Appointment) { a.Start, a.End = a.Start.Add(by), a.End.Add(by) })
				return must(w.desk.Read(t.Context(), ann, id))(t)
			}
			move(30 * time.Minute)
			if taken {
				must(w.desk.Book(t.Context(), caller("bob"), bookFor(w.offer(0), "p2")))(t)
			}
			if v := move(-30 * time.Minute); v.Has(booking.ChangedByClinic) || v.Status != scheduling.ApptBooked {
				t.Fatalf("back again: %s %v", v.Status, v.Notices)
			}
			holder, _ := w.store.Claimed(napa, "s0")
			if (holder == id) == taken {
				t.Fatalf("the slot is %q's", holder)
			}
			if told := w.counter(t, "slotgate_booking_alarms_total", "moved-back-and-taken") > 0; told != taken {
				t.Fatalf("told: %v", told)
			}
		})
	}
}

func TestLaw13WhatTheClinicGaveToAnotherIsNotMoved(t *testing.T) {
	t.Parallel()
	for name, patients := range map[string][]string{"given": {"somebody-else"}, "shared": {"p1", "somebody-else"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, func(can *scheduling.Abilities) { can.Reschedule = scheduling.Move })
			ann, id := caller("ann"), w.offer(0)
			native := must(w.desk.Book(t.Context(), ann, bookFor(id, "p1")))(t).Entry.Native
			w.ehr.Clinic(native, func(a *scheduling.Appointment) { a.Patient = patients })
			req := bookFor(w.offer(1), "p1")
			req.Replaces = id
			_, err := w.desk.Book(t.Context(), ann, req)
			wantCode(t, err, scheduling.NotAcceptable)
			if len(w.standing(0)) != 1 || len(w.standing(1)) != 0 {
				t.Fatalf("%v %v", w.standing(0), w.standing(1))
			}
		})
	}
}
