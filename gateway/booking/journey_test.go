package booking_test

import (
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

func TestAJourneyEndsBookedWithPatientAndCoverage(t *testing.T) {
	t.Parallel()
	for _, register := range []scheduling.RegisterWay{scheduling.RegisterPost, scheduling.RegisterIfNoneExist, scheduling.RegisterSearch, scheduling.RegisterMatch} {
		for _, way := range coverWays {
			for name, change := range map[string]func(*scheduling.Abilities){
				"held by the EHR":     func(*scheduling.Abilities) {},
				"held by the gateway": func(can *scheduling.Abilities) { can.Hold = scheduling.HoldNone },
				"never held":          func(can *scheduling.Abilities) { can.Hold, can.GatewayHolds = scheduling.HoldNone, false },
			} {
				tr := newTrip(t, register, way, false, change)
				patient, _ := tr.newcomer(t, 2)
				v, err := tr.book(t, tr.desk, patient)
				if err != nil || v.Status != scheduling.ApptBooked || len(v.Notices) > 0 {
					t.Errorf("%s, %s: %v %s %v", tr.how, name, err, v.Status, v.Notices)
					continue
				}
				if p, c := tr.ehr.Patients(), tr.ehr.Coverages(); len(p) != 1 || len(c) != 2 || c[0].Patients[0] != p[0] {
					t.Errorf("%s, %s: patients %v, coverages %v", tr.how, name, p, c)
				}
				if j := v.Entry.Journey; j == nil || j.Step != scheduling.StepDone || j.HeldHere {
					t.Errorf("%s, %s: the journey stands at %+v", tr.how, name, j)
				}
				// Another booking sends nothing again.
				next := func(req *booking.BookRequest) { req.Target, req.Key = target(tr.offer(1)), "" }
				if v, err := tr.book(t, tr.desk, patient, next); err != nil || len(v.Notices) > 0 {
					t.Errorf("%s, %s: the second: %v %v", tr.how, name, err, v.Notices)
				}
				if p, c := tr.ehr.Patients(), tr.ehr.Coverages(); len(p) != 1 || len(c) != 2 || tr.ehr.Writes[scheduling.CallCover] != 2 {
					t.Errorf("%s, %s: the second made patients %v, coverages %v", tr.how, name, p, c)
				}
			}
		}
	}
}

func TestCoverageIsSentBeforeOrAfterAsTheSourceWants(t *testing.T) {
	t.Parallel()
	for _, way := range coverWays {
		tr := newTrip(t, scheduling.RegisterSearch, way, false)
		patient, _ := tr.newcomer(t, 1)
		tr.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
		_, err := tr.book(t, tr.desk, patient)
		wantCode(t, err, scheduling.NotAcceptable)
		if got, before := len(tr.ehr.Coverages()), way != scheduling.CoverAfter; got > 0 != before {
			t.Errorf("%s: without an appointment the EHR has %d coverages", way, got)
		}
		if e := must(tr.store.Read(t.Context(), tr.offer(0)))(t); e.State != scheduling.EntryFree || tr.ehr.Slot("s0") != scheduling.SlotFree {
			t.Errorf("%s: the entry is %s, the slot %s", way, e.State, tr.ehr.Slot("s0"))
		}
	}
}

func TestTheNamedCoverageAloneIsSent(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, ids := tr.newcomer(t, 3)
	named := func(req *booking.BookRequest) { req.Coverages = []string{ids[1], ids[1]} }
	if _, err := tr.book(t, tr.desk, patient, named); err != nil {
		t.Fatal(err)
	}
	if got := tr.ehr.Coverages(); len(got) != 1 {
		t.Errorf("sent: %v", got)
	}
	_, err := tr.book(t, tr.desk, patient, func(req *booking.BookRequest) {
		req.Target, req.Key, req.Coverages = target(tr.offer(1)), "", []string{"cv-nobody"}
	})
	wantCode(t, err, scheduling.UnknownID)
	other := scheduling.NewCoverageID([26]byte{9})
	tr.coverages.AddCoverage(t.Context(), "ann", scheduling.Coverage{ID: other, Patient: scheduling.NewPatientID([26]byte{9}), Resource: []byte(`{}`)})
	_, err = tr.book(t, tr.desk, patient, func(req *booking.BookRequest) {
		req.Target, req.Key, req.Coverages = target(tr.offer(1)), "", []string{other}
	})
	wantCode(t, err, scheduling.NotAcceptable)
	if e, err := tr.store.Read(t.Context(), tr.offer(1)); err == nil {
		t.Errorf("something was begun: %s", e.State)
	}
}

func TestARefusedCoverageIsAWarningUnlessItMustComeFirst(t *testing.T) {
	t.Parallel()
	for _, way := range coverWays {
		tr := newTrip(t, scheduling.RegisterSearch, way, false)
		patient, _ := tr.newcomer(t, 1)
		tr.ehr.Fail(scheduling.CallCover, bookingtest.RefuseRules)
		v, err := tr.book(t, tr.desk, patient)
		if way == scheduling.CoverFirst {
			wantCode(t, err, scheduling.NotAcceptable)
			if e := scheduling.AsError(err); e.Param != "coverage" || e.Message != "the model EHR says so" {
				t.Errorf("the reason is not told: %+v", e)
			}
			if len(tr.standing(0)) != 0 || tr.ehr.Slot("s0") != scheduling.SlotFree {
				t.Errorf("booked without its coverage, or held: %v %s", tr.standing(0), tr.ehr.Slot("s0"))
			}
			continue
		}
		if err != nil || v.Status != scheduling.ApptBooked || !v.Has(booking.CoverageRefused) || len(v.Refusals) != 1 || v.Refusals[0] != "the model EHR says so" {
			t.Errorf("%s: %v %s %v %v", way, err, v.Status, v.Notices, v.Refusals)
		}
		if again := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); !again.Has(booking.CoverageRefused) {
			t.Errorf("%s: read again: %v", way, again.Notices)
		}
	}
}

