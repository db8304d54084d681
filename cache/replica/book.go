package replica

import (
	"cmp"
	"math"
	"slices"

	"slotgate/scheduling"
)

// book is everything that is known of one schedule's slots. It is immutable.
type book struct {
	// windows in order of day. One without slots only remembers which fetch
	// emptied it, so that an older answer cannot fill it again.
	windows []*window
	// runs hold the windows that have slots, each run in order of time. A
	// schedule has one run as long as its windows do not overlap.
	runs  []run
	count int      // slots
	kinds []kind   // the different kinds of its slots
	plain bool     // they say nothing of themselves
	cover coverage // confirmations of this schedule by name
	// unusable counts the slots that were not taken in; nil as a rule.
	unusable scheduling.Tally
	// What spares a look at each window: the days that have slots, and the
	// earliest time at which one of their windows was checked by itself.
	days    scheduling.Days
	checked int64
	aside   int // slots that are withheld
	// ruling made the offers that runs hold; nil: they hold the windows.
	ruling *ruling
}

// kind is what a slot says of itself that a query may ask for: numbers of sets.
type kind struct{ specialty, serviceType int32 }

// run is windows in order of time.
type run struct {
	windows     []*window
	edges       []edge // of each window
	count       int
	first, last int64 // when its first and its last slot begin
	rule        int32 // that made its offers; noRule: the slots are
}

// edge is what a search needs to know of a window. Windows lie far apart in
// memory: one that need not be looked at is not.
type edge struct {
	first, last int64 // when its first and its last slot begin
	before      int32 // slots of the windows before it
}

// emptyBook is the book of a schedule that has no windows.
func emptyBook() *book { return &book{} }

// newBook takes windows in order of day.
func newBook(windows []*window, cover coverage) *book {
	b := &book{windows: windows, cover: cover, checked: math.MaxInt64}
	full := make([]*window, 0, len(windows))
	for _, w := range windows {
		if len(w.slots) > 0 {
			full = append(full, w)
		}
		b.aside += len(w.aside)
		for _, slot := range w.unusable {
			if b.unusable == nil {
				b.unusable = scheduling.Tally{}
			}
			b.unusable.Add(slot.Usable(), 1)
		}
	}
	for i, w := range full {
		if i == 0 {
			b.days.From = w.day
		}
		b.days.To = w.day + 1
		b.checked = min(b.checked, w.checked)
		b.count += len(w.slots)
		b.addKinds(w)
	}
	b.plain = len(b.kinds) == 1 && b.kinds[0] == kind{}
	b.runs = runsOf(full)
	return b
}

// runsOf puts windows in as few runs as it easily can. Days that were cut in
// another zone than the place's may overlap by some hours.
func runsOf(full []*window) []run {
	if len(full) == 0 {
		return nil
	}
	slices.SortStableFunc(full, func(a, b *window) int { return cmp.Compare(a.first(), b.first()) })
	runs := make([]run, 0, 1)
next:
	for _, w := range full {
		for i := range runs {
			if runs[i].last < w.first() {
				runs[i].add(w)
				continue next
			}
		}
		r := run{windows: make([]*window, 0, len(full)), edges: make([]edge, 0, len(full)), rule: noRule}
		r.add(w)
		runs = append(runs, r)
	}
	return runs
}

func (r *run) add(w *window) {
	if r.count == 0 {
		r.first = w.first()
	}
	r.last = w.last()
	r.edges = append(r.edges, edge{w.first(), r.last, int32(r.count)})
	r.windows = append(r.windows, w)
	r.count += len(w.slots)
}

func (b *book) addKinds(w *window) {
	last := uint32(math.MaxUint32)
	for i := range w.slots {
		if w.slots[i].extra == last {
			continue
		}
		last = w.slots[i].extra
		if k := kindOf(w.extraOf(i)); !slices.Contains(b.kinds, k) {
			b.kinds = append(b.kinds, k)
		}
	}
}

func kindOf(x *extra) kind {
	if x == nil {
		return kind{}
	}
	return kind{x.specialty, x.serviceType}
}

