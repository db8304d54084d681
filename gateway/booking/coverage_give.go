package booking

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"slotgate/scheduling"
)

// CheckPerson tells what would keep a person from being registered: for those who
// bring several things along, of which all or nothing is to be kept.
//
// Errors: those of Register.
func (r *Registrar) CheckPerson(ctx context.Context, principal string, person scheduling.Registration) error {
	if err := person.Check(r.opts.Limits, r.now()); err != nil {
		return err
	}
	return r.People.Judge(ctx, principal, person)
}

// GiveCoverage keeps a coverage at the gateway, for a person of the principal's.
// added is false where the same one was given before: that one is given then.
// Nothing is sent anywhere: see Cover.
//
// Errors: unknown-id where it names a patient who is none of the principal's;
// not-acceptable; shedding.
func (r *Registrar) GiveCoverage(ctx context.Context, principal string, c scheduling.Coverage, key string) (known scheduling.Coverage, added bool, err error) {
	return underKey(ctx, r, principal, key, digestOf("coverage", c.Release, c.Resource), keeping[scheduling.Coverage]{
		add:  func() (scheduling.Coverage, bool, error) { return r.addCoverage(ctx, principal, c) },
		read: func(id string) (scheduling.Coverage, error) { return r.ReadCoverage(ctx, principal, id) },
		id:   func(kept scheduling.Coverage) string { return kept.ID },
	})
}

func (r *Registrar) addCoverage(ctx context.Context, principal string, c scheduling.Coverage) (scheduling.Coverage, bool, error) {
	if r.Coverages == nil {
		return scheduling.Coverage{}, false, scheduling.Refuse(scheduling.NotSupported, "coverage", "coverage is not taken here")
	}
	if err := r.namesOwn(ctx, principal, c); err != nil {
		return scheduling.Coverage{}, false, err
	}
	var random [26]byte
	_, _ = rand.Read(random[:]) // never fails
	c.ID, c.Version, c.Created = scheduling.NewCoverageID(random), 1, r.now().Truncate(time.Second)
	c.Updated = c.Created
	return r.Coverages.AddCoverage(ctx, principal, c)
}

// namesOwn refuses a coverage that names somebody who is none of the
// principal's, in the words for a patient who does not exist.
func (r *Registrar) namesOwn(ctx context.Context, principal string, c scheduling.Coverage) error {
	ids, err := patientsIn(c)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := r.Patient(ctx, principal, id); err != nil {
			return err
		}
	}
	return nil
}

// TakeBackCoverage forgets a coverage that was given just now, as part of what
// failed as a whole, before it was sent anywhere.
//
// Errors: shedding.
func (r *Registrar) TakeBackCoverage(ctx context.Context, principal string, c scheduling.Coverage) error {
	return r.Coverages.ForgetCoverage(ctx, principal, c.Patient, c.ID)
}

// ReadCoverage gives a coverage of the principal's.
//
// Errors: unknown-id; shedding.
func (r *Registrar) ReadCoverage(ctx context.Context, principal, id string) (scheduling.Coverage, error) {
	return r.coverage(ctx, principal, id)
}

// ChangeCoverage keeps c in place of the one of its id. version is the one that
// the caller saw, 0 for any. Nothing is sent anywhere: see Cover.
//
// Errors: unknown-id; around ErrVersion where the version is another; those of
// GiveCoverage.
func (r *Registrar) ChangeCoverage(ctx context.Context, principal string, c scheduling.Coverage, version uint64) (scheduling.Coverage, error) {
	if _, err := r.coverage(ctx, principal, c.ID); err != nil {
		return scheduling.Coverage{}, err
	}
	if err := r.namesOwn(ctx, principal, c); err != nil {
		return scheduling.Coverage{}, err
	}
	c.Updated = r.now().Truncate(time.Second)
	changed, err := r.Coverages.ReplaceCoverage(ctx, principal, c, version)
	if errors.Is(err, scheduling.ErrStaleEntry) {
		err = &scheduling.Error{
			Code: scheduling.NotAcceptable, Who: scheduling.Client, Param: "If-Match",
			Message: "the coverage has changed since you read it", Err: ErrVersion,
		}
	}
	return changed, err
}
