package booking_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"slotgate/gateway/booking"
	"slotgate/gateway/booking/bookingtest"
	"slotgate/scheduling"
)

// trip is a world whose people and insurance are registered here: desks and
// registrars that may be killed at any call of theirs.
type trip struct {
	*world
	people    *bookingtest.People
	coverages *bookingtest.Coverages
	orphans   *bookingtest.Orphans
	fuse      *fuse
	how       string
	wait      time.Duration // for a lock at the source
	registrar *booking.Registrar
	mortal    *booking.Desk
}

// entriesOf are the entries that name a patient: the books'.
type entriesOf struct{ store *bookingtest.Store }

func (e entriesOf) ByPatient(ctx context.Context, source scheduling.SourceID, principal, patient string) ([]scheduling.Entry, error) {
	return e.store.ByPatient(ctx, source, principal, patient)
}

func newTrip(t testing.TB, register scheduling.RegisterWay, way scheduling.CoverWay, conditional bool, change ...func(*scheduling.Abilities)) *trip {
	t.Helper()
	w := newWorld(t, 3, change...)
	w.ehr.SetFolk(register, way, conditional)
	w.opts.WaitRunning = time.Millisecond
	tr := &trip{
		world: w, people: bookingtest.NewPeople(w.clock), coverages: bookingtest.NewCoverages(w.clock), orphans: bookingtest.NewOrphans(), fuse: newFuse(), wait: 10 * time.Millisecond,
		how: fmt.Sprintf("%s, %s, conditional %v", register, way, conditional),
	}
	tr.mortal = tr.newJourneyDesk(t, mortalStore{tr.store, tr.fuse}, mortalEHR{tr.ehr, tr.fuse}, tr.newRegistrar(t, mortalFolk{tr.ehr, tr.fuse}))
	tr.registrar = tr.newRegistrar(t, tr.ehr)
	tr.desk = tr.newJourneyDesk(t, tr.store, tr.ehr, tr.registrar)
	return tr
}

// folk is a source as the registrar sees it.
type folk interface {
	booking.Registry
	booking.Insurer
}

func (tr *trip) newRegistrar(t testing.TB, at folk) *booking.Registrar {
	t.Helper()
	o := booking.DefaultRegisterOptions()
	o.Wait = tr.wait
	r, err := booking.NewRegistrar(booking.RegistrarDeps{
		People: tr.people, Coverages: tr.coverages, Named: entriesOf{tr.store}, Books: tr.store, Holds: tr.store, Keys: tr.store, Clock: tr.clock,
		At:          func(source scheduling.SourceID) (booking.Registry, bool) { return at, source == napa },
		Insurers:    func(source scheduling.SourceID) (booking.Insurer, bool) { return at, source == napa },
		OrphanStore: tr.orphans, Sources: func() []scheduling.SourceID { return []scheduling.SourceID{napa} },
		Log: slog.New(slog.NewTextHandler(tr.log, nil)), Secret: []byte("0123456789abcdef0123456789abcdef"),
		Checkpoint: func(string) {
			if _, mortal := at.(mortalFolk); mortal {
				_ = tr.fuse.burn(false)
			}
		},
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (tr *trip) newJourneyDesk(t testing.TB, store stores, ehr booking.EHR, r *booking.Registrar) *booking.Desk {
	t.Helper()
	tr.world.people, tr.world.insurance, tr.world.keeping = r, r, r
	return tr.newDesk(t, store, ehr)
}

// mortalFolk is the EHR's people with a fuse.
type mortalFolk struct {
	folk
	fuse *fuse
}

func (m mortalFolk) CreatePatient(ctx context.Context, c scheduling.RegisterCall) (scheduling.NativePatient, error) {
	return through(m.fuse, false, func() (scheduling.NativePatient, error) { return m.folk.CreatePatient(ctx, c) })
}

func (m mortalFolk) PutCoverage(ctx context.Context, c scheduling.CoverageCall) (scheduling.NativeCoverage, error) {
	return through(m.fuse, false, func() (scheduling.NativeCoverage, error) { return m.folk.PutCoverage(ctx, c) })
}

// ann is who books, for a patient of hers.
func ann() booking.Caller { return booking.Caller{Principal: "ann", Holds: 3} }

// newcomer registers a person at the gateway, with insurance.
func (tr *trip) newcomer(t testing.TB, coverages int) (patient string, ids []string) {
	t.Helper()
	person := scheduling.Registration{
		Names: []scheduling.PersonName{{Family: "Canary", Given: []string{"Maria"}}}, BirthDate: "1964-06-19",
		Identifiers: []scheduling.PersonIdentifier{{System: "urn:mrn", Value: "7"}},
		Release:     scheduling.R4, Resource: []byte(`{"resourceType":"Patient"}`),
	}
	known := func() scheduling.Registration {
		r, _, err := tr.registrar.Register(context.WithoutCancel(t.Context()), "ann", person, "")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}()
	for i := range coverages {
		ids = append(ids, tr.insure(t, known.ID, fmt.Sprint("plan ", i)))
	}
	return known.ID, ids
}

func (tr *trip) insure(t testing.TB, patient, plan string) string {
	t.Helper()
	c, _, err := tr.coverages.AddCoverage(context.WithoutCancel(t.Context()), "ann", scheduling.Coverage{
		Patient: patient, Release: scheduling.R4,
		Resource: []byte(`{"resourceType":"Coverage","beneficiary":{"reference":"Patient/` + patient + `"},"payor":[{"display":"` + plan + `"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func (tr *trip) book(t testing.TB, desk *booking.Desk, patient string, more ...func(*booking.BookRequest)) (booking.View, error) {
	t.Helper()
	req := booking.BookRequest{Target: target(tr.offer(0)), Key: "key-1", Patients: []string{patient}}
	for _, m := range more {
		m(&req)
	}
	return desk.Book(context.WithoutCancel(t.Context()), ann(), req)
}

// ways of sending coverage, and of finding out.
var coverWays = []scheduling.CoverWay{scheduling.CoverAfter, scheduling.CoverBefore, scheduling.CoverFirst}
