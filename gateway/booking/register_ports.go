package booking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slotgate/scheduling"
)

// People keeps those who were registered at the gateway, each principal's own,
// and who they are at the sources. Every method fails with shedding (503) when
// the store is away.
type People interface {
	// Add keeps a person, unless the principal has registered the same one
	// before: added is false then, and the newer resource takes the place of the
	// older one, under its id.
	//
	// Errors: not-acceptable where the identifiers belong to two persons, or to
	// one whom the resource contradicts; nothing is changed then.
	Add(ctx context.Context, principal string, r scheduling.Registration) (known scheduling.Registration, added bool, err error)
	// Judge fails as Add would, and changes nothing.
	Judge(ctx context.Context, principal string, r scheduling.Registration) error
	// Person gives one, whose time begins anew. Errors: unknown-id.
	Person(ctx context.Context, principal, id string) (scheduling.Registration, error)
	// Keep is Person, and keeps them at least so long. Errors: unknown-id.
	Keep(ctx context.Context, principal, id string, ttl time.Duration) (scheduling.Registration, error)
	// SearchPatients finds persons, the earliest first. Errors: not-acceptable.
	SearchPatients(ctx context.Context, principal string, s scheduling.PatientSearch) ([]scheduling.Registration, error)
	// Forget forgets a person at once, but not the links. Errors: unknown-id.
	Forget(ctx context.Context, principal, id string) error

	// Links gives who a person is at sources; none is no error.
	Links(ctx context.Context, principal, id string) (map[scheduling.SourceID]scheduling.PatientLink, error)
	// SaveLink keeps one; one of no state is dropped. One that says sending is an
	// intent, as Books.Save knows it.
	SaveLink(ctx context.Context, principal string, source scheduling.SourceID, id string, l scheduling.PatientLink) error
	// KeepLinks keeps the links of a person for the time that they are kept after
	// an appointment that ends then; there may be none.
	KeepLinks(ctx context.Context, principal, id string, end time.Time) error
	// Lock keeps everybody else from registering the same person at the source,
	// whatever their principal. ok is false, without an error, when another has
	// it. A lease that can Linger(ctx, ttl) is kept so long after a create at a
	// source whose searches lag.
	Lock(ctx context.Context, source scheduling.SourceID, r scheduling.Registration, ttl time.Duration) (l scheduling.Lease, ok bool, err error)
}

// Registry is where one source knows its people. Calls obey ctx; nobody retries
// a write.
type Registry interface {
	// Registering is how persons are registered there. It may change while we
	// run.
	Registering() scheduling.Registering
	// CreatePatient asks for a Patient. It ends as EHR's writes do; needs-clinic
	// says that the source knows several, missing-data names the elements.
	CreatePatient(ctx context.Context, call scheduling.RegisterCall) (scheduling.NativePatient, error)
	// FindPatients looks for Patients; none is no error. It ends as EHR's reads
	// do; needs-clinic says that there are too many to look at.
	FindPatients(ctx context.Context, q scheduling.PatientQuery) ([]scheduling.NativePatient, error)
	// MatchPatients asks the source whom it takes for the person, and how sure it
	// is; none is no error, and means that it knows nobody like them. It ends as
	// FindPatients does, or with missing-data.
	MatchPatients(ctx context.Context, person scheduling.Registration) ([]scheduling.NativePatient, error)
	// ReadPatient reads one. It ends as EHR's reads do; unknown-id says that there
	// is no such Patient any more, not-supported that none may be read.
	ReadPatient(ctx context.Context, id string) (scheduling.NativePatient, error)
}

// Named tells what names a patient: Books does.
type Named interface {
	ByPatient(ctx context.Context, source scheduling.SourceID, principal, patient string) ([]scheduling.Entry, error)
}

// RegisterOptions of the registrar, the same for all sources.
type RegisterOptions struct {
	Limits scheduling.RegistrationLimits `yaml:"limits"`
	// Wait is how long a registration waits for another one of the same person
	// at the same source.
	Wait time.Duration `yaml:"wait"`
	// WaitRunning is how long a repeat under an Idempotency-Key waits for the
	// first.
	WaitRunning time.Duration `yaml:"wait_running"`
	// Margin is added to the calls at a source before another may register the
	// same person.
	Margin time.Duration `yaml:"margin"`
	// KeepDoubt is how long a person is kept whose registration was sent.
	KeepDoubt time.Duration `yaml:"keep_doubt"`
	// OrphanGrace is how long after it was made a Patient without an appointment
	// is not listed for the clinic yet.
	OrphanGrace time.Duration `yaml:"orphan_grace"`
	// Recheck is after how long the Patient of a person is looked at again before
	// anything is booked for them.
	Recheck time.Duration `yaml:"recheck"`
}

// SetDefaults fills in what works.
func (o *RegisterOptions) SetDefaults() {
	*o = RegisterOptions{
		Limits: scheduling.DefaultRegistrationLimits(),
		Wait:   25 * time.Second, WaitRunning: 5 * time.Second, Margin: 5 * time.Second, KeepDoubt: 72 * time.Hour,
		OrphanGrace: 10 * time.Minute, Recheck: 24 * time.Hour,
	}
}

// DefaultRegisterOptions are options with every default.
func DefaultRegisterOptions() RegisterOptions {
	var o RegisterOptions
	o.SetDefaults()
	return o
}

// Validate checks the numbers. Every error begins with the key.
func (o RegisterOptions) Validate() error {
	for _, n := range []struct {
		key         string
		value, high int
	}{
		{"limits.names", o.Limits.Names, 1000},
		{"limits.identifiers", o.Limits.Identifiers, 100},
		{"limits.telecoms", o.Limits.Telecoms, 1000},
		{"limits.addresses", o.Limits.Addresses, 1000},
		{"limits.text", o.Limits.Text, 1 << 16},
		{"limits.resource", o.Limits.Resource, 1 << 20},
	} {
		if n.value < 1 || n.value > n.high {
			return fmt.Errorf("%s: must be 1 to %d", n.key, n.high)
		}
	}
	for _, d := range []struct {
		key         string
		value, most time.Duration
	}{
		{"wait", o.Wait, 10 * time.Minute},
		{"wait_running", o.WaitRunning, time.Minute},
		{"margin", o.Margin, time.Minute},
		{"keep_doubt", o.KeepDoubt, 30 * 24 * time.Hour},
		{"orphan_grace", o.OrphanGrace, 24 * time.Hour},
		{"recheck", o.Recheck, 30 * 24 * time.Hour},
	} {
		if d.value <= 0 || d.value > d.most {
			return fmt.Errorf("%s: must be more than 0 and at most %s", d.key, d.most)
		}
	}
	return nil
}

// errNotDone: a registration that may have been done is not known to be done.
var errNotDone = errors.New("booking: the registration is not settled")
