package booking

import (
	"context"
	"fmt"
	"time"

	"slotgate/scheduling"
)

// UserEHR is one source as it shows itself to a user: asked with the user's own
// token, or, for a caller that it trusts, with our login. Calls obey ctx.
//
// All may end with unauthorized or forbidden where the token does not do, which
// says nothing of us or of the source, and otherwise as EHR's reads do.
type UserEHR interface {
	// ChecksTokens asks for a Patient, who was read before, with a token that is
	// none. not-supported: the source answers, whoever asks; a token proves
	// nothing there.
	ChecksTokens(ctx context.Context, patient string) error
	// UserPatient reads a Patient by the source's own id. Errors: unknown-id.
	UserPatient(ctx context.Context, who scheduling.As, patient string) (scheduling.Registration, error)
	// UserPatients gives those who are what was asked for, limit at most; more
	// tells that there are others.
	UserPatients(ctx context.Context, who scheduling.As, s scheduling.PatientSearch, limit int) (list []scheduling.Registration, more bool, err error)
	// UserAppointments gives a Patient's appointments of any status that begin
	// in the period; a zero time leaves its side open. Errors: not-supported.
	UserAppointments(ctx context.Context, who scheduling.As, patient string, from, to time.Time) ([]scheduling.ElsewhereAppointment, error)
	// UserAppointment reads one, from no cache. Errors: unknown-id.
	UserAppointment(ctx context.Context, who scheduling.As, native string) (scheduling.ElsewhereAppointment, error)
	// UserCancel is EHR.Cancel.
	UserCancel(ctx context.Context, who scheduling.As, call scheduling.CancelCall) error
}

// Elsewhere remembers, for each principal, what the ids of appointments lead to
// that were not made through us. Every method fails with shedding (503) when the
// store is away.
type Elsewhere interface {
	// Remember keeps records by their ids, for ttl from now. undoing tells of
	// which of them a cancel is in doubt, and for how long still.
	Remember(ctx context.Context, principal string, records map[string]scheduling.ElsewhereRecord, ttl time.Duration) (undoing map[string]time.Duration, err error)
	// Recall gives one. Errors: unknown-id where the principal has none.
	Recall(ctx context.Context, principal, id string) (r scheduling.ElsewhereRecord, undoing time.Duration, err error)
	// BeginUndo writes down that a cancel is about to be sent: an intent, as
	// Books.Save knows it. ok is false, without an error, where one is in doubt.
	// It is in doubt for doubt, unless EndUndo says how it ended.
	BeginUndo(ctx context.Context, principal, id string, doubt time.Duration) (ok bool, err error)
	EndUndo(ctx context.Context, principal, id string) error
}

// UserOptions are of what users see with their own tokens.
type UserOptions struct {
	// Proof is how long it is believed, in this process, that a token is a
	// patient's.
	Proof time.Duration `yaml:"proof"`
	// Check is how long it is believed that a source looks at tokens.
	Check time.Duration `yaml:"check"`
	// Keep is how long the id of an appointment made elsewhere can be read after
	// it was listed.
	Keep time.Duration `yaml:"keep"`
	// Found is the most patients of a source that one search gives.
	Found int `yaml:"found"`
}

// SetDefaults fills in what works.
func (o *UserOptions) SetDefaults() {
	*o = UserOptions{Proof: 30 * time.Second, Check: time.Hour, Keep: 7 * 24 * time.Hour, Found: 50}
}

// Validate checks the numbers. Every error begins with the key.
func (o UserOptions) Validate() error {
	for _, d := range []struct {
		key         string
		value, most time.Duration
	}{
		{"proof", o.Proof, 10 * time.Minute},
		{"check", o.Check, 24 * time.Hour},
		{"keep", o.Keep, 365 * 24 * time.Hour},
	} {
		if d.value <= 0 || d.value > d.most {
			return fmt.Errorf("users.%s: must be more than 0 and at most %s", d.key, d.most)
		}
	}
	if o.Found < 1 || o.Found > 1000 {
		return fmt.Errorf("users.found: must be 1 to %d", 1000)
	}
	return nil
}
