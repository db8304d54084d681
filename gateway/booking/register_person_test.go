package booking_test

import (
	"strings"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

func TestWhoIsNewAndHowOldIsKnownOfThoseWhoRegisteredHere(t *testing.T) {
	t.Parallel()
	tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverNone, false)
	patient, _ := tr.newcomer(t, 0)
	want := func(when, born string, standing scheduling.Standing) {
		t.Helper()
		p, err := tr.registrar.Person(t.Context(), "ann", napa, patient)
		if err != nil || p.Standing != standing || p.Born != born {
			t.Errorf("%s: %q, born %q, %v", when, p.Standing, p.Born, err)
		}
	}
	want("registered here alone", "1964-06-19", scheduling.Stranger)
	v, err := tr.book(t, tr.desk, patient)
	if err != nil || v.Status != scheduling.ApptBooked {
		t.Fatal(v.Status, err)
	}
	want("booked", "1964-06-19", scheduling.Registered)
	_, err = tr.registrar.Person(t.Context(), "bob", napa, patient)
	wantCode(t, err, scheduling.UnknownID)
	native := tr.ehr.Patients()[0]
	is := func(principal, id, native string) bool {
		same, err := tr.registrar.IsPatient(t.Context(), principal, napa, id, native)
		return err == nil && same
	}
	if !is("ann", patient, native) {
		t.Error("the source's Patient of a person is not recognized")
	}
	if is("bob", patient, native) || is("ann", patient, "nobody") || is("ann", ownPatient, native) {
		t.Error("somebody else is recognized")
	}
	stranger, _, err := tr.registrar.Register(t.Context(), "ann", scheduling.Registration{
		Names: []scheduling.PersonName{{Family: "Canary", Given: []string{"Josefa"}}}, BirthDate: "1964-06-19",
		Release: scheduling.R4, Resource: []byte(`{"resourceType":"Patient","name":[{"family":"Canary","given":["Josefa"]}]}`),
	}, "")
	if err != nil || is("ann", stranger.ID, native) {
		t.Errorf("a twin is taken for the patient (%v)", err)
	}
	tr.clock.Advance(73 * time.Hour) // the person's time is over, the link's is not
	want("been there", "", scheduling.Seen)
}

// TestNobodyIsRegisteredForARuleThatRefusesThem: the rule comes before the journey.
func TestNobodyIsRegisteredForARuleThatRefusesThem(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]scheduling.Rule{
		"children only":       {Ages: scheduling.Ages{To: 17}},
		"known patients only": {Patients: scheduling.KnownPatients},
	} {
		tr := newTrip(t, scheduling.RegisterSearch, scheduling.CoverNone, false)
		tr.rule = &rule
		patient, _ := tr.newcomer(t, 0)
		_, err := tr.book(t, tr.desk, patient)
		if !is(err, scheduling.NotAcceptable) || strings.Contains(err.Error(), "1964") || strings.Contains(err.Error(), "Canary") {
			t.Errorf("%s: %v", name, err)
		}
		if len(tr.ehr.Patients()) != 0 || len(tr.store.Entries()) != 0 {
			t.Errorf("%s: %d patients were made, %d entries", name, len(tr.ehr.Patients()), len(tr.store.Entries()))
		}
		tr.rule = &scheduling.Rule{Ages: scheduling.Ages{From: 18}, Patients: scheduling.NewPatients}
		if v, err := tr.book(t, tr.desk, patient, func(req *booking.BookRequest) { req.Key = "" }); err != nil || v.Status != scheduling.ApptBooked {
			t.Errorf("%s: who is admitted: %s, %v", name, v.Status, err)
		}
	}
}
