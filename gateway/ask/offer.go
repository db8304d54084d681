package ask

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// idTag is how long the part of an id is that belongs to its source.
const idTag = 5

// of is the source that an id belongs to, nil where its slots are kept.
func (a *Asker) of(id string) *source {
	if len(id) <= idTag {
		return nil
	}
	return a.sources[a.byTag[id[:idTag]]]
}

// Remember keeps where the offers lead that are about to be shown, by their own
// ids and by those of their slots. Without a store they are shown all the same,
// and cannot be held later.
func (a *Asker) Remember(ctx context.Context, offers []scheduling.Hit) {
	leads := map[scheduling.SourceID]map[string]scheduling.Lead{}
	for i := range offers {
		o := &offers[i]
		if !a.Live(o.Setting.Source) {
			continue
		}
		if leads[o.Setting.Source] == nil {
			leads[o.Setting.Source] = map[string]scheduling.Lead{}
		}
		lead := leadOf(o)
		leads[o.Setting.Source][o.ID] = lead
		for _, slot := range o.Slots {
			leads[o.Setting.Source][scheduling.ResourceID(o.Setting.Source, scheduling.KindSlot, slot.ID)] = lead
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Deadline)
	defer cancel()
	for id, some := range leads {
		if err := a.deps.Leads.Remember(ctx, id, some, a.opts.Keep); err != nil {
			a.metrics.unkept(id, len(some))
			a.deps.Logger.WarnContext(ctx, "where offers lead could not be kept: they cannot be held", "source", id, "error", err)
		}
	}
}

// leadOf is where an offer leads.
func leadOf(o *scheduling.Hit) scheduling.Lead {
	first := scheduling.DayOf(o.Slots[0].Start, o.Setting.Zone)
	last := scheduling.DayOf(o.Slots[len(o.Slots)-1].Start, o.Setting.Zone)
	lead := scheduling.Lead{Days: scheduling.Days{From: first, To: last + 1}}
	if s := o.Setting.Schedule; s != nil && !s.Virtual {
		lead.Schedule = s.ID
	}
	return lead
}

// Offer asks the source of an offer whether it is there still. ok is false,
// without an error, where the id leads nowhere.
//
// Errors: slot-taken where the source has it no longer, or it is claimed;
// source-slow, source-down and others where the source cannot be asked; shedding.
func (a *Asker) Offer(ctx context.Context, id string) (hit scheduling.Hit, ok bool, err error) {
	return again(ctx, a, id, toCheck, func(v View) (scheduling.Hit, bool) { return v.Offer(id) })
}

// BySlots is Offer for the offer that is made of exactly these Slots of ours.
func (a *Asker) BySlots(ctx context.Context, slots []string) (hit scheduling.Hit, ok bool, err error) {
	if len(slots) == 0 {
		return scheduling.Hit{}, false, nil
	}
	return again(ctx, a, slots[0], toCheck, func(v View) (scheduling.Hit, bool) { return v.BySlots(slots) })
}

// Slot asks for one Slot of ours. Anybody may read it, so it is asked for among
// the finds and within their part: no number of reads keeps somebody from
// holding or booking (law 6).
//
// Errors: those of Offer, and throttled where the part for finds is used up.
func (a *Asker) Slot(ctx context.Context, id string) (record scheduling.Record, ok bool, err error) {
	return again(ctx, a, id, toFind, func(v View) (scheduling.Record, bool) { return v.Read(scheduling.KindSlot, id) })
}

// again asks the source to which an id leads, and finds in what it answers.
func again[T any](ctx context.Context, a *Asker, id string, why purpose, find func(View) (T, bool)) (hit T, ok bool, err error) {
	s := a.of(id)
	if s == nil {
		return hit, false, nil
	}
	lead, known, err := a.deps.Leads.Recall(ctx, s.ID, id)
	if err != nil || !known || lead.Days.Len() == 0 || lead.Days.Len() > maxLead {
		return hit, false, err
	}
	if s.Paused {
		return hit, false, scheduling.Blame(scheduling.SourceDown, s.ID, nil, "the source is paused")
	}
	scope := scheduling.Scope{Days: lead.Days}
	if lead.Schedule != "" {
		scope.Schedules = []string{lead.Schedule}
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	got, came := received(ctx, a.put(s, why, scope))
	switch {
	case !came:
		return hit, false, scheduling.Blame(scheduling.SourceSlow, s.ID, ctx.Err(), "the source did not answer in time whether the slot is free")
	case got.err != nil:
		return hit, false, got.err
	}
	if hit, ok = find(a.deps.Index.With([]Layer{got.layer})); ok {
		return hit, true, nil
	}
	return hit, false, a.notThere(s, got)
}

// maxLead is how many days an offer may reach over.
const maxLead = 3

// notThere tells why an offer was not found. A cut answer says nothing of what
// is not in it.
func (a *Asker) notThere(s *source, got result) error {
	if !got.asked.Whole() {
		return &scheduling.Error{
			Code: scheduling.SourceNonsense, Who: scheduling.AtEHR, Source: s.ID, RetryAfter: time.Second,
			Message: "the source did not tell completely which slots are free",
		}
	}
	return &scheduling.Error{Code: scheduling.SlotTaken, Who: scheduling.Client, Source: s.ID, Message: "the slot is taken"}
}
