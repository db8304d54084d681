package replica

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"slotgate/scheduling"
)

// transaction makes the next state out of the last one.
type transaction struct {
	e     *entry
	next  state
	books *shelfEdit
	edits []idEdit
	was   map[string]uint32 // generations before this transaction raised them
	now   time.Time
	keep  scheduling.Day
	late  int
	left  []uint64 // hashes of offers that are none any more

	suspects map[string]bool // offers that may stand in two places
}

func (e *entry) begin(st *state) *transaction {
	tx := &transaction{e: e, next: *st, books: st.books.edit(), now: e.now(), suspects: map[string]bool{}}
	tx.next.hidden = st.hidden.Clone()
	tx.keep = scheduling.DayOf(tx.now, time.UTC) - keepDays
	return tx
}

func (tx *transaction) done() *state {
	tx.next.books = tx.books.shelf
	var clashes map[uint32]bool
	tx.next.ids, clashes = tx.next.ids.with(tx.edits)
	tx.settleDoubles(clashes)
	tx.next.sets = tx.e.in.sets
	maps.DeleteFunc(tx.next.hidden, func(_ scheduling.Reason, n int) bool { return n == 0 })
	tx.next.tell()
	tx.e.marks.forget()
	tx.e.gone.add(tx.left, tx.now)
	return &tx.next
}

// directory resolves every schedule anew. Hidden ones may appear, and others
// vanish. Their numbers stay.
func (tx *transaction) directory(dir *directory) {
	tx.next.dir = dir
	ids := make([]string, len(tx.next.layout.places))
	for i, p := range tx.next.layout.places {
		ids[i] = p.id
	}
	for _, id := range slices.Sorted(maps.Keys(dir.Schedules)) {
		if _, ok := tx.e.numbers[id]; !ok {
			tx.e.numbers[id] = int32(len(ids))
			tx.books.put(len(ids), emptyBook())
			ids = append(ids, id)
		}
	}
	tx.next.layout = tx.e.surveyor(tx.next.source).survey(ids, dir)
	tx.next.hidden, tx.next.held, tx.next.aside = scheduling.Tally{}, 0, 0
	for n, p := range tx.next.layout.places {
		tx.remake(n)
		tx.account(p, tx.books.at(n), 1)
	}
}

// remake makes the offers of a book anew where another directory, or other rules,
// ask for it.
func (tx *transaction) remake(n int) {
	old := tx.books.at(n)
	next := tx.e.ruled(&tx.next, n, old, old)
	if next == old {
		return
	}
	tx.left = tx.e.gone.departed(tx.left, old, next, tx.now)
	tx.books.put(n, next)
	tx.list(int32(n), old, next)
}

// account adds (or takes away) what the book counts for.
func (tx *transaction) account(p *place, b *book, sign int) {
	tx.next.held += sign * b.count
	tx.next.aside += sign * b.aside
	if p.setting == nil && b.count > 0 {
		tx.next.hidden[p.reason] += sign * b.count
	}
	for reason, n := range b.unusable {
		tx.next.hidden[reason] += sign * n
	}
}

// number is that of the schedule, which gets one if it is new.
func (tx *transaction) number(id string) int32 {
	if n, ok := tx.e.numbers[id]; ok {
		return n
	}
	n := int32(len(tx.next.layout.places))
	tx.e.numbers[id] = n
	tx.next.layout = tx.e.surveyor(tx.next.source).with(tx.next.layout, id, tx.next.dir)
	tx.books.put(int(n), emptyBook())
	return n
}

// write puts windows in place of the known ones of their keys.
func (tx *transaction) write(windows []scheduling.Window) {
	bySchedule := slices.Clone(windows)
	slices.SortStableFunc(bySchedule, func(a, b scheduling.Window) int {
		return cmp.Compare(a.Key.Schedule, b.Key.Schedule)
	})
	for len(bySchedule) > 0 {
		id, n := bySchedule[0].Key.Schedule, 1
		for n < len(bySchedule) && bySchedule[n].Key.Schedule == id {
			n++
		}
		tx.writeSchedule(tx.number(id), bySchedule[:n])
		bySchedule = bySchedule[n:]
	}
}

