package booking_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"slotgate/config/testenv"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
)

// TestManyRegistrationsOfOnePersonMakeOnePatient has twenty at once, of four
// principals and two gateways, at a server that looks first and adds later.
func TestManyRegistrationsOfOnePersonMakeOnePatient(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for name, race := range map[string]time.Duration{"racing": 30 * time.Millisecond, "not racing": 0} {
			t.Run(string(way)+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newClinic(t, way, func(o *ehrsim.Options) { o.PatientRace = race })
				deps := w.deps
				deps.Metrics = nil
				gateways := []*booking.Registrar{w.Registrar, w.registrar(deps)}
				natives := make([]string, 20)
				var all sync.WaitGroup
				for i := range natives {
					principal := fmt.Sprint("user", i%4)
					id := w.come(principal, canaryPatient)
					all.Go(func() {
						native, err := gateways[i%2].Native(t.Context(), principal, clinic, id)
						if err != nil {
							t.Error(err)
						}
						natives[i] = native
					})
				}
				all.Wait()
				for _, native := range natives {
					if native == "" || native != natives[0] {
						t.Fatalf("several: %v", natives)
					}
				}
				if w.made() != 1 {
					t.Errorf("the EHR has %d new patients", w.made())
				}
			})
		}
	}
}

// TestWithoutTheLockTheServerRaces shows that the race above is one.
func TestWithoutTheLockTheServerRaces(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterIfNoneExist, func(o *ehrsim.Options) { o.PatientRace = 100 * time.Millisecond })
	at, _ := w.deps.At(clinic)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			_, _ = at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, canaryPatient), Identifier: "x", Conditional: true})
		})
	}
	all.Wait()
	if w.made() < 2 {
		t.Errorf("the server did not race (%d made): the test above proves nothing", w.made())
	}
}

func TestARegisteredPersonIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w := newClinic(t, way, nil)
		id := w.come("alice", canaryPatient)
		first, err := w.native("alice", id)
		if err != nil {
			t.Fatal(way, err)
		}
		n := len(w.sim.Requests(0))
		second, err := w.native("alice", id)
		if err != nil || first != second || len(w.sim.Requests(0)) != n {
			t.Errorf("%s: %s %s %v, %d requests more", way, first, second, err, len(w.sim.Requests(0))-n)
		}
		if known, ok, err := w.Known(t.Context(), "alice", clinic, id); err != nil || !ok || known != first {
			t.Errorf("%s: known as %s %v %v", way, known, ok, err)
		}
	}
}

func TestTheLogOfARegistrationPairsNoIDs(t *testing.T) {
	t.Parallel()
	w := newClinic(t, ways[0], nil)
	id := w.come("alice", canaryPatient)
	native, err := w.native("alice", id)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for line := range strings.Lines(w.log.String()) {
		if !strings.Contains(line, "a person was registered at a source") {
			continue
		}
		told++
		if strings.Contains(line, id) || strings.Contains(line, `"`+native+`"`) || !strings.Contains(line, `"end":"made"`) || !strings.Contains(line, `"source":"clinic"`) {
			t.Errorf("told: %s", line)
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

func TestOneKnownByIdentifierIsUsed(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w := newClinic(t, way, nil)
		at, _ := w.deps.At(clinic)
		known, err := at.CreatePatient(t.Context(), scheduling.RegisterCall{Person: patientFrom(t, canaryPatient)})
		if err != nil {
			t.Fatal(err)
		}
		if native, err := w.native("alice", w.come("alice", canaryPatient)); err != nil || native != known.ID || w.made() != 1 {
			t.Errorf("%s: %s %v, %d made", way, native, err, w.made())
		}
	}
}

func TestWhatTheSourceWantsToKnowIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, func(o *ehrsim.Options) { o.PatientRequires = []string{"telecom"} })
	id := w.come("alice", withoutIdentifier(""))
	_, err := w.native("alice", id)
	if e := scheduling.AsError(err); e == nil || e.Code != scheduling.MissingData || e.Param != "Patient.telecom" {
		t.Errorf("%v", err)
	}
	if _, err := w.native("alice", w.come("alice", withoutIdentifier(`,"telecom":[{"value":"1"}]`))); err != nil {
		t.Errorf("with it: %v", err)
	}
}

func TestNobodyIsRegisteredWhereThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterNone, nil)
	if _, err := w.native("alice", w.come("alice", canaryPatient)); scheduling.CodeOf(err) != scheduling.NotSupported {
		t.Errorf("%v", err)
	}
	if _, err := w.Native(t.Context(), "alice", "gone", w.come("alice", canaryPatient)); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("a source that is gone: %v", err)
	}
}

