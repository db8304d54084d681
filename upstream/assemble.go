package upstream

import (
	"errors"
	"time"

	"slotgate/scheduling"
)

// assembler makes windows of records. It asks nobody and knows no clock: the
// same records and directory give the same windows.
type assembler struct {
	source   scheduling.Source
	scope    scheduling.Scope
	resolver *scheduling.Resolver
	codes    *codeMap
	overlap  scheduling.Overlap // whether slots of a schedule may be at the same time

	settings map[string]judged
	twins    map[twinKey]twinCount
	slots    map[string]scheduling.Slot
	spans    map[string][]scheduling.Span // of all records, by schedule; nil where none needs to know its neighbours
	unusable scheduling.Tally
	doubtful []string
	nameless int
	unmapped scheduling.Tally
}

// judged is what the directory says of a schedule.
type judged struct {
	zone     *time.Location
	reason   scheduling.Reason
	parallel bool // slots may be side by side
}

// twinKey names slots that cannot be told apart by what is written: on the day
// that has an hour twice, they are the first and the second of that hour.
type twinKey struct{ schedule, start, end string }

// twinCount is how many there are, and which one is next.
type twinCount struct{ all, next int }

func newAssembler(source scheduling.Source, scope scheduling.Scope, resolver *scheduling.Resolver, codes *codeMap) *assembler {
	return &assembler{
		source: source, scope: scope, resolver: resolver, codes: codes,
		settings: map[string]judged{}, twins: map[twinKey]twinCount{}, slots: map[string]scheduling.Slot{},
		unusable: scheduling.Tally{}, unmapped: scheduling.Tally{},
	}
}

// windows judges every record and groups those that can be offered.
func (a *assembler) windows(records []*record) map[scheduling.WindowKey][]scheduling.Slot {
	a.countTwins(records)
	a.noteAll(records)
	slots := make([]scheduling.Slot, 0, len(a.slots))
	for _, slot := range a.slots {
		slots = append(slots, slot)
	}
	all := scheduling.Windows(slots, func(schedule string) *time.Location { return a.judge(schedule).zone })
	for key := range all {
		if !a.scope.Covers(key) {
			delete(all, key)
		}
	}
	return all
}

// doubt notes a record that is there and cannot be used. Who is inactive was
// taken away by the source itself: there is nothing doubtful in that.
func (a *assembler) doubt(r *record, reason scheduling.Reason) {
	switch {
	case reason == scheduling.InactiveActor:
	case r.slot.ID == "":
		a.nameless++
	default:
		a.doubtful = append(a.doubtful, r.slot.ID)
	}
}

func (a *assembler) judge(schedule string) judged {
	known, ok := a.settings[schedule]
	if ok {
		return known
	}
	known = judged{zone: a.source.Zone}
	if schedule == "" {
		known.reason = scheduling.NoSchedule
	} else if setting, reason := a.resolver.Setting(schedule); reason != "" {
		known.reason = reason
	} else {
		known.zone, known.parallel = setting.Zone, !a.overlap.Hides(setting)
	}
	a.settings[schedule] = known
	return known
}

// take judges one record; the reason is "" for one that is taken, or that is
// nothing for us: not free, or outside the scope.
func (a *assembler) take(r *record) scheduling.Reason {
	switch {
	case r.slot.Status != scheduling.SlotFree:
		a.crowd(r)
		return statusReason(r.slot.Status)
	case r.clash:
		return scheduling.Conflicting
	}
	setting := a.judge(r.slot.Schedule)
	if r.offered && r.slot.Schedule == "" {
		setting.reason = scheduling.NoActor
	}
	from, to, err := a.times(r, setting.zone)
	if err == nil {
		a.span(r, from, to)
	}
	switch {
	case errors.Is(err, errNoTime):
		return scheduling.NoTime
	case err != nil && setting.reason != "" && errors.Is(err, scheduling.ErrNoZone):
		return setting.reason
	case err != nil:
		return scheduling.ReasonFor(err)
	case !a.within(r, from, setting):
		return ""
	case setting.reason != "":
		return setting.reason
	}
	slot := r.slot
	slot.Start, slot.End = from, to
	if slot.ID == "" {
		slot.ID = virtualID(a.source.ID, r.actors, &slot)
	}
	if reason := slot.Usable(); reason != "" {
		return reason
	}
	a.map2common(&slot)
	a.slots[slot.ID] = slot
	return ""
}

