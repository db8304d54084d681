package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// Hold holds an offer for the caller, or renews the hold it has.
//
// Errors: slot-taken, hold-expired, hold-limit, used-id, unknown-id,
// not-acceptable, not-supported, forbidden, and those of the source.
func (d *Desk) Hold(ctx context.Context, c Caller, req HoldRequest) (View, error) {
	return d.once(ctx, c, toHold, req.Key, req.ID, digestOf("hold", req.Target.said(), req.Patients), func() (View, error) {
		for range maxRaces {
			v, again, err := d.tryHold(ctx, c, req)
			if !again {
				v.Created = req.ByResource && err == nil
				return v, err
			}
		}
		return View{}, busy("")
	})
}

// tryHold judges what is there; again asks for another look, because somebody
// else came first.
func (d *Desk) tryHold(ctx context.Context, c Caller, req HoldRequest) (v View, again bool, err error) {
	f, err := d.find(ctx, req.Target)
	if err != nil {
		return View{}, false, err
	}
	ehr, can, err := d.ehr(f.entry.Source)
	if err != nil {
		return View{}, false, err
	}
	if err := takes(can, f.offer); err != nil {
		return View{}, false, err
	}
	can = can.Of(f.offer)
	mine := f.entry.Principal == c.Principal
	switch state := f.entry.State; {
	case state == "" || state == scheduling.EntryFree:
		return d.newHold(ctx, c, req, f, ehr, can)
	case state == scheduling.EntryCancelled || state == scheduling.EntryNotBooked:
		return View{}, false, refuseUsed()
	case mine && state == scheduling.EntryHolding:
		e, err := d.await(ctx, f.entry)
		if err == nil && e.State == scheduling.EntryHolding {
			err = busy(e.Source)
		}
		return View{}, err == nil, err
	case mine && state == scheduling.EntryHeld:
		f.entry, err = d.asked(ctx, f.entry)
		if err != nil {
			return View{}, err == errOvertaken, orNil(err)
		}
		return d.renew(ctx, f.entry, ehr, can)
	case mine && state == scheduling.EntryReleasing && f.entry.Reason == string(scheduling.InDoubt):
		// The caller never had that hold: once it is gone there may be another.
		return View{}, false, busyUntil(f.entry.Source, retryAfter(f.entry, d.now()))
	case mine && state == scheduling.EntryReleasing:
		return View{}, false, refuseExpired()
	default:
		return View{}, false, refuseTaken(f.entry.Source)
	}
}

// asked makes a hold the caller's own that a booking had made for itself.
func (d *Desk) asked(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	if e.Journey == nil || !e.Journey.HeldHere {
		return e, nil
	}
	return d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHeld || e.Journey == nil {
			return false
		}
		e.Journey.HeldHere = false
		change.Wake = max(e.Hold.Until.Sub(d.now()), time.Millisecond)
		return true
	})
}

func (d *Desk) newHold(ctx context.Context, c Caller, req HoldRequest, f found, ehr EHR, can scheduling.Abilities) (View, bool, error) {
	switch {
	case !f.open:
		return View{}, false, refuseTaken(can.Source)
	case can.Hold == scheduling.HoldNone && !can.GatewayHolds && req.journey == nil:
		return View{}, false, &scheduling.Error{Code: scheduling.NotSupported, Who: scheduling.AtEHR, Source: can.Source, Message: "this source cannot hold a slot; book it at once"}
	}
	// Whom the source does not know yet is registered when it comes to booking.
	patients, _, err := d.patients(ctx, c, can.Source, req.Patients)
	if err == nil {
		err = d.admits(ctx, c, f, patients)
	}
	if err != nil {
		return View{}, false, err
	}
	if err := d.Holds.Take(ctx, c.Principal, f.entry.ID, c.Holds, can.HoldMax+d.takeover(can)); err != nil {
		return View{}, false, err
	}
	if err := d.pin(ctx, c.Principal, patients, d.now().Add(can.HoldMax+d.takeover(can))); err != nil {
		d.dropHold(ctx, c.Principal, f.entry.ID)
		return View{}, false, err
	}
	e, err := d.step(ctx, f.entry, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != "" && e.State != scheduling.EntryFree {
			return false
		}
		d.begin(e, c, f.offer, scheduling.Private{Patients: patients}, req.Key)
		if req.journey != nil {
			e.Private.Comment, e.Private.Coverages = req.journey.Comment, req.journey.Coverages
			e.Journey = &scheduling.Journey{Step: scheduling.StepHold, Since: d.now(), HeldHere: true}
		}
		d.claimHold(e, change, can)
		return true
	})
	if err != nil {
		return d.notBegun(ctx, c, e, err)
	}
	d.reach("hold.intent")
	if can.Hold == scheduling.HoldNone {
		return d.view(e), false, nil
	}
	asked := d.now()
	v, err := d.callHold(ctx, e, ehr, can)
	d.learn(f, asked, err == nil, err)
	return v, false, err
}

