package booking

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"slotgate/scheduling"
)

// Orphans keeps the Patients that we made, or may have made, and that no
// appointment names yet. Every method fails with shedding (503) when the store is
// away.
type Orphans interface {
	// SaveOrphan keeps one in place of that of its version, or of whichever there
	// is where Version is 0. One that another has changed meanwhile stays, without
	// an error. One without a native id is an intent, as Books.Save knows it.
	SaveOrphan(ctx context.Context, o scheduling.Orphan) error
	// DropOrphan forgets one of this version; 0: whichever.
	DropOrphan(ctx context.Context, source scheduling.SourceID, id string, version uint64) error
	// DropOrphansOf forgets those with one of these native ids.
	DropOrphansOf(ctx context.Context, source scheduling.SourceID, natives []string) error
	// Orphans gives all of a source, the earliest first.
	Orphans(ctx context.Context, source scheduling.SourceID) ([]scheduling.Orphan, error)
	// OrphanSources are those that had some, also such as are configured no more.
	OrphanSources(ctx context.Context) ([]scheduling.SourceID, error)
}

// Keeping is what the desk tells of the people whom bookings name: the Registrar
// keeps them, and knows who is left without an appointment.
type Keeping interface {
	// Pin keeps persons at least so long: something that is open names them. Who
	// was forgotten meanwhile stays so.
	Pin(ctx context.Context, principal string, patients []string, until time.Time) error
	// Placed tells that an appointment names them, which ends then: nobody of them
	// is left without one, and who they are at the source is kept for some time
	// after it.
	Placed(ctx context.Context, principal string, source scheduling.SourceID, patients []scheduling.PatientRef, end time.Time) error
	// SweepOrphans looks at those of a source, now and then.
	SweepOrphans(ctx context.Context, source scheduling.SourceID) error
}

var _ Keeping = (*Registrar)(nil)

// Pin keeps persons of the principal's for as long as something names them.
func (r *Registrar) Pin(ctx context.Context, principal string, patients []string, until time.Time) error {
	var errs []error
	for _, id := range patients {
		if !scheduling.OwnPatientID(id) {
			continue
		}
		_, err := r.People.Keep(ctx, principal, id, until.Sub(r.now()))
		if is(err, scheduling.UnknownID) {
			err = nil // forgotten: their links may be needed all the same
		}
		errs = append(errs, err, r.People.KeepLinks(ctx, principal, id, until))
	}
	return errors.Join(errs...)
}

// Placed keeps the links of those whom an appointment names.
func (r *Registrar) Placed(ctx context.Context, principal string, source scheduling.SourceID, patients []scheduling.PatientRef, end time.Time) error {
	var errs []error
	for _, p := range patients {
		if scheduling.OwnPatientID(p.Asked) {
			errs = append(errs, r.People.KeepLinks(ctx, principal, p.Asked, end))
		}
	}
	if natives := (scheduling.Private{Patients: patients}).Natives(); r.OrphanStore != nil && len(natives) > 0 {
		errs = append(errs, r.OrphanStore.DropOrphansOf(ctx, source, natives))
	}
	return errors.Join(errs...)
}

// candidate writes down that a Patient may be made, before the source is asked.
func (j *registration) candidate(ctx context.Context) error {
	if j.OrphanStore == nil {
		return nil
	}
	return j.OrphanStore.SaveOrphan(context.WithoutCancel(ctx), j.orphan(""))
}

func (j *registration) orphan(native string) scheduling.Orphan {
	return scheduling.Orphan{
		ID: j.link.Identifier, Source: j.source, Native: native, Principal: j.principal, Patient: j.id, Since: j.link.SentAt, Saved: j.now(),
	}
}

// made writes down who was made, or that nobody was.
func (j *registration) made(ctx context.Context, found scheduling.NativePatient) error {
	switch {
	case j.OrphanStore == nil || j.link.Identifier == "":
		return nil
	case found.Made:
		j.shows(j.source, []scheduling.NativePatient{found}, j.link.Identifier)
		return j.OrphanStore.SaveOrphan(context.WithoutCancel(ctx), j.orphan(found.ID))
	default:
		return j.OrphanStore.DropOrphan(context.WithoutCancel(ctx), j.source, j.link.Identifier, 0)
	}
}

// home is where somebody who was made stands.
type home string

const (
	homePlaced   home = "placed"    // an appointment names them
	homeUnderWay home = "under way" // one may
	homeNone     home = "none"
)