func TestADeletedPersonIsForgottenAndTheirLinksWhenNothingIsOpen(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, nil)
	id := w.come("alice", canaryPatient)
	if _, err := w.native("alice", id); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(time.Hour)
	w.named["alice/"+id] = []scheduling.Entry{{State: scheduling.EntryBooked, Offer: scheduling.OfferRecord{Slots: []scheduling.Slot{{Start: start, End: start.Add(time.Hour)}}}}}
	if err := w.Forget(t.Context(), "alice", id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Patient(t.Context(), "alice", id); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("read: %v", err)
		}
		if _, err := w.native("alice", id); scheduling.CodeOf(err) != scheduling.UnknownID {
			t.Errorf("booked for: %v", err)
		}
		if links, err := w.people.Links(t.Context(), "alice", id); err != nil || !links[clinic].Forgotten {
			t.Errorf("an appointment is open, and the link %v, %v", links, err)
		}
	}
	if err := w.Forget(t.Context(), "alice", id); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Errorf("deleted again: %v", err)
	}
	again := w.come("alice", canaryPatient)
	if again == id {
		t.Error("the deleted one came back")
	}
	if _, err := w.native("alice", again); err != nil {
		t.Fatal(err)
	}
	if err := w.Forget(t.Context(), "alice", again); err != nil {
		t.Fatal(err)
	}
	if links, err := w.people.Links(t.Context(), "alice", again); err != nil || len(links) != 0 {
		t.Errorf("nothing is open, and the link %v, %v", links, err)
	}
}

func TestARegistrationIsAnsweredAgainUnderItsKey(t *testing.T) {
	t.Parallel()
	w := newClinic(t, scheduling.RegisterPost, nil)
	person := patientFrom(t, canaryPatient)
	first, added, err := w.Register(t.Context(), "alice", person, "key-1")
	if err != nil || !added {
		t.Fatal(err, added)
	}
	again, added, err := w.Register(t.Context(), "alice", person, "key-1")
	if err != nil || !added || again.ID != first.ID {
		t.Errorf("again: %v %v %v", again, added, err)
	}
	if known, added, err := w.Register(t.Context(), "alice", person, ""); err != nil || added || known.ID != first.ID {
		t.Errorf("without the key: %v %v %v", known, added, err)
	}
	other := patientFrom(t, withoutIdentifier(""))
	if _, _, err := w.Register(t.Context(), "alice", other, "key-1"); scheduling.CodeOf(err) != scheduling.NotAcceptable {
		t.Errorf("another body: %v", err)
	}
	bad := patientFrom(t, `{"resourceType":"Patient","birthDate":"1990-01-01"}`)
	for range 2 {
		if _, _, err := w.Register(t.Context(), "alice", bad, "key-2"); scheduling.CodeOf(err) != scheduling.MissingData {
			t.Errorf("refused: %v", err)
		}
	}
	ids := make([]string, 10)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			r, added, err := w.Register(t.Context(), "bob", person, "key-3")
			if err != nil || !added {
				t.Error(err, added)
			}
			ids[i] = r.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several: %v", ids)
		}
	}
	if err := w.Forget(t.Context(), "alice", first.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Register(t.Context(), "alice", person, "key-1"); scheduling.CodeOf(err) != scheduling.UnknownID {
		t.Errorf("the one who was deleted: %v", err)
	}
}

// TestMedplumHasOnePatient registers at a server that nobody here wrote, by each
// way that it knows.
func TestMedplumHasOnePatient(t *testing.T) {
	t.Parallel()
	base := testenv.StartNode(t, "medplum.mjs")
	first := ""
	for _, way := range []scheduling.RegisterWay{scheduling.RegisterIfNoneExist, scheduling.RegisterSearch} {
		w := clinicAt(t, base, way, upstream.Slots, scheduling.R4)
		natives := make([]string, 8)
		var all sync.WaitGroup
		for i := range natives {
			principal := fmt.Sprint("user", i%4)
			id := w.come(principal, canaryPatient)
			all.Go(func() {
				native, err := w.native(principal, id)
				if err != nil {
					t.Error(way, err)
				}
				natives[i] = native
			})
		}
		all.Wait()
		if first == "" {
			first = natives[0]
		}
		for _, native := range natives {
			if native == "" || native != first {
				t.Errorf("%s: %v", way, natives)
			}
		}
	}
}

func TestRegisterOptionsAreChecked(t *testing.T) {
	t.Parallel()
	if err := booking.DefaultRegisterOptions().Validate(); err != nil {
		t.Error(err)
	}
	for key, bend := range map[string]func(*booking.RegisterOptions){
		"wait:":         func(o *booking.RegisterOptions) { o.Wait = 0 },
		"margin:":       func(o *booking.RegisterOptions) { o.Margin = time.Hour },
		"limits.names:": func(o *booking.RegisterOptions) { o.Limits.Names = 0 },
	} {
		o := booking.DefaultRegisterOptions()
		bend(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s %v", key, err)
		}
	}
}
