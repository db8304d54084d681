package booking

import (
	"context"

	"slotgate/scheduling"
)

// Book books an offer, held or not, for one patient or several; with Replaces it
// takes the place of another appointment.
//
// Errors: slot-taken, hold-expired, used-id, unknown-id, missing-data,
// not-acceptable, not-supported, forbidden, and those of the source. What is in
// doubt is no error but a View with InDoubt.
func (d *Desk) Book(ctx context.Context, c Caller, req BookRequest) (View, error) {
	if err := d.readable(req); err != nil {
		return View{}, err
	}
	digest := digestOf("book", req.Target.said(), req.Patients, req.Comment, req.Replaces, string(req.Reschedule), req.Coverages, req.Sent)
	return d.once(ctx, c, toBook, req.Key, req.ID, digest, func() (View, error) {
		req.renewed = new(bool)
		for range maxRaces {
			v, again, err := d.tryBook(ctx, c, req)
			if !again {
				v.Created = req.ByResource && err == nil
				return v, err
			}
		}
		return View{}, busy("")
	})
}

// readable refuses what no EHR need be asked about.
func (d *Desk) readable(req BookRequest) error {
	switch {
	case len(req.Patients) == 0:
		return scheduling.Refuse(scheduling.MissingData, "patient-id", "an appointment needs a patient")
	case len(req.Patients) > d.opts.Patients:
		return scheduling.Refuse(scheduling.NotAcceptable, "patient-id", "at most %d patients share an appointment", d.opts.Patients)
	case len(req.Comment) > d.opts.Comment:
		return scheduling.Refuse(scheduling.NotAcceptable, "comment", "a comment may have at most %d bytes", d.opts.Comment)
	case len(req.Coverages) > d.opts.Coverages:
		return scheduling.Refuse(scheduling.NotAcceptable, "coverage", "at most %d coverages go with an appointment", d.opts.Coverages)
	case req.Replaces != "" && req.Replaces == req.ID:
		return scheduling.Refuse(scheduling.NotAcceptable, "cancelled-appt-id", "an appointment cannot take its own place")
	default:
		return nil
	}
}

// tryBook judges what is there; again asks for another look, because somebody
// else came first.
func (d *Desk) tryBook(ctx context.Context, c Caller, req BookRequest) (v View, again bool, err error) {
	f, err := d.find(ctx, req.Target)
	if err != nil {
		return View{}, false, err
	}
	ehr, can, err := d.ehr(f.entry.Source)
	if err != nil {
		return View{}, false, err
	}
	mine := f.entry.Principal == c.Principal
	switch f.entry.State {
	case "", scheduling.EntryFree:
		if !f.open {
			return View{}, false, refuseTaken(can.Source)
		}
	case scheduling.EntryCancelled, scheduling.EntryNotBooked:
		return View{}, false, refuseUsed()
	case scheduling.EntryHeld:
		if !mine {
			return View{}, false, refuseTaken(can.Source)
		}
	default:
		if !mine {
			return View{}, false, refuseTaken(can.Source)
		}
		return d.bookAgain(ctx, c, req, f.entry)
	}
	return d.newBooking(ctx, c, req, f, ehr, can)
}

// bookAgain answers a repeat from the state: the same patients get their
// booking, or its 202.
func (d *Desk) bookAgain(ctx context.Context, c Caller, req BookRequest, e scheduling.Entry) (View, bool, error) {
	if e.State == scheduling.EntryReleasing {
		if e.Reason == string(scheduling.InDoubt) || e.Journey != nil && e.Journey.HeldHere {
			// The caller never had that hold: once it is gone there may be another.
			return View{}, false, busyUntil(e.Source, retryAfter(e, d.now()))
		}
		return View{}, false, refuseExpired()
	}
	if e.State == scheduling.EntryHolding {
		e, err := d.await(ctx, e)
		if err == nil && e.State == scheduling.EntryHolding {
			err = busy(e.Source)
		}
		return View{}, err == nil, err
	}
	if d.restoredOf(e, c, req.Key) {
		return d.view(e), false, nil
	}
	patients, _, err := d.patients(ctx, c, e.Source, req.Patients)
	switch {
	case err != nil:
		return View{}, false, err
	case !samePatients(patients, e.Private.Patients):
		same, err := d.recognized(ctx, c, e, patients)
		if err == nil && !same {
			err = refuseTaken(e.Source)
		}
		if err != nil {
			return View{}, false, err
		}
	}
	if e, err = d.await(ctx, e); err != nil {
		return View{}, false, err
	}
	switch {
	case e.State == scheduling.EntryFree || e.State == scheduling.EntryHeld:
		return View{}, false, refuseTaken(e.Source) // the first was refused, and said why
	case e.State == scheduling.EntryNotBooked || e.State == scheduling.EntryCancelled:
		return View{}, false, refuseUsed()
	default:
		return d.view(e), false, nil
	}
}

// party is who goes with a booking, what of their coverage, and how.
type party struct {
	patients []scheduling.PatientRef
	all      bool // the source knows all of them
	with     covers
	plan     journey
}

