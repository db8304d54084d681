package replica

import (
	"slices"

	"slotgate/scheduling"
)

// Where nobody can be in two places at once, a mark keeps away whatever overlaps
// with its slot on the same schedule: other lengths of the same time, and offers
// of several slots that share one.

// daySeconds is the length of a day of UTC.
const daySeconds = 86400

// longestSpan bounds what one mark can keep away: no slot that is offered is
// longer than scheduling.MaxSlot.
const longestSpan = 7 * daySeconds

// spell is a scheduling.Span in seconds since 1970.
type spell struct {
	schedule string
	from, to int64
}

func spellOf(s scheduling.Span) spell {
	if s.Schedule == "" || !s.To.After(s.From) || s.To.Unix()-s.From.Unix() > longestSpan {
		return spell{}
	}
	return spell{s.Schedule, s.From.Unix(), s.To.Unix()}
}

func (s spell) none() bool { return s.schedule == "" }

func (s spell) overlaps(from, to int64) bool { return s.from < to && from < s.to }

func (s spell) told() scheduling.Span {
	if s.none() {
		return scheduling.Span{}
	}
	return scheduling.Span{Schedule: s.schedule, From: instant(s.from * 1e9), To: instant(s.to * 1e9)}
}

// agenda is a day of UTC on a schedule: marks are found by it.
type agenda struct {
	schedule string
	day      int64
}

// agendas are the days that the span touches.
func (s spell) agendas(visit func(agenda)) {
	if s.none() {
		return
	}
	for day := floorDay(s.from); day <= floorDay(s.to-1); day++ {
		visit(agenda{s.schedule, day})
	}
}

func floorDay(seconds int64) int64 {
	day := seconds / daySeconds
	if seconds%daySeconds < 0 {
		day--
	}
	return day
}

// spread notes where the mark's span is, or takes the note away.
func (k *marks) spread(slot string, s spell, gone bool) {
	s.agendas(func(at agenda) {
		if gone {
			if k.spans[at] = slices.DeleteFunc(k.spans[at], func(one string) bool { return one == slot }); len(k.spans[at]) == 0 {
				delete(k.spans, at)
			}
		} else if !slices.Contains(k.spans[at], slot) {
			k.spans[at] = append(k.spans[at], slot)
		}
	})
}

// overlapped tells whether a mark keeps this time on the schedule away from a
// window that the fetch of this number was the last to confirm.
func (k *marks) overlapped(slot spell, confirmed uint64) (withheld bool) {
	if len(k.spans) == 0 {
		return false
	}
	slot.agendas(func(at agenda) {
		for _, id := range k.spans[at] {
			m := k.bySlot[id]
			withheld = withheld || m.hides(confirmed) && m.span.overlaps(slot.from, slot.to)
		}
	})
	return withheld
}

// near counts the slots that are withheld on the days of a span: as long as there
// are some a mark may still be what keeps them away.
func (k *marks) near(s spell) (n int) {
	s.agendas(func(at agenda) { n += k.asideOn[at] })
	return n
}

// around adds the windows in which the span hides slots that are open, or none of
// its mark's slots needs to be withheld any longer.
func (tx *transaction) around(s spell, touched map[spot]bool) {
	n, known := tx.e.numbers[s.schedule]
	if s.none() || !known {
		return
	}
	b := tx.books.at(int(n))
	// A slot begins a day before at the earliest, and its day is the place's.
	for day := scheduling.Day(floorDay(s.from)) - 2; day <= scheduling.Day(floorDay(s.to))+1; day++ {
		w := b.window(day)
		if w == nil || touched[spot{n, day}] {
			continue
		}
		at := spot{n, day}
		if tx.changes(s, w, max(w.fetch, tx.confirmed(at))) {
			touched[at] = true
		}
	}
}

// changes tells whether a window shows what the marks withhold on the span, or
// withholds what they do not.
func (tx *transaction) changes(s spell, w *window, confirmed uint64) bool {
	for i := range w.slots {
		from := w.slots[i].start
		to := from + int64(w.slots[i].length)
		if s.overlaps(from, to) && tx.e.marks.overlapped(spell{s.schedule, from, to}, confirmed) {
			return true
		}
	}
	return slices.ContainsFunc(w.aside, func(slot scheduling.Slot) bool {
		return s.overlaps(slot.Start.Unix(), slot.End.Unix()) && !tx.e.marks.withholds(&slot, confirmed)
	})
}
