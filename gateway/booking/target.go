package booking

import (
	"context"
	"errors"
	"slices"
	"time"

	"slotgate/scheduling"
)

// found is what an id stands for.
type found struct {
	entry scheduling.Entry // Version 0: there is none yet
	offer scheduling.OfferRecord
	open  bool // the offer can be taken

	confirmed time.Time // when the source was last seen to have it; zero: long ago
}

// said is everything that the request says of the offer: another time is another
// request, also under the same key.
func (t Target) said() []any {
	return []any{t.ID, t.Slots, t.Start.UTC().String(), t.End.UTC().String()}
}

// find resolves what a caller wants to hold or book. The state of an entry is
// for the caller to judge.
func (d *Desk) find(ctx context.Context, t Target) (found, error) {
	hit, ok := scheduling.Hit{}, false
	claimed := false
	if t.ID == "" && len(t.Slots) > 0 {
		var gone error
		if hit, ok = d.Offers.BySlots(t.Slots); !ok {
			hit, ok, gone = d.liveBySlots(ctx, t.Slots)
		}
		if ok {
			t.ID = hit.ID
		} else {
			id, err := d.holder(ctx, t.Slots)
			if err != nil {
				return found{}, err
			}
			t.ID, claimed = id, id != ""
		}
		if t.ID == "" && gone != nil {
			return found{}, gone
		}
	}
	if !scheduling.ValidID(t.ID) {
		return found{}, scheduling.Refuse(scheduling.UnknownID, "id", "there is no such offer")
	}
	e, err := d.Books.Read(ctx, t.ID)
	if err != nil && !is(err, scheduling.UnknownID) {
		return found{}, err
	}
	known := err == nil
	if !ok && (!known || e.State == scheduling.EntryFree) {
		if hit, ok, err = d.offer(ctx, t.ID, known); err != nil {
			return found{}, err
		}
	}
	f, err := d.weigh(t, e, known, hit, ok)
	if err != nil {
		return found{}, err
	}
	used := f.entry.State == scheduling.EntryCancelled || f.entry.State == scheduling.EntryNotBooked
	if claimed && (used || !slices.Equal(slotIDs(f.entry.Source, f.offer), t.Slots)) {
		return found{}, refuseTaken(f.entry.Source) // with others, in another offer; or not shown again yet
	}
	return f, t.agrees(f.entry.Source, f.offer)
}

// holder is the offer that has one of these Slots held or booked, by this caller
// or by another, else the one that they were a short while ago; "" where there
// is none.
//
// Errors: not-acceptable where several slots are named that are no offer together.
func (d *Desk) holder(ctx context.Context, slots []string) (id string, err error) {
	if len(slots) > scheduling.MaxOfferSlots {
		return "", scheduling.Refuse(scheduling.NotAcceptable, "slot", "an appointment has at most %d slots", scheduling.MaxOfferSlots)
	}
	for _, slot := range slots {
		id, err := d.Books.BySlot(ctx, slot)
		if err == nil || !is(err, scheduling.UnknownID) {
			return id, err
		}
	}
	if id, ok := d.Offers.Left(slots); ok {
		return id, nil
	}
	if len(slots) > 1 {
		return "", scheduling.Refuse(scheduling.NotAcceptable, "slot", "these slots together are no appointment that is offered")
	}
	return "", nil
}

// weigh puts what the books know over what the replica shows.
func (d *Desk) weigh(t Target, e scheduling.Entry, known bool, hit scheduling.Hit, ok bool) (found, error) {
	switch {
	case known && e.State != scheduling.EntryFree:
		return found{entry: e, offer: e.Offer}, nil
	case ok:
		rec := d.recordOf(hit.Offer)
		f := found{offer: rec, open: rec.Start().After(d.now()), confirmed: hit.Checked, entry: scheduling.Entry{
			ID: hit.ID, Source: hit.Setting.Source, Created: d.now(),
		}}
		if known {
			f.entry.Version, f.entry.State, f.entry.Created = e.Version, e.State, e.Created
		}
		return f, nil
	case known:
		// The feed has not brought it back yet; the EHR is the judge.
		fresh := d.now().Sub(e.Updated) < freshlyFreed && e.Reason != string(scheduling.SlotTaken) && !e.Unproved
		return found{entry: e, offer: e.Offer, open: fresh && e.Offer.Start().After(d.now())}, nil
	case d.Offers.Gone(t.ID):
		return found{}, &scheduling.Error{Code: scheduling.SlotTaken, Who: scheduling.Client, Message: "the slot is taken"}
	default:
		return found{}, scheduling.Refuse(scheduling.UnknownID, "id", "there is no such offer")
	}
}

