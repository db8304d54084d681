package booking_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// ended looks at how a journey has ended: booked, with its patient and its
// coverage told for what they are; or nothing; or an orphan that is listed.
func (tr *trip) ended(t *testing.T, what string) {
	t.Helper()
	// Each sweep looks once at whom nobody knows.
	for range 4 {
		tr.clock.Advance(3 * time.Minute)
		if _, err := tr.desk.Sweep(t.Context(), napa); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	placed := map[string]bool{}
	for _, e := range tr.store.Entries() {
		switch {
		case e.State == scheduling.EntryFree, e.State == scheduling.EntryNotBooked, e.State == scheduling.EntryCancelled:
		case e.State == scheduling.EntryBooked:
			for _, native := range e.Private.Natives() {
				placed[native] = true
			}
			if e.Journey != nil && (e.Journey.Step != scheduling.StepDone || e.Private.Covers(scheduling.CoverAsked, scheduling.CoverLater)) {
				t.Errorf("%s: the journey stands at %+v %+v", what, e.Journey, e.Private.Coverages)
			}
			for _, step := range e.Private.Coverages {
				if step.State == scheduling.CoverSent && len(tr.ehr.Coverages()) == 0 {
					t.Errorf("%s: told as sent, and the EHR has none", what)
				}
			}
		default:
			t.Errorf("%s: it never ended: %s %+v", what, e.State, e.Journey)
		}
	}
	for _, a := range tr.ehr.Appointments() {
		if a.Status == scheduling.ApptPending || a.Status.Stands() && !placed[a.Patient[0]] {
			t.Errorf("%s: left behind at the EHR: %+v", what, a)
		}
	}
	tr.listed(t, what, placed)
	if n := len(tr.ehr.Coverages()); n > 1 {
		t.Errorf("%s: the coverage is there %d times", what, n)
	}
}

// listed wants every Patient of the EHR to have an appointment or to be listed.
func (tr *trip) listed(t *testing.T, what string, placed map[string]bool) {
	t.Helper()
	orphans, err := tr.registrar.Orphans(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var natives []string
	for _, o := range orphans {
		if o.Native == "" || o.Coverage != "" {
			continue // may be there: nobody can tell
		}
		natives = append(natives, o.Native)
	}
	made := tr.ehr.Patients()
	if len(made) > 1 {
		t.Errorf("%s: the EHR has %v", what, made)
	}
	for _, native := range made {
		if placed[native] == slices.Contains(natives, native) {
			t.Errorf("%s: %s has an appointment: %v; listed are %v", what, native, placed[native], natives)
		}
	}
	if len(natives) > len(made) {
		t.Errorf("%s: listed are %v, and there are %v", what, natives, made)
	}
}

// fates are the ways in which one call may fail.
var fates = []bookingtest.Fault{
	bookingtest.RefuseRules, bookingtest.RefuseStrange, bookingtest.RefuseLogin, bookingtest.RefuseBusy, bookingtest.NotSent,
	bookingtest.LostBefore, bookingtest.LostAfter, bookingtest.LateCommit, bookingtest.Empty, bookingtest.RefuseTaken,
}

// TestLaw12EachStepOfAJourneyFailingInTurn: whatever fails, the end is booked with
// patient and coverage, or nothing, or a listed orphan.
func TestLaw12EachStepOfAJourneyFailingInTurn(t *testing.T) {
	t.Parallel()
	for _, way := range coverWays {
		for _, kind := range []scheduling.CallKind{scheduling.CallHold, scheduling.CallRegister, scheduling.CallCover, scheduling.CallBook} {
			for _, fault := range fates {
				for _, repeated := range []bool{false, true} {
					tr := newTrip(t, scheduling.RegisterSearch, way, false)
					what := fmt.Sprintf("%s: %s %s, repeated %v", tr.how, kind, fault, repeated)
					patient, _ := tr.newcomer(t, 1)
					tr.ehr.Fail(kind, fault)
					v, err := tr.book(t, tr.desk, patient)
					if err == nil && v.Status == scheduling.ApptBooked && !v.InDoubt && len(tr.standing(0)) != 1 {
						t.Errorf("%s: told as booked, and it is not", what)
					}
					tr.settle(t, tr.desk, time.Hour)
					if repeated && err != nil {
						tr.clock.Advance(5 * time.Minute)
						_, _ = tr.book(t, tr.desk, patient)
						tr.settle(t, tr.desk, time.Hour)
					}
					tr.ended(t, what)
				}
			}
		}
	}
}

// TestLaw12AJourneyThatIsCutOffAnywhereIsGoneOnWithOrUndone kills the gateway
// beside every call that it makes. Then its caller comes back to another gateway,
// or nobody does.
func TestLaw12AJourneyThatIsCutOffAnywhereIsGoneOnWithOrUndone(t *testing.T) {
	t.Parallel()
	for _, way := range coverWays {
		for _, register := range []scheduling.RegisterWay{scheduling.RegisterPost, scheduling.RegisterIfNoneExist} {
			for _, back := range []bool{true, false} {
				t.Run(fmt.Sprint(way, register, back), func(t *testing.T) {
					t.Parallel()
					for at := int64(0); ; at++ {
						if done := cutOff(t, register, way, at, back); done {
							if at < 20 {
								t.Errorf("a journey has %d points only", at)
							}
							return
						}
					}
				})
			}
		}
	}
}

// cutOff kills the gateway at one point; done: the journey is over before it.
func cutOff(t *testing.T, register scheduling.RegisterWay, way scheduling.CoverWay, at int64, back bool) (done bool) {
	t.Helper()
	tr := newTrip(t, register, way, register == scheduling.RegisterIfNoneExist)
	what := fmt.Sprintf("%s: killed at %d, back %v", tr.how, at, back)
	patient, _ := tr.newcomer(t, 1)
	id := tr.offer(0)
	tr.fuse.left.Store(at)
	died := dying(func() { _, _ = tr.book(t, tr.mortal, patient) })
	tr.fuse.left.Store(-1)
	if back && died {
		// Under the same key: first too early, then when the dead one is known to
		// be dead.
		same := func(req *booking.BookRequest) { req.Target = target(id) }
		_, _ = tr.book(t, tr.desk, patient, same)
		tr.clock.Advance(3 * time.Minute)
		v, err := tr.book(t, tr.desk, patient, same)
		for range 10 {
			if !is(err, scheduling.Shedding) && !is(err, scheduling.SourceDown) {
				break
			}
			must(tr.desk.Sweep(t.Context(), napa))(t)
			tr.clock.Advance(20 * time.Second)
			v, err = tr.book(t, tr.desk, patient, same)
		}
		if err != nil && !is(err, scheduling.UsedID) || err == nil && !v.InDoubt && v.Status != scheduling.ApptBooked {
			t.Errorf("%s: the repeat: %v %s", what, err, v.Status)
		}
	}
	tr.settle(t, tr.desk, 2*time.Hour)
	tr.ended(t, what)
	if back && len(tr.standing(0)) == 1 && way != scheduling.CoverNone && len(tr.ehr.Coverages()) != 1 {
		t.Errorf("%s: booked, and the coverage is there %d times", what, len(tr.ehr.Coverages()))
	}
	if strings.Contains(tr.log.String(), "Canary") {
		t.Errorf("%s: the log names the person", what)
	}
	return !died
}

func TestAnOrphanIsListedUntilItHasAnAppointment(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	tr.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
	_, err := tr.book(t, tr.desk, patient)
	wantCode(t, err, scheduling.NotAcceptable)
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 0 {
		t.Errorf("listed at once: %v", got)
	}
	tr.clock.Advance(11 * time.Minute)
	got := must(tr.registrar.Orphans(t.Context()))(t)
	if len(got) != 1 || got[0].Native != tr.ehr.Patients()[0] || got[0].Source != napa || got[0].Since.IsZero() {
		t.Fatalf("listed: %+v", got)
	}
	// While something may come of it, it is not one.
	must(tr.desk.Hold(t.Context(), ann(), booking.HoldRequest{Target: target(tr.offer(1)), Patients: []string{patient}}))(t)
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 0 {
		t.Errorf("held for, and listed: %v", got)
	}
	must(tr.book(t, tr.desk, patient, func(req *booking.BookRequest) { req.Target, req.Key = target(tr.offer(1)), "" }))(t)
	if left := must(tr.orphans.Orphans(t.Context(), napa))(t); len(left) != 0 {
		t.Errorf("booked, and written down: %v", left)
	}
}

func TestAPersonTicksAnOrphanOff(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	tr.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
	_, _ = tr.book(t, tr.desk, patient)
	tr.clock.Advance(11 * time.Minute)
	id := must(tr.registrar.Orphans(t.Context()))(t)[0].ID
	wantCode(t, tr.registrar.TickOff(t.Context(), id, "", "x"), scheduling.BadRequest)
	wantCode(t, tr.registrar.TickOff(t.Context(), "nobody", "ann", "x"), scheduling.UnknownID)
	if err := tr.registrar.TickOff(t.Context(), id, "anna", "Canary has called"); err != nil {
		t.Fatal(err)
	}
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 0 {
		t.Errorf("still listed: %v", got)
	}
	wantCode(t, tr.registrar.TickOff(t.Context(), id, "anna", "again"), scheduling.UnknownID)
	if log := tr.log.String(); !strings.Contains(log, "by=anna") || strings.Contains(log, "Canary") || strings.Contains(log, patient) {
		t.Errorf("the log: %s", log)
	}
	tr.clock.Advance(31 * 24 * time.Hour)
	if err := tr.registrar.SweepOrphans(t.Context(), napa); err != nil {
		t.Fatal(err)
	}
	if left := must(tr.orphans.Orphans(t.Context(), napa))(t); len(left) != 0 {
		t.Errorf("kept for ever: %v", left)
	}
}

func TestAPersonIsKeptAsLongAsSomethingNamesThem(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false, func(can *scheduling.Abilities) { can.Search, can.Hold = false, scheduling.HoldNone })
	patient, _ := tr.newcomer(t, 0)
	tr.ehr.Fail(scheduling.CallBook, bookingtest.LostAfter)
	v := must(tr.book(t, tr.desk, patient))(t)
	if !v.InDoubt {
		t.Fatalf("not in doubt: %s", v.Status)
	}
	tr.settle(t, tr.desk, 60*time.Hour)
	if _, err := tr.people.Keep(t.Context(), "ann", patient, time.Millisecond); err != nil {
		t.Errorf("in doubt for days, and forgotten: %v", err)
	}
	tr.ehr.Be(bookingtest.SearchIsBehind, false)
	for _, a := range tr.ehr.Appointments() {
		if a.Status.Stands() {
			if err := tr.desk.Decide(t.Context(), booking.Decision{ID: v.Entry.ID, Booked: true, Native: a.ID, By: "op", Reason: "seen"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	tr.clock.Advance(48 * time.Hour)
	if _, err := tr.people.Keep(t.Context(), "ann", patient, time.Millisecond); err == nil {
		t.Error("nothing is open any more, and the person is kept")
	}
	tr.settle(t, tr.desk, time.Hour)
	if until, end := tr.people.LinksUntil("ann", patient), v.Entry.Offer.End(); until.Before(end) {
		t.Errorf("the link is kept until %s, and the appointment ends %s", until, end)
	}
}

func TestADeletedPatientTakesTheirCoverageAlong(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, ids := tr.newcomer(t, 1)
	tr.ehr.Fail(scheduling.CallCover, bookingtest.NotSent)
	v := must(tr.book(t, tr.desk, patient))(t)
	if err := tr.registrar.Forget(t.Context(), "ann", patient); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.coverages.Coverage(t.Context(), "ann", ids[0]); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Errorf("the coverage is there: %v", err)
	}
	tr.settle(t, tr.desk, time.Hour)
	if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); !v.Has(booking.CoverageNotSent) || len(tr.ehr.Coverages()) != 0 {
		t.Errorf("%v, sent %v", v.Notices, tr.ehr.Coverages())
	}
}

// TestWhoWasMadeByALostCallIsAnOrphanTooWhereTheSourceFindsThemItself: the second
// call is answered with whom the first had made.
func TestWhoWasMadeByALostCallIsAnOrphanTooWhereTheSourceFindsThemItself(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterIfNoneExist, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	tr.ehr.Fail(scheduling.CallRegister, bookingtest.LostAfter)
	tr.ehr.Be(bookingtest.HidesPeople, true)
	tr.ehr.Fail(scheduling.CallBook, bookingtest.RefuseRules)
	_, err := tr.book(t, tr.desk, patient)
	wantCode(t, err, scheduling.SourceDown)
	tr.clock.Advance(3 * time.Minute)
	_, err = tr.book(t, tr.desk, patient)
	wantCode(t, err, scheduling.NotAcceptable)
	tr.clock.Advance(time.Hour)
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 1 || len(tr.ehr.Patients()) != 1 || got[0].Native != tr.ehr.Patients()[0] {
		t.Errorf("listed: %v of %v", got, tr.ehr.Patients())
	}
}

// TestAPatientWhoCannotBeLookedForIsListedByOurIdentifier: nobody knows whether
// there is one.
func TestAPatientWhoCannotBeLookedForIsListedByOurIdentifier(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	tr.ehr.Be(bookingtest.BlindToPeople, true)
	tr.ehr.Fail(scheduling.CallRegister, bookingtest.LostAfter)
	_, err := tr.book(t, tr.desk, patient)
	wantCode(t, err, scheduling.SourceDown)
	tr.clock.Advance(11 * time.Minute)
	must(tr.desk.Sweep(t.Context(), napa))(t)
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 1 || got[0].Native != "" || got[0].ID == "" {
		t.Errorf("listed: %+v", got)
	}
}

// TestLaw12CoverageGivenLaterIsSentWhateverBecomesOfUs kills the gateway beside
// every call of it.
func TestLaw12CoverageGivenLaterIsSentWhateverBecomesOfUs(t *testing.T) {
	t.Parallel()
	for at := int64(0); ; at++ {
		tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
		patient, _ := tr.newcomer(t, 0)
		v := must(tr.book(t, tr.desk, patient))(t)
		tr.clock.Advance(25 * time.Hour)
		id := tr.insure(t, patient, "late")
		tr.fuse.left.Store(at)
		mortal := tr.newRegistrar(t, mortalFolk{tr.ehr, tr.fuse})
		died := dying(func() { _, _ = mortal.Cover(t.Context(), "ann", id) })
		tr.fuse.left.Store(-1)
		tr.settle(t, tr.desk, time.Hour)
		if got := tr.ehr.Coverages(); len(got) != 1 {
			t.Errorf("killed at %d: the EHR has %v", at, got)
		}
		if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); len(v.Notices) > 0 || v.Entry.Journey.Step != scheduling.StepDone {
			t.Errorf("killed at %d: %v %+v", at, v.Notices, v.Entry.Journey)
		}
		if !died {
			if at < 4 {
				t.Errorf("there are %d points only", at)
			}
			return
		}
	}
}

func TestCoverageGivenLaterIsSentOnceTheSourceIsBack(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	v := must(tr.book(t, tr.desk, patient))(t)
	tr.clock.Advance(47 * time.Hour)
	id := tr.insure(t, patient, "late")
	tr.ehr.Fail(scheduling.CallCover, bookingtest.NotSent, bookingtest.NotSent)
	if got := must(tr.registrar.Cover(t.Context(), "ann", id))(t); len(got) != 1 || scheduling.CodeOf(got[0].Err) != scheduling.SourceDown {
		t.Errorf("%v", got)
	}
	if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); !v.Has(booking.CoverageUnsettled) {
		t.Errorf("told: %v", v.Notices)
	}
	tr.settle(t, tr.desk, time.Hour)
	if v := must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); len(v.Notices) > 0 || len(tr.ehr.Coverages()) != 1 {
		t.Errorf("told: %v, the EHR has %v", v.Notices, tr.ehr.Coverages())
	}
}
