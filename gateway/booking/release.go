package booking

import (
	"context"
	"strings"
	"time"

	"slotgate/scheduling"
)

// restoredEntry is the reason of an entry that was written down from what the EHR
// shows.
const restoredEntry = "restored"

// expire begins the release of a hold that has run out, and does it if it can.
func (d *Desk) expire(ctx context.Context, e scheduling.Entry) {
	if _, err := d.release(ctx, e, string(scheduling.HoldExpired), e.Version); err != nil && err != errOvertaken {
		d.Log.WarnContext(ctx, "an expired hold is not released yet", "entry", e, "error", err)
	}
}

// release gives a hold back: first the intent, then the call on the condition
// that it is still a hold, then a look at the slots. version is the one that has
// run out: a hold that was renewed meanwhile stays. 0: whichever it is.
func (d *Desk) release(ctx context.Context, e scheduling.Entry, reason string, version uint64) (scheduling.Entry, error) {
	ehr, can, err := d.ehr(e.Source)
	if err != nil {
		return e, err
	}
	e, err = d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHeld || version != 0 && e.Version != version {
			return false
		}
		e.Reason = reason
		if e.Hold.By == scheduling.HeldByGateway {
			d.free(e, change, true)
			return true
		}
		e.State = scheduling.EntryReleasing
		d.intend(e, scheduling.CallRelease)
		change.Intent, change.Wake = true, d.takeover(can)
		return true
	})
	if err != nil {
		return e, err
	}
	d.reach("release.intent")
	if e.State == scheduling.EntryFree {
		d.dropHold(ctx, e.Principal, e.ID)
		d.refetch(e)
		return e, nil
	}
	return d.callRelease(context.WithoutCancel(ctx), e, ehr, can, scheduling.ForHold)
}

// giveUpHold releases a hold that may have been given, and tells why the caller
// has none.
func (d *Desk) giveUpHold(ctx context.Context, e scheduling.Entry, a *scheduling.HoldAnswer, ehr EHR, can scheduling.Abilities, cause error) error {
	e, err := d.doubtHold(ctx, e, a)
	if err == nil {
		_, err = d.callRelease(ctx, e, ehr, can, scheduling.ForHold)
	}
	if err != nil && err != errOvertaken {
		d.Log.WarnContext(ctx, "a hold in doubt is not released yet", "entry", e, "error", err)
	}
	if is(cause, scheduling.InDoubt) {
		return &scheduling.Error{Code: scheduling.SourceSlow, Who: scheduling.AtEHR, Source: e.Source, Message: "the source did not answer in time; nothing is held for you", RetryAfter: 5 * time.Second, Err: cause}
	}
	return d.blame(ctx, e, cause)
}

// doubtHold turns a hold that may exist into one that is being released.
func (d *Desk) doubtHold(ctx context.Context, e scheduling.Entry, a *scheduling.HoldAnswer) (scheduling.Entry, error) {
	intent := e.Intent
	return d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryHolding || !sameCall(*e, intent) {
			return false
		}
		e.State, e.Reason = scheduling.EntryReleasing, string(scheduling.InDoubt)
		if a != nil {
			e.Hold = &scheduling.Hold{By: scheduling.HeldByEHR, Native: a.Native, ETag: a.ETag, Since: intent.SentAt, Until: intent.SentAt, Max: intent.SentAt}
		} else {
			e.Doubt = &scheduling.Doubt{Since: intent.SentAt, Call: scheduling.CallHold}
		}
		d.intend(e, scheduling.CallRelease)
		change.Wake = d.opts.LookEvery
		return true
	})
}

// callRelease does the release whose intent has been saved. It may be done
// again at any time: an EHR releases what is still a hold, and nothing else.
func (d *Desk) callRelease(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (scheduling.Entry, error) {
	if done, ok, err := d.wasBooking(ctx, e, ehr, can, purpose); ok || err != nil {
		return done, err
	}
	found := d.holdToRelease(ctx, e, ehr, can, purpose)
	if !found.known {
		return d.releaseLater(ctx, e, can, found.nothing)
	}
	if hold := found.hold; hold != nil {
		wctx, cancel := context.WithTimeout(ctx, can.CallTimeout)
		err := ehr.Release(wctx, scheduling.ReleaseCall{Offer: e.Offer, Hold: *hold})
		cancel()
		if err != nil && !is(err, scheduling.UnknownID, scheduling.NotAcceptable, scheduling.SlotTaken) {
			return d.releaseLater(ctx, e, can, false)
		}
		d.reach("release.answered")
		if done, ok, err := d.wasBooking(ctx, e, ehr, can, purpose); ok || err != nil {
			return done, err
		}
		if found.part || d.holdStands(ctx, e, hold, ehr, can, purpose) {
			return d.releaseLater(ctx, e, can, false)
		}
	}
	free, _ := d.slotsFree(ctx, ehr, can, e, purpose)
	return d.released(ctx, e, free)
}

// wasBooking looks at what the books were rebuilt from: what was pending then may
// have been a booking on its way, and no hold. Once it stands it is booked.
func (d *Desk) wasBooking(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (scheduling.Entry, bool, error) {
	if e.Reason != restoredEntry || e.Hold == nil || e.Hold.Native == "" || len(e.Private.Patients) == 0 {
		return e, false, nil
	}
	a, found, err := d.readOne(ctx, e.Hold.Native, ehr, can, purpose)
	if err != nil {
		later, err := d.releaseLater(ctx, e, can, false)
		return later, true, err
	}
	if v, notProved, _ := verify(e, a); found && v == matches && a.HasIdentifier(e.Identifier) {
		saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
			if e.State != scheduling.EntryReleasing || e.Reason != restoredEntry {
				return false
			}
			e.State, e.Used, e.Native, e.ETag = scheduling.EntryBooked, true, a.ID, a.ETag
			e.Intent.Over, e.Doubt, e.Hold, e.NotProved = true, nil, nil, notProved
			d.seen(e, a)
			change.Wake = d.bookedWake(*e)
			return true
		})
		if err == nil {
			d.placed(ctx, saved)
		}
		return saved, true, err
	}
	return e, false, nil
}

