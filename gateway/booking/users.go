package booking

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"slotgate/scheduling"
)

// A source's own patient, or an appointment that was not made through us, is
// shown and changed in two cases only (law 13): the user has brought a token of
// that source, with which the source gives that very patient, or the source's
// configuration trusts the caller. The token is then what the source is asked
// with; our own login is for trusted callers alone.

// vouch tells in whose name the source may be asked about its own patient. at is
// nil where the caller is trusted and the source cannot be asked that way.
//
// Errors: unknown-id for a caller that shows no token and is not trusted;
// unauthorized, forbidden, unknown-id where the token is not the patient's;
// not-supported where the source cannot tell; those of a read.
func (d *Desk) vouch(ctx context.Context, c Caller, source scheduling.SourceID, patient string) (who scheduling.As, at UserEHR, err error) {
	if !scheduling.ValidID(patient) || scheduling.OwnPatientID(patient) {
		return who, nil, refusePatient()
	}
	at = d.userEHR(source)
	switch {
	case c.User.Given() && at == nil:
		return who, nil, &scheduling.Error{Code: scheduling.NotSupported, Who: scheduling.AtEHR, Param: "X-Source-Authorization", Source: source, Message: "this source cannot be asked with a user's token"}
	case c.User.Given():
		return scheduling.AsUser(c.User), at, d.prove(ctx, c.User, source, patient, at)
	case c.trusts(source):
		return scheduling.AsGateway(), at, nil
	default:
		return who, nil, refusePatient()
	}
}

func refusePatient() error {
	return scheduling.Refuse(scheduling.UnknownID, "patient", "no patient of yours has this id")
}

// userEHR is nil where there is none.
func (d *Desk) userEHR(source scheduling.SourceID) UserEHR {
	ehr, ok := d.EHRs.EHR(source)
	if !ok || d.Elsewhere == nil {
		return nil
	}
	at, _ := ehr.(UserEHR)
	return at
}

// prove asks the source, with the user's token, for the patient. What the token
// says of itself can only refuse.
func (d *Desk) prove(ctx context.Context, token scheduling.UserToken, source scheduling.SourceID, patient string, at UserEHR) error {
	claimed, expires := token.Claims()
	if claimed != "" && claimed != patient {
		e := scheduling.Refuse(scheduling.Forbidden, "X-Source-Authorization", "the user's token is of another patient")
		e.Source = source
		return e
	}
	name := proofName(token, source, patient)
	if d.proofs.has(name, d.now()) {
		return nil
	}
	if _, err := at.UserPatient(ctx, scheduling.AsUser(token), patient); err != nil {
		if is(err, scheduling.UnknownID) {
			return refusePatient()
		}
		return err
	}
	if err := d.checksTokens(ctx, source, patient, at); err != nil {
		return err
	}
	until := d.now().Add(d.opts.Users.Proof)
	if !expires.IsZero() && expires.Before(until) {
		until = expires
	}
	d.proofs.add(name, until)
	return nil
}

// checksTokens refuses a source that answers whoever asks: with it a caller
// could open, by a token of its own invention, what only we can reach.
func (d *Desk) checksTokens(ctx context.Context, source scheduling.SourceID, patient string, at UserEHR) error {
	name := sha256.Sum256([]byte("checks " + string(source)))
	if d.proofs.has(name, d.now()) {
		return nil
	}
	if err := at.ChecksTokens(ctx, patient); err != nil {
		return err
	}
	d.proofs.add(name, d.now().Add(d.opts.Users.Check))
	return nil
}

// proofs is what was proved a short while ago, by digests.
type proofs struct {
	mu    sync.Mutex
	until map[proof256]time.Time
}

type proof256 = [sha256.Size]byte

// maxProofs bounds what is remembered. Past it everything is proved anew.
const maxProofs = 10_000

func proofName(token scheduling.UserToken, source scheduling.SourceID, patient string) proof256 {
	digest := token.Digest()
	return sha256.Sum256(append(digest[:], "\x00"+string(source)+"\x00"+patient...))
}

func (p *proofs) has(name proof256, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.until[name]
	if ok && !now.Before(until) {
		delete(p.until, name)
		return false
	}
	return ok
}

func (p *proofs) add(name proof256, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.until) >= maxProofs || p.until == nil {
		p.until = map[proof256]time.Time{}
	}
	p.until[name] = until
}

// PatientAt reads a Patient of a source by its own id there.
//
// Errors: see vouch; not-supported.
func (d *Desk) PatientAt(ctx context.Context, c Caller, source scheduling.SourceID, patient string) (scheduling.Registration, error) {
	who, at, err := d.vouch(ctx, c, source, patient)
	switch {
	case err != nil:
		return scheduling.Registration{}, err
	case at == nil:
		return scheduling.Registration{}, notAsked(source)
	}
	r, err := at.UserPatient(ctx, who, patient)
	if is(err, scheduling.UnknownID) {
		err = refusePatient()
	}
	return r, err
}

func notAsked(source scheduling.SourceID) error {
	return &scheduling.Error{Code: scheduling.NotSupported, Who: scheduling.AtEHR, Source: source, Message: "this source cannot be asked that"}
}

// PatientsAt searches the Patients of a source: those whom it gives to the user,
// or, for a trusted caller, those who are what was asked for. more tells that
// there are others.
//
// Errors: forbidden for anybody else; missing-data where a trusted caller names
// nobody; those of vouch.
func (d *Desk) PatientsAt(ctx context.Context, c Caller, source scheduling.SourceID, s scheduling.PatientSearch, limit int) (list []scheduling.Registration, more bool, err error) {
	at := d.userEHR(source)
	limit = min(limit, d.opts.Users.Found)
	switch {
	case !c.User.Given() && !c.trusts(source):
		e := scheduling.Refuse(scheduling.Forbidden, "source", "a source's own patients are found with a user's token of it (X-Source-Authorization), or by callers that it trusts")
		e.Source = source
		return nil, false, e
	case at == nil:
		return nil, false, notAsked(source)
	case c.User.Given():
		return d.usersPatients(ctx, c.User, source, s, limit, at)
	case len(s.Identifiers) == 0 && s.Family == "" && s.BirthDate == "":
		return nil, false, scheduling.Refuse(scheduling.MissingData, "identifier", "an identifier, a family name or a birth date is needed")
	default:
		return at.UserPatients(ctx, scheduling.AsGateway(), s, limit)
	}
}

// usersPatients are those whom the source gives to the holder of the token.
func (d *Desk) usersPatients(ctx context.Context, token scheduling.UserToken, source scheduling.SourceID, s scheduling.PatientSearch, limit int, at UserEHR) ([]scheduling.Registration, bool, error) {
	found, more, err := at.UserPatients(ctx, scheduling.AsUser(token), s, limit)
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	if err := d.checksTokens(ctx, source, found[0].ID, at); err != nil {
		return nil, false, err
	}
	claimed, _ := token.Claims()
	if claimed == "" {
		return found, more, nil
	}
	for _, r := range found {
		if r.ID == claimed {
			return []scheduling.Registration{r}, false, nil
		}
	}
	return nil, false, nil
}
