package replica

import (
	"cmp"
	"time"

	"slotgate/scheduling"
)

// Sources is every configured source, in order of id, with what it has open
// now: not begun, not too old, and explained by its directory. Unusable counts
// what prefetch could not take and what is hidden here.
func (r *Replica) Sources() []scheduling.Freshness {
	now := r.opts.Now().UTC()
	entries := r.table.Load().list
	out := make([]scheduling.Freshness, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.state.Load().report(now))
	}
	return out
}

// Ready tells whether the first load of every source was tried.
func (r *Replica) Ready() bool {
	for _, e := range r.table.Load().list {
		if st := e.state.Load(); !st.source.Live && !st.loaded && st.status.Tried.IsZero() {
			return false
		}
	}
	return true
}

// freshness is what one answer says of the source. Its tally is shared with
// other answers and must not be changed.
func (st *state) freshness(now time.Time) scheduling.Freshness {
	return scheduling.Freshness{
		Source: st.source.ID,
		Name:   st.source.Name,
		State:  st.status.State(st.source, now),
		Status: st.told,
		Asked:  st.came(),
	}
}

// came is what came of asking a source whose slots are not kept.
func (st *state) came() scheduling.Asked {
	if st.source.Live {
		return cmp.Or(st.asked, scheduling.Unasked)
	}
	return ""
}

// report is the source as operators see it.
func (st *state) report(now time.Time) scheduling.Freshness {
	fresh := st.freshness(now)
	fresh.Slots, fresh.Windows = st.open(now)
	q := scheduling.Query{}
	fresh.Complete = st.complete(&q, now) && !st.missing(&q, now)
	if oldest, limited := st.oldest(now, 0); limited {
		for n := range st.books.count {
			b := st.books.at(n)
			fresh.Complete = fresh.Complete && (b.count == 0 || b.fresh(oldest, st.cover))
		}
	}
	return fresh
}

// open counts the slots that could be found now, whatever the horizon, and the
// windows that hold them.
func (st *state) open(now time.Time) (slots, windows int) {
	oldest, limited := st.oldest(now, 0)
	from := seconds(now)
	for n := range st.books.count {
		b := st.books.at(n)
		windows += b.filled()
		if b.count == 0 || st.layout.places[n].setting == nil {
			continue
		}
		all := st.doubles.shadows[int32(n)] == 0 && (!limited || b.fresh(oldest, st.cover))
		if b.ruling != nil {
			slots += st.openSlots(int32(n), b, from, oldest)
			continue
		}
		for i := range b.runs {
			r := &b.runs[i]
			if all {
				slots += r.count - r.before(r.seek(from, ""))
				continue
			}
			for _, w := range r.windows {
				if !limited || b.checkedAt(w, st.cover) >= oldest {
					slots += st.openIn(int32(n), w, from)
				}
			}
		}
	}
	return slots, windows
}

// complete tells whether the source as a whole is known and not older than
// allowed (law 7).
func (st *state) complete(q *scheduling.Query, now time.Time) bool {
	if st.source.Live {
		return st.asked.Whole()
	}
	if !st.loaded || st.status.Incomplete {
		return false
	}
	switch st.status.State(st.source, now) {
	case scheduling.StateDown, scheduling.StatePaused:
		return false
	}
	oldest, limited := st.oldest(now, q.MaxAgeAt(st.source.ID))
	return !limited || nanos(st.status.LastSync) >= oldest
}

// missing tells whether slots in the period are hidden because the directory
// does not explain their schedules: nobody knows whether they would match. What
// the source itself withdrew (an inactive practitioner) is not missing.
func (st *state) missing(q *scheduling.Query, now time.Time) bool {
	if len(st.hidden) == 0 {
		return false
	}
	zone := st.source.Zone
	if zone == nil {
		zone = time.UTC
	}
	s := spanOf(st.period(q, zone, now))
	for n, p := range st.layout.places {
		if p.setting != nil || p.reason == scheduling.InactiveActor {
			continue
		}
		b := st.books.at(n)
		for i := range b.runs {
			r := &b.runs[i]
			if at, end := r.within(s); at.before(end) && st.anyHere(int32(n), r, at, end) {
				return true
			}
		}
	}
	return false
}

// openSlots counts the open slots of a book whose offers are made by rules.
func (st *state) openSlots(schedule int32, b *book, from, oldest int64) int {
	slots := 0
	for _, w := range b.windows {
		if b.checkedAt(w, st.cover) >= oldest {
			slots += st.openIn(schedule, w, from)
		}
	}
	return slots
}

// openIn counts the slots of a window that begin at or after from.
func (st *state) openIn(schedule int32, w *window, from int64) int {
	slots := 0
	for i := w.seek(from, ""); i < len(w.slots); i++ {
		if !st.doubles.shadowed(schedule, w, i) {
			slots++
		}
	}
	return slots
}

// anyHere tells whether one of the slots of a part of a run counts here.
func (st *state) anyHere(schedule int32, r *run, at, end position) bool {
	for ; at.before(end); at.slot++ {
		w := r.windows[at.window]
		if int(at.slot) == len(w.slots) {
			at = position{at.window + 1, -1}
			continue
		}
		if !st.doubles.shadowed(schedule, w, int(at.slot)) {
			return true
		}
	}
	return false
}