// homeOf looks at what names the one who was made.
func (r *Registrar) homeOf(ctx context.Context, o scheduling.Orphan) (home, error) {
	entries, err := r.Named.ByPatient(ctx, o.Source, o.Principal, o.Patient)
	if err != nil {
		return "", err
	}
	at := homeNone
	for _, e := range entries {
		got := e.State == scheduling.EntryBooked || e.State == scheduling.EntryCancelled || e.State == scheduling.EntryCancelling && !e.Undo
		switch {
		case got && o.Native != "" && slices.Contains(e.Private.Natives(), o.Native):
			return homePlaced, nil
		case e.State.Claims() && e.State != scheduling.EntryBooked:
			at = homeUnderWay
		}
	}
	if r.now().Sub(o.Since) < r.opts.OrphanGrace {
		at = homeUnderWay
	}
	return at, nil
}

// Orphans lists the Patients that were made and are left without an appointment,
// for the operator: those of one source after the other, the earliest first. One
// without a native id may be there, and the source cannot be searched for it.
func (r *Registrar) Orphans(ctx context.Context) ([]scheduling.Orphan, error) {
	list := []scheduling.Orphan{}
	if r.OrphanStore == nil || r.Sources == nil {
		return list, nil
	}
	sources, err := r.orphanSources(ctx)
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		all, err := r.OrphanStore.Orphans(ctx, source)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			if o.Ticked != nil || !r.certain(o) {
				continue
			}
			at := homeNone
			if o.Coverage == "" {
				if at, err = r.homeOf(ctx, o); err != nil {
					return nil, err
				}
			}
			if at == homeNone {
				list = append(list, o)
			}
		}
	}
	return list, nil
}

// orphanSources are ours, and those that were taken out of the config: their
// Patients are there all the same.
func (r *Registrar) orphanSources(ctx context.Context) ([]scheduling.SourceID, error) {
	had, err := r.OrphanStore.OrphanSources(ctx)
	if err != nil {
		return nil, err
	}
	sources := r.Sources()
	for _, source := range had {
		if !slices.Contains(sources, source) {
			sources = append(slices.Clip(sources), source)
		}
	}
	return sources, nil
}

// unseenFor is how long a Patient may be looked for in vain before the clinic is
// told all the same.
const unseenFor = 24 * time.Hour

// certain tells whether somebody was made, or reading cannot tell.
func (r *Registrar) certain(o scheduling.Orphan) bool {
	return o.Native != "" || o.Blind || r.now().Sub(o.Since) > unseenFor
}

// TickOff says that a person has seen to an orphan. Who did is logged; why is kept
// sealed with it, for as long as appointments are.
//
// Errors: unknown-id where no such orphan is listed; bad-request without who and
// why.
func (r *Registrar) TickOff(ctx context.Context, id, by, reason string) error {
	if by == "" || reason == "" {
		return scheduling.Refuse(scheduling.BadRequest, "reason", "who has seen to it, and why, must be told")
	}
	list, err := r.Orphans(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(o scheduling.Orphan) bool { return o.ID == id })
	if at < 0 {
		return scheduling.Refuse(scheduling.UnknownID, "id", "no such orphan is listed")
	}
	o := list[at]
	o.Ticked = &scheduling.Decision{Native: o.Native, By: by, Reason: reason, At: r.now()}
	if err := r.OrphanStore.SaveOrphan(ctx, o); err != nil {
		return err
	}
	if o.Coverage != "" {
		if err := r.coverSeen(ctx, o); err != nil {
			return err
		}
	}
	r.Log.InfoContext(ctx, "a person has seen to an orphan", "orphan", o, "by", by) // the reason is free text: it stays in the record
	return nil
}

// SweepOrphans drops who has an appointment by now, finds out about those of whom
// it is not known whether they were made, and counts those who are left. Most
// calls do nothing: once a minute is enough.
func (r *Registrar) SweepOrphans(ctx context.Context, source scheduling.SourceID) error {
	if r.OrphanStore == nil || !r.sweeps.due(source, r.now()) {
		return nil
	}
	all, err := r.OrphanStore.Orphans(ctx, source)
	if err != nil {
		return err
	}
	w := &sweep{Registrar: r, until: r.now().Add(searchFor)}
	left := 0
	for _, o := range all {
		listed, err := w.orphan(ctx, o)
		if err != nil {
			return err
		}
		if listed {
			left++
		}
	}
	r.orphans.WithLabelValues(string(source)).Set(float64(left))
	return nil
}

// keepTicked is how long it is known who has seen to an orphan.
const keepTicked = 30 * 24 * time.Hour