// begin makes the entry the caller's, as nothing but its id was before.
func (d *Desk) begin(e *scheduling.Entry, c Caller, offer scheduling.OfferRecord, private scheduling.Private, key string) {
	*e = scheduling.Entry{
		ID: e.ID, Source: e.Source, Version: e.Version, State: e.State, Created: e.Created,
		Principal: c.Principal, Offer: offer, Private: private, Key: keyDigest(key),
	}
	e.Identifier = d.identifier(e.ID, c.Principal, e.Key)
}

// claimHold takes the slots: as an intent where the EHR holds, else at once.
func (d *Desk) claimHold(e *scheduling.Entry, change *scheduling.EntryChange, can scheduling.Abilities) {
	change.Claims = scheduling.ClaimsTake
	if can.Hold == scheduling.HoldNone {
		now := d.now()
		e.State = scheduling.EntryHeld
		e.Hold = &scheduling.Hold{By: scheduling.HeldByGateway, Since: now, Until: now.Add(can.HoldDefault), Max: now.Add(can.HoldMax)}
		change.Wake = can.HoldDefault
		return
	}
	e.State = scheduling.EntryHolding
	d.intend(e, scheduling.CallHold)
	change.Intent, change.Wake = true, d.takeover(can)
}

// notBegun undoes the count of a hold that was not begun. The count stays where
// the entry turned out to be the caller's own.
func (d *Desk) notBegun(ctx context.Context, c Caller, e scheduling.Entry, err error) (View, bool, error) {
	again := err == errOvertaken
	if !again || e.Principal != c.Principal {
		d.dropHold(ctx, c.Principal, e.ID)
	}
	if again {
		err = nil
	}
	return View{}, again, err
}

func (d *Desk) dropHold(ctx context.Context, principal, id string) {
	if err := d.Holds.Drop(context.WithoutCancel(ctx), principal, id); err != nil {
		d.Log.WarnContext(ctx, "a hold is still counted", "offer", id, "error", err)
	}
}

