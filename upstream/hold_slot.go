package upstream

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// slotNow is a slot as the source shows it at this moment.
type slotNow struct {
	*document
	slot  scheduling.Slot
	marks []string // values of our identifiers
	held  bool     // the marks are those of a hold
	ours  bool     // it was claimed by us before this call
	// until is when the hold ends that the slot had before this call; lent: this
	// call has put its own mark in the place of the hold's.
	until time.Time
	lent  bool
}

// readSlot reads a slot from no cache.
func (c *Client) readSlot(ctx context.Context, id string, l lane, probe bool) (*slotNow, error) {
	d, res, err := c.document(ctx, scheduling.KindSlot, id, l, probe)
	if err != nil {
		return nil, err
	}
	in, _ := res.(*model.Slot)
	slot, _ := fhir.NewSlots(c.source.Zone).Slot(in)
	s := &slotNow{document: d, slot: slot}
	s.marks, s.held = marksAmong(in.Identifier)
	return s, nil
}

// marked tells whether the slot carries this mark of ours.
func (s *slotNow) marked(mark string) bool {
	for _, one := range s.marks {
		if one == mark {
			return true
		}
	}
	return false
}

// stamp is our mark on a slot: an identifier whose period ends when the hold
// does, so that both can be searched and no server refuses them.
func (s *slotNow) stamp(to change) (model.Resource, error) {
	var all []json.RawMessage
	s.member("identifier", &all)
	var kept []any
	for _, raw := range all {
		var one struct {
			System string `json:"system"`
		}
		if json.Unmarshal(raw, &one) != nil || one.System != IdentifierSystem && one.System != HoldSystem {
			kept = append(kept, raw)
		}
	}
	if to.mark != "" {
		ours := map[string]any{"system": to.system(), "value": to.mark}
		if !to.until.IsZero() {
			ours["period"] = map[string]string{"end": to.until.UTC().Format(time.RFC3339)}
		}
		kept = append(kept, ours)
	}
	changes := map[string]any{"status": string(to.status), "identifier": nil}
	if len(kept) > 0 {
		changes["identifier"] = kept
	}
	return s.with(changes)
}

// markedUntil is when the period of our mark ends; zero where it has none.
func (s *slotNow) markedUntil() time.Time {
	var all []struct {
		System string `json:"system"`
		Period struct {
			End string `json:"end"`
		} `json:"period"`
	}
	s.member("identifier", &all)
	for _, one := range all {
		if end, err := time.Parse(time.RFC3339, one.Period.End); err == nil && one.System == HoldSystem {
			return end
		}
	}
	return time.Time{}
}

// change is one conditional PUT of a slot.
type change struct {
	kind   scheduling.CallKind
	lane   lane
	probe  bool
	status scheduling.SlotStatus
	mark   string
	until  time.Time
}

// system is that of the mark: a hold's is another one than a booking's.
func (c change) system() string {
	if c.kind == scheduling.CallHold {
		return HoldSystem
	}
	return IdentifierSystem
}

// putSlot writes a slot, on the condition that it is still the one we read. The
// slot then has its new version, "" where the source does not tell it.
func (c *Client) putSlot(ctx context.Context, s *slotNow, to change) error {
	res, err := s.stamp(to)
	if err != nil {
		return scheduling.Blame(scheduling.NotAcceptable, c.source.ID, err, "the slot cannot be written")
	}
	r, err := c.write(ctx, order{
		kind: to.kind, lane: to.lane, method: http.MethodPut, path: "Slot/" + s.id, resource: res, ifMatch: s.etag, probe: to.probe,
	})
	if err != nil {
		return err
	}
	s.etag = r.etag
	if s.etag == "" && len(r.slots) > 0 {
		s.etag = etagOf(nil, r.slots[0].Meta)
	}
	s.slot.Status = to.status
	var identifiers []model.Identifier
	if raw, ok := res.(*model.Raw); ok {
		_ = json.Unmarshal(raw.JSON, &s.members)
	}
	s.member("identifier", &identifiers)
	s.marks, s.held = marksAmong(identifiers)
	return nil
}

// claim asks for slots under our mark.
type claim struct {
	kind  scheduling.CallKind
	lane  lane
	mark  string
	hold  string // the mark of the hold that there may be already
	until time.Time
	renew bool // a claim that is ours already is written anew
}

// asClaimed tells whether the slot bears the mark of this very claim already.
func (how claim) asClaimed(s *slotNow) bool {
	return s.ours && !how.renew && s.marked(how.mark) && s.held == (how.kind == scheduling.CallHold)
}

