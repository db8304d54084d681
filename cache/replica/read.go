package replica

import (
	"time"

	"slotgate/scheduling"
)

// Offer finds an offer by its id: false for one that is unknown, has begun, has
// become too old, or whose schedule the directory does not explain.
func (r *Replica) Offer(id string) (scheduling.Hit, bool) {
	now := r.opts.Now().UTC()
	for _, e := range r.table.Load().tagged(id) {
		st := e.state.Load()
		if at, ok := st.locateOffer(id, func(w *window, i int) bool { return w.offerID(i) == id }, now); ok {
			return st.hit(at.place, at.book, at.window, at.slot), true
		}
	}
	return scheduling.Hit{}, false
}

// Read gives one record of the directory, or one open slot, by our id.
func (r *Replica) Read(kind scheduling.Kind, id string) (scheduling.Record, bool) {
	now := r.opts.Now().UTC()
	for _, e := range r.table.Load().tagged(id) {
		st := e.state.Load()
		if kind == scheduling.KindSlot {
			at, ok := st.locateSlot(id, now)
			if !ok || at.virtual() {
				continue
			}
			return st.slotRecord(at), true
		}
		if record, ok := st.record(kind, id); ok {
			return record, true
		}
	}
	return scheduling.Record{}, false
}

// located is where a slot lies.
type located struct {
	number int32 // the schedule's
	place  *place
	book   *book
	window *window
	slot   int
}

// virtual tells whether the slot, or its schedule, is of our own making.
func (at located) virtual() bool {
	x := at.window.extraOf(at.slot)
	return x != nil && x.virtual || at.place.setting.Schedule.Virtual
}

// locateSlot finds an open slot by our id.
func (st *state) locateSlot(id string, now time.Time) (located, bool) {
	return st.locate(id, now, func(b *book, visit func(*window)) {
		for _, w := range b.windows {
			visit(w)
		}
	}, func(w *window, i int) bool { return w.slotID(i) == id })
}

// locateOffer finds the offer that is meant, on a schedule that has this id of
// ours.
func (st *state) locateOffer(id string, is func(*window, int) bool, now time.Time) (located, bool) {
	return st.locate(id, now, (*book).shown, is)
}

// locate finds what is meant among the windows of a book that are visited.
func (st *state) locate(id string, now time.Time, windows func(*book, func(*window)), is func(*window, int) bool) (found located, ok bool) {
	from := seconds(now)
	oldest, limited := st.oldest(now, 0)
	st.ids.schedules(id, func(n int32) bool {
		p, b := st.layout.places[n], st.books.at(int(n))
		if p.setting == nil {
			return true
		}
		windows(b, func(w *window) {
			if ok || limited && b.checkedAt(w, st.cover) < oldest {
				return
			}
			for i := range w.slots {
				if w.slots[i].start >= from && is(w, i) && !st.doubles.shadowed(n, w, i) && (!limited || b.confirmed(w, i, st.cover) >= oldest) {
					found, ok = located{n, p, b, w, i}, true
					return
				}
			}
		})
		return !ok
	})
	return found, ok
}

func (st *state) slotRecord(at located) scheduling.Record {
	slot := at.window.slot(at.slot, at.place.id, st.sets)
	return scheduling.Record{
		ID: at.window.slotID(at.slot), Source: st.source, Kind: scheduling.KindSlot,
		Slot: &slot, Setting: at.place.setting,
	}
}

// record is the one with our id.
func (st *state) record(kind scheduling.Kind, id string) (scheduling.Record, bool) {
	known := st.dir.kinds[kind]
	if known == nil {
		return scheduling.Record{}, false
	}
	n, ok := known.number(id)
	if !ok {
		return scheduling.Record{}, false
	}
	return st.numbered(kind, n)
}

// numbered is the record of a number; false for a schedule of our own making.
func (st *state) numbered(kind scheduling.Kind, n int32) (scheduling.Record, bool) {
	known := st.dir.kinds[kind]
	native := known.natives[n]
	record := scheduling.Record{ID: known.ids[n], Source: st.source, Kind: kind}
	switch kind {
	case scheduling.KindPractitioner:
		record.Practitioner = st.dir.Practitioners[native]
	case scheduling.KindRole:
		record.Role = st.dir.Roles[native]
	case scheduling.KindLocation:
		record.Location = st.dir.Locations[native]
	case scheduling.KindOrganization:
		record.Organization = st.dir.Organizations[native]
	case scheduling.KindService:
		record.Service = st.dir.Services[native]
	case scheduling.KindSchedule:
		record.Schedule = st.dir.Schedules[native]
		return record, !record.Schedule.Virtual
	}
	return record, true
}
