package replica

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"slotgate/scheduling"
)

// idLen is the length of every id that scheduling makes.
const idLen = 26

// slot is an open slot, packed. Its texts lie in its window's arena.
type slot struct {
	start  int64  // seconds since 1970
	length uint32 // seconds; scheduling.MaxSlot bounds it
	idEnd  uint32 // where the source's id ends in the arena
	end    uint32 // where the source's appointment id ends, and the next slot's id begins
	extra  uint32 // 1 + index in the window's extras; 0: none
}

// window is one scheduling.Window, packed and immutable. Its slots are in order
// of start and offer id.
type window struct {
	day      scheduling.Day
	fetch    uint64
	checked  int64 // nanoseconds since 1970, 0: never
	changed  int64
	slots    []slot
	arena    string // offer ids, slot ids (26 each), then the source's own
	extras   []*extra
	unusable []scheduling.Slot // those that can never be offered; nil as a rule
	aside    []scheduling.Slot // those that a mark withholds; nil as a rule
	// offers: the slots of this window are offers made of slots of others, with
	// nothing but their own ids in the arena; nil for a window as it came.
	offers *offers
}

func (w *window) offerID(i int) string { return w.arena[i*idLen : (i+1)*idLen] }

func (w *window) slotID(i int) string {
	at := len(w.slots)*idLen + i*idLen
	return w.arena[at : at+idLen]
}

// ids is all ids of ours in the window, as one text.
func (w *window) ids() string { return w.arena[:2*idLen*len(w.slots)] }

// textStart is where the texts of slot i begin in the arena.
func (w *window) textStart(i int) uint32 {
	if i == 0 {
		return uint32(2 * idLen * len(w.slots))
	}
	return w.slots[i-1].end
}

func (w *window) nativeID(i int) string { return w.arena[w.textStart(i):w.slots[i].idEnd] }

func (w *window) extraOf(i int) *extra {
	if n := w.slots[i].extra; n > 0 {
		return w.extras[n-1]
	}
	return nil
}

func (w *window) first() int64 { return w.slots[0].start }
func (w *window) last() int64  { return w.slots[len(w.slots)-1].start }

// slot unpacks slot i; sets are the concepts by number.
func (w *window) slot(i int, schedule string, sets [][]scheduling.Concept) scheduling.Slot {
	s := w.slots[i]
	out := scheduling.Slot{
		ID:          w.nativeID(i),
		Appointment: w.arena[s.idEnd:s.end],
		Schedule:    schedule,
		Status:      scheduling.SlotFree,
		Start:       time.Unix(s.start, 0).UTC(),
		End:         time.Unix(s.start+int64(s.length), 0).UTC(),
	}
	if x := w.extraOf(i); x != nil {
		out.Virtual = x.virtual
		out.ServiceCategory = x.category
		out.ServiceType = sets[x.serviceType]
		out.Specialty = sets[x.specialty]
		out.AppointmentType = x.appointmentType
		out.Comment, out.Portal = x.comment, x.portal
	}
	return out
}

// unpack is the window as it came, but for slots that were not free.
func (w *window) unpack(schedule string, sets [][]scheduling.Concept) scheduling.Window {
	out := scheduling.Window{
		Key:     scheduling.WindowKey{Schedule: schedule, Day: w.day},
		Fetch:   w.fetch,
		Checked: instant(w.checked),
		Changed: instant(w.changed),
	}
	for i := range w.slots {
		out.Slots = append(out.Slots, w.slot(i, schedule, sets))
	}
	out.Slots = append(out.Slots, w.unusable...)
	out.Slots = append(out.Slots, w.aside...)
	return out
}

