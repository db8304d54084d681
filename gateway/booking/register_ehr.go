package booking

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"slotgate/scheduling"
)

// registration is the making of one person's Patient at one source.
type registration struct {
	*Registrar
	principal string
	source    scheduling.SourceID
	id        string
	person    scheduling.Registration
	at        Registry
	how       scheduling.Registering
	link      scheduling.PatientLink
}

// Native gives the source's id of a person of the principal's. One whom the
// source does not know yet is registered there: found or made, once, by however
// many at a time.
//
// Errors: unknown-id for one who is none of the principal's; needs-clinic (409),
// the same words whatever the source knows; missing-data naming the elements;
// not-supported where nobody can be registered; source-down with RetryAfter
// where it is not known yet what the source did; what else ends a call.
func (r *Registrar) Native(ctx context.Context, principal string, source scheduling.SourceID, id string) (string, error) {
	native, known, err := r.Known(ctx, principal, source, id)
	if err != nil || known {
		return native, err
	}
	// Of one who is due for a look the native id is known all the same.
	at, ok := r.At(source)
	if !ok {
		return "", &scheduling.Error{Code: scheduling.NotAcceptable, Who: scheduling.Gateway, Source: source, Message: "this source is no longer configured"}
	}
	j := &registration{Registrar: r, principal: principal, source: source, id: id, at: at, how: at.Registering()}
	if j.how.Way == scheduling.RegisterNone && native == "" {
		return "", &scheduling.Error{Code: scheduling.NotSupported, Who: scheduling.AtEHR, Param: "patient", Source: source, Message: "this source takes no new patients from us"}
	}
	// While a registration may be under way the person must not be forgotten.
	if j.person, err = r.People.Keep(ctx, principal, id, r.opts.KeepDoubt); err != nil {
		return "", err
	}
	return j.run(ctx)
}

// Known is Native for one who is registered at the source already. known is
// false where the person is the principal's, and the source does not know them,
// or was not asked for so long that Native must look at them again: native is
// given then all the same.
//
// Errors: unknown-id; shedding.
func (r *Registrar) Known(ctx context.Context, principal string, source scheduling.SourceID, id string) (native string, known bool, err error) {
	if !scheduling.OwnPatientID(id) {
		return "", false, unknownPatient()
	}
	links, err := r.People.Links(ctx, principal, id)
	if err != nil {
		return "", false, err
	}
	_, err = r.People.Person(ctx, principal, id)
	switch link := links[source]; {
	case link.Forgotten:
		return "", false, unknownPatient()
	case link.State == scheduling.LinkKnown && (err == nil || is(err, scheduling.UnknownID)):
		// A person's time may be over before the link's.
		return link.Native, r.fresh(link), nil
	default:
		return "", false, err
	}
}

// run registers under the lock.
func (j *registration) run(ctx context.Context) (native string, err error) {
	length := j.how.CallTimeout + 6*j.how.ReadTimeout
	lock, err := j.locked(ctx, j.source, j.person, length+j.opts.Margin)
	if err != nil {
		return "", err
	}
	made := false
	defer func() {
		if !made || !j.linger(ctx, lock) {
			j.unlock(ctx, j.source, lock)
		}
	}()
	within, cancel := atMost(ctx, length)
	defer cancel()
	links, err := j.People.Links(within, j.principal, j.id)
	if err != nil {
		return "", err
	}
	if j.link = links[j.source]; j.link.State == scheduling.LinkKnown {
		if still, err := j.recheck(within); err != nil || still {
			return j.link.Native, err
		}
	}
	found, err := j.register(within)
	j.told(within, found, err)
	if err != nil {
		return "", j.refusal(err)
	}
	made = found.Made
	return found.ID, nil
}

// linger keeps the lock for as long as the source's searches may not show yet who
// was made: another principal's search would find nobody.
func (j *registration) linger(ctx context.Context, lock scheduling.Lease) bool {
	later, ok := lock.(interface {
		Linger(ctx context.Context, ttl time.Duration) error
	})
	if !ok || j.how.Lag <= 0 {
		return false
	}
	if err := later.Linger(context.WithoutCancel(ctx), j.how.Lag); err != nil {
		j.Log.WarnContext(ctx, "a lock at a source does not outlast its searches", "source", j.source, "error", err)
	}
	return true
}

