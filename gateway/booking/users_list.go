package booking

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"slotgate/scheduling"
)

// listElsewhere gives what the source has of its own patient, and was not made
// through us by this principal: that is in the books.
func (d *Desk) listElsewhere(ctx context.Context, c Caller, req ListRequest) sourceList {
	if req.Source == "" || scheduling.OwnPatientID(req.Patient) || !c.User.Given() && !c.trusts(req.Source) {
		return sourceList{}
	}
	who, at, err := d.vouch(ctx, c, req.Source, req.Patient)
	if err == nil && at == nil {
		err = notAsked(req.Source)
	}
	var found []scheduling.ElsewhereAppointment
	if err == nil {
		from, to := around(req.Dates)
		found, err = at.UserAppointments(ctx, who, req.Patient, from, to)
	}
	switch {
	case err == nil:
		return d.showElsewhere(ctx, c, req, found)
	case is(err, scheduling.Unauthorized, scheduling.Forbidden, scheduling.UnknownID), c.User.Given() && is(err, scheduling.NotSupported):
		return sourceList{err: err}
	default:
		return sourceList{unreached: unreached(req.Source, err)}
	}
}

// around is a period that holds every day asked for, in any zone.
func around(dates []DateRange) (from, to time.Time) {
	for _, r := range dates {
		if at := r.From.At; r.From.Set {
			if r.From.IsDay {
				at = r.From.Day.Start(time.UTC).Add(-24 * time.Hour)
			}
			if from.IsZero() || at.After(from) {
				from = at
			}
		}
		if at := r.To.At; r.To.Set {
			if r.To.IsDay {
				at = r.To.Day.End(time.UTC).Add(24 * time.Hour)
			}
			if to.IsZero() || at.Before(to) {
				to = at
			}
		}
	}
	return from, to
}

// showElsewhere gives each its id, and remembers what it leads to.
func (d *Desk) showElsewhere(ctx context.Context, c Caller, req ListRequest, found []scheduling.ElsewhereAppointment) sourceList {
	mine, err := d.Books.ByPatient(ctx, req.Source, c.Principal, req.Patient)
	if err != nil {
		return sourceList{err: err}
	}
	var part sourceList
	records := map[string]scheduling.ElsewhereRecord{}
	for _, a := range found {
		if a.Start.IsZero() || slices.ContainsFunc(mine, func(e scheduling.Entry) bool { return isEntry(e, a.Appointment) }) {
			continue
		}
		r := scheduling.ElsewhereRecord{Source: req.Source, Native: a.ID, Patient: req.Patient}
		v := d.elsewhereView(c, r, a, 0)
		if _, twice := records[v.Entry.ID]; !twice && listed(v, req) {
			records[v.Entry.ID] = r
			part.views = append(part.views, v)
		}
	}
	if len(records) == 0 {
		return part
	}
	undoing, err := d.Elsewhere.Remember(ctx, c.Principal, records, d.opts.Users.Keep)
	for i, v := range part.views {
		part.views[i] = v.undone(undoing[v.Entry.ID])
	}
	part.err = err
	return part
}

// isEntry tells whether the appointment is the one that the entry is about.
func isEntry(e scheduling.Entry, a scheduling.Appointment) bool {
	return a.ID == e.Native || e.Hold != nil && a.ID == e.Hold.Native || a.HasIdentifier(e.Identifier)
}

// elsewhereView shows an appointment that is in no books of ours. undoing: a
// cancel of it is in doubt, for so long still.
func (d *Desk) elsewhereView(c Caller, r scheduling.ElsewhereRecord, a scheduling.ElsewhereAppointment, undoing time.Duration) View {
	end := a.End
	if !end.After(a.Start) {
		end = a.Start
	}
	e := scheduling.Entry{
		ID: scheduling.ElsewhereID(r.Source, r.Native), Source: r.Source, Version: versionOf(a), State: scheduling.EntryBooked,
		Principal: c.Principal, Native: a.ID, ETag: a.ETag, Seen: a.Status, SeenAt: d.now(), Updated: a.Updated,
		// Who else takes part is nobody's business here.
		Private: scheduling.Private{Patients: []scheduling.PatientRef{{Asked: r.Patient, Native: r.Patient}}, Comment: a.Comment},
		Offer: scheduling.OfferRecord{
			Actors: a.Actors, Zone: a.Zone, ServiceCategory: a.ServiceCategory, ServiceType: a.ServiceType, Specialty: a.Specialty,
			AppointmentType: a.AppointmentType, Slots: []scheduling.Slot{{Start: a.Start, End: end, Virtual: true}},
		},
	}
	if len(a.Slots) > 0 {
		e.Offer.Slots = nil
		for _, id := range a.Slots {
			e.Offer.Slots = append(e.Offer.Slots, scheduling.Slot{ID: id, Start: a.Start, End: end})
		}
	}
	if a.Status.Void() {
		e.State, e.Reason = scheduling.EntryCancelled, a.Reason
	}
	v := View{Entry: e, Status: a.Status, Start: a.Start, End: end, Now: d.now()}
	return v.undone(undoing)
}

// undone adds that a cancel is in doubt, unless it is seen.
func (v View) undone(undoing time.Duration) View {
	if undoing > 0 && !v.Status.Void() {
		v.InDoubt, v.RetryAfter = true, min(max(undoing, time.Second), 5*time.Second)
	}
	return v
}

// versionOf is a number for what the EHR shows: another whenever that changes.
func versionOf(a scheduling.ElsewhereAppointment) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(a.ETag + "\x00" + string(a.Status) + "\x00" + a.Start.String() + a.End.String() + a.Updated.String())) // never fails
	return h.Sum64()>>11 + 1
}
