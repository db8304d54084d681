package booking_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// change gives the next version of a coverage.
func (tr *trip) change(t testing.TB, patient, id, elements string) {
	t.Helper()
	_, err := tr.registrar.ChangeCoverage(t.Context(), "ann", scheduling.Coverage{
		ID: id, Patient: patient, Release: scheduling.R4,
		Resource: []byte(`{"resourceType":"Coverage","beneficiary":{"reference":"Patient/` + patient + `"},` + elements + `}`),
	}, 0)
	if err != nil {
		t.Error(err)
	}
}

// TestLaw12TheLatestCoverageIsTheOneThatTheSourceKeeps: changed by many at a
// time, while a booking sends it.
func TestLaw12TheLatestCoverageIsTheOneThatTheSourceKeeps(t *testing.T) {
	t.Parallel()
	for range 30 {
		tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
		patient, ids := tr.newcomer(t, 1)
		var all sync.WaitGroup
		all.Go(func() { _, _ = tr.book(t, tr.desk, patient) })
		for n := range 6 {
			all.Go(func() {
				tr.change(t, patient, ids[0], fmt.Sprintf(`"payor":[{"display":"version %d"}]`, n))
				_, _ = tr.registrar.Cover(context.WithoutCancel(t.Context()), "ann", ids[0])
			})
		}
		all.Wait()
		tr.settle(t, tr.desk, time.Hour)
		now := must(tr.registrar.ReadCoverage(t.Context(), "ann", ids[0]))(t)
		if there := tr.ehr.Coverages(); len(there) != 1 || there[0].Text != string(now.Resource) {
			t.Fatalf("kept here: %s; at the source: %v", now.Resource, there)
		}
	}
}

func TestLaw5ACoverageThatWasCertainlyNotTakenIsSentAgain(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false, func(can *scheduling.Abilities) { can.Search = false })
	patient, _ := tr.newcomer(t, 1)
	tr.ehr.Fail(scheduling.CallCover, bookingtest.NotSent, bookingtest.RefuseBusy, bookingtest.NotSent)
	v := must(tr.book(t, tr.desk, patient))(t)
	tr.settle(t, tr.desk, time.Hour)
	if v = must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); len(tr.ehr.Coverages()) != 1 || v.Has(booking.CoverageUnsettled) {
		t.Errorf("the source has %v, told %v", tr.ehr.Coverages(), v.Notices)
	}
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 0 {
		t.Errorf("listed: %v", got)
	}
}

// TestLaw5ACoverageInDoubtThatNobodyCanLookForIsAPersons: until one has seen to
// it; the next version goes then.
func TestLaw5ACoverageInDoubtThatNobodyCanLookForIsAPersons(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false, func(can *scheduling.Abilities) { can.Search = false })
	patient, ids := tr.newcomer(t, 1)
	tr.ehr.Fail(scheduling.CallCover, bookingtest.LostBefore)
	v := must(tr.book(t, tr.desk, patient))(t)
	tr.settle(t, tr.desk, time.Hour)
	got := must(tr.registrar.Orphans(t.Context()))(t)
	if len(got) != 1 || got[0].Coverage != ids[0] || got[0].Source != napa || got[0].ID == "" || len(tr.ehr.Coverages()) != 0 {
		t.Fatalf("listed: %+v, sent %v", got, tr.ehr.Coverages())
	}
	if err := tr.registrar.TickOff(t.Context(), got[0].ID, "op", "entered by hand"); err != nil {
		t.Fatal(err)
	}
	tr.settle(t, tr.desk, time.Hour)
	if v = must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t); v.Has(booking.CoverageUnsettled) {
		t.Errorf("told: %v", v.Notices)
	}
	tr.change(t, patient, ids[0], `"payor":[{"display":"new"}]`)
	if _, err := tr.registrar.Cover(t.Context(), "ann", ids[0]); err != nil {
		t.Fatal(err)
	}
	if there := tr.ehr.Coverages(); len(there) != 1 || !strings.Contains(there[0].Text, "new") {
		t.Errorf("the next version: %v", there)
	}
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 0 {
		t.Errorf("listed still: %+v", got)
	}
}

func TestLaw12ACoverageThatIsGivenUpIsListed(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
	patient, ids := tr.newcomer(t, 1)
	for range 500 {
		tr.ehr.Fail(scheduling.CallCover, bookingtest.NotSent)
	}
	v := must(tr.book(t, tr.desk, patient))(t)
	tr.settle(t, tr.desk, 30*time.Hour)
	v = must(tr.desk.Read(t.Context(), ann(), v.Entry.ID))(t)
	if got := must(tr.registrar.Orphans(t.Context()))(t); !v.Has(booking.CoverageNotSent) || len(got) != 1 || got[0].Coverage != ids[0] {
		t.Errorf("listed: %+v, told %v", got, v.Notices)
	}
}

func TestLaw12InsuranceThatIsNoneAnyMoreIsNone(t *testing.T) {
	t.Parallel()
	for name, elements := range map[string]string{
		"in error": `"status":"entered-in-error"`, "cancelled": `"status":"cancelled"`, "a day": `"period":{"end":"2001-01-01"}`,
		"a month": `"period":{"start":"1999","end":"2001-01"}`, "a time": `"period":{"end":"2001-01-01T00:00:00Z"}`,
	} {
		first := newTrip(t, scheduling.RegisterSearch, scheduling.CoverFirst, false)
		patient, ids := first.newcomer(t, 1)
		first.change(t, patient, ids[0], elements)
		_, err := first.book(t, first.desk, patient)
		if wantCode(t, err, scheduling.MissingData); len(first.ehr.Coverages()) != 0 {
			t.Errorf("%s: %v", name, first.ehr.Coverages())
		}
		after := newTrip(t, scheduling.RegisterSearch, scheduling.CoverAfter, false)
		patient, ids = after.newcomer(t, 2)
		after.change(t, patient, ids[0], elements)
		must(after.book(t, after.desk, patient))(t)
		if there := after.ehr.Coverages(); len(there) != 1 || !strings.Contains(there[0].Text, "plan 1") {
			t.Errorf("%s is sent: %v", name, there)
		}
		// What the source has is taken back there.
		after.change(t, patient, ids[1], elements)
		if _, err := after.registrar.Cover(t.Context(), "ann", ids[1]); err != nil {
			t.Fatal(err)
		}
		if there := after.ehr.Coverages(); len(there) != 1 || !strings.Contains(there[0].Text, elements) {
			t.Errorf("%s: the source goes on with %v", name, there)
		}
	}
}