func TestASourceThatTakesNoCoverageIsToldOf(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverNone, false)
	patient, _ := tr.newcomer(t, 1)
	v := must(tr.book(t, tr.desk, patient))(t)
	if !v.Has(booking.CoverageNotSent) || len(tr.ehr.Coverages()) != 0 {
		t.Errorf("%v, sent %v", v.Notices, tr.ehr.Coverages())
	}
}

func TestASourceThatWantsCoverageFirstIsAskedForNothingWithout(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverFirst, false)
	patient, _ := tr.newcomer(t, 0)
	_, err := tr.book(t, tr.desk, patient)
	wantCode(t, err, scheduling.MissingData)
	if e := scheduling.AsError(err); e.Param != "Coverage" {
		t.Errorf("%+v", e)
	}
	if len(tr.ehr.Writes) != 0 || len(tr.ehr.Patients()) != 0 {
		t.Errorf("the EHR was asked: %v", tr.ehr.Writes)
	}
}

// TestCoverageInDoubtIsNeverSentTwice: the answer is lost, whatever the EHR did.
func TestCoverageInDoubtIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	for _, way := range coverWays {
		for _, fault := range []bookingtest.Fault{bookingtest.LostBefore, bookingtest.LostAfter, bookingtest.LateCommit, bookingtest.Empty} {
			for _, conditional := range []bool{true, false} {
				tr := newTrip(t, scheduling.RegisterSearch, way, conditional)
				patient, _ := tr.newcomer(t, 1)
				tr.ehr.Fail(scheduling.CallCover, fault)
				v, err := tr.book(t, tr.desk, patient)
				if way == scheduling.CoverFirst && err != nil {
					wantCode(t, err, scheduling.SourceDown)
					tr.settle(t, tr.desk, time.Hour)
					tr.clock.Advance(10 * time.Minute)
					v, err = tr.book(t, tr.desk, patient)
				}
				if err != nil || v.Status != scheduling.ApptBooked {
					t.Errorf("%s, %s: %v %s", tr.how, fault, err, v.Status)
					continue
				}
				tr.settle(t, tr.desk, time.Hour)
				if got := tr.ehr.Coverages(); len(got) != 1 {
					t.Errorf("%s, %s: the EHR has %v", tr.how, fault, got)
				}
				if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); len(v.Notices) != 0 {
					t.Errorf("%s, %s: settled, and told: %v", tr.how, fault, v.Notices)
				}
			}
		}
	}
}

