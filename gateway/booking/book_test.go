package booking_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestABookingOfOneOrSeveralPatientsAnswersItsRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ann, id := caller("ann"), w.offer(0)
	req := booking.BookRequest{Target: target(id), Patients: []string{"p1", "p2", "p1"}, Comment: "side door"}
	v := must(w.desk.Book(t.Context(), ann, req))(t)
	wantStatus(t, v, scheduling.ApptBooked)
	if got := w.standing(0); len(got) != 1 || got[0] != "p1+p2" {
		t.Fatalf("the EHR shows %v", got)
	}
	req.Patients = []string{"p2", "p1"}
	again := must(w.desk.Book(t.Context(), ann, req))(t)
	if again.Entry.Native != v.Entry.Native || w.ehr.Writes[scheduling.CallBook] != 1 {
		t.Fatal("a repeat was booked again")
	}
	req.Patients = []string{"p3"}
	_, err := w.desk.Book(t.Context(), ann, req)
	wantCode(t, err, scheduling.SlotTaken)
}

func TestBookRefusesBadInputWithoutATrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(can *scheduling.Abilities) { can.Patients = 2 })
	for name, c := range map[string]struct {
		change func(*booking.BookRequest)
		code   scheduling.Code
	}{
		"no patient":        {func(r *booking.BookRequest) { r.Patients = nil }, scheduling.MissingData},
		"a strange patient": {func(r *booking.BookRequest) { r.Patients = []string{"a b"} }, scheduling.NotAcceptable},
		"three for two":     {func(r *booking.BookRequest) { r.Patients = []string{"a", "b", "c"} }, scheduling.NotAcceptable},
		"a crowd":           {func(r *booking.BookRequest) { r.Patients = make([]string, 500) }, scheduling.NotAcceptable},
		"a huge comment":    {func(r *booking.BookRequest) { r.Comment = strings.Repeat("x", 5<<20) }, scheduling.NotAcceptable},
		"replaces itself":   {func(r *booking.BookRequest) { r.Replaces = r.ID }, scheduling.NotAcceptable},
		"replaces nothing":  {func(r *booking.BookRequest) { r.Replaces = "no-such" }, scheduling.UnknownID},
	} {
		req := bookFor(w.offer(0), "p1")
		c.change(&req)
		_, err := w.desk.Book(t.Context(), caller("ann"), req)
		if scheduling.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if len(w.store.Entries()) != 0 || len(w.ehr.Appointments()) != 0 {
		t.Fatal("a trace was left")
	}
}

func TestAKeyGivesTheSameAnswerAndRefusesAnotherBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	ann := caller("ann")
	req := bookFor(w.offer(0), "p1")
	req.Key, req.ByResource = "k1", true
	first := must(w.desk.Book(t.Context(), ann, req))(t)
	must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: req.ID}))(t)
	again := must(w.desk.Book(t.Context(), ann, req))(t)
	if again.Status != first.Status || !again.Created || again.Entry.Version != first.Entry.Version || len(again.Entry.Private.Patients) != 1 {
		t.Fatalf("given again as %+v", again)
	}
	req.Comment = "another"
	_, err := w.desk.Book(t.Context(), ann, req)
	wantCode(t, err, scheduling.NotAcceptable)
	_, err = w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(w.offer(1)), Key: "k1"})
	wantCode(t, err, scheduling.NotAcceptable)
	must(w.desk.Hold(t.Context(), caller("bob"), booking.HoldRequest{Target: target(w.offer(1)), Key: "k1"}))(t)
}

func TestAKeyKeepsFinalRefusalsAndForgetsOthers(t *testing.T) {
	t.Parallel()
	for fault, kept := range map[bookingtest.Fault]bool{
		bookingtest.RefuseTaken: true, bookingtest.RefuseRules: true, bookingtest.RefuseBusy: false, bookingtest.NotSent: false, bookingtest.RefuseLogin: false,
	} {
		w := newWorld(t, 1)
		req := bookFor(w.offer(0), "p1")
		req.Key = "k1"
		w.ehr.Fail(scheduling.CallBook, fault)
		_, err := w.desk.Book(t.Context(), caller("ann"), req)
		code := scheduling.CodeOf(err)
		_, err = w.desk.Book(t.Context(), caller("ann"), req)
		if kept != (err != nil) || kept && scheduling.CodeOf(err) != code {
			t.Errorf("%s: again %v, want kept %v", fault, err, kept)
		}
	}
}

func TestAKeyInDoubtAnswers202UntilItIsSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	req := bookFor(w.offer(0), "p1")
	req.Key = "k1"
	w.ehr.Fail(scheduling.CallBook, bookingtest.LateCommit)
	for range 2 {
		if v := must(w.desk.Book(t.Context(), caller("ann"), req))(t); !v.InDoubt || v.Entry.ID != req.ID {
			t.Fatalf("want 202 of %s: %+v", req.ID, v)
		}
	}
	other := req
	other.Comment = "other"
	_, err := w.desk.Book(t.Context(), caller("ann"), other)
	wantCode(t, err, scheduling.NotAcceptable)
	w.settle(t, w.desk, time.Hour)
	wantStatus(t, must(w.desk.Book(t.Context(), caller("ann"), req))(t), scheduling.ApptBooked)
}

