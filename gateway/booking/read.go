package booking

import (
	"context"
	"slices"
	"time"

	"slotgate/scheduling"
)

// Read shows an appointment of the caller's as the EHR shows it now, a hold, or
// an offer that is open.
//
// Errors: unknown-id, shedding. A source that cannot be reached is told as
// NotReached beside what we knew last.
func (d *Desk) Read(ctx context.Context, c Caller, id string) (View, error) {
	if !scheduling.ValidID(id) {
		return View{}, refuseUnknown()
	}
	if scheduling.IsElsewhereID(id) {
		return d.readElsewhere(ctx, c, id)
	}
	e, err := d.Books.Read(ctx, id)
	switch {
	case err != nil && !is(err, scheduling.UnknownID):
		return View{}, err
	case err != nil || e.State == scheduling.EntryFree:
		return d.readOffer(ctx, id, e, c)
	case e.Principal != c.Principal:
		return View{}, refuseUnknown()
	case e.State != scheduling.EntryBooked && (e.State != scheduling.EntryCancelled || e.Absent == nil):
		return d.view(d.oldEnded(ctx, e)), nil
	}
	e, reached := d.refresh(ctx, e)
	v := d.view(e)
	if reached != nil {
		v.Notices = append(v.Notices, NotReached)
	}
	return v, nil
}

// readOffer shows what is open.
func (d *Desk) readOffer(ctx context.Context, id string, e scheduling.Entry, c Caller) (View, error) {
	hit, ok, err := d.offer(ctx, id, true)
	if err != nil {
		return View{}, err
	}
	if ok {
		return d.view(scheduling.Entry{ID: hit.ID, Source: hit.Setting.Source, Version: e.Version, State: scheduling.EntryFree, Offer: d.recordOf(hit.Offer)}), nil
	}
	if e.State == scheduling.EntryFree && e.Principal == c.Principal {
		return d.view(e), nil
	}
	return View{}, refuseUnknown()
}

// refresh reads a booked appointment again and notices what the clinic changed.
// The error says that the source could not be asked.
func (d *Desk) refresh(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	return d.refreshed(ctx, e, false)
}

// refreshed is refresh; final: what was not shown for long enough is gone.
func (d *Desk) refreshed(ctx context.Context, e scheduling.Entry, final bool) (scheduling.Entry, error) {
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return e, err
	}
	if e.Native == "" {
		return e, noNative(e.Source)
	}
	if e.State == scheduling.EntryCancelled {
		return d.lookForGone(ctx, e, ehr, can, scheduling.ForRead)
	}
	rctx, cancel := context.WithTimeout(ctx, can.ReadTimeout)
	a, err := ehr.Read(rctx, e.Native, scheduling.ForRead)
	cancel()
	switch {
	case is(err, scheduling.UnknownID):
		return d.changed(d.absent(context.WithoutCancel(ctx), e, final, ehr, can))
	case err != nil:
		return e, err
	default:
		return d.shown(ctx, e, a, final, ehr, can)
	}
}

// shown takes over what one read of the EHR shows of a booked entry.
func (d *Desk) shown(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, final bool, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	ctx = context.WithoutCancel(ctx)
	whose := ownerOf(e, a)
	if a.Status.Void() {
		return d.changed(d.gone(ctx, e, a, true, ehr, can))
	}
	switch whose {
	case given:
		return d.changed(d.givenAway(ctx, e, ehr, can))
	case nobodys:
		return d.changed(d.absent(ctx, e, final, ehr, can))
	}
	d.absences.note(e, true, d.now())
	if !differs(e, a) {
		return e, nil
	}
	return d.changed(d.noticed(ctx, e, a))
}

// changed drops a lost race: the other one's state is shown.
func (d *Desk) changed(e scheduling.Entry, err error) (scheduling.Entry, error) {
	return e, orNil(err)
}

// differs tells whether the EHR shows other than what is written down.
func differs(e scheduling.Entry, a scheduling.Appointment) bool {
	moved := !a.Start.IsZero() && !a.Start.Equal(shownStart(e))
	odd := a.Status.Known() == slices.Contains(e.NotProved, statusElement)
	return e.Absent != nil || odd || a.Status != e.Seen && a.Status.Known() || moved || a.ETag != "" && a.ETag != e.ETag
}

func shownStart(e scheduling.Entry) (start time.Time) {
	if !e.SeenStart.IsZero() {
		return e.SeenStart
	}
	return e.Offer.Start()
}

// statusElement is named as not proved where the EHR shows no status that FHIR
// knows.
const statusElement = "status"

// seen writes down what the EHR shows of a booked appointment. Times are kept
// where they are not those that were booked.
func (d *Desk) seen(e *scheduling.Entry, a scheduling.Appointment) {
	e.SeenAt, e.Absent = d.now(), nil
	e.NotProved = slices.DeleteFunc(slices.Clone(e.NotProved), func(element string) bool { return element == statusElement })
	if a.Status.Known() {
		e.Seen = a.Status
	} else {
		e.NotProved = append(e.NotProved, statusElement)
	}
	if a.ETag != "" {
		e.ETag = a.ETag
	}
	e.SeenStart, e.SeenEnd = time.Time{}, time.Time{}
	if !a.Start.IsZero() && !a.Start.Equal(e.Offer.Start()) || !a.End.IsZero() && !a.End.Equal(e.Offer.End()) {
		e.SeenStart, e.SeenEnd = a.Start, a.End
	}
}

// noticed keeps what the clinic changed. Slots that the appointment has left are
// given back.
func (d *Desk) noticed(ctx context.Context, e scheduling.Entry, a scheduling.Appointment) (scheduling.Entry, error) {
	before := e.SeenStart
	back := scheduling.ClaimsTake
	notice := func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked {
			return false
		}
		d.seen(e, a)
		change.Wake = d.bookedWake(*e)
		if !e.SeenStart.IsZero() && !e.SeenStart.Equal(e.Offer.Start()) && before.IsZero() {
			change.Claims = scheduling.ClaimsFence
		}
		if e.SeenStart.IsZero() && !before.IsZero() {
			change.Claims = back // it is where it was booked: so are its slots
		}
		return true
	}
	saved, err := d.step(ctx, e, notice)
	if is(err, scheduling.SlotTaken) {
		back = scheduling.ClaimsKeep
		d.alarm(ctx, "moved-back-and-taken", e)
		saved, err = d.step(ctx, e, notice)
	}
	if err == nil && !saved.SeenStart.IsZero() && before.IsZero() {
		d.Log.InfoContext(ctx, "the clinic moved an appointment", "entry", saved)
		d.refetch(saved)
	}
	return saved, err
}

// isOneOf is OR within one parameter; an empty one asks for nothing.
func isOneOf[T comparable](value T, wanted []T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}
