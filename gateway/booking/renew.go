package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// renew prolongs a hold, as far as it may last in all.
func (d *Desk) renew(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (View, bool, error) {
	now := d.now()
	if !e.Hold.Until.After(now) {
		d.expire(ctx, e)
		return View{}, false, refuseExpired()
	}
	if !e.Hold.Until.Before(e.Hold.Max) {
		return d.view(e), false, nil // it cannot last longer
	}
	if e.Hold.By == scheduling.HeldByGateway {
		return d.renewOurs(ctx, e, can)
	}
	asked, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHeld {
			return false
		}
		e.State = scheduling.EntryHolding
		d.intend(e, scheduling.CallHold)
		change.Intent, change.Unexpired, change.Wake = true, true, d.takeover(can)
		return true
	})
	if err != nil {
		return View{}, err == errOvertaken, orNil(err)
	}
	d.reach("renew.intent")
	v, err := d.callRenew(ctx, asked, ehr, can)
	return v, false, err
}

// orNil drops errOvertaken, which is not for callers.
func orNil(err error) error {
	if err == errOvertaken {
		return nil
	}
	return err
}

func (d *Desk) renewOurs(ctx context.Context, e scheduling.Entry, can scheduling.Abilities) (View, bool, error) {
	held, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHeld {
			return false
		}
		now := d.now()
		e.Hold.Until = now.Add(can.HoldDefault)
		if e.Hold.Until.After(e.Hold.Max) {
			e.Hold.Until = e.Hold.Max
		}
		change.Unexpired, change.Wake = true, max(e.Hold.Until.Sub(now), time.Millisecond)
		return true
	})
	if err != nil {
		return View{}, err == errOvertaken, orNil(err)
	}
	return d.view(held), false, nil
}

// callRenew asks the EHR. Whatever it answers, the hold that was given stands
// until its time, unless a read shows that it is gone.
func (d *Desk) callRenew(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (View, error) {
	ctx = context.WithoutCancel(ctx)
	answer, err := d.askHold(ctx, e, ehr, can)
	d.reach("renew.answered")
	if err == nil {
		return d.keepHold(ctx, e, answer, can)
	}
	if is(err, scheduling.SlotTaken) {
		switch gone, left := d.holdGone(ctx, e, ehr, can); {
		case gone && left:
			return View{}, d.releaseRest(ctx, e, err)
		case gone:
			return View{}, d.refusedHold(ctx, e, err)
		}
	}
	held, err := d.unrenewed(ctx, e)
	if err == errOvertaken {
		return View{}, refuseExpired()
	}
	return d.view(held), err
}

// holdGone tells whether the EHR shows that our hold is no more: it may refuse a
// renewal because of our own hold. left: some of its slots are ours still.
func (d *Desk) holdGone(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (gone, left bool) {
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	if e.Hold.Native != "" {
		appt, err := ehr.Read(rctx, e.Hold.Native, scheduling.ForHold)
		return is(err, scheduling.UnknownID) || err == nil && appt.Status != scheduling.ApptPending, false
	}
	states, err := ehr.SlotStates(rctx, e.Offer.SlotIDs(), scheduling.ForHold)
	if err != nil {
		return false, false
	}
	for _, s := range states {
		if s.Status != scheduling.SlotTentative || s.Mark != "" && s.Mark != e.Identifier {
			gone = true
		} else {
			left = true
		}
	}
	return gone, left
}

// releaseRest ends a hold of which the EHR has given some slots away: the others
// must not stay held (law 12).
func (d *Desk) releaseRest(ctx context.Context, e scheduling.Entry, cause error) error {
	intent := e.Intent
	rest, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHolding || !sameCall(*e, intent) {
			return false
		}
		e.State, e.Reason = scheduling.EntryReleasing, string(scheduling.CodeOf(cause))
		d.intend(e, scheduling.CallRelease)
		change.Wake = d.opts.LookEvery
		return true
	})
	if err == nil {
		d.reach("renew.rest")
		d.afterRefused(ctx, rest, true)
	}
	return d.blame(ctx, e, cause)
}

// unrenewed goes back to the hold as it was.
func (d *Desk) unrenewed(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	intent := e.Intent
	return d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHolding || !sameCall(*e, intent) {
			return false
		}
		d.holdAgain(e, change)
		return true
	})
}

// holdAgain returns to the hold that still stands, until its time.
func (d *Desk) holdAgain(e *scheduling.Entry, change *scheduling.EntryChange) {
	e.State, e.Intent.Over, e.Doubt = scheduling.EntryHeld, true, nil
	e.Replaces, e.Way, e.OldDone = "", "", false
	change.Wake = max(e.Hold.Until.Sub(d.now()), time.Millisecond)
}