// gather finds all that a booking needs, and refuses what cannot be before
// anything is made anywhere.
func (d *Desk) gather(ctx context.Context, c Caller, req BookRequest, f found, can scheduling.Abilities) (p party, err error) {
	if can.Patients > 0 && len(req.Patients) > can.Patients {
		return p, scheduling.Refuse(scheduling.NotAcceptable, "patient-id", "this source takes at most %d patients in one appointment", can.Patients)
	}
	if p.patients, p.all, err = d.patients(ctx, c, can.Source, req.Patients); err != nil {
		return p, err
	}
	if err = d.admits(ctx, c, f, p.patients); err != nil {
		return p, err
	}
	if p.with, err = d.coversOf(ctx, c, req, can.Source, undone(f.entry)); err != nil {
		return p, err
	}
	if p.with.lacks {
		return p, scheduling.Lacks([]string{"Coverage"})
	}
	p.plan, err = d.plan(ctx, c, req, f, can, p.patients)
	return p, err
}

func (d *Desk) newBooking(ctx context.Context, c Caller, req BookRequest, f found, ehr EHR, can scheduling.Abilities) (View, bool, error) {
	if err := takes(can, f.offer); err != nil {
		return View{}, false, err
	}
	can = can.Of(f.offer)
	p, err := d.gather(ctx, c, req, f, can)
	if err != nil {
		d.breakOff(ctx, f.entry, err)
		return View{}, false, err
	}
	held := f.entry.State == scheduling.EntryHeld
	switch {
	case held && !f.entry.Hold.Until.After(d.now()):
		d.expire(ctx, f.entry)
		return View{}, false, refuseExpired()
	case held && p.travels():
		return d.travel(ctx, c, req, f, ehr, can, p)
	case p.travels(), !held && p.plan.way == scheduling.CancelFirst:
		// Held for this booking alone, and given back with it.
		private := scheduling.Private{Comment: req.Comment, Coverages: p.with.steps}
		v, again, err := d.newHold(ctx, c, HoldRequest{Target: req.Target, Key: req.Key, Patients: req.Patients, journey: &private}, f, ehr, can)
		return v, again || err == nil, err
	default:
		return d.place(ctx, c, req, f, ehr, can, p)
	}
}

// place books: everything that comes before it has been done.
func (d *Desk) place(ctx context.Context, c Caller, req BookRequest, f found, ehr EHR, can scheduling.Abilities, p party) (View, bool, error) {
	if err := d.pin(ctx, c.Principal, p.patients, d.now().Add(d.opts.LookFor+d.opts.LookMax)); err != nil {
		return View{}, false, err
	}
	private := scheduling.Private{Patients: p.patients, Comment: req.Comment, Coverages: p.with.steps}
	e, err := d.step(ctx, f.entry, d.toBooking(c, req, f, can, private, p.plan))
	if err != nil {
		if is(err, scheduling.HoldExpired) {
			d.expire(ctx, f.entry)
		}
		return View{}, err == errOvertaken, orNil(err)
	}
	d.reach("book.intent")
	asked := d.now()
	v, err := d.run(context.WithoutCancel(ctx), e, ehr, can)
	d.learn(f, asked, err == nil && v.Entry.State == scheduling.EntryBooked, err)
	if err != nil {
		d.breakOff(ctx, e, err)
		return View{}, false, err
	}
	return d.coverNow(ctx, v), false, nil
}

// toBooking saves the intent to book. A hold that has run out by the store's
// clock cannot be booked.
func (d *Desk) toBooking(c Caller, req BookRequest, f found, can scheduling.Abilities, private scheduling.Private, j journey) func(*scheduling.Entry, *scheduling.EntryChange) bool {
	return func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		switch {
		case e.State == "" || e.State == scheduling.EntryFree:
			d.begin(e, c, f.offer, private, req.Key)
			change.Claims = scheduling.ClaimsTake
		case e.State == scheduling.EntryHeld && e.Principal == c.Principal:
			e.Private = private
		default:
			return false
		}
		if e.Journey == nil && len(private.Coverages) > 0 {
			e.Journey = &scheduling.Journey{Since: d.now()}
		}
		if e.Journey != nil {
			e.Journey.Step = scheduling.StepBook
		}
		change.Unexpired = e.State == scheduling.EntryHeld
		e.State, e.Reason, e.Unproved = scheduling.EntryBooking, "", false
		e.Replaces, e.Way = j.old.ID, j.way
		kind := scheduling.CallBook
		if j.way == scheduling.Move {
			kind, e.Native, e.ETag = scheduling.CallMove, j.old.Native, j.old.ETag
		}
		d.intend(e, kind)
		if j.prepares() {
			e.Intent.Attempt = 0
		}
		change.Intent, change.Wake = true, d.takeover(can)
		return true
	}
}