// claimSlots makes every slot of an offer busy-tentative under our mark, or
// none. Slots that carry the mark already stay as they are; a booking puts its
// own in the place of its hold's, so that nobody frees them as a hold.
func (c *Client) claimSlots(ctx context.Context, offer scheduling.OfferRecord, how claim) ([]*slotNow, error) {
	slots, err := c.openSlots(ctx, offer, how)
	if err != nil {
		return nil, err
	}
	for i, s := range slots {
		if how.asClaimed(s) {
			continue
		}
		lent, until := s.ours && s.held && how.kind != scheduling.CallHold, s.markedUntil()
		err = c.putSlot(ctx, s, change{kind: how.kind, lane: how.lane, status: scheduling.SlotTentative, mark: how.mark, until: how.until})
		if err == nil {
			s.lent, s.until = lent, until
			continue
		}
		if scheduling.CodeOf(err) == scheduling.InDoubt {
			return nil, err
		}
		return nil, c.afterUndo(c.unclaim(ctx, slots[:i], how), err)
	}
	return slots, nil
}

// openSlots reads the slots and sees that each is free, or ours, at the times
// that were offered.
func (c *Client) openSlots(ctx context.Context, offer scheduling.OfferRecord, how claim) ([]*slotNow, error) {
	var out []*slotNow
	for _, asked := range offer.Slots {
		if asked.Virtual {
			continue
		}
		s, err := c.readSlot(ctx, asked.ID, how.lane, false)
		switch {
		case scheduling.CodeOf(err) == scheduling.UnknownID:
			return nil, c.taken()
		case err != nil:
			return nil, c.unsent(err)
		}
		s.ours = s.slot.Status == scheduling.SlotTentative && (s.marked(how.mark) || how.hold != "" && s.held && s.marked(how.hold))
		moved := !s.slot.Start.Equal(asked.Start) || !s.slot.End.Equal(asked.End)
		if moved || s.slot.Status != scheduling.SlotFree && !s.ours {
			return nil, c.taken()
		}
		out = append(out, s)
	}
	return out, nil
}

func (c *Client) taken() *scheduling.Error {
	return scheduling.Blame(scheduling.SlotTaken, c.source.ID, nil, refusalText(scheduling.SlotTaken))
}

// unclaim gives back what this call has claimed, each only if it is still as we
// left it, the last first: a slot that was held before is held again.
func (c *Client) unclaim(ctx context.Context, slots []*slotNow, how claim) error {
	ctx, cancel := c.afterwards(ctx)
	defer cancel()
	for _, s := range slices.Backward(slots) {
		if s.ours && !s.lent {
			continue
		}
		to := change{kind: scheduling.CallRelease, lane: how.lane, probe: true, status: scheduling.SlotFree}
		if s.lent {
			to.kind, to.status, to.mark, to.until = scheduling.CallHold, scheduling.SlotTentative, how.hold, s.until
		}
		if err := c.freeSlot(ctx, s, to, how.mark); err != nil {
			return err
		}
	}
	return nil
}

// freeSlot writes the slot free. Without a version to name, it is read again
// first and must still carry the mark.
func (c *Client) freeSlot(ctx context.Context, s *slotNow, to change, mark string) error {
	if s.etag == "" {
		again, err := c.readSlot(ctx, s.id, to.lane, to.probe)
		if err != nil {
			return err
		}
		if !again.marked(mark) {
			return nil
		}
		s = again
	}
	return c.putSlot(ctx, s, to)
}

// afterUndo is what a refused call ends with: what could not be undone leaves it
// in doubt.
func (c *Client) afterUndo(undo, refusal error) error {
	if undo == nil {
		return refusal
	}
	return c.doubt(undo)
}

// holdTag is what a hold on slots is known by: their versions, then the mark.
func holdTag(slots []*slotNow, mark string) string {
	var parts []string
	for _, s := range slots {
		if s.etag != "" {
			parts = append(parts, s.etag)
		}
	}
	return strings.Join(append(parts, markPart+mark), " ")
}

const markPart = "mark="

// markOf is the mark within such a tag, "" without one.
func markOf(tag string) string {
	for _, part := range strings.Fields(tag) {
		if mark, ok := strings.CutPrefix(part, markPart); ok {
			return mark
		}
	}
	return ""
}

// heldBy tells whether a slot is held under a hold with this tag. A tag without
// a mark names versions, also of what was claimed for a booking that never came;
// an empty one means any hold of ours.
func (s *slotNow) heldBy(tag string) bool {
	if s.slot.Status != scheduling.SlotTentative || len(s.marks) == 0 {
		return false
	}
	if mark := markOf(tag); mark != "" {
		return s.held && s.marked(mark)
	}
	return tag == "" || s.etag != "" && strings.Contains(" "+tag+" ", " "+s.etag+" ")
}
