package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// bookedWake is when a booked entry must be looked at: at once where something
// waits, else for the next read.
func (d *Desk) bookedWake(e scheduling.Entry) time.Duration {
	if e.Wanted == nil && e.Absent != nil {
		return d.absentWake(e)
	}
	if e.Wanted != nil || e.Replaces != "" && !e.OldDone {
		return d.opts.Margin
	}
	if covering(e) {
		return d.coverWake(e)
	}
	if e.Reason == cancelRefused && d.now().Sub(e.Intent.SentAt) < d.opts.LookFor {
		// A cancel that had no effect yet may still commit.
		return min(d.pause(e.Intent.SentAt), d.recheckIn(e))
	}
	return d.recheckIn(e)
}

// recheck reads a booked appointment that is due.
func (d *Desk) recheck(ctx context.Context, e scheduling.Entry) error {
	e, err := d.refreshed(ctx, e, true)
	if err != nil {
		return d.sleep(ctx, e, d.opts.LookMax)
	}
	if e.State != scheduling.EntryBooked {
		return nil
	}
	over := d.over(e)
	_, err = d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked {
			return false
		}
		change.Wake = d.bookedWake(*e)
		if over {
			change.Wake, change.Claims = 0, scheduling.ClaimsFence
		}
		return true
	})
	return settling(err)
}

// byClinic is the reason of what the clinic cancelled.
const byClinic = "clinic"

// gone ends a booking that the clinic, or a call of ours that nobody remembers,
// has cancelled. found: the EHR shows it so; else it is looked for still.
func (d *Desk) gone(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, found bool, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	free := false
	if e.Reason == cancelRefused && found { // it was our own cancel after all
		free = d.vacated(ctx, e, ehr, can, scheduling.ForRead)
	} else {
		free, _ = d.slotsFree(ctx, ehr, can, e, scheduling.ForRead)
	}
	absence := e.Absent
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked {
			return false
		}
		e.State, e.Reason, e.Unproved, e.Wanted, e.Absent = scheduling.EntryCancelled, byClinic, !free, nil, nil
		e.Seen, e.SeenAt = scheduling.ApptCancelled, d.now()
		if found {
			e.Seen, e.ETag = a.Status, a.ETag
		} else {
			e.Absent = absence
			change.Wake = d.absentWake(*e)
		}
		change.Claims = scheduling.ClaimsFence
		return true
	})
	if err == nil {
		d.absences.ended(saved)
		d.refetch(saved)
		d.keepOld(ctx, saved)
	}
	return saved, err
}

// recheckIn is when to read a booked appointment again: daily, on the eve, and
// once when it is over.
func (d *Desk) recheckIn(e scheduling.Entry) time.Duration {
	now, start, end := d.now(), e.Offer.Start(), e.Offer.End()
	if !e.SeenStart.IsZero() && e.SeenEnd.After(e.SeenStart) {
		start, end = e.SeenStart, e.SeenEnd
	}
	wait := d.opts.Recheck
	for _, at := range []time.Time{start.Add(-d.opts.Eve), end.Add(afterVisit)} {
		if left := at.Sub(now); left > 0 && left < wait {
			wait = left
		}
	}
	return wait
}

// afterVisit is how long after its end an appointment is read for the last time.
const afterVisit = 2 * time.Hour