// sweep is one look at the orphans of a source.
type sweep struct {
	*Registrar
	until time.Time // it searches the source no longer: settling must not wait for that
}

// searchFor is how long one sweep searches a source in all.
const searchFor = 10 * time.Second

func (r *sweep) orphan(ctx context.Context, o scheduling.Orphan) (listed bool, err error) {
	now := r.now()
	if o.Ticked != nil {
		if now.Sub(o.Ticked.At) > keepTicked {
			err = r.OrphanStore.DropOrphan(ctx, o.Source, o.ID, o.Version)
		}
		return false, err
	}
	if o.Coverage != "" {
		if now.Sub(o.Saved) > 24*time.Hour {
			o.Saved = now
			err = r.OrphanStore.SaveOrphan(ctx, o)
		}
		return true, err
	}
	unread := o.Principal == "" // it cannot be unsealed just now, and stays as it is
	if o.Native == "" && !unread && now.Before(r.until) {
		if o, err = r.lookFor(ctx, o); err != nil || o.ID == "" {
			return false, err
		}
	}
	at, err := r.homeOf(ctx, o)
	switch {
	case err != nil:
		return false, err
	case at == homePlaced:
		return false, r.OrphanStore.DropOrphan(ctx, o.Source, o.ID, o.Version)
	case !unread && now.Sub(o.Saved) > 24*time.Hour:
		o.Saved = now // sealed anew: the key of the vault must live as long
		err = r.OrphanStore.SaveOrphan(ctx, o)
	}
	return at == homeNone && r.certain(o), err
}

// shows notes that the source gives our identifiers back: what it does not find
// by them is not there.
func (r *Registrar) shows(source scheduling.SourceID, list []scheduling.NativePatient, identifier string) {
	ours := scheduling.PersonIdentifier{System: scheduling.PatientIdentifierSystem, Value: identifier}
	if slices.ContainsFunc(list, func(p scheduling.NativePatient) bool { return slices.Contains(p.Identifiers, ours) }) {
		r.sweeps.show(source)
	}
}

// rest writes down those beside the first who carry the same identifier of ours:
// each is somebody whom the clinic must see to.
func (r *sweep) rest(ctx context.Context, o scheduling.Orphan, list []scheduling.NativePatient) error {
	for i, one := range list {
		twin := o
		twin.ID, twin.Native, twin.Version, twin.Saved = o.ID+"."+strconv.Itoa(i+2), one.ID, 0, r.now()
		if err := r.OrphanStore.SaveOrphan(ctx, twin); err != nil {
			return err
		}
	}
	return nil
}

// looksForOrphan is how many searches must find nobody, once a call whose answer
// was lost could have been seen, to say that nobody was made (law 5).
const looksForOrphan = 2

// lookFor searches the source for a Patient of whom it is not known whether
// they were made. It gives none where there is none.
func (r *sweep) lookFor(ctx context.Context, o scheduling.Orphan) (scheduling.Orphan, error) {
	at, ok := r.At(o.Source)
	if !ok {
		return o, nil
	}
	how := at.Registering()
	if r.now().Sub(o.Since) < max(how.Settle+how.Lag, r.opts.OrphanGrace) {
		return o, nil
	}
	rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(how.ReadTimeout, time.Second))
	defer cancel()
	ours := scheduling.PersonIdentifier{System: scheduling.PatientIdentifierSystem, Value: o.ID}
	list, err := at.FindPatients(rctx, scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{ours}})
	switch {
	case is(err, scheduling.NotSupported):
		o.Blind = true
	case err != nil:
		r.until = time.Time{}
		return o, nil // asked again at the next sweep
	case len(list) > 0:
		r.shows(o.Source, list, o.ID)
		if err := r.rest(ctx, o, list[1:]); err != nil {
			return o, err
		}
		o.Native = list[0].ID
	case !r.sweeps.shown(o.Source) && o.Looks+1 >= looksForOrphan:
		// It may keep no identifiers of others: that none is found says nothing.
		o.Blind = true
		if o.Looks >= looksForOrphan {
			return o, nil // as it is written down
		}
		o.Looks++
	case o.Looks+1 >= looksForOrphan:
		return scheduling.Orphan{}, r.OrphanStore.DropOrphan(ctx, o.Source, o.ID, o.Version)
	default:
		o.Looks++
	}
	o.Saved = r.now()
	if err := r.OrphanStore.SaveOrphan(ctx, o); err != nil {
		return o, err
	}
	o.Version++
	return o, nil
}