// register finds or makes the Patient, and keeps the link.
func (j *registration) register(ctx context.Context) (found scheduling.NativePatient, err error) {
	if j.link.State == scheduling.LinkSending {
		if found, err = j.settle(ctx); err != nil || found.ID != "" {
			return found, err
		}
	}
	if found, err = j.known(ctx); err != nil {
		return found, err
	}
	if found.ID != "" {
		return found, j.keep(ctx, found)
	}
	if found, err = j.create(ctx); !is(err, scheduling.InDoubt) {
		return found, err
	}
	// One more look at once: most lost answers were only the answer.
	if found, err = j.settle(ctx); err != nil || found.ID != "" {
		return found, err
	}
	if found, err = j.create(ctx); is(err, scheduling.InDoubt) {
		return found, j.unsettled()
	}
	return found, err
}

// known finds whom the source knows already, where it is asked before anybody is
// made.
func (j *registration) known(ctx context.Context) (scheduling.NativePatient, error) {
	switch {
	case j.how.Way == scheduling.RegisterSearch:
		return j.search(ctx)
	case j.how.Way == scheduling.RegisterMatch:
		return j.match(ctx)
	case j.conditional() && len(j.person.Naming()) == 0:
		return j.search(ctx) // there is no condition by which the source could know them
	default:
		return scheduling.NativePatient{}, nil
	}
}

// match asks the source whom it takes for the person. One of whom it is certain,
// or whom an identifier names, is the person; whoever is merely alike may be
// anybody.
func (j *registration) match(ctx context.Context) (scheduling.NativePatient, error) {
	var none scheduling.NativePatient
	list, err := j.at.MatchPatients(ctx, j.person)
	switch {
	case err != nil, len(list) == 0:
		return none, err
	case len(list) > 1, list[0].Grade == scheduling.MatchPossible:
		return none, j.needsClinic()
	default:
		return list[0], j.certain(list[0], list[0].Grade != scheduling.MatchCertain)
	}
}

// conditional: the create is conditional on the person's identifiers and ours.
// Servers that look first and add later make two of two all the same, so it is
// not sent again while the first may still run (law 5).
func (j *registration) conditional() bool { return j.how.Way == scheduling.RegisterIfNoneExist }

// settle finds out what became of a call whose answer is not known: by our
// identifier, which was on it. No Patient and no error: it may be sent again.
func (j *registration) settle(ctx context.Context) (scheduling.NativePatient, error) {
	query := scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{j.ours()}}
	past := j.now().Sub(j.link.SentAt) >= j.how.Settle+j.how.Lag
	// A call that runs no longer may be sent again at once where the create is
	// conditional on our identifier (law 5).
	over := j.link.Answered && j.conditional()
	list, err := j.at.FindPatients(ctx, query)
	if err == nil && len(list) == 0 && past {
		list, err = j.at.FindPatients(ctx, query) // two reads must find nothing (law 5)
	}
	var none scheduling.NativePatient
	switch {
	case err == nil && len(list) > 1:
		return none, j.several(ctx, list)
	case err == nil && len(list) == 1:
		if !j.isOurs(list[0]) || j.certain(list[0], false) != nil {
			return none, j.unclear(ctx)
		}
		list[0].Made = true
		return list[0], j.keep(ctx, list[0])
	case is(err, scheduling.SourceSlow, scheduling.SourceNonsense, scheduling.SourceDown):
		return none, j.unsettled()
	case err != nil && !is(err, scheduling.NotSupported):
		return none, err
	case past, over && err == nil:
		return none, nil
	case j.link.Unclear:
		return none, j.needsClinic()
	default:
		return none, j.unsettled()
	}
}

// ours is our identifier on the Patient.
func (j *registration) ours() scheduling.PersonIdentifier {
	return scheduling.PersonIdentifier{System: scheduling.PatientIdentifierSystem, Value: j.link.Identifier}
}

// unsettled: nothing was booked, and a repeat will find what the source did.
func (j *registration) unsettled() error {
	wait := min(max(j.link.SentAt.Add(j.how.Settle+j.how.Lag).Sub(j.now()), time.Second), 10*time.Second)
	return &scheduling.Error{
		Code: scheduling.SourceDown, Who: scheduling.AtEHR, Source: j.source, RetryAfter: wait, Err: errNotDone,
		Message: "it is not known yet whether the source took the patient; nothing was booked; try again",
	}
}

// search looks for the person: an identifier decides. Who has the name and the
// birth date alone may be anybody.
func (j *registration) search(ctx context.Context) (scheduling.NativePatient, error) {
	var none scheduling.NativePatient
	if ids := j.person.Naming(); len(ids) > 0 {
		list, err := j.at.FindPatients(ctx, scheduling.PatientQuery{Identifiers: ids})
		switch {
		case err != nil:
			return none, err
		case len(list) > 1:
			return none, j.needsClinic()
		case len(list) == 1:
			return list[0], j.certain(list[0], true)
		}
	}
	for _, name := range j.names() {
		list, err := j.at.FindPatients(ctx, scheduling.PatientQuery{Name: name, BirthDate: j.person.BirthDate})
		if err != nil {
			return none, err
		}
		if len(list) > 0 {
			return none, j.needsClinic()
		}
	}
	return none, nil
}