func TestEveryWayToRescheduleEndsTheOldOne(t *testing.T) {
	t.Parallel()
	for _, way := range []scheduling.RescheduleWay{scheduling.BookFirst, scheduling.Move, scheduling.CancelFirst} {
		t.Run(string(way), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 3, func(can *scheduling.Abilities) { can.Reschedule = way })
			ann, old := caller("ann"), w.offer(0)
			first := must(w.desk.Book(t.Context(), ann, bookFor(old, "p1")))(t)
			req := bookFor(w.offer(1), "p1")
			req.Replaces = old
			v := must(w.desk.Book(t.Context(), ann, req))(t)
			wantStatus(t, v, scheduling.ApptBooked)
			if (v.Entry.Native == first.Entry.Native) != (way == scheduling.Move) {
				t.Fatalf("native %s after %s", v.Entry.Native, first.Entry.Native)
			}
			wantStatus(t, must(w.desk.Read(t.Context(), ann, old))(t), scheduling.ApptCancelled)
			if len(w.standing(0)) != 0 || len(w.standing(1)) != 1 || v.Has(booking.OldStillBooked) {
				t.Fatalf("old %v, new %v, %v", w.standing(0), w.standing(1), v.Notices)
			}
			if _, claimed := w.store.Claimed(napa, "s0"); claimed || !w.store.Fenced(napa, "s0") {
				t.Fatal("the old slot was not given back")
			}
			must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: req.ID}))(t)
			again := bookFor(w.offer(2), "p1") // the old one is cancelled already, and nothing stands in its place
			again.Replaces = old
			wantStatus(t, must(w.desk.Book(t.Context(), ann, again))(t), scheduling.ApptBooked)
		})
	}
}

func TestARefusedRescheduleLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	for _, way := range []scheduling.RescheduleWay{scheduling.BookFirst, scheduling.Move, scheduling.CancelFirst} {
		w := newWorld(t, 2, func(can *scheduling.Abilities) { can.Reschedule = way })
		ann, old := caller("ann"), w.offer(0)
		must(w.desk.Book(t.Context(), ann, bookFor(old, "p1")))(t)
		w.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
		req := bookFor(w.offer(1), "p1")
		req.Replaces = old
		_, err := w.desk.Book(t.Context(), ann, req)
		wantCode(t, err, scheduling.NotAcceptable)
		wantStatus(t, must(w.desk.Read(t.Context(), ann, old))(t), scheduling.ApptBooked)
		if len(w.standing(0)) != 1 || len(w.standing(1)) != 0 {
			t.Fatalf("%s: old %v, new %v", way, w.standing(0), w.standing(1))
		}
	}
}

func TestAHeldOneCannotBeReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	must(w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0)))(t)
	req := bookFor(w.offer(1), "p1")
	req.Replaces = w.offer(0)
	if _, err := w.desk.Book(t.Context(), caller("ann"), req); !errors.Is(err, booking.ErrState) {
		t.Fatalf("got %v", err)
	}
}

func TestWhileTheStoreIsAwayNothingIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.store.Away(true)
	_, err := w.desk.Hold(t.Context(), caller("ann"), holdOf(w, 0))
	wantCode(t, err, scheduling.Shedding)
	_, err = w.desk.Book(t.Context(), caller("ann"), bookFor(w.offer(0), "p1"))
	wantCode(t, err, scheduling.Shedding)
	_, err = w.desk.List(t.Context(), caller("ann"), booking.ListRequest{Patient: "p1"})
	wantCode(t, err, scheduling.Shedding)
	if len(w.ehr.Writes) != 0 {
		t.Fatalf("sent: %v", w.ehr.Writes)
	}
}

func TestLostBooksAreRebuiltFromWhatTheEHRShows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	ann, booked, held := caller("ann"), w.offer(0), w.offer(1)
	must(w.desk.Book(t.Context(), ann, bookFor(booked, "p1")))(t)
	must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(held)}))(t)
	w.store.Lose(napa)
	_, err := w.desk.Book(t.Context(), ann, bookFor(w.offer(2), "p1"))
	wantCode(t, err, scheduling.Shedding)
	must(w.desk.Sweep(t.Context(), napa))(t)
	v := must(w.desk.Read(t.Context(), ann, booked))(t)
	wantStatus(t, v, scheduling.ApptBooked)
	if list := must(w.desk.List(t.Context(), ann, booking.ListRequest{Patient: "p1"}))(t); len(list.Views) != 1 {
		t.Fatalf("%d listed, want 1", len(list.Views))
	}
	_, err = w.desk.Read(t.Context(), caller("bob"), booked)
	wantCode(t, err, scheduling.UnknownID)
	w.settle(t, w.desk, time.Hour)
	if got := w.ehr.Slot("s1"); got != scheduling.SlotFree {
		t.Fatalf("a hold that nobody remembers is %s", got)
	}
	wantStatus(t, must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: booked}))(t), scheduling.ApptCancelled)
}

func TestEveryNamedPointIsReachedInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	var points []string
	w.opts.Checkpoint = func(name string) { points = append(points, name) }
	desk := w.newDesk(t, w.store, w.ehr)
	ann, id := caller("ann"), w.offer(0)
	must(desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(id)}))(t)
	must(desk.Book(t.Context(), ann, bookFor(id, "p1")))(t)
	must(desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id}))(t)
	want := "hold.intent hold.answered book.intent book.answered book.read book.saved cancel.intent cancel.answered cancel.read cancel.saved"
	if got := strings.Join(points, " "); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*booking.Options){
		"holds":       func(o *booking.Options) { o.Holds = 0 },
		"max_comment": func(o *booking.Options) { o.Comment = -1 },
		"margin":      func(o *booking.Options) { o.Margin = 0 },
		"recheck":     func(o *booking.Options) { o.Recheck = 365 * 24 * time.Hour },
		"look_max":    func(o *booking.Options) { o.LookMax = time.Second },
	} {
		opts := booking.DefaultOptions()
		change(&opts)
		if err := opts.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if err := booking.DefaultOptions().Validate(); err != nil {
		t.Fatal(err)
	}
}