// toRelease is what is known of a hold to be given back.
type toRelease struct {
	hold    *scheduling.Hold // nil with known: there is none
	known   bool             // false while nobody can say
	nothing bool             // the EHR was asked, and showed none
	part    bool             // of several slots some are seen to be held, and others may still become so
}

// holdToRelease is the hold to be given back: the one we know, or the one that a
// lost answer may have made.
func (d *Desk) holdToRelease(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) toRelease {
	if e.Hold != nil || e.Doubt == nil {
		return toRelease{hold: e.Hold, known: true}
	}
	settled := d.pastSettle(e.Doubt, can) // as the look begins
	hold, whole, err := d.lostHold(ctx, e, ehr, can, purpose)
	switch {
	case err != nil:
		return toRelease{}
	case hold != nil:
		return toRelease{hold: hold, known: true, part: !whole && !settled}
	default:
		// It may still be made: say that there is none only when settle has passed.
		return toRelease{known: settled && e.Doubt.Looks >= 1, nothing: true}
	}
}

// lostHold looks for a hold of ours whose answer was lost. A source that is
// searched by patient alone cannot be searched for a hold that names none: then
// its slot decides. whole: all of its slots are held, so that none can follow.
func (d *Desk) lostHold(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) (hold *scheduling.Hold, whole bool, err error) {
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	if can.Search {
		found, err := ehr.Find(rctx, scheduling.FindCall{
			Identifier: e.Identifier, Patients: e.Private.Natives(), Purpose: purpose,
			From: e.Offer.Start(), To: e.Offer.Start().Add(time.Second),
		})
		if err != nil && !is(err, scheduling.NotSupported) {
			return nil, false, err
		}
		for _, a := range found {
			if a.Status == scheduling.ApptPending && a.HasIdentifier(e.Identifier) {
				return &scheduling.Hold{By: scheduling.HeldByEHR, Native: a.ID, ETag: a.ETag}, true, nil
			}
		}
	}
	if !can.Slots {
		return nil, false, nil
	}
	states, err := ehr.SlotStates(rctx, e.Offer.SlotIDs(), purpose)
	if err != nil {
		return nil, false, err
	}
	// Of several slots some may have been claimed, and some not.
	var etags []string
	marked := 0
	for _, s := range states {
		if s.Status == scheduling.SlotTentative && s.Mark == e.Identifier {
			marked++
			if s.ETag != "" {
				etags = append(etags, s.ETag)
			}
		}
	}
	if marked == 0 {
		return nil, false, nil
	}
	return &scheduling.Hold{By: scheduling.HeldByEHR, ETag: strings.Join(etags, " ")}, marked == len(states), nil
}

// holdStands reads back whether the EHR still shows the hold. What cannot be
// read is taken to stand: the release is tried again.
func (d *Desk) holdStands(ctx context.Context, e scheduling.Entry, hold *scheduling.Hold, ehr EHR, can scheduling.Abilities, purpose scheduling.Purpose) bool {
	rctx, cancel := d.readCtx(ctx, can)
	defer cancel()
	if hold.Native != "" {
		a, err := ehr.Read(rctx, hold.Native, purpose)
		return err != nil && !is(err, scheduling.UnknownID) || err == nil && a.Status == scheduling.ApptPending
	}
	if !can.Slots {
		return false
	}
	states, err := ehr.SlotStates(rctx, e.Offer.SlotIDs(), purpose)
	if err != nil {
		return true
	}
	for _, s := range states {
		if s.Status == scheduling.SlotTentative && s.Mark == e.Identifier {
			return true
		}
	}
	return false
}

// releaseLater leaves the release for the settler. After a day of trying the
// hold is left to run out at the EHR.
func (d *Desk) releaseLater(ctx context.Context, e scheduling.Entry, can scheduling.Abilities, nothing bool) (scheduling.Entry, error) {
	since := e.Intent.SentAt
	if d.now().Sub(since) > d.opts.LookFor {
		return d.released(ctx, e, false)
	}
	return d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryReleasing {
			return false
		}
		change.Wake = d.pause(since)
		if e.Doubt == nil {
			return true
		}
		if settled := e.Doubt.Since.Add(can.Settle + can.Lag); nothing && !d.now().Before(settled) {
			e.Doubt.Looks++
		}
		change.Wake = d.nextLook(e.Doubt, can)
		return true
	})
}

// released ends a release.
func (d *Desk) released(ctx context.Context, e scheduling.Entry, proved bool) (scheduling.Entry, error) {
	intent := e.Intent
	freed, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if e.State != scheduling.EntryReleasing || !sameCall(*e, intent) {
			return false
		}
		d.free(e, change, true)
		e.Unproved = !proved
		return true
	})
	if err == nil {
		d.dropHold(ctx, freed.Principal, freed.ID)
		d.refetch(freed)
	}
	return freed, err
}