func (tx *transaction) writeSchedule(n int32, windows []scheduling.Window) {
	old := tx.books.at(int(n))
	p := &packer{source: tx.next.source.ID, in: tx.e.in, gens: tx.e.gens, marks: tx.e.marks, known: tx.known(old, windows)}
	made := make([]*window, 0, len(windows))
	for _, w := range windows {
		tx.e.marks.saw(w.Fetch)
		made = append(made, p.pack(w, max(w.Fetch, tx.confirmed(spot{n, w.Key.Day}))))
	}
	next, late := old.with(made)
	tx.late += late
	tx.put(n, old, next.pruned(tx.keep))
}

// known are the ids of the slots that the windows replace, so that those of
// slots which stay need not be made again.
func (tx *transaction) known(old *book, windows []scheduling.Window) map[string]pair {
	known := map[string]pair{}
	for _, in := range windows {
		for _, w := range old.windows {
			if w.day != in.Key.Day {
				continue
			}
			for i := range w.slots {
				id := w.nativeID(i)
				known[id] = pair{tx.generationBefore(id), w.offerID(i), w.slotID(i)}
			}
		}
	}
	return known
}

// put replaces a book, with all that hangs on it.
func (tx *transaction) put(n int32, old, next *book) {
	p := tx.next.layout.places[n]
	next = tx.e.ruled(&tx.next, int(n), old, next)
	tx.account(p, old, -1)
	tx.account(p, next, 1)
	tx.e.marks.moved(n, old, next)
	if p.setting != nil {
		tx.left = tx.e.gone.departed(tx.left, old, next, tx.now)
	}
	tx.books.put(int(n), next)
	tx.list(n, old, next)
}

// list notes which ids came and which went.
func (tx *transaction) list(n int32, old, next *book) {
	tx.suspect(old.windows)
	tx.suspect(next.windows)
	had := make(map[*window]bool, len(old.windows))
	for _, w := range old.windows {
		had[w] = true
	}
	if len(had) == 0 {
		tx.listAll(n, next)
		return
	}
	count := map[string]int{}
	tally := func(w *window, by int) {
		for i := range w.slots {
			count[w.offerID(i)] += by
			count[w.slotID(i)] += by
		}
	}
	for _, w := range next.windows {
		before := old.window(w.day)
		switch {
		case before == w:
			delete(had, w)
		case before != nil && before.ids() == w.ids():
			delete(had, before) // other texts or times, the same slots
		default:
			tally(w, 1)
		}
	}
	for w := range had {
		tally(w, -1)
	}
	went, came := changed(old, next)
	for _, w := range went {
		w.newIDs(func(id string) { count[id]-- })
	}
	for _, w := range came {
		w.newIDs(func(id string) { count[id]++ })
	}
	for id, by := range count {
		edit := idEdit{place: idPlace{tx.next.ids.hash(id), n}, remove: by < 0}
		for range max(by, -by) {
			tx.edits = append(tx.edits, edit)
		}
	}
}

// listAll notes every id of a book that was empty.
func (tx *transaction) listAll(n int32, b *book) {
	for _, w := range b.windows {
		for i := range w.slots {
			tx.edits = append(tx.edits,
				idEdit{place: idPlace{tx.next.ids.hash(w.offerID(i)), n}},
				idEdit{place: idPlace{tx.next.ids.hash(w.slotID(i)), n}})
		}
	}
	b.shown(func(w *window) {
		w.newIDs(func(id string) { tx.edits = append(tx.edits, idEdit{place: idPlace{tx.next.ids.hash(id), n}}) })
	})
}

// check notes that everything in the scope was confirmed.
func (tx *transaction) check(check scheduling.Check) {
	tx.e.marks.saw(check.Fetch)
	more := stretch{check.Scope.Days, nanos(check.At), check.Fetch, nanos(check.Valid)}
	if len(check.Scope.Schedules) == 0 {
		tx.next.cover = tx.next.cover.with(more, tx.keep)
		return
	}
	for _, id := range check.Scope.Schedules {
		n := int(tx.number(id))
		b := *tx.books.at(n)
		b.cover = b.cover.with(more, tx.keep)
		tx.books.put(n, &b)
	}
}
