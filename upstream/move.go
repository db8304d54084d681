package upstream

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// move changes an appointment to other slots: the new ones are claimed, the
// appointment is written, the old ones are freed.
func (c *Client) move(ctx context.Context, t *traits, call scheduling.BookCall) (scheduling.Appointment, error) {
	d, before, err := c.toMove(ctx, call)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	how := c.claimFor(call)
	slots, err := c.claimSlots(ctx, call.Offer, how)
	if err != nil {
		return scheduling.Appointment{}, err
	}
	res, err := d.with(c.moved(ctx, d, call, before))
	if err != nil {
		return scheduling.Appointment{}, c.afterUndo(c.unclaim(ctx, slots, how), c.unsent(err))
	}
	r, err := c.write(ctx, order{
		kind: scheduling.CallMove, lane: laneBook, method: http.MethodPut, path: "Appointment/" + d.id, resource: res, ifMatch: d.etag,
	})
	switch {
	case scheduling.CodeOf(err) == scheduling.InDoubt:
		return scheduling.Appointment{}, err
	case err != nil:
		return scheduling.Appointment{}, c.afterUndo(c.unclaim(ctx, slots, how), err)
	}
	if c.occupy(ctx, slots, how.mark) >= contested {
		// To take it back could lose the patient both times: a person must look.
		return scheduling.Appointment{}, c.doubt(errUnknownReply)
	}
	if err = c.proveMoved(ctx, d.id, call.Offer); err != nil {
		return scheduling.Appointment{}, err
	}
	left := slices.DeleteFunc(slices.Clone(before.Slots), func(id string) bool {
		return slices.Contains(call.Offer.SlotIDs(), id)
	})
	if err = c.freeUnused(ctx, left, freeing{marks: before.Identifiers, bare: true, ended: d.id}); err != nil {
		c.log.Warn("a slot could not be freed after a move", "source", c.source.ID, "error", err)
	}
	made := c.made(r)
	made.ID = d.id
	return made, nil
}

// toMove reads the appointment that is to go elsewhere.
func (c *Client) toMove(ctx context.Context, call scheduling.BookCall) (*document, scheduling.Appointment, error) {
	d, before, err := c.readDocument(ctx, call.Moves, laneBook, false)
	switch {
	case err != nil:
		return nil, before, c.unsent(err)
	case !before.Status.Stands():
		return nil, before, scheduling.Blame(scheduling.NotAcceptable, c.source.ID, nil, "the appointment does not stand any more")
	case call.MovesETag != "" && d.etag != "" && call.MovesETag != d.etag:
		return nil, before, scheduling.Blame(scheduling.SourceRefused, c.source.ID, nil, "the appointment was changed meanwhile")
	default:
		return d, before, nil
	}
}

// proveMoved reads an appointment that was just moved: as long as it may stand
// where it stood, its old slots are not to be sold.
func (c *Client) proveMoved(ctx context.Context, native string, to scheduling.OfferRecord) error {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	_, now, err := c.readDocument(ctx, native, laneBook, true)
	if err != nil {
		return c.doubt(err)
	}
	asked, shown := slices.Sorted(slices.Values(to.SlotIDs())), slices.Sorted(slices.Values(now.Slots))
	if !now.Start.Equal(to.Start()) || len(shown) > 0 && !slices.Equal(asked, shown) {
		return c.doubt(errUnknownReply)
	}
	return nil
}

// moved is what a move changes of an Appointment. What the EHR or its people have
// added stays: their identifiers, rooms and assistants.
func (c *Client) moved(ctx context.Context, d *document, call scheduling.BookCall, before scheduling.Appointment) map[string]any {
	w := wanted{offer: call.Offer, status: scheduling.ApptBooked, patients: call.Patients, now: c.now()}
	to := w.resource()
	changes := map[string]any{
		"start": to.Start, "end": to.End, "slot": refsJSON(to.Slot),
		"participant": d.participants(to.Participant, c.leaving(ctx, call, before)),
	}
	if id := c.ours(call.Identifier); id != "" && !before.HasIdentifier(id) {
		changes["identifier"] = append(d.foreignIdentifiers(), map[string]string{"system": IdentifierSystem, "value": id})
	}
	if to.MinutesDuration != nil {
		changes["minutesDuration"] = *to.MinutesDuration
	}
	return changes
}

// foreignIdentifiers are those that are not ours, as they are written.
func (d *document) foreignIdentifiers() []any {
	return slices.DeleteFunc(d.rawList("identifier"), func(raw any) bool {
		var one struct {
			System string `json:"system"`
		}
		return json.Unmarshal(raw.(json.RawMessage), &one) == nil && (one.System == IdentifierSystem || one.System == HoldSystem)
	})
}

// leaving tells which participants a move takes out: other patients than those
// of the booking, and who the old slots were of. Where it cannot be told who that
// was, those of the kinds that the new ones are of.
func (c *Client) leaving(ctx context.Context, call scheduling.BookCall, before scheduling.Appointment) func(scheduling.Kind, string) bool {
	var of []scheduling.Actor
	slots := before.Slots
	if !c.readsSlots(c.learnt()) {
		slots = nil
	}
	for _, id := range slots {
		s, err := c.readSlot(ctx, id, laneBook, false)
		if err != nil {
			continue
		}
		if known := c.known.directory().Schedules[s.slot.Schedule]; known != nil {
			of = append(of, known.Actors...)
		}
	}
	return func(kind scheduling.Kind, id string) bool {
		if kind == kindPatient {
			return !slices.Contains(call.Patients, id)
		}
		if len(of) == 0 {
			return slices.ContainsFunc(call.Offer.Actors, func(a scheduling.Actor) bool { return a.Kind == kind })
		}
		return slices.ContainsFunc(of, func(a scheduling.Actor) bool { return a.Kind == kind && a.ID == id })
	}
}

// participants are those there, as they are written, without who leaves, and with
// who comes.
func (d *document) participants(come []model.AppointmentParticipant, leaves func(scheduling.Kind, string) bool) []any {
	var out []any
	stay := map[string]bool{}
	for _, raw := range d.rawList("participant") {
		var one struct {
			Actor model.Reference `json:"actor"`
		}
		_ = json.Unmarshal(raw.(json.RawMessage), &one)
		kind, id := fhir.RefParts(one.Actor.Reference)
		comes := slices.ContainsFunc(come, func(p model.AppointmentParticipant) bool {
			return id != "" && p.Actor.Reference == string(kind)+"/"+id
		})
		if comes || id == "" || !leaves(kind, id) {
			out = append(out, raw)
			stay[string(kind)+"/"+id], stay[one.Actor.Display] = true, id == ""
		}
	}
	for _, p := range come {
		if name := cmp.Or(p.Actor.Reference, p.Actor.Display); !stay[name] {
			out = append(out, map[string]any{"actor": refJSON(p.Actor), "required": p.Required, "status": p.Status})
		}
	}
	return out
}

func refsJSON(refs []model.Reference) []map[string]string {
	var out []map[string]string
	for _, ref := range refs {
		out = append(out, refJSON(&ref))
	}
	return out
}

func refJSON(ref *model.Reference) map[string]string {
	out := map[string]string{}
	if ref.Reference != "" {
		out["reference"] = ref.Reference
	}
	if ref.Display != "" {
		out["display"] = ref.Display
	}
	return out
}
