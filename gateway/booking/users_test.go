package booking_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestLaw13AProofIsOfOneTokenOnePatientAndAShortWhile(t *testing.T) {
	t.Parallel()
	w := newUsersWorld(t)
	ann, asked := withToken(t, "ann", "anns"), w.clinic.asked
	hold := func(c booking.Caller, slot int, patient string) error {
		_, err := w.desk.Hold(t.Context(), c, booking.HoldRequest{Target: target(w.offer(slot)), Patients: []string{patient}})
		return err
	}
	if err := hold(ann, 0, "p1"); err != nil {
		t.Fatal(err)
	}
	if err := hold(ann, 1, "p1"); err != nil || asked["patient"] != 1 || asked["check"] != 1 {
		t.Fatalf("asked again: %v %v", asked, err)
	}
	wantCode(t, hold(ann, 2, "p2"), scheduling.Forbidden)
	wantCode(t, hold(withToken(t, "ann", "bobs"), 2, "p1"), scheduling.Forbidden)
	wantCode(t, hold(withToken(t, "ann", ""), 2, "p1"), scheduling.UnknownID)
	// Taken back at the EHR it is believed no longer than that.
	w.clinic.tokens["anns"] = ""
	w.clock.Advance(booking.DefaultOptions().Users.Proof)
	wantCode(t, hold(ann, 2, "p1"), scheduling.Unauthorized)
	// A token that says when it ends is not believed beyond.
	claims := fmt.Sprintf(`{"patient":"p1","exp":%d}`, w.clock.Now().Add(3*time.Second).Unix())
	short := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	w.clinic.tokens[short] = "p1"
	if err := hold(withToken(t, "ann", short), 2, "p1"); err != nil {
		t.Fatal(err)
	}
	delete(w.clinic.tokens, short)
	w.clock.Advance(3 * time.Second)
	wantCode(t, hold(withToken(t, "bob", short), 3, "p1"), scheduling.Unauthorized)
	if strings.Contains(w.log.String(), "anns") {
		t.Fatal("a token in the log")
	}
}

func TestLaw13WhereTokensAreNotLookedAtTheyOpenNothing(t *testing.T) {
	t.Parallel()
	w := newUsersWorld(t)
	w.clinic.open = true
	ann := withToken(t, "ann", "whatever")
	_, err := w.desk.Book(t.Context(), ann, bookFor(w.offer(0), "p1"))
	wantCode(t, err, scheduling.NotSupported)
	_, err = w.desk.PatientAt(t.Context(), ann, napa, "p1")
	wantCode(t, err, scheduling.NotSupported)
	_, _, err = w.desk.PatientsAt(t.Context(), ann, napa, scheduling.PatientSearch{}, 10)
	wantCode(t, err, scheduling.NotSupported)
	_, err = w.desk.List(t.Context(), ann, booking.ListRequest{Patient: "p1", Source: napa})
	wantCode(t, err, scheduling.NotSupported)
	if len(w.ehr.Appointments()) != 0 {
		t.Fatal("something was booked")
	}
}

func TestATokenIsShownForASourcesOwnPatientsOnly(t *testing.T) {
	t.Parallel()
	w := newUsersWorld(t)
	ann := withToken(t, "ann", "anns")
	own := "pt-" + strings.Repeat("a", 26)
	_, err := w.desk.Book(t.Context(), ann, bookFor(w.offer(0), own))
	wantCode(t, err, scheduling.UnknownID)
	list := must(w.desk.List(t.Context(), ann, booking.ListRequest{Patient: own, Source: napa}))(t)
	_, err = w.desk.PatientAt(t.Context(), ann, napa, own)
	wantCode(t, err, scheduling.UnknownID)
	if len(w.clinic.asked) != 0 || len(list.Views) != 0 {
		t.Fatalf("the token was shown: %v", w.clinic.asked)
	}
	w.desk.Elsewhere = nil
	_, err = w.desk.Book(t.Context(), ann, bookFor(w.offer(0), "p1"))
	wantCode(t, err, scheduling.NotSupported)
}

