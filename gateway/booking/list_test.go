package booking_test

import (
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

func ids(list booking.List) []string {
	var out []string
	for _, v := range list.Views {
		out = append(out, v.Entry.ID)
	}
	return out
}

func TestAListIsFilteredAndInOrderOfTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	ann := caller("ann")
	var offers []string
	for i := range 4 {
		offers = append(offers, w.offer(i))
	}
	must(w.desk.Book(t.Context(), ann, bookFor(offers[2], "p1")))(t)
	must(w.desk.Book(t.Context(), ann, bookFor(offers[0], "p1")))(t)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: offers[0]}))(t)
	must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(offers[1]), Patients: []string{"p1"}}))(t)
	must(w.desk.Book(t.Context(), ann, bookFor(offers[3], "p2")))(t)
	day, err := scheduling.ParseDay("2030-05-06")
	if err != nil {
		t.Fatal(err)
	}
	at := func(n int) scheduling.Bound { return scheduling.InstantBound(w.slots[n].Start) }
	dr := []scheduling.Ref{{Kind: scheduling.KindPractitioner, ID: scheduling.ResourceID(napa, scheduling.KindPractitioner, "dr")}}
	for name, c := range map[string]struct {
		req  booking.ListRequest
		want []int
	}{
		"all":           {booking.ListRequest{}, []int{0, 1, 2}},
		"booked":        {booking.ListRequest{Status: []scheduling.AppointmentStatus{scheduling.ApptBooked}}, []int{2}},
		"two statuses":  {booking.ListRequest{Status: []scheduling.AppointmentStatus{scheduling.ApptPending, scheduling.ApptCancelled}}, []int{0, 1}},
		"from":          {booking.ListRequest{Dates: []booking.DateRange{{From: at(1)}}}, []int{1, 2}},
		"range":         {booking.ListRequest{Dates: []booking.DateRange{{From: at(1)}, {To: at(2)}}}, []int{1}},
		"that day":      {booking.ListRequest{Dates: []booking.DateRange{{From: scheduling.DayBound(day), To: scheduling.DayBound(day)}}}, []int{0, 1, 2}},
		"next day":      {booking.ListRequest{Dates: []booking.DateRange{{From: scheduling.DayBound(day + 1)}}}, nil},
		"practitioner":  {booking.ListRequest{Practitioners: dr}, []int{0, 1, 2}},
		"somebody else": {booking.ListRequest{Practitioners: []scheduling.Ref{{ID: "dr2"}}}, nil},
		"updated never": {booking.ListRequest{Updated: []booking.DateRange{{From: at(0)}}}, nil},
	} {
		c.req.Patient = "p1"
		got := ids(must(w.desk.List(t.Context(), ann, c.req))(t))
		var want []string
		for _, n := range c.want {
			want = append(want, offers[n])
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d listed, want %d", name, len(got), len(want))
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: order %v, want %v", name, got, want)
			}
		}
	}
	_, err = w.desk.List(t.Context(), ann, booking.ListRequest{})
	wantCode(t, err, scheduling.MissingData)
}

func TestWhatCouldNotBeReachedIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t)
	id := scheduling.OfferID(napa, 0, "s0")
	w.ehr.FailReads(-1)
	list := must(w.desk.List(t.Context(), caller("ann"), booking.ListRequest{Patient: "p1"}))(t)
	if len(list.Views) != 1 || !list.Views[0].Has(booking.NotReached) || len(list.Unreached) != 1 || list.Unreached[0].Source != napa {
		t.Fatalf("listed %d, unreached %v", len(list.Views), list.Unreached)
	}
	if v := must(w.desk.Read(t.Context(), caller("ann"), id))(t); !v.Has(booking.NotReached) || v.Status != scheduling.ApptBooked {
		t.Fatalf("read %s, %v", v.Status, v.Notices)
	}
}

func TestBooksThatAreBeingRebuiltAreToldAsNotReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t)
	w.store.Lose(napa)
	list := must(w.desk.List(t.Context(), caller("ann"), booking.ListRequest{Patient: "p1"}))(t)
	if len(list.Views) != 0 || len(list.Unreached) != 1 {
		t.Fatalf("listed %d, unreached %v", len(list.Views), list.Unreached)
	}
	if e := list.Unreached[0]; e.Source != napa || e.Code != scheduling.Shedding || !strings.Contains(e.Message, "books of this source are being rebuilt") {
		t.Errorf("unreached: %v", e)
	}
	w.store.Away(true)
	_, err := w.desk.List(t.Context(), caller("ann"), booking.ListRequest{Patient: "p1"})
	wantCode(t, err, scheduling.Shedding) // nothing at all is known
}

func TestWhatTheClinicChangedIsNoticed(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"by a read", "by a list", "by the daily look"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2)
			ann := caller("ann")
			moved, gone := w.offer(0), w.offer(1)
			first := must(w.desk.Book(t.Context(), ann, bookFor(moved, "p1")))(t)
			second := must(w.desk.Book(t.Context(), ann, bookFor(gone, "p1")))(t)
			w.ehr.Clinic(first.Entry.Native, func(a *scheduling.Appointment) {
				a.Start, a.End = a.Start.Add(4*time.Hour), a.End.Add(4*time.Hour)
			})
			w.ehr.Clinic(second.Entry.Native, func(a *scheduling.Appointment) { a.Status = scheduling.ApptCancelled })
			switch how {
			case "by a list":
				must(w.desk.List(t.Context(), ann, booking.ListRequest{Patient: "p1"}))(t)
			case "by the daily look":
				w.settle(t, w.desk, 25*time.Hour)
			}
			v := must(w.desk.Read(t.Context(), ann, moved))(t)
			if !v.Start.Equal(opening.Add(4*time.Hour)) || !v.Has(booking.ChangedByClinic) {
				t.Fatalf("starts %s, %v", v.Start, v.Notices)
			}
			if _, claimed := w.store.Claimed(napa, "s0"); claimed {
				t.Fatal("the slot that was left is still claimed")
			}
			v = must(w.desk.Read(t.Context(), ann, gone))(t)
			wantStatus(t, v, scheduling.ApptCancelled)
			if !v.Has(booking.ChangedByClinic) {
				t.Fatalf("notices %v", v.Notices)
			}
		})
	}
}

func TestABookedOneIsReadDailyOnTheEveAndOnceWhenItIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	v := must(w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1")))(t)
	w.settle(t, w.desk, 60*time.Hour)
	w.ehr.Clinic(v.Entry.Native, func(a *scheduling.Appointment) { a.Status = scheduling.ApptFulfilled })
	w.settle(t, w.desk, 100*24*time.Hour)
	e := must(w.store.Read(t.Context(), v.Entry.ID))(t)
	if e.Seen != scheduling.ApptFulfilled || !w.store.NextWake().IsZero() {
		t.Fatalf("seen %s, next wake %s", e.Seen, w.store.NextWake())
	}
	if _, claimed := w.store.Claimed(napa, "s0"); claimed {
		t.Fatal("a slot of the past is still claimed")
	}
}

func TestAnOpenOfferCanBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	v := must(w.desk.Read(t.Context(), caller("ann"), w.offer(0)))(t)
	wantStatus(t, v, scheduling.ApptProposed)
	for _, id := range []string{"nothing", "../x", "", scheduling.OfferID(napa, 3, "s0")} {
		_, err := w.desk.Read(t.Context(), caller("ann"), id)
		wantCode(t, err, scheduling.UnknownID)
	}
}
