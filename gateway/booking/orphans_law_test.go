package booking_test

import (
	"testing"
	"time"

	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// TestLaw12ASourceThatShowsNoIdentifierOfOursIsNotBelievedToHaveNobody: it may
// strip them.
func TestLaw12ASourceThatShowsNoIdentifierOfOursIsNotBelievedToHaveNobody(t *testing.T) {
	t.Parallel()
	for _, shows := range []bool{false, true} {
		tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, false)
		if shows {
			other, _, err := tr.registrar.Register(t.Context(), "ann", scheduling.Registration{
				Names: []scheduling.PersonName{{Family: "Other"}}, BirthDate: "1970-01-01", Release: scheduling.R4, Resource: []byte(`{"resourceType":"Patient","x":1}`),
			}, "")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tr.registrar.Native(t.Context(), "ann", napa, other.ID); err != nil {
				t.Fatal(err)
			}
		}
		patient, _ := tr.newcomer(t, 0)
		tr.ehr.Be(bookingtest.HidesPeople, true)
		tr.ehr.Fail(scheduling.CallRegister, bookingtest.LostAfter)
		_, err := tr.book(t, tr.desk, patient)
		wantCode(t, err, scheduling.SourceDown)
		for range 6 {
			tr.clock.Advance(11 * time.Minute)
			must(tr.desk.Sweep(t.Context(), napa))(t)
		}
		maybe := 0
		for _, o := range must(tr.registrar.Orphans(t.Context()))(t) {
			if o.Native == "" && o.Patient == patient {
				maybe++
			}
		}
		if (maybe == 1) == shows {
			t.Errorf("shows identifiers: %v, and %d are listed who may be there", shows, maybe)
		}
	}
}

// TestLaw12EveryPatientWithOurIdentifierIsListed: a server that races makes two
// by one call.
func TestLaw12EveryPatientWithOurIdentifierIsListed(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, false)
	patient, _ := tr.newcomer(t, 0)
	tr.ehr.Fail(scheduling.CallRegister, bookingtest.LostAfter)
	tr.ehr.Be(bookingtest.HidesPeople, true)
	_, err := tr.book(t, tr.desk, patient)
	wantCode(t, err, scheduling.SourceDown)
	tr.ehr.Twin()
	tr.ehr.Be(bookingtest.HidesPeople, false)
	for range 3 {
		tr.clock.Advance(11 * time.Minute)
		must(tr.desk.Sweep(t.Context(), napa))(t)
	}
	got := must(tr.registrar.Orphans(t.Context()))(t)
	if len(got) != 2 || got[0].Native == got[1].Native || got[0].Native == "" || got[1].Native == "" || got[0].ID == got[1].ID {
		t.Errorf("listed: %+v of %v", got, tr.ehr.Patients())
	}
}

func TestLaw12OrphansOfASourceThatIsConfiguredNoMoreAreListed(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterPost, scheduling.CoverAfter, false)
	o := scheduling.Orphan{ID: "x", Source: "gone", Native: "p7", Principal: "ann", Patient: "p", Since: tr.clock.Now().Add(-time.Hour)}
	if err := tr.orphans.SaveOrphan(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := must(tr.registrar.Orphans(t.Context()))(t); len(got) != 1 || got[0].Source != "gone" {
		t.Errorf("listed: %v", got)
	}
}