func TestAListHasEachAppointmentOnceUnderOurIdWhereWeMadeIt(t *testing.T) {
	t.Parallel()
	w := newUsersWorld(t)
	ann := withToken(t, "ann", "anns")
	booked := must(w.desk.Book(t.Context(), ann, bookFor(w.offer(0), "p1")))(t)
	held := must(w.desk.Hold(t.Context(), ann, booking.HoldRequest{Target: target(w.offer(1)), Patients: []string{"p1"}}))(t)
	w.ehr.Fail(scheduling.CallBook, bookingtest.LostAfter)
	w.ehr.FailReads(3)
	doubt := must(w.desk.Book(t.Context(), ann, bookFor(w.offer(2), "p1")))(t)
	if !doubt.InDoubt {
		t.Fatalf("%+v", doubt)
	}
	list := must(w.desk.List(t.Context(), ann, booking.ListRequest{Patient: "p1", Source: napa}))(t)
	far := scheduling.ElsewhereID(napa, "far-1")
	want := map[string]bool{booked.Entry.ID: true, held.Entry.ID: true, doubt.Entry.ID: true, far: true}
	for _, v := range list.Views {
		if !want[v.Entry.ID] {
			t.Errorf("listed: %s %s", v.Entry.ID, v.Status)
		}
		delete(want, v.Entry.ID)
		for _, p := range v.Entry.Private.Patients {
			if p.Asked != "p1" {
				t.Errorf("%s names %s", v.Entry.ID, p.Asked)
			}
		}
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
	// Another one's list of the same patient has what was made through us as well,
	// under an id of its own: it is the EHR that shows it.
	for _, v := range must(w.desk.List(t.Context(), withToken(t, "app", "anns"), booking.ListRequest{Patient: "p1", Source: napa}))(t).Views {
		if !scheduling.IsElsewhereID(v.Entry.ID) {
			t.Errorf("an entry of another principal: %s", v.Entry.ID)
		}
	}
	_, err := w.desk.Read(t.Context(), withToken(t, "bob", "anns"), far)
	wantCode(t, err, scheduling.UnknownID)
}

func TestAListIsFilteredByWhatTheEHRShows(t *testing.T) {
	t.Parallel()
	w := newUsersWorld(t)
	ann := withToken(t, "ann", "anns")
	for name, c := range map[string]struct {
		req  booking.ListRequest
		want int
	}{
		"everything":           {booking.ListRequest{}, 1},
		"booked":               {booking.ListRequest{Status: []scheduling.AppointmentStatus{scheduling.ApptBooked}}, 1},
		"cancelled":            {booking.ListRequest{Status: []scheduling.AppointmentStatus{scheduling.ApptCancelled}}, 0},
		"its practitioner":     {booking.ListRequest{Practitioners: []scheduling.Ref{{ID: "dr"}}}, 1},
		"another practitioner": {booking.ListRequest{Practitioners: []scheduling.Ref{{ID: "no"}}}, 0},
		"another source":       {booking.ListRequest{Source: "york"}, 0},
	} {
		req := c.req
		req.Patient = "p1"
		if req.Source == "" {
			req.Source = napa
		} else {
			_, err := w.desk.List(t.Context(), ann, req)
			wantCode(t, err, scheduling.NotSupported)
			continue
		}
		if got := must(w.desk.List(t.Context(), ann, req))(t); len(got.Views) != c.want {
			t.Errorf("%s: %d", name, len(got.Views))
		}
	}
	w.clinic.fail = scheduling.Blame(scheduling.SourceDown, napa, nil, "down")
	got := must(w.desk.List(t.Context(), booking.Caller{Principal: "ann", Trusted: []scheduling.SourceID{napa}}, booking.ListRequest{Patient: "p1", Source: napa}))(t)
	if len(got.Unreached) != 1 {
		t.Errorf("nobody is told that the source was not asked: %+v", got)
	}
}

func TestLaw1ACancelElsewhereIsWhatTheEHRShowsAfterwards(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend   func(*clinicsUsers)
		doubt  bool
		status scheduling.AppointmentStatus
	}{
		"cancelled":                {func(*clinicsUsers) {}, false, scheduling.ApptCancelled},
		"cancelled, and shown not": {func(c *clinicsUsers) { c.hides = true }, false, scheduling.ApptCancelled},
		"taken, and nothing done":  {func(c *clinicsUsers) { c.deaf = true }, true, scheduling.ApptBooked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newUsersWorld(t)
			c.bend(w.clinic)
			ann, id := withToken(t, "ann", "anns"), scheduling.ElsewhereID(napa, "far-1")
			_, err := w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id})
			wantCode(t, err, scheduling.UnknownID) // it was not listed
			must(w.desk.List(t.Context(), ann, booking.ListRequest{Patient: "p1", Source: napa}))(t)
			_, err = w.desk.Cancel(t.Context(), withToken(t, "ann", "bobs"), booking.CancelRequest{ID: id})
			wantCode(t, err, scheduling.Forbidden)
			v := must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, Key: "k"}))(t)
			if v.InDoubt != c.doubt || v.Status != c.status {
				t.Fatalf("%s, in doubt %v", v.Status, v.InDoubt)
			}
			if c.doubt {
				v = must(w.desk.Cancel(t.Context(), ann, booking.CancelRequest{ID: id, Key: "another"}))(t)
				if w.clinic.asked["cancel"] != 1 || !v.InDoubt {
					t.Fatalf("sent %d times", w.clinic.asked["cancel"])
				}
				w.clock.Advance(3 * time.Minute)
				if v = must(w.desk.Read(t.Context(), ann, id))(t); v.InDoubt || v.Status != scheduling.ApptBooked {
					t.Fatalf("past the doubt: %s, in doubt %v", v.Status, v.InDoubt)
				}
			}
		})
	}
}

func TestTheClinicMayHaveGivenItToSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newUsersWorld(t)
	trusted := booking.Caller{Principal: "ann", Holds: 3, Trusted: []scheduling.SourceID{napa}}
	must(w.desk.List(t.Context(), trusted, booking.ListRequest{Patient: "p1", Source: napa}))(t)
	a := w.clinic.appts["far-1"]
	a.Patient = []string{"p3"}
	w.clinic.appts["far-1"] = a
	id := scheduling.ElsewhereID(napa, "far-1")
	_, err := w.desk.Read(t.Context(), trusted, id)
	wantCode(t, err, scheduling.UnknownID)
	_, err = w.desk.Cancel(t.Context(), trusted, booking.CancelRequest{ID: id})
	wantCode(t, err, scheduling.UnknownID)
	if w.clinic.asked["cancel"] != 0 {
		t.Fatal("it was cancelled")
	}
}

func TestUserOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(*booking.UserOptions){
		"users.proof": func(o *booking.UserOptions) { o.Proof = 0 },
		"users.check": func(o *booking.UserOptions) { o.Check = 25 * time.Hour },
		"users.keep":  func(o *booking.UserOptions) { o.Keep = -1 },
		"users.found": func(o *booking.UserOptions) { o.Found = 0 },
	} {
		o := booking.DefaultOptions()
		bend(&o.Users)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