// window is that of the day, nil where there is none.
func (b *book) window(day scheduling.Day) *window {
	at, found := slices.BinarySearchFunc(b.windows, day, func(have *window, day scheduling.Day) int {
		return cmp.Compare(have.day, day)
	})
	if !found {
		return nil
	}
	return b.windows[at]
}

// with is the book with these windows in place of those of the same days. A
// window of an earlier fetch than the known one is left out and counted.
func (b *book) with(windows []*window) (next *book, late int) {
	all := slices.Clone(b.windows)
	for _, w := range windows {
		at, found := slices.BinarySearchFunc(all, w.day, func(have *window, day scheduling.Day) int {
			return cmp.Compare(have.day, day)
		})
		switch {
		case !found:
			all = slices.Insert(all, at, w)
		case all[at].fetch > w.fetch:
			late++
		default:
			all[at] = w
		}
	}
	return newBook(all, b.cover), late
}

// pruned is the book without the windows of days before keep, unless they hold
// a slot that begins later than their day says.
func (b *book) pruned(keep scheduling.Day) *book {
	end := int64(keep+1) * 86400
	gone := func(w *window) bool { return w.day < keep && (len(w.slots) == 0 || w.last() < end) }
	if !slices.ContainsFunc(b.windows, gone) {
		return b
	}
	return newBook(slices.DeleteFunc(slices.Clone(b.windows), gone), b.cover)
}

// checkedAt is when the window was last confirmed: by itself, or by a check of
// its schedule or of the whole source.
func (b *book) checkedAt(w *window, all coverage) int64 {
	return max(w.checked, all.at(w.day), b.cover.at(w.day))
}

// confirmed is when what slot i of the window is made of was last confirmed: of
// several windows, the one that was longest ago.
func (b *book) confirmed(w *window, i int, all coverage) int64 {
	at := b.checkedAt(w, all)
	if w.offers != nil {
		for _, p := range w.offers.partsOf(i) {
			at = min(at, b.checkedAt(w.offers.of[p.window], all))
		}
	}
	return at
}

// fresh tells whether surely none of the windows is older than oldest.
func (b *book) fresh(oldest int64, all coverage) bool {
	if b.checked >= oldest || all.floor(b.days) >= oldest {
		return true
	}
	for _, w := range b.windows {
		if len(w.slots) > 0 && b.checkedAt(w, all) < oldest {
			return false
		}
	}
	return true
}

// filled is the number of windows that have slots.
func (b *book) filled() int {
	n := 0
	for _, w := range b.windows {
		if len(w.slots) > 0 {
			n++
		}
	}
	return n
}

// position is a place in a run: slot of window; the end is (len(windows), 0).
type position struct{ window, slot int32 }

// seek is the first slot after this start and offer id.
func (r *run) seek(start int64, id string) position {
	low, high := 0, len(r.windows)
	for low < high {
		mid := (low + high) / 2
		if r.reaches(mid, start, id) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if low == len(r.windows) || r.edges[low].first > start || r.edges[low].first == start && id == "" {
		return position{int32(low), 0}
	}
	return position{int32(low), int32(r.windows[low].seek(start, id))}
}

// reaches tells whether the window's last slot comes after this start and id.
func (r *run) reaches(n int, start int64, id string) bool {
	if last := r.edges[n].last; last != start {
		return last > start
	}
	w := r.windows[n]
	return w.after(len(w.slots)-1, start, id)
}

// within is the slots that begin in the period, from at to end.
func (r *run) within(s span) (at, end position) {
	end = position{int32(len(r.windows)), 0}
	if s.from > r.first {
		at = r.seek(s.from, "")
	}
	if s.to <= r.last {
		end = r.seek(s.to, "")
	}
	return at, end
}

// before is the number of slots of the run before the position.
func (r *run) before(p position) int {
	if int(p.window) == len(r.windows) {
		return r.count
	}
	return int(r.edges[p.window].before + p.slot)
}

// soonest is a time before which no slot at or after the position begins.
func (r *run) soonest(p position) int64 {
	if int(p.window) == len(r.windows) {
		return math.MaxInt64
	}
	return r.edges[p.window].first
}
