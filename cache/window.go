package cache

import (
	"encoding/binary"
	"time"

	"slotgate/scheduling"
)

// windowVersion is the first byte of a window in Redis. A version that we do not
// know is damage to us: the window is left out, counted, and written anew by the
// next fetch that finds another digest.
const windowVersion = 2

// How exactly the times of a window are written.
const (
	inMinutes = iota
	inSeconds
	inNanos
)

// A window is written as
//
//	version, number of the fetch, when it changed (ms since 1970), content
//
// and its content as
//
//	shapes (see shapeTable), count of slots, unit of time,
//	ids, for each slot: start since the one before, length, shape<<2 | virtual<<1 | proposed,
//	proposed ids, if a slot has one
//
// The first start counts from midnight UTC of the window's day. Neither the day
// nor the schedule is written: the key tells them.

// encodeWindow puts the header before the content.
func encodeWindow(fetch uint64, changed time.Time, content []byte) []byte {
	b := make([]byte, 0, len(content)+16)
	b = append(b, windowVersion)
	b = binary.AppendUvarint(b, fetch)
	b = binary.AppendVarint(b, changed.UnixMilli())
	return append(b, content...)
}

// encodeSlots writes the content of a window. Equal slots give equal bytes.
func encodeSlots(day scheduling.Day, slots []scheduling.Slot) []byte {
	table := newShapeTable()
	unit := unitOf(slots)
	ids, proposed := make([]string, len(slots)), make([]string, 0)
	var body []byte
	last := dayStart(day)
	for i, slot := range slots {
		flags := uint64(table.add(shapeOf(slot))) << 2
		if slot.Virtual {
			flags |= 2
		}
		if slot.Appointment != "" {
			flags |= 1
			proposed = append(proposed, slot.Appointment)
		}
		ids[i] = slot.ID
		body = appendTime(body, unit, last, slot.Start)
		body = appendTime(body, unit, slot.Start, slot.End)
		body = binary.AppendUvarint(body, flags)
		last = slot.Start
	}
	b := table.append(make([]byte, 0, len(body)+32*len(slots)+64))
	b = binary.AppendUvarint(b, uint64(len(slots)))
	b = append(b, byte(unit))
	b = appendIDs(b, ids)
	b = append(b, body...)
	if len(proposed) > 0 {
		b = appendIDs(b, proposed)
	}
	return b
}

func dayStart(day scheduling.Day) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// unitOf is the coarsest unit that loses nothing.
func unitOf(slots []scheduling.Slot) int {
	unit := inMinutes
	for _, s := range slots {
		switch {
		case s.Start.Nanosecond() != 0 || s.End.Nanosecond() != 0:
			return inNanos
		case s.Start.Unix()%60 != 0 || s.End.Unix()%60 != 0:
			unit = inSeconds
		}
	}
	return unit
}

// appendTime writes t as the time since from.
func appendTime(b []byte, unit int, from, t time.Time) []byte {
	seconds := t.Unix() - from.Unix()
	if unit == inMinutes {
		return binary.AppendVarint(b, seconds/60)
	}
	b = binary.AppendVarint(b, seconds)
	if unit == inNanos {
		b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
	}
	return b
}

func readTime(r *reader, unit byte, from time.Time) time.Time {
	seconds := r.varint()
	if unit == inMinutes {
		seconds *= 60
	}
	var nanos uint64
	if unit == inNanos {
		if nanos = r.uvarint(); nanos >= uint64(time.Second) {
			r.fail()
		}
	}
	return time.Unix(from.Unix()+seconds, int64(nanos)).UTC()
}

// decode reads a window. The slots may share memory with data and with other
// windows of the same decoder: nobody may change them.
func (d *decoder) decode(key scheduling.WindowKey, data string) (scheduling.Window, error) {
	r := &reader{rest: data}
	if r.byte() != windowVersion {
		return scheduling.Window{}, errDamaged
	}
	w := scheduling.Window{Key: key, Fetch: r.uvarint()}
	w.Changed = time.UnixMilli(r.varint()).UTC()
	w.Checked = w.Changed
	shapes, err := d.shapes(r.sized())
	if err != nil {
		return scheduling.Window{}, err
	}
	w.Slots = readSlots(r, key, shapes)
	if err := r.end(); err != nil {
		return scheduling.Window{}, err
	}
	return w, nil
}

func readSlots(r *reader, key scheduling.WindowKey, shapes []shape) []scheduling.Slot {
	// A slot takes four bytes at least: the length of its id, two times, flags.
	n := r.count(4)
	unit := r.byte()
	if unit > inNanos {
		r.fail()
	}
	ids := readIDs(r, n)
	if r.bad || n == 0 {
		return nil
	}
	slots := make([]scheduling.Slot, n)
	proposed := make([]int, 0)
	last := dayStart(key.Day)
	for i := range slots {
		s := &slots[i]
		s.ID, s.Schedule = ids[i], key.Schedule
		s.Start = readTime(r, unit, last)
		s.End = readTime(r, unit, s.Start)
		last = s.Start
		flags := r.uvarint()
		if flags>>2 >= uint64(len(shapes)) || r.bad {
			r.fail()
			return nil
		}
		s.Virtual = flags&2 != 0
		if flags&1 != 0 {
			proposed = append(proposed, i)
		}
		shapes[flags>>2].fill(s)
	}
	if len(proposed) > 0 {
		for k, id := range readIDs(r, len(proposed)) {
			slots[proposed[k]].Appointment = id
		}
	}
	return slots
}

func (s shape) fill(slot *scheduling.Slot) {
	slot.Status = s.status
	slot.ServiceCategory, slot.ServiceType, slot.Specialty = s.serviceCategory, s.serviceType, s.specialty
	slot.AppointmentType, slot.Comment, slot.Portal = s.appointmentType, s.comment, s.portal
}
