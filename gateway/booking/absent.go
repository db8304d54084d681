package booking

import (
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// That the EHR does not show an appointment is no cancel: a lagging replica, a
// proxy or a tenant that is away says 404 as well. What is not shown stays as it
// was told, with a notice, and is read again; it ends when several reads over
// settle (and look_max) did not show it, and then it is looked for still: should
// it show again it is booked again.

// absentLooks is how many reads in a row must not show an appointment before it
// is taken to be gone.
const absentLooks = 4

// missed counts a read that did not show the appointment; false: it follows the
// one before it so soon that it tells nothing new.
func (d *Desk) missed(e *scheduling.Entry) bool {
	now := d.now()
	if e.Absent == nil {
		e.Absent = &scheduling.Absence{Since: now}
	}
	if e.Absent.Looks > 0 && now.Sub(e.Absent.Last) < d.opts.LookEvery {
		return false
	}
	e.Absent.Last = now
	e.Absent.Looks++
	return true
}

// lasting tells whether the entry has not been shown for so long that it is
// gone, as far as its source can be believed.
func (d *Desk) lasting(ctx context.Context, e scheduling.Entry, can scheduling.Abilities) bool {
	long := max(can.Settle+can.Lag, d.opts.LookMax)
	since, many, first := d.absences.of(e, d.now())
	if many {
		if first {
			d.alarm(ctx, "many-not-shown", e)
			d.Log.ErrorContext(ctx, "the source shows so many appointments no more that none of it is believed", "source", string(e.Source), "code", string(scheduling.SourceNonsense))
		}
		return false
	}
	return e.Absent != nil && e.Absent.Looks >= absentLooks && d.now().Sub(e.Absent.Since) >= long && d.now().Sub(since) >= long
}

// absent keeps a booking that a read did not show. final: several such reads may
// end it; only the settler says so, since it sees the source as a whole.
func (d *Desk) absent(ctx context.Context, e scheduling.Entry, final bool, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	d.absences.note(e, false, d.now())
	first := e.Absent == nil
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked || !d.missed(e) {
			return false
		}
		change.Wake = d.bookedWake(*e)
		return true
	})
	if err != nil {
		return saved, err
	}
	if first {
		d.Log.WarnContext(ctx, "the source does not show an appointment any more, and never showed it as cancelled", "entry", saved)
	}
	if !d.lasting(ctx, saved, can) || !final {
		return saved, nil
	}
	d.alarm(ctx, "not-shown", saved)
	return d.gone(ctx, saved, scheduling.Appointment{}, false, ehr, can)
}

// absentWake is when to look again for what is not shown.
func (d *Desk) absentWake(e scheduling.Entry) time.Duration {
	if d.now().Sub(e.Absent.Since) > d.opts.LookFor {
		return d.recheckIn(e)
	}
	return min(d.pause(e.Absent.Since), d.recheckIn(e))
}

// over tells that nothing of the appointment is to come.
func (d *Desk) over(e scheduling.Entry) bool {
	return d.now().After(e.Offer.End().Add(afterVisit)) && d.now().After(e.SeenEnd.Add(afterVisit))
}

// owner is whose an appointment is, as a fresh read shows it.
type owner string

const (
	stillOurs owner = "ours"
	shared    owner = "shared"  // with patients who are not ours
	given     owner = "given"   // others have it
	nobodys   owner = "nobodys" // no patient is shown
)

// ownerOf tells whether the clinic has put other patients on an appointment of
// ours: what others have is not ours to show or to cancel (law 13).
func ownerOf(e scheduling.Entry, a scheduling.Appointment) owner {
	asked := e.Private.Natives()
	if _, same := comparePatients(e, a); same || len(asked) == 0 {
		return stillOurs
	}
	if len(a.Patient) == 0 {
		return nobodys
	}
	isOurs := func(id string) bool { return slices.Contains(asked, id) }
	switch {
	case !slices.ContainsFunc(a.Patient, isOurs):
		return given
	case slices.ContainsFunc(a.Patient, func(id string) bool { return !isOurs(id) }):
		return shared
	default:
		return stillOurs
	}
}

// givenAway ends a booking whose place at the EHR others have now. Nothing is
// sent, and nothing of theirs is kept.
func (d *Desk) givenAway(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	d.alarm(ctx, "given-to-another", e)
	now := d.now()
	e.Absent = &scheduling.Absence{Since: now, Last: now, Looks: 1, Given: true}
	return d.gone(ctx, e, scheduling.Appointment{}, false, ehr, can)
}

// settleGone looks for what was ended without ever being seen as cancelled.
func (d *Desk) settleGone(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) error {
	if d.over(e) {
		return d.sleep(ctx, e, 0)
	}
	version := e.Version
	e, err := d.lookForGone(ctx, e, ehr, can, scheduling.ForSettle)
	if err == nil && e.Version != version {
		return nil
	}
	return d.sleep(ctx, e, d.absentWake(e))
}

// lookForGone reads it once more. What shows again is booked again, and a cancel
// that seemed to have ended it is done anew.
func (d *Desk) lookForGone(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (scheduling.Entry, error) {
	a, found, err := d.readOne(ctx, e.Native, ehr, can, purpose)
	if err != nil || !found {
		return e, err
	}
	d.absences.note(e, true, d.now())
	if whose := ownerOf(e, a); whose != stillOurs && whose != shared && !a.Status.Void() {
		return e, nil
	}
	return d.changed(d.shownAgain(ctx, e, a))
}

func (d *Desk) shownAgain(ctx context.Context, e scheduling.Entry, a scheduling.Appointment) (scheduling.Entry, error) {
	claims := scheduling.ClaimsTake
	again := func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryCancelled || e.Absent == nil || e.Reserve {
			return false
		}
		e.Absent, e.SeenAt = nil, d.now()
		if a.Status.Void() {
			e.Seen = a.Status
			return true // it is cancelled indeed
		}
		if e.Reason != byClinic {
			e.Wanted = &scheduling.Wish{At: d.now(), Reason: e.Reason}
		}
		e.State, e.Reason, e.Unproved = scheduling.EntryBooked, "", false
		d.seen(e, a)
		change.Claims, change.Wake = claims, d.bookedWake(*e)
		if !e.SeenStart.IsZero() {
			change.Claims = scheduling.ClaimsKeep
		}
		return true
	}
	saved, err := d.step(ctx, e, again)
	if is(err, scheduling.SlotTaken) {
		claims = scheduling.ClaimsKeep
		d.alarm(ctx, "shown-again-and-taken", e)
		saved, err = d.step(ctx, e, again)
	}
	if err == nil && saved.State == scheduling.EntryBooked {
		d.Log.WarnContext(ctx, "an appointment that the source did not show is shown again", "entry", saved)
		d.placed(ctx, saved)
	}
	return saved, err
}
