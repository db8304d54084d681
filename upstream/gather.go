package upstream

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// record is one slot of an answer before its references are followed.
type record struct {
	slot scheduling.Slot
	// start and end as written, where they cannot be understood without the
	// zone of the place; the slot's own are zero then.
	start, end string
	// actors of a proposed appointment, whose schedule nobody named.
	actors  []scheduling.Actor
	offered bool // a proposed appointment, not a Slot
	clash   bool // the same id came with other times
}

// timed: the times came with offsets.
func (r *record) timed() bool { return !r.slot.Start.IsZero() && !r.slot.End.IsZero() }

// look is everything by which an offer without an id can be known again.
func (r *record) look() string {
	return r.start + " " + r.end + " " + virtualID("", r.actors, &r.slot)
}

// harvest gathers the pages of an answer. It is for one goroutine.
type harvest struct {
	kind scheduling.Kind // Slot, or Appointment of $find
	rule *regexp.Regexp
	max  int
	// temporary: ids of what is proposed are other ones each time.
	temporary bool
	records   []*record
	byID      map[string]*record
	slotOf    map[string]string // schedules of Slots that came along with $find
	found     scheduling.Directory
	seen      map[string]bool // directory records read already
	tally     scheduling.Tally

	doubtful []string  // slots that could not be read
	nameless int       // those without an id
	asOf     time.Time // when the source was asked; zero: just now
	newest   time.Time // the latest lastUpdated of a slot; zero: none
	valid    time.Time // its own time of its oldest page; zero: it told none
}

const kindAppointment scheduling.Kind = "Appointment"

func newHarvest(kind scheduling.Kind, rule *regexp.Regexp, maxSlots int) *harvest {
	return &harvest{
		kind: kind, rule: rule, max: maxSlots,
		byID: map[string]*record{}, slotOf: map[string]string{}, seen: map[string]bool{},
		found: scheduling.NewDirectory(), tally: scheduling.Tally{},
	}
}

// page takes in one page; cut tells that there is no room for more.
func (h *harvest) page(page *fhir.Page) (cut string) {
	h.tally.Merge(page.Broken)
	h.valid = older(h.valid, page.Valid)
	if h.kind == scheduling.KindSlot {
		h.doubtful = append(h.doubtful, page.BrokenSlots...)
	}
	h.nameless += page.Broken.Total() - len(page.BrokenSlots)
	links := newRefs(h.rule, page)
	convert := fhir.NewSlots(nil)
	for i := range page.Entries {
		switch res := page.Entries[i].Resource.(type) {
		case nil:
		case *model.Slot:
			h.slot(res, convert, links)
		case *model.Appointment:
			h.offer(res, convert, links)
		default:
			h.other(res)
		}
	}
	if len(h.records) > h.max {
		return fmt.Sprintf("more than %d slots", h.max)
	}
	return ""
}

func (h *harvest) slot(in *model.Slot, convert *fhir.Slots, links *refs) {
	h.stamped(in.Meta)
	r := &record{start: in.Start, end: in.End}
	r.slot, _ = convert.Slot(in) // judged when the zone is known
	schedule, within := links.schedule(in.Schedule, in.Contained)
	r.slot.Schedule = schedule
	if within != nil {
		r.actors = fhir.ToSchedule(within).Actors
	}
	if r.timed() {
		r.start, r.end = "", ""
	}
	switch {
	case h.kind != scheduling.KindSlot: // it came along with an offer
		h.slotOf[in.ID] = schedule
	case in.ID == "":
		h.tally.Add(scheduling.NoID, 1)
		h.nameless++
	default:
		h.keep(r)
	}
}

// stamped notes when a slot changed, by the clock that stamps it.
func (h *harvest) stamped(meta *model.Meta) {
	if meta == nil || meta.LastUpdated == "" {
		return
	}
	if at, err := scheduling.ParseInstant(meta.LastUpdated, nil); err == nil {
		h.newest = later(h.newest, at)
	}
}

// keep puts the record in place of an earlier one of its id: a later page holds
// the later state.
func (h *harvest) keep(r *record) {
	old := h.byID[r.slot.ID]
	if old == nil {
		h.byID[r.slot.ID] = r
		h.records = append(h.records, r)
		return
	}
	same := r.start == old.start && r.end == old.end && r.slot.Start.Equal(old.slot.Start) && r.slot.End.Equal(old.slot.End)
	r.clash = old.clash || !same
	*old = *r
}

// offer takes a proposed appointment. What is proposed as anything else is not
// on offer.
func (h *harvest) offer(in *model.Appointment, convert *fhir.Slots, links *refs) {
	if h.kind != kindAppointment || in.Status != "proposed" && knownAppointment(in.Status) {
		return
	}
	if in.Status != "proposed" {
		h.tally.Add(scheduling.UnknownStatus, 1)
		h.nameless++
		return
	}
	r := &record{start: in.Start, end: in.End, offered: true}
	r.slot, r.actors, _ = convert.Proposed(in)
	if r.timed() {
		r.start, r.end = "", ""
	}
	if h.temporary {
		r.slot.ID, r.slot.Virtual = "", true
	} else if len(in.Slot) == 1 {
		if slot, ok := slotWithin(in, links); ok {
			r.slot.Schedule, _ = links.schedule(slot.Schedule, in.Contained)
		}
	}
	if r.slot.Virtual {
		h.records = append(h.records, r)
		return
	}
	h.keep(r)
}

// slotWithin is the Slot that an appointment contains or that came as a URN.
func slotWithin(in *model.Appointment, links *refs) (*model.Slot, bool) {
	ref := in.Slot[0].Reference
	if local, ok := strings.CutPrefix(ref, "#"); ok {
		slot, ok := containedIn(in.Contained, local).(*model.Slot)
		return slot, ok
	}
	slot, ok := links.urns[ref].(*model.Slot)
	return slot, ok
}

// knownAppointment: statuses of appointments that are not on offer.
func knownAppointment(status string) bool {
	return oneOf(status, "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error", "checked-in", "waitlist")
}

// other takes a record of the directory, each once.
func (h *harvest) other(res model.Resource) {
	ref := model.Ref(res)
	if ref == "" || h.seen[ref] {
		return
	}
	h.seen[ref] = true
	_, reason := fhir.AddTo(h.found, res)
	if reason != "" {
		h.tally.Add(reason, 1)
	}
}

// join adds another harvest of the same kind, which came after this one.
func (h *harvest) join(other *harvest) {
	// Days overlap where a source has several zones: what has no id is known
	// by its look then.
	before := map[string]bool{}
	for _, r := range h.records {
		if r.slot.Virtual {
			before[r.look()] = true
		}
	}
	for _, r := range other.records {
		switch {
		case !r.slot.Virtual:
			h.keep(r)
		case !before[r.look()]:
			h.records = append(h.records, r)
		}
	}
	for slot, schedule := range other.slotOf {
		h.slotOf[slot] = schedule
	}
	h.found.Merge(other.found)
	h.tally.Merge(other.tally)
	h.valid = older(h.valid, other.valid)
	h.newest = later(h.newest, other.newest)
	h.doubtful = append(h.doubtful, other.doubtful...)
	h.nameless += other.nameless
}

// settleSchedules gives offers the schedules of the Slots that came along.
func (h *harvest) settleSchedules() {
	for _, r := range h.records {
		if r.slot.Schedule == "" && !r.slot.Virtual {
			r.slot.Schedule = h.slotOf[r.slot.ID]
		}
	}
}