// mostNames is how many names of a person are looked for.
const mostNames = 3

// names are those to look for: the source may know a person by a former one.
func (j *registration) names() (list []scheduling.PersonName) {
	seen := map[string]bool{}
	for _, name := range j.person.Names {
		key := scheduling.NameKey(name.Family)
		if len(name.Given) > 0 {
			key += " " + scheduling.NameKey(name.Given[0])
		}
		if (name.Family == "" && len(name.Given) == 0) || seen[key] || len(list) == mostNames {
			continue
		}
		seen[key] = true
		list = append(list, name)
	}
	return list
}

// create asks the source for a Patient. The intent is kept before it is sent.
func (j *registration) create(ctx context.Context) (scheduling.NativePatient, error) {
	var none scheduling.NativePatient
	before := j.link
	if j.link.Identifier == "" {
		j.link.Identifier = rand.Text()
	}
	j.link.State, j.link.SentAt, j.link.Answered = scheduling.LinkSending, j.now(), false
	if err := j.candidate(ctx); err != nil {
		return none, err
	}
	if err := j.saveLink(ctx); err != nil {
		return none, err
	}
	j.reach("register.intent")
	found, err := j.at.CreatePatient(ctx, scheduling.RegisterCall{Person: j.person, Identifier: j.link.Identifier, Conditional: j.conditional()})
	j.reach("register.answered")
	switch {
	case is(err, scheduling.InDoubt):
		if j.link.Answered = errors.Is(err, scheduling.ErrAnswered); j.link.Answered {
			if lerr := j.saveLink(ctx); lerr != nil {
				j.Log.WarnContext(ctx, "a registration is looked for longer than it need be", "source", j.source, "error", lerr)
			}
		}
		return none, err
	case err == nil:
		if found, err = j.believed(ctx, found); is(err, scheduling.InDoubt) {
			return none, err
		}
	}
	switch {
	case err != nil && found.Made:
		// Somebody may have been made, and it is not known who.
		return none, j.unclear(ctx)
	case err != nil:
		// A refusal is final: nothing of this call is there. An earlier one may
		// still be in doubt.
		j.refused(ctx, before)
		return none, err
	}
	// Whom the source says to have already may be the work of an earlier call of
	// ours, whose answer was lost.
	found.Made = found.Made || before.State == scheduling.LinkSending && j.isOurs(found)
	return found, j.keep(ctx, found)
}

// refused forgets a call that made nobody.
func (j *registration) refused(ctx context.Context, before scheduling.PatientLink) {
	var err error
	if before.State != scheduling.LinkSending {
		err = j.made(ctx, scheduling.NativePatient{})
	}
	j.link = before
	if err = errors.Join(err, j.saveLink(ctx)); err != nil {
		j.Log.WarnContext(ctx, "a refused registration is looked for again", "source", j.source, "patient", j.id, "error", err)
	}
}

// keep keeps who the person is at the source. One who was deleted meanwhile
// stays so.
func (j *registration) keep(ctx context.Context, found scheduling.NativePatient) error {
	j.link.State, j.link.Native, j.link.Made, j.link.Created = scheduling.LinkKnown, found.ID, found.Made, j.now()
	j.link.Checked, j.link.Unclear = j.link.Created, false
	if err := j.made(ctx, found); err != nil {
		return err
	}
	_, err := j.People.Person(ctx, j.principal, j.id)
	j.link.Forgotten = is(err, scheduling.UnknownID)
	if err := j.saveLink(ctx); err != nil {
		return err
	}
	if j.link.Forgotten {
		return scheduling.Refuse(scheduling.NotAcceptable, "patient", "the patient was deleted")
	}
	return nil
}

func (j *registration) saveLink(ctx context.Context) error {
	return j.People.SaveLink(context.WithoutCancel(ctx), j.principal, j.source, j.id, j.link)
}

// needsClinic is the one answer whenever it is not certain who is meant: who
// asks must not learn whom the source knows.
func (j *registration) needsClinic() error {
	return &scheduling.Error{
		Code: scheduling.NeedsClinic, Who: scheduling.AtEHR, Param: "patient", Source: j.source, Err: ErrState,
		Message: "the patient cannot be registered there from here; the clinic can help",
	}
}