// seek is the first slot that comes after this start and offer id.
func (w *window) seek(start int64, id string) int {
	low, high := 0, len(w.slots)
	for low < high {
		mid := (low + high) / 2
		if w.after(mid, start, id) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// after tells whether slot i comes after this start and offer id.
func (w *window) after(i int, start int64, id string) bool {
	if s := w.slots[i].start; s != start {
		return s > start
	}
	return id == "" || w.offerID(i) > id
}

// has tells whether the window offers the id at this start.
func (w *window) has(start int64, id string) bool {
	i := w.seek(start, id) - 1
	return i >= 0 && w.slots[i].start == start && w.offerID(i) == id
}

// packer makes windows of one source.
type packer struct {
	source scheduling.SourceID
	in     *interner
	gens   map[string]uint32
	marks  *marks
	known  map[string]pair // ids made before, by the source's slot id
	order  []packed
	arena  strings.Builder
}

// pair is our two ids of one slot.
type pair struct {
	generation  uint32
	offer, slot string
}

type packed struct {
	*scheduling.Slot
	ids pair
}

// pack takes in the usable open slots of a window; confirmed is the number of
// the latest fetch that stands for it.
func (p *packer) pack(in scheduling.Window, confirmed uint64) *window {
	out := &window{day: in.Key.Day, fetch: in.Fetch, checked: nanos(in.Checked), changed: nanos(in.Changed)}
	p.order = p.order[:0]
	for i := range in.Slots {
		s := &in.Slots[i]
		if s.Status != "" && s.Status != scheduling.SlotFree {
			continue // taken, and nobody's loss
		}
		if s.Usable() != "" {
			out.unusable = append(out.unusable, *s)
			continue
		}
		if len(p.marks.bySlot) > 0 && p.withhold(out, s, in.Key.Schedule, confirmed) {
			continue
		}
		p.order = append(p.order, packed{s, p.ids(s.ID)})
	}
	slices.SortFunc(p.order, func(a, b packed) int {
		return cmp.Or(cmp.Compare(a.Start.Unix(), b.Start.Unix()), cmp.Compare(a.ids.offer, b.ids.offer))
	})
	// A page that came twice brings its slots twice.
	p.order = slices.CompactFunc(p.order, func(a, b packed) bool {
		return a.ids.offer == b.ids.offer && a.Start.Unix() == b.Start.Unix()
	})
	p.fill(out)
	return out
}

// withhold keeps the slot aside where a mark says so, once if it came twice.
func (p *packer) withhold(w *window, in *scheduling.Slot, schedule string, confirmed uint64) bool {
	s := *in
	s.Schedule = schedule
	if !p.marks.withholds(&s, confirmed) {
		return false
	}
	twin := func(known scheduling.Slot) bool { return known.ID == s.ID && known.Start.Unix() == s.Start.Unix() }
	if !slices.ContainsFunc(w.aside, twin) {
		w.aside = append(w.aside, s)
	}
	return true
}

func (p *packer) ids(id string) pair {
	generation := p.gens[id]
	if ids, ok := p.known[id]; ok && ids.generation == generation {
		return ids
	}
	return pair{
		generation: generation,
		offer:      scheduling.OfferID(p.source, generation, id),
		slot:       scheduling.ResourceID(p.source, scheduling.KindSlot, id),
	}
}

// fill writes p.order into the window's slots and arena.
func (p *packer) fill(out *window) {
	if len(p.order) == 0 {
		return
	}
	size := 2 * idLen * len(p.order)
	for _, s := range p.order {
		size += len(s.ID) + len(s.Appointment)
	}
	p.arena.Reset()
	p.arena.Grow(size)
	for _, s := range p.order {
		p.arena.WriteString(s.ids.offer)
	}
	for _, s := range p.order {
		p.arena.WriteString(s.ids.slot)
	}
	out.slots = make([]slot, len(p.order))
	for i, s := range p.order {
		p.arena.WriteString(s.ID)
		idEnd := uint32(p.arena.Len())
		p.arena.WriteString(s.Appointment)
		out.slots[i] = slot{
			start:  s.Start.Unix(),
			length: uint32(s.End.Unix() - s.Start.Unix()),
			idEnd:  idEnd,
			end:    uint32(p.arena.Len()),
			extra:  out.extraIndex(p.in.extraOf(s.Slot)),
		}
	}
	out.arena = p.arena.String()
}

// extraIndex is where x stands among the extras of the window, plus one.
func (w *window) extraIndex(x *extra) uint32 {
	if x == nil {
		return 0
	}
	// The latest are the likeliest, and a window has few.
	for i := len(w.extras) - 1; i >= max(0, len(w.extras)-8); i-- {
		if w.extras[i] == x {
			return uint32(i + 1)
		}
	}
	w.extras = append(w.extras, x)
	return uint32(len(w.extras))
}

// nanos and instant turn a moment of our own clock into a number and back.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
