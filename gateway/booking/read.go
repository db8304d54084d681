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
		return d.readOffer(id, e, c)
	case e.Principal != c.Principal:
		return View{}, refuseUnknown()
	case e.State != scheduling.EntryBooked:
		return d.view(e), nil
	}
	e, reached := d.refresh(ctx, e)
	v := d.view(e)
	if reached != nil {
		v.Notices = append(v.Notices, NotReached)
	}
	return v, nil
}

// readOffer shows what is open.
func (d *Desk) readOffer(id string, e scheduling.Entry, c Caller) (View, error) {
	if hit, ok := d.Offers.Offer(id); ok {
		return d.view(scheduling.Entry{ID: hit.ID, Source: hit.Setting.Source, Version: e.Version, State: scheduling.EntryFree, Offer: recordOf(hit.Offer)}), nil
	}
	if e.State == scheduling.EntryFree && e.Principal == c.Principal {
		return d.view(e), nil
	}
	return View{}, refuseUnknown()
}

// refresh reads a booked appointment again and notices what the clinic changed.
// The error says that the source could not be asked.
func (d *Desk) refresh(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return e, err
	}
	if e.Native == "" {
		return e, noNative(e.Source)
	}
	rctx, cancel := context.WithTimeout(ctx, can.ReadTimeout)
	a, err := ehr.Read(rctx, e.Native, scheduling.ForRead)
	cancel()
	switch {
	case is(err, scheduling.UnknownID):
		return d.changed(d.gone(context.WithoutCancel(ctx), e, a, false, ehr, can))
	case err != nil:
		return e, err
	default:
		return d.shown(ctx, e, a, ehr, can)
	}
}

// shown takes over what one read of the EHR shows of a booked entry.
func (d *Desk) shown(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	ctx = context.WithoutCancel(ctx)
	if a.Status.Void() {
		return d.changed(d.gone(ctx, e, a, true, ehr, can))
	}
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
	return a.Status != e.Seen && a.Status.Known() || moved || a.ETag != "" && a.ETag != e.ETag
}

func shownStart(e scheduling.Entry) (start time.Time) {
	if !e.SeenStart.IsZero() {
		return e.SeenStart
	}
	return e.Offer.Start()
}

// seen writes down what the EHR shows of a booked appointment. Times are kept
// where they are not those that were booked.
func (d *Desk) seen(e *scheduling.Entry, a scheduling.Appointment) {
	e.SeenAt = d.now()
	if a.Status.Known() {
		e.Seen = a.Status
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
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryBooked {
			return false
		}
		d.seen(e, a)
		change.Wake = d.bookedWake(*e)
		if !e.SeenStart.IsZero() && !e.SeenStart.Equal(e.Offer.Start()) && before.IsZero() {
			change.Claims = scheduling.ClaimsFence
		}
		return true
	})
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