func TestCoverageThatCannotBeLookedForIsSentOnce(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, false, func(can *scheduling.Abilities) { can.Search = false })
	patient, _ := tr.newcomer(t, 1)
	tr.ehr.Fail(scheduling.CallCover, bookingtest.LostAfter)
	v := must(tr.book(t, tr.desk, patient))(t)
	if !v.Has(booking.CoverageUnsettled) {
		t.Errorf("told: %v", v.Notices)
	}
	tr.settle(t, tr.desk, 23*time.Hour)
	tr.settle(t, tr.desk, 5*time.Hour)
	if n := tr.ehr.Writes[scheduling.CallCover]; n != 1 {
		t.Errorf("sent %d times", n)
	}
	if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); !v.Has(booking.CoverageNotSent) {
		t.Errorf("given up, and told: %v", v.Notices)
	}
	if tr.counter(t, "slotgate_booking_alarms_total", "coverage-not-sent") != 1 {
		t.Error("nobody was told")
	}
}

func TestCoverageIsSentLaterWhereTheSourceIsDown(t *testing.T) {
	t.Parallel()
	for _, way := range []scheduling.CoverWay{scheduling.CoverAfter, scheduling.CoverBefore} {
		for _, fault := range []bookingtest.Fault{bookingtest.NotSent, bookingtest.RefuseBusy, bookingtest.RefuseLogin} {
			tr := newTrip(t, scheduling.RegisterSearch, way, false)
			patient, _ := tr.newcomer(t, 2)
			tr.ehr.Fail(scheduling.CallCover, fault, fault, fault)
			v := must(tr.book(t, tr.desk, patient))(t)
			tr.settle(t, tr.desk, time.Hour)
			if got := tr.ehr.Coverages(); len(got) != 2 {
				t.Errorf("%s, %s: the EHR has %v", tr.how, fault, got)
			}
			if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); len(v.Notices) != 0 {
				t.Errorf("%s, %s: told: %v", tr.how, fault, v.Notices)
			}
		}
	}
}

func TestCoverageGivenAfterTheBookingIsSentAtOnce(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	early := tr.insure(t, patient, "early")
	if got := must(tr.registrar.Cover(t.Context(), "ann", early))(t); len(got) != 0 {
		t.Errorf("sent before there is a booking: %v", got)
	}
	must(tr.book(t, tr.desk, patient))(t)
	id := tr.insure(t, patient, "late")
	for range 2 {
		got := must(tr.registrar.Cover(t.Context(), "ann", id))(t)
		if len(got) != 1 || got[0].Err != nil || got[0].Source != napa || len(tr.ehr.Coverages()) != 2 {
			t.Fatalf("%v, the EHR has %v", got, tr.ehr.Coverages())
		}
	}
	c := must(tr.coverages.Coverage(t.Context(), "ann", id))(t)
	c.Resource = []byte(`{"resourceType":"Coverage","beneficiary":{"reference":"Patient/` + patient + `"},"status":"cancelled"}`)
	must(tr.coverages.ReplaceCoverage(t.Context(), "ann", c, 0))(t)
	tr.ehr.Fail(scheduling.CallCover, bookingtest.RefuseRules)
	if got := must(tr.registrar.Cover(t.Context(), "ann", id))(t); len(got) != 1 || scheduling.CodeOf(got[0].Err) != scheduling.NotAcceptable {
		t.Errorf("refused: %v", got)
	}
	if got := must(tr.registrar.Cover(t.Context(), "ann", id))(t); len(got) != 1 || got[0].Err != nil {
		t.Errorf("changed: %v", got)
	}
	if all := tr.ehr.Coverages(); len(all) != 2 || all[1].Text != string(c.Resource) {
		t.Errorf("the EHR has %v", all)
	}
	if _, err := tr.registrar.Cover(t.Context(), "bob", id); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Errorf("another's: %v", err)
	}
}

