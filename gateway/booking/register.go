package booking

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
)

// RegistrarDeps is what the registrar works with.
type RegistrarDeps struct {
	People People
	// At finds the registry of a source.
	At    func(source scheduling.SourceID) (Registry, bool)
	Named Named
	// Books may be nil: that a coverage is to be sent for an appointment that
	// stands is not written down with it.
	Books Books
	// Holds may be nil: nobody is registered at a source before a booking.
	Holds Holds
	// Coverages and Insurers may be nil: no coverage is sent.
	Coverages Coverages
	Insurers  func(source scheduling.SourceID) (Insurer, bool)
	// OrphanStore and Sources may be nil: nobody is listed for the clinic.
	OrphanStore Orphans
	Sources     func() []scheduling.SourceID
	Keys        Keys
	Clock       Clock
	Log         *slog.Logger
	// Secret keys what is kept of requests: 16 bytes or more, the same in every
	// gateway.
	Secret []byte
	// Metrics may be nil.
	Metrics prometheus.Registerer
	// Checkpoint, if set, is called at each named point, for tests that kill the
	// process there: register.intent, register.answered, coverage.intent,
	// coverage.answered, cover.noted. An intent has been saved and nothing sent; answered: the
	// EHR has answered and nothing is saved.
	Checkpoint func(name string)
}

// Registrar registers people: at the gateway when they come, and at an EHR when
// a booking there needs them. It keeps no state of its own and is safe for
// concurrent use. It is the desk's Patients.
type Registrar struct {
	RegistrarDeps
	opts RegisterOptions
	// How registrations and coverages ended.
	ends, covers *prometheus.CounterVec
	orphans      *prometheus.GaugeVec
	sweeps       sweeps
}

var _ Patients = (*Registrar)(nil)

// NewRegistrar joins the registrar's parts.
func NewRegistrar(deps RegistrarDeps, opts RegisterOptions) (*Registrar, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if len(deps.Secret) < minSecret {
		return nil, errors.New("booking: the secret of the registrar is too short")
	}
	r := &Registrar{RegistrarDeps: deps, opts: opts, ends: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "slotgate_registrations_total",
		Help: "Registrations of persons at sources, by how they ended: made, matched, or the code of the refusal.",
	}, []string{"source", "end"}), covers: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "slotgate_coverages_total",
		Help: "Coverages sent to sources, by how that ended: taken, matched (found by our identifier), or the code of the refusal.",
	}, []string{"source", "end"}), orphans: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "slotgate_orphans",
		Help: "Patients that were made at a source and are left without an appointment, at the latest look.",
	}, []string{"source"})}
	if deps.Metrics == nil {
		return r, nil
	}
	for _, c := range []prometheus.Collector{r.ends, r.covers, r.orphans} {
		if err := deps.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("booking: registering metrics: %w", err)
		}
	}
	return r, nil
}

// reach names a point at which a test may kill us.
func (r *Registrar) reach(point string) {
	if r.Checkpoint != nil {
		r.Checkpoint(point)
	}
}

func (r *Registrar) now() time.Time { return r.Clock.Now().UTC() }

// minSecret is the least length of a secret, in bytes.
const minSecret = 16

// Register keeps a person at the gateway. added is false where the principal had
// registered the same one before: that one is given, as they are now.
//
// Errors: missing-data, not-acceptable: see scheduling.Registration.Check, and
// People.Add; shedding.
func (r *Registrar) Register(ctx context.Context, principal string, person scheduling.Registration, key string) (known scheduling.Registration, added bool, err error) {
	return underKey(ctx, r, principal, key, digestOf("register", person.Release, person.Resource), keeping[scheduling.Registration]{
		add:  func() (scheduling.Registration, bool, error) { return r.add(ctx, principal, person) },
		read: func(id string) (scheduling.Registration, error) { return r.People.Person(ctx, principal, id) },
		id:   func(kept scheduling.Registration) string { return kept.ID },
	})
}

func (r *Registrar) add(ctx context.Context, principal string, person scheduling.Registration) (scheduling.Registration, bool, error) {
	now := r.now()
	if err := person.Check(r.opts.Limits, now); err != nil {
		return scheduling.Registration{}, false, err
	}
	var random [26]byte
	_, _ = rand.Read(random[:]) // never fails
	person.ID, person.Created = scheduling.NewPatientID(random), now.Truncate(time.Second)
	return r.People.Add(ctx, principal, person)
}

// Patient gives a person of the principal's.
//
// Errors: unknown-id; shedding.
func (r *Registrar) Patient(ctx context.Context, principal, id string) (scheduling.Registration, error) {
	if !scheduling.OwnPatientID(id) {
		return scheduling.Registration{}, unknownPatient()
	}
	return r.People.Person(ctx, principal, id)
}

func unknownPatient() error {
	return scheduling.Refuse(scheduling.UnknownID, "id", "no patient of yours has this id")
}

// SearchPatients finds persons among the principal's own, the earliest first.
//
// Errors: not-acceptable; shedding.
func (r *Registrar) SearchPatients(ctx context.Context, principal string, s scheduling.PatientSearch) ([]scheduling.Registration, error) {
	return r.People.SearchPatients(ctx, principal, s)
}

// Forget forgets a person and their coverage at once, and who they are at sources
// where nothing is open.
//
// Errors: unknown-id; shedding.
func (r *Registrar) Forget(ctx context.Context, principal, id string) error {
	if !scheduling.OwnPatientID(id) {
		return unknownPatient()
	}
	links, err := r.People.Links(ctx, principal, id)
	if err != nil {
		return err
	}
	known := false
	for _, l := range links {
		known = known || !l.Forgotten
	}
	// Whose time is over may still have links to forget.
	if err := r.People.Forget(ctx, principal, id); err != nil && !(known && is(err, scheduling.UnknownID)) {
		return err
	}
	if r.Coverages != nil {
		if err := r.Coverages.ForgetCoverages(ctx, principal, id); err != nil {
			return err
		}
	}
	for source, l := range links {
		if err := r.forgetLink(ctx, principal, source, id, l); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registrar) forgetLink(ctx context.Context, principal string, source scheduling.SourceID, id string, l scheduling.PatientLink) error {
	open, err := r.open(ctx, principal, source, id)
	if err != nil {
		return err
	}
	if !open && l.State == scheduling.LinkKnown {
		l = scheduling.PatientLink{}
	}
	l.Forgotten = true
	return r.People.SaveLink(ctx, principal, source, id, l)
}

// open tells whether an appointment or a hold names the patient.
func (r *Registrar) open(ctx context.Context, principal string, source scheduling.SourceID, id string) (bool, error) {
	entries, err := r.Named.ByPatient(ctx, source, principal, id)
	if err != nil {
		return false, err
	}
	now := r.now()
	for _, e := range entries {
		if e.State.Claims() && (len(e.Offer.Slots) == 0 || e.Offer.End().After(now)) {
			return true, nil
		}
	}
	return false, nil
}