// callHold asks the EHR and keeps its answer. The intent has been saved.
func (d *Desk) callHold(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (View, error) {
	ctx = context.WithoutCancel(ctx)
	answer, err := d.askHold(ctx, e, ehr, can)
	d.reach("hold.answered")
	switch {
	case err == nil:
		err = d.checkHold(ctx, e, answer, ehr, can)
		if err == nil {
			return d.keepHold(ctx, e, answer, can)
		}
		return View{}, d.giveUpHold(ctx, e, &answer, ehr, can, err)
	case is(err, scheduling.InDoubt, scheduling.Internal):
		return View{}, d.giveUpHold(ctx, e, nil, ehr, can, err)
	default:
		return View{}, d.refusedHold(ctx, e, err)
	}
}

func (d *Desk) askHold(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (scheduling.HoldAnswer, error) {
	wctx, cancel := d.writeCtx(ctx, can, e.Intent)
	defer cancel()
	return ehr.Hold(wctx, scheduling.HoldCall{
		Offer: e.Offer, Hold: e.Hold, Identifier: e.Identifier, Patients: e.Private.Natives(), Length: can.HoldDefault,
	})
}

// checkHold reads a pending appointment back: some EHRs answer 200 and hold
// nothing, or something else.
func (d *Desk) checkHold(ctx context.Context, e scheduling.Entry, a scheduling.HoldAnswer, ehr EHR, can scheduling.Abilities) error {
	if a.Native == "" {
		return nil
	}
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	appt, err := ehr.Read(rctx, a.Native, scheduling.ForHold)
	switch {
	case is(err, scheduling.UnknownID):
		return scheduling.Blame(scheduling.SourceNonsense, e.Source, err, "the source does not show the hold that it gave")
	case err != nil:
		return nil // the book reads back in any case
	case appt.Status.Void():
		return scheduling.Blame(scheduling.SlotTaken, e.Source, nil, "the source took the hold back at once")
	case !appt.Start.IsZero() && !appt.Start.Equal(e.Offer.Start()):
		return scheduling.Blame(scheduling.SourceNonsense, e.Source, nil, "the source held another slot than asked")
	default:
		return nil
	}
}

// holdLength is what the caller is told: what the EHR gave, less a margin.
func (d *Desk) holdLength(given time.Duration, can scheduling.Abilities) time.Duration {
	if given <= 0 {
		return can.HoldDefault
	}
	return max(given-d.opts.HoldMargin, given/2)
}

func (d *Desk) keepHold(ctx context.Context, e scheduling.Entry, a scheduling.HoldAnswer, can scheduling.Abilities) (View, error) {
	intent := e.Intent
	held, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHolding || !sameCall(*e, intent) {
			return false
		}
		now := d.now()
		// Counted from when we asked: the EHR's clock began no earlier.
		until := intent.SentAt.Add(d.holdLength(a.Length, can))
		hold := scheduling.Hold{By: scheduling.HeldByEHR, Native: a.Native, ETag: a.ETag, Since: now, Until: until, Max: now.Add(can.HoldMax)}
		if e.Hold != nil {
			hold.Since, hold.Max = e.Hold.Since, e.Hold.Max
			if hold.Native == "" {
				hold.Native = e.Hold.Native
			}
		}
		if hold.Until.After(hold.Max) {
			hold.Until = hold.Max
		}
		e.State, e.Hold, e.Intent.Over = scheduling.EntryHeld, &hold, true
		change.Wake = max(hold.Until.Sub(now), time.Millisecond)
		return true
	})
	if err == errOvertaken {
		return View{}, refuseExpired() // we were too slow: the settler is releasing it
	}
	return d.view(held), err
}

// refusedHold ends a hold that the EHR refused: nothing changed there.
func (d *Desk) refusedHold(ctx context.Context, e scheduling.Entry, cause error) error {
	intent, taken := e.Intent, is(cause, scheduling.SlotTaken)
	freed, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if !sameCall(*e, intent) || e.State != scheduling.EntryHolding {
			return false
		}
		d.free(e, change, taken)
		e.Reason = string(scheduling.CodeOf(cause))
		return true
	})
	if err == nil {
		d.dropHold(ctx, e.Principal, e.ID)
		if taken {
			d.refetch(freed)
		}
	}
	return d.blame(ctx, e, cause)
}

// free makes the id an offer again. Only what was taken stays away until it is
// fetched again (law 2).
func (d *Desk) free(e *scheduling.Entry, change *scheduling.EntryChange, fence bool) {
	e.State, e.Hold, e.Doubt, e.Wanted, e.Journey = scheduling.EntryFree, nil, nil, nil, nil
	if e.Intent != nil {
		e.Intent.Over = true
	}
	e.Replaces, e.Way, e.OldDone = "", "", false
	change.Claims = scheduling.ClaimsDrop
	if fence {
		change.Claims = scheduling.ClaimsFence
	}
}

// blame gives the cause as the caller's answer; a refused login is our fault and
// wants a person.
func (d *Desk) blame(ctx context.Context, e scheduling.Entry, cause error) error {
	err := scheduling.AsError(cause)
	if err.Code == scheduling.SourceLogin {
		d.alarm(ctx, "login", e)
	}
	return err
}