func statusReason(status scheduling.SlotStatus) scheduling.Reason {
	switch status {
	case scheduling.SlotBusy, scheduling.SlotUnavailable, scheduling.SlotTentative, scheduling.SlotError:
		return ""
	default:
		return scheduling.UnknownStatus
	}
}

// within tells whether the record is of the scope. What is not was not asked
// for: servers answer with whole days, or with more.
func (a *assembler) within(r *record, from time.Time, setting judged) bool {
	zone := setting.zone
	if zone == nil {
		zone = time.UTC
	}
	if setting.reason != "" {
		return a.scope.Days.Has(scheduling.DayOf(from, zone))
	}
	return a.scope.Covers(scheduling.WindowKey{Schedule: r.slot.Schedule, Day: scheduling.DayOf(from, zone)})
}

var errNoTime = errors.New("upstream: a slot without a start or an end")

// times are the instants of a record at a place in zone.
func (a *assembler) times(r *record, zone *time.Location) (from, to time.Time, err error) {
	switch {
	case r.timed():
		return r.slot.Start, r.slot.End, nil
	case r.start == "" || r.end == "":
		return from, to, errNoTime
	}
	from, to, err = scheduling.ParsePeriod(r.start, r.end, zone)
	if err != nil {
		return from, to, err //nolint:wrapcheck // a sentinel of the domain
	}
	return a.occurrence(r, zone, from, to)
}

// countTwins finds the records that are written alike. One that is booked stays
// the twin of the other.
func (a *assembler) countTwins(records []*record) {
	for _, r := range records {
		if r.start != "" && r.stands() {
			key := twinKey{r.slot.Schedule, r.start, r.end}
			a.twins[key] = twinCount{all: a.twins[key].all + 1}
		}
	}
	for key, n := range a.twins {
		if n.all < 2 {
			delete(a.twins, key)
		}
	}
}

// occurrence tells the first from the second of two slots that are written
// alike (law 9); of more, as on a schedule of two chairs, the first half is at the
// first. Alone, a time that occurs twice means the first, or what makes
// the shorter period.
func (a *assembler) occurrence(r *record, zone *time.Location, from, to time.Time) (time.Time, time.Time, error) {
	key := twinKey{r.slot.Schedule, r.start, r.end}
	count, twin := a.twins[key]
	if !twin {
		from, to = a.beside(r, zone, from, to)
		return from, to, nil
	}
	stamp, err := scheduling.ParseStamp(r.start, zone)
	if err != nil || stamp.Second.IsZero() {
		return from, to, err //nolint:wrapcheck // a sentinel of the domain
	}
	a.twins[key] = twinCount{all: count.all, next: count.next + 1}
	length := to.Sub(from)
	from = stamp.First
	if count.next >= (count.all+1)/2 {
		from = stamp.Second
	}
	return from, from.Add(length), nil
}

// map2common adds the common codings.
func (a *assembler) map2common(slot *scheduling.Slot) {
	if a.codes == nil {
		return
	}
	slot.Specialty = a.codes.count(slot.Specialty, "specialty", a.unmapped)
	slot.ServiceType = a.codes.count(slot.ServiceType, "service-type", a.unmapped)
	slot.ServiceCategory = a.codes.count(slot.ServiceCategory, "service-category", a.unmapped)
	if slot.AppointmentType != nil {
		one := a.codes.count([]scheduling.Concept{*slot.AppointmentType}, "appointment-type", a.unmapped)
		slot.AppointmentType = &one[0]
	}
}
