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

// noteOpen takes the records whose times occur twice, in the order that they came.
func (a *assembler) noteOpen(open []*record) {
	if len(open) == 0 {
		return
	}
	a.spans = map[string][]scheduling.Span{}
	for _, slot := range a.slots {
		a.spans[slot.Schedule] = append(a.spans[slot.Schedule], scheduling.Span{Schedule: slot.Schedule, From: slot.Start, To: slot.End})
	}
	for _, r := range open {
		a.note(r)
	}
	a.spans = nil
}

// occursTwice tells whether a record's start does, and nothing that is written
// like it tells which one it is.
func (a *assembler) occursTwice(r *record) bool {
	if r.start == "" || r.clash || r.slot.Status != scheduling.SlotFree {
		return false
	}
	if _, twin := a.twins[twinKey{r.slot.Schedule, r.start, r.end}]; twin {
		return false
	}
	stamp, err := scheduling.ParseStamp(r.start, a.judge(r.slot.Schedule).zone)
	return err == nil && !stamp.Second.IsZero()
}

// beside is the second occurrence of a period where the first cannot be meant.
func (a *assembler) beside(r *record, zone *time.Location, from, to time.Time) (time.Time, time.Time) {
	if a.spans == nil {
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