// run does what stands between the intent and its end.
func (d *Desk) run(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (View, error) {
	e, err := d.prepare(ctx, e, can, true)
	if err != nil {
		return View{}, err
	}
	if e.State != scheduling.EntryBooking || e.Intent.Attempt == 0 {
		return d.view(e), nil // ended, or gone on with by the settler
	}
	e, err = d.callBook(ctx, e, ehr, can)
	if err != nil {
		return View{}, err
	}
	return d.view(e), nil
}

// callBook calls the EHR once and judges its answer. The intent has been saved.
func (d *Desk) callBook(ctx context.Context, e scheduling.Entry, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	wctx, cancel := d.writeCtx(ctx, can, e.Intent)
	call := scheduling.BookCall{
		Offer: e.Offer, Hold: ehrHold(e.Hold), Identifier: e.Identifier, Patients: e.Private.Natives(), Comment: e.Private.Comment,
	}
	if e.Intent.Kind == scheduling.CallMove {
		call.Moves, call.MovesETag = e.Native, e.ETag
	}
	made, err := ehr.Book(wctx, call)
	cancel()
	d.reach("book.answered")
	switch {
	case err == nil:
		return d.readBack(ctx, e, made.ID, ehr, can)
	case is(err, scheduling.InDoubt, scheduling.Internal):
		return d.toDoubt(ctx, e, "", ehr, can)
	default:
		return d.refused(ctx, e, ehr, can, err)
	}
}

// ehrHold is the hold as far as the EHR knows of it.
func ehrHold(h *scheduling.Hold) *scheduling.Hold {
	if h == nil || h.By != scheduling.HeldByEHR {
		return nil
	}
	return h
}

// readBack reads the appointment that the EHR says it made (law 1).
func (d *Desk) readBack(ctx context.Context, e scheduling.Entry, native string, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	if native == "" {
		return d.toDoubt(ctx, e, "", ehr, can) // it is looked for
	}
	rctx, cancel := d.readCtx(ctx, can)
	appt, err := ehr.Read(rctx, native, scheduling.ForBook)
	cancel()
	d.reach("book.read")
	if err != nil {
		return d.toDoubt(ctx, e, native, ehr, can)
	}
	return d.judge(ctx, e, appt, answered, ehr, can)
}

// judge ends a booking, as far as this read of the EHR allows.
func (d *Desk) judge(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, p proof, ehr EHR, can scheduling.Abilities) (scheduling.Entry, error) {
	v, notProved, differs := verify(e, a)
	switch v {
	case wrong:
		if e.Intent.Kind == scheduling.CallMove {
			return d.movedWrong(ctx, e, a, differs)
		}
		if !d.ours(e, a, p) {
			return d.notProvenOurs(ctx, e, a, differs, ehr, can)
		}
		return d.wrongOne(ctx, e, a, differs, ehr, can)
	case matches:
		return d.booked(ctx, e, a, notProved)
	case notYet:
		return d.toDoubt(ctx, e, a.ID, ehr, can)
	default:
		cause := scheduling.Blame(scheduling.SourceRefused, e.Source, nil, "the source took the appointment back at once")
		return d.notBooked(ctx, e, cause, true)
	}
}

// booked keeps what was read back: from here on the caller is told so.
func (d *Desk) booked(ctx context.Context, e scheduling.Entry, a scheduling.Appointment, notProved []string) (scheduling.Entry, error) {
	intent, late, held := e.Intent, e.State == scheduling.EntryNotBooked, e.Hold != nil
	saved, err := d.step(ctx, e, func(e *scheduling.Entry, change *scheduling.EntryChange) bool {
		if !e.State.MayBecome(scheduling.EntryBooked) || !sameCall(*e, intent) {
			return false
		}
		if late {
			change.Claims = scheduling.ClaimsTake
		}
		e.State, e.Used, e.Native, e.ETag = scheduling.EntryBooked, true, a.ID, a.ETag
		e.Intent.Over, e.Doubt, e.Hold = true, nil, nil
		e.NotProved, e.Reason, e.ReplacedBy, e.Reserve = notProved, "", "", false
		d.seen(e, a)
		if e.Journey != nil {
			e.Journey.Step, e.Journey.HeldHere = scheduling.StepDone, false
		}
		if covering(*e) {
			e.Journey.Step = scheduling.StepCoverAfter
		}
		change.Wake = d.bookedWake(*e)
		return true
	})
	if is(err, scheduling.SlotTaken) && late {
		d.alarm(ctx, "late-and-taken", e)
	}
	if err != nil {
		return d.overtaken(ctx, e, err)
	}
	d.reach("book.saved")
	d.placed(ctx, saved)
	if held {
		d.dropHold(ctx, saved.Principal, saved.ID)
	}
	return d.afterBooked(ctx, saved)
}

// afterBooked does what waited for the booking: a cancel that was asked for
// meanwhile, the end of the one that it replaces.
func (d *Desk) afterBooked(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	if e.Wanted != nil {
		done, _, err := d.cancelBooked(ctx, e, cancelHow{reason: e.Wanted.Reason})
		if err != nil && err != errOvertaken {
			d.Log.WarnContext(ctx, "a cancel that was asked for is not done yet", "entry", e, "error", err)
		}
		return done, nil
	}
	if e.Replaces != "" && !e.OldDone {
		return d.endOld(ctx, e), nil
	}
	return e, nil
}
