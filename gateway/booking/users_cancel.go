package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// seen is an appointment made elsewhere, as it was just read.
type seen struct {
	record  scheduling.ElsewhereRecord
	undoing time.Duration
	who     scheduling.As
	at      UserEHR
	shown   scheduling.ElsewhereAppointment
}

// see reads an appointment made elsewhere by our id. To everybody but those who
// may see it, and have listed it, the id is unknown.
func (d *Desk) see(ctx context.Context, c Caller, id string) (s seen, err error) {
	if d.Elsewhere == nil {
		return s, refuseUnknown()
	}
	if s.record, s.undoing, err = d.Elsewhere.Recall(ctx, c.Principal, id); err == nil {
		s.who, s.at, err = d.vouch(ctx, c, s.record.Source, s.record.Patient)
	}
	switch {
	case is(err, scheduling.UnknownID), err == nil && s.at == nil:
		return s, refuseUnknown()
	case err != nil:
		return s, err
	}
	s.shown, err = s.at.UserAppointment(ctx, s.who, s.record.Native)
	// One that is the patient's no longer is gone.
	if is(err, scheduling.UnknownID) || err == nil && !s.shown.Of(s.record.Patient) {
		return s, refuseUnknown()
	}
	return s, err
}

// readElsewhere shows one.
func (d *Desk) readElsewhere(ctx context.Context, c Caller, id string) (View, error) {
	s, err := d.see(ctx, c, id)
	if err != nil {
		return View{}, err
	}
	return d.viewSeen(c, s)
}

func (d *Desk) viewSeen(c Caller, s seen) (View, error) {
	if s.shown.Start.IsZero() {
		return View{}, scheduling.Blame(scheduling.SourceNonsense, s.record.Source, nil, "the source shows an appointment without a time")
	}
	return d.elsewhereView(c, s.record, s.shown, s.undoing), nil
}

// cancelElsewhere cancels one, in the name of whoever may see it. That it may be
// sent is written down first; it is sent once, and read back: only what the
// source shows cancelled is told as cancelled.
func (d *Desk) cancelElsewhere(ctx context.Context, c Caller, req CancelRequest) (View, error) {
	s, err := d.see(ctx, c, req.ID)
	if err != nil {
		return View{}, err
	}
	return d.once(ctx, c, toCancel, req.Key, req.ID, digestOf("cancel", req.ID, req.Reason), func() (View, error) {
		return d.undoSeen(ctx, c, req, s)
	})
}

func (d *Desk) undoSeen(ctx context.Context, c Caller, req CancelRequest, s seen) (View, error) {
	_, can, err := d.ehr(s.record.Source)
	if err == nil {
		err = writable(can)
	}
	if err != nil {
		return View{}, err
	}
	v, err := d.viewSeen(c, s)
	if err != nil {
		return View{}, err
	}
	if err := v.agrees(req); err != nil || s.shown.Status.Void() || v.InDoubt {
		return v, err
	}
	if !s.shown.Status.MayBecome(scheduling.ApptCancelled) {
		return View{}, refuseState("an appointment in this status cannot be cancelled")
	}
	s.undoing = can.CallTimeout + can.Settle + can.Lag
	ok, err := d.Elsewhere.BeginUndo(ctx, c.Principal, req.ID, s.undoing)
	switch {
	case err != nil:
		return View{}, err
	case !ok:
		return v.undone(s.undoing), nil // another one sends it just now
	}
	d.reach("undo.elsewhere")
	return d.sendUndo(context.WithoutCancel(ctx), c, req, s, can)
}

// agrees holds what the caller saw against what is.
func (v View) agrees(req CancelRequest) error {
	switch {
	case req.IfMatch != 0 && req.IfMatch != v.Entry.Version:
		return refuseVersion()
	case req.Status != "" && req.Status != v.Status:
		return refuseState("the appointment's status is another one than the patch expects")
	case req.Check != nil:
		return req.Check(v)
	default:
		return nil
	}
}

// sendUndo calls the source once and reads back. The intent has been saved.
func (d *Desk) sendUndo(ctx context.Context, c Caller, req CancelRequest, s seen, can scheduling.Abilities) (View, error) {
	before := d.elsewhereView(c, s.record, s.shown, s.undoing)
	wctx, stop := context.WithTimeout(ctx, can.CallTimeout)
	err := s.at.UserCancel(wctx, s.who, scheduling.CancelCall{Offer: before.Entry.Offer, Native: s.record.Native, ETag: s.shown.ETag, Reason: req.Reason})
	stop()
	rctx, stop := d.readCtx(ctx, can)
	after, rerr := s.at.UserAppointment(rctx, s.who, s.record.Native)
	stop()
	switch {
	case is(rerr, scheduling.UnknownID), rerr == nil && after.Status.Void():
		d.endUndo(ctx, c, req.ID)
		d.refetch(before.Entry)
		d.tellBooks(ctx, s)
		return d.undoneView(c, s.record, after, before, req.Reason), nil
	case err == nil, is(err, scheduling.InDoubt, scheduling.Internal):
		return before, nil
	default:
		d.endUndo(ctx, c, req.ID)
		return View{}, d.blame(ctx, before.Entry, err)
	}
}

// tellBooks looks whether the appointment was booked through us, in another
// principal's name: its slots are free then.
func (d *Desk) tellBooks(ctx context.Context, s seen) {
	for _, value := range s.shown.Identifiers {
		offer, _, ok := d.readIdentifier(value)
		if !ok {
			continue
		}
		e, err := d.Books.Read(ctx, offer)
		if err != nil || e.Source != s.record.Source || e.Native != s.record.Native || e.State != scheduling.EntryBooked {
			continue
		}
		if _, err := d.refresh(ctx, e); err != nil {
			d.Log.WarnContext(ctx, "a cancelled appointment will be noticed later", "entry", e, "error", err)
		}
	}
}

func (d *Desk) endUndo(ctx context.Context, c Caller, id string) {
	if err := d.Elsewhere.EndUndo(ctx, c.Principal, id); err != nil {
		d.Log.WarnContext(ctx, "a cancel that has ended is told as in doubt for a while", "appointment", id, "error", err)
	}
}

// undoneView shows what was cancelled. Some sources show it no more, or without
// its times.
func (d *Desk) undoneView(c Caller, r scheduling.ElsewhereRecord, after scheduling.ElsewhereAppointment, v View, reason string) View {
	if !after.Start.IsZero() && after.Of(r.Patient) {
		return d.elsewhereView(c, r, after, 0)
	}
	v.InDoubt, v.RetryAfter = false, 0
	v.Status, v.Entry.State, v.Entry.Seen, v.Entry.Reason = scheduling.ApptCancelled, scheduling.EntryCancelled, scheduling.ApptCancelled, reason
	v.Entry.Version++
	return v
}