// TestManyBookingsOfANewcomerMakeOnePatientAndOneCoverage: three slots at once, by
// two gateways.
func TestManyBookingsOfANewcomerMakeOnePatientAndOneCoverage(t *testing.T) {
	t.Parallel()
	for _, way := range coverWays {
		tr := newTrip(t, scheduling.RegisterSearch, way, false)
		tr.wait = 20 * time.Second
		patient, _ := tr.newcomer(t, 1)
		desks := []*booking.Desk{tr.desk, tr.desk}
		for i := range desks {
			desks[i] = tr.newJourneyDesk(t, tr.store, tr.ehr, tr.newRegistrar(t, tr.ehr))
		}
		var all sync.WaitGroup
		for i := range 3 {
			id := tr.offer(i)
			all.Go(func() {
				v, err := tr.book(t, desks[i%2], patient, func(req *booking.BookRequest) { req.Target, req.Key = target(id), "" })
				if err != nil || v.Status != scheduling.ApptBooked || len(v.Notices) != 0 {
					t.Errorf("%s: %v %s %v", way, err, v.Status, v.Notices)
				}
			})
		}
		all.Wait()
		if p, c := tr.ehr.Patients(), tr.ehr.Coverages(); len(p) != 1 || len(c) != 1 || tr.ehr.Writes[scheduling.CallCover] != 1 {
			t.Errorf("%s: patients %v, coverages %v", way, p, c)
		}
	}
}

func TestAHoldThatIsShortOfTimeIsRenewedForAJourney(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverBefore, false)
	patient, _ := tr.newcomer(t, 1)
	must(tr.desk.Hold(t.Context(), ann(), booking.HoldRequest{Target: target(tr.offer(0)), Patients: []string{patient}}))(t)
	tr.clock.Advance(5*time.Minute - 5*time.Second)
	v := must(tr.book(t, tr.desk, patient))(t)
	if v.Status != scheduling.ApptBooked || tr.ehr.Writes[scheduling.CallHold] != 2 {
		t.Errorf("%s, held %d times", v.Status, tr.ehr.Writes[scheduling.CallHold])
	}
}

func TestTheHoldThatACallerAskedForOutlivesABookingThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*trip){
		"registration": func(tr *trip) { tr.ehr.Fail(scheduling.CallRegister, bookingtest.RefuseTaken) },
		"coverage":     func(tr *trip) { tr.ehr.Fail(scheduling.CallCover, bookingtest.RefuseRules) },
		"booking":      func(tr *trip) { tr.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules) },
	} {
		tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverFirst, false)
		patient, _ := tr.newcomer(t, 1)
		must(tr.desk.Hold(t.Context(), ann(), booking.HoldRequest{Target: target(tr.offer(0)), Patients: []string{patient}}))(t)
		fail(tr)
		if _, err := tr.book(t, tr.desk, patient); err == nil {
			t.Errorf("%s: not refused", name)
		}
		e := must(tr.store.Read(t.Context(), tr.offer(0)))(t)
		if e.State != scheduling.EntryHeld || e.Journey != nil {
			t.Errorf("%s: the hold is %s, %+v", name, e.State, e.Journey)
		}
		if v := must(tr.book(t, tr.desk, patient, func(req *booking.BookRequest) { req.Key = "key-2" }))(t); v.Status != scheduling.ApptBooked || len(v.Notices) > 0 {
			t.Errorf("%s: then %s %v", name, v.Status, v.Notices)
		}
	}
}

// TestASubscriberIsRegisteredForTheCoveragesSake: the EHR must know whom the
// coverage names, and they need no appointment.
func TestASubscriberIsRegisteredForTheCoveragesSake(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverBefore, false)
	patient, _ := tr.newcomer(t, 0)
	mother, _, err := tr.registrar.Register(t.Context(), "ann", scheduling.Registration{
		Names: []scheduling.PersonName{{Family: "Mother", Given: []string{"Anna"}}}, BirthDate: "1940-01-02", Release: scheduling.R4, Resource: []byte(`{"resourceType":"Patient","active":true}`),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tr.coverages.AddCoverage(t.Context(), "ann", scheduling.Coverage{Patient: patient, Release: scheduling.R4, Resource: []byte(
		`{"resourceType":"Coverage","subscriber":{"reference":"Patient/` + mother.ID + `"},"beneficiary":{"reference":"Patient/` + patient + `"}}`)}); err != nil {
		t.Fatal(err)
	}
	must(tr.book(t, tr.desk, patient))(t)
	if got := tr.ehr.Coverages(); len(got) != 1 || len(got[0].Patients) != 2 || len(tr.ehr.Patients()) != 2 {
		t.Errorf("coverages %v, patients %v", got, tr.ehr.Patients())
	}
	tr.clock.Advance(time.Hour)
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 0 {
		t.Errorf("listed: %v", got)
	}
}
