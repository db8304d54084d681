package booking

import (
	"context"
	"slices"
	"strconv"

	"slotgate/scheduling"
)

// certain judges one whom the source took for the person. A chart that is closed
// is nobody's to book for, and where it leads is not followed: that is for the
// clinic.
func (j *registration) certain(p scheduling.NativePatient, byIdentifier bool) error {
	switch {
	case p.Closed, byIdentifier && !j.person.SharesIdentifier(p.Identifiers), j.person.Contradicts(p):
		return j.needsClinic()
	default:
		return nil
	}
}

// isOurs tells whether our identifier is on the Patient.
func (j *registration) isOurs(p scheduling.NativePatient) bool {
	return slices.Contains(p.Identifiers, j.ours())
}

// believed judges whom a create was answered with, be it said to be new or not:
// servers answer with another person too. An answer that does not tell who it is
// is read first. The answer's Patient is given with an error as well.
//
// Errors: needs-clinic; in-doubt where it cannot be read just now.
func (j *registration) believed(ctx context.Context, answer scheduling.NativePatient) (scheduling.NativePatient, error) {
	p := answer
	if p.Bare || !j.isOurs(p) && !j.person.Vouches(p) {
		var err error
		if p, err = j.shown(ctx, answer.ID); err != nil {
			return answer, err
		}
		p.Made = answer.Made
	}
	switch err := j.certain(p, false); {
	case err != nil:
		return answer, err
	case !j.isOurs(p) && !j.person.Vouches(p):
		return answer, j.needsClinic()
	default:
		return p, nil
	}
}

// shown reads a Patient; where that is not allowed, it is looked for by our
// identifier.
func (j *registration) shown(ctx context.Context, id string) (scheduling.NativePatient, error) {
	p, err := j.at.ReadPatient(ctx, id)
	switch {
	case err == nil:
		return p, nil
	case passing(err):
		return p, scheduling.Blame(scheduling.InDoubt, j.source, err, "it is not known whom the source has registered")
	}
	list, err := j.at.FindPatients(ctx, scheduling.PatientQuery{Identifiers: []scheduling.PersonIdentifier{j.ours()}})
	switch {
	case err == nil && len(list) == 1 && list[0].ID == id && j.isOurs(list[0]):
		return list[0], nil
	case err != nil && passing(err):
		return p, scheduling.Blame(scheduling.InDoubt, j.source, err, "it is not known whom the source has registered")
	default:
		return p, j.needsClinic()
	}
}

// passing tells whether reading may succeed later.
func passing(err error) bool {
	return is(err, scheduling.SourceDown, scheduling.SourceSlow, scheduling.Throttled, scheduling.SourceLogin)
}

// unclear keeps that a create was answered with somebody else: our Patient may be
// there all the same, and nothing is sent again before that could be seen.
func (j *registration) unclear(ctx context.Context) error {
	if !j.link.Unclear {
		j.link.Unclear = true
		if err := j.saveLink(ctx); err != nil {
			return err
		}
	}
	return j.needsClinic()
}

// several: our identifier is on more than one. The clinic is told of each, once.
func (j *registration) several(ctx context.Context, list []scheduling.NativePatient) error {
	if j.link.Unclear || j.OrphanStore == nil {
		return j.unclear(ctx)
	}
	n := 0
	for _, p := range list {
		if !j.isOurs(p) {
			continue
		}
		o := j.orphan(p.ID)
		if n++; n > 1 {
			o.ID += "." + strconv.Itoa(n)
		}
		if err := j.OrphanStore.SaveOrphan(context.WithoutCancel(ctx), o); err != nil {
			return err
		}
	}
	return j.unclear(ctx)
}

// fresh tells whether a link may be used without a look at the Patient.
func (r *Registrar) fresh(l scheduling.PatientLink) bool {
	at := l.Checked
	if at.IsZero() {
		at = l.Created
	}
	return r.now().Sub(at) < r.opts.Recheck
}

// recheck looks whether the Patient of a link is the person still: an EHR that was
// set up anew gives its ids to others, and charts are merged. A source at which
// nobody can be read is believed. False: the Patient is gone, and so is the link.
//
// Errors: needs-clinic; what keeps the Patient from being read.
func (j *registration) recheck(ctx context.Context) (still bool, err error) {
	if j.fresh(j.link) {
		return true, nil
	}
	shown, err := j.at.ReadPatient(ctx, j.link.Native)
	switch {
	case is(err, scheduling.UnknownID):
		if j.how.Way == scheduling.RegisterNone {
			return true, j.needsClinic()
		}
		j.link = scheduling.PatientLink{}
		return false, j.saveLink(ctx)
	case is(err, scheduling.NotSupported):
	case err != nil:
		return true, err
	case j.certain(shown, false) != nil:
		return true, j.needsClinic()
	}
	j.link.Checked = j.now()
	return true, j.saveLink(ctx)
}
