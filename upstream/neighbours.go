package upstream

import (
	"time"

	"slotgate/scheduling"
)

// A time that occurs twice is the first, unless its neighbours say otherwise (law
// 9): slots of one schedule do not overlap as a rule, so what would overlap with
// others at its first occurrence, and with none at its second, is the second.

// note takes a record, or counts why it cannot be used.
func (a *assembler) note(r *record) {
	if reason := a.take(r); reason != "" {
		a.unusable.Add(reason, 1)
		a.doubt(r, reason)
	}
}

// noteAll takes the records: first those whose times are clear, then, in the order
// that they came, those that are judged by them.
func (a *assembler) noteAll(records []*record) {
	var open, clear []*record
	for _, r := range records {
		if a.occursTwice(r) {
			open = append(open, r)
		} else {
			clear = append(clear, r)
		}
	}
	if len(open) > 0 {
		a.spans = map[string][]scheduling.Span{}
	}
	for _, r := range clear {
		a.note(r)
	}
	for _, r := range open {
		a.note(r)
	}
	a.spans = nil
}

// stands: there is a slot, free or not, at a time that is known.
func (r *record) stands() bool { return !r.clash && r.slot.Status != scheduling.SlotError }

// crowd notes when a slot is that cannot be had: that others stand beside it does
// not change when it is booked.
func (a *assembler) crowd(r *record) {
	if !r.stands() || r.start == "" && a.spans == nil {
		return
	}
	if from, to, err := a.times(r, a.judge(r.slot.Schedule).zone); err == nil {
		a.span(r, from, to)
	}
}

// span notes when a record is, of the scope or not.
func (a *assembler) span(r *record, from, to time.Time) {
	if a.spans != nil {
		a.spans[r.slot.Schedule] = append(a.spans[r.slot.Schedule], scheduling.Span{Schedule: r.slot.Schedule, From: from, To: to})
	}
}

// occursTwice tells whether a record's start does, and nothing that is written
// like it tells which one it is.
func (a *assembler) occursTwice(r *record) bool {
	if r.start == "" || !r.stands() {
		return false
	}
	if _, twin := a.twins[twinKey{r.slot.Schedule, r.start, r.end}]; twin {
		return false
	}
	stamp, err := scheduling.ParseStamp(r.start, a.judge(r.slot.Schedule).zone)
	return err == nil && !stamp.Second.IsZero()
}

// beside is the second occurrence of a period where the first cannot be meant:
// not where slots of the schedule may be side by side.
func (a *assembler) beside(r *record, zone *time.Location, from, to time.Time) (time.Time, time.Time) {
	if a.spans == nil || a.judge(r.slot.Schedule).parallel {
		return from, to
	}
	stamp, err := scheduling.ParseStamp(r.start, zone)
	if err != nil || stamp.Second.IsZero() || !from.Equal(stamp.First) {
		return from, to
	}
	second := scheduling.Span{Schedule: r.slot.Schedule, From: stamp.Second, To: stamp.Second.Add(to.Sub(from))}
	end, err := scheduling.ParseStamp(r.end, zone)
	if err != nil || !second.To.Equal(end.First) && !second.To.Equal(end.Second) {
		return from, to // it would end at another time than is written
	}
	if a.taken(scheduling.Span{Schedule: r.slot.Schedule, From: from, To: to}) && !a.taken(second) {
		return second.From, second.To
	}
	return from, to
}

func (a *assembler) taken(span scheduling.Span) bool {
	for _, other := range a.spans[span.Schedule] {
		if span.Overlaps(other) {
			return true
		}
	}
	return false
}