// freshlyFreed is how long a released id can be taken again before the feed has
// shown its slots.
const freshlyFreed = 10 * time.Minute

// agrees refuses a resource that says other than the offer.
func (t Target) agrees(source scheduling.SourceID, o scheduling.OfferRecord) error {
	switch {
	case !t.Start.IsZero() && !t.Start.Equal(o.Start()):
		return scheduling.Refuse(scheduling.NotAcceptable, "start", "the appointment's start is not the offer's")
	case !t.End.IsZero() && !t.End.Equal(o.End()):
		return scheduling.Refuse(scheduling.NotAcceptable, "end", "the appointment's end is not the offer's")
	case len(t.Slots) > 0 && !slices.Equal(slotIDs(source, o), t.Slots):
		return scheduling.Refuse(scheduling.NotAcceptable, "slot", "the appointment's slots are not the offer's")
	default:
		return nil
	}
}

// slotIDs are our ids of the offer's slots.
func slotIDs(source scheduling.SourceID, o scheduling.OfferRecord) []string {
	ids := make([]string, len(o.Slots))
	for i, s := range o.Slots {
		ids[i] = scheduling.ResourceID(source, scheduling.KindSlot, s.ID)
	}
	return ids
}

// patients resolves the patients that a request names, without changing
// anything at the source. all is false where it does not know one of them yet.
func (d *Desk) patients(ctx context.Context, c Caller, source scheduling.SourceID, asked []string) (refs []scheduling.PatientRef, all bool, err error) {
	all = true
	for _, id := range asked {
		if !scheduling.ValidID(id) {
			return nil, false, scheduling.Refuse(scheduling.NotAcceptable, "patient", "this is not the id of a patient")
		}
		if slices.ContainsFunc(refs, func(r scheduling.PatientRef) bool { return r.Asked == id }) {
			continue
		}
		native, known, err := d.patient(ctx, c, source, id)
		if err != nil {
			return nil, false, err
		}
		all = all && known
		refs = append(refs, scheduling.PatientRef{Asked: id, Native: native})
	}
	return refs, all, nil
}

// patient is the source's id of a patient: one registered with us by this
// principal, or the source's own, for its user or a trusted caller (law 13).
// An id of our making is never taken for a source's.
func (d *Desk) patient(ctx context.Context, c Caller, source scheduling.SourceID, id string) (native string, known bool, err error) {
	if d.Patients != nil {
		native, known, err = d.Patients.Known(ctx, c.Principal, source, id)
		if err == nil || !is(err, scheduling.UnknownID) {
			return native, known, err
		}
	}
	_, _, err = d.vouch(ctx, c, source, id)
	return id, err == nil, err
}

// register makes the source know every patient of the request.
func (d *Desk) register(ctx context.Context, c Caller, source scheduling.SourceID, refs []scheduling.PatientRef) error {
	for _, ref := range refs {
		if ref.Native != "" && !scheduling.OwnPatientID(ref.Asked) {
			continue
		}
		if _, err := d.Patients.Native(ctx, c.Principal, source, ref.Asked); err != nil {
			return err
		}
	}
	return nil
}

// await waits until nothing is in flight for the entry, a short while.
func (d *Desk) await(ctx context.Context, e scheduling.Entry) (scheduling.Entry, error) {
	deadline := time.NewTimer(d.opts.WaitRunning)
	defer deadline.Stop()
	for pause := 2 * time.Millisecond; e.State.InFlight() && e.Doubt == nil; pause = min(2*pause, 100*time.Millisecond) {
		select {
		case <-ctx.Done():
			return e, nil
		case <-deadline.C:
			return e, nil
		case <-time.After(pause):
		}
		next, err := d.Books.Read(ctx, e.ID)
		if err != nil {
			return e, err
		}
		e = next
	}
	return e, nil
}

// overtaken answers with the state that another one brought about.
func (d *Desk) overtaken(ctx context.Context, e scheduling.Entry, err error) (scheduling.Entry, error) {
	if !errors.Is(err, errOvertaken) {
		return e, err
	}
	return d.await(ctx, e)
}
