package replica

import (
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"slotgate/scheduling"
)

// keepDays is how many days gone by are still remembered: a day is over in one
// zone while it lasts in another.
const keepDays = 2

// entry is one source of the replica. Readers load its state; whoever changes
// it holds mu.
type entry struct {
	state atomic.Pointer[state]
	tag   string
	news  atomic.Pointer[chan struct{}] // closed at the next step; nil: nobody waits

	mu      sync.Mutex
	numbers map[string]int32  // schedule id -> number in layout and books
	gens    map[string]uint32 // of slots whose offers were used up
	marks   *marks
	in      *interner
	ruler   *ruler // made when first needed
	repack  int    // how many lists and extras are too many
	render  func(scheduling.Source, *scheduling.Setting) any
	now     func() time.Time
	gone    *gone // has its own lock
}

func (e *entry) surveyor(source scheduling.Source) *surveyor {
	return &surveyor{source: source, render: e.render, in: e.in}
}

// load puts the snapshot in place of all that was known. A store that lost its
// data does not take ours: until a worker has filled it, we keep what we have,
// and only forget the numbers of the fetches, which begin anew there.
func (e *entry) load(snap scheduling.Snapshot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.state.Load()
	if old.source.Live {
		snap.Windows, snap.Checks = nil, nil
	}
	if !snap.Loaded && old.loaded {
		e.state.Store(e.kept(old, snap.Status))
		e.step(scheduling.Change{Marks: snap.Marks, Generations: snap.Generations})
		return
	}
	e.rebuild(old.source, snap)
}

// rebuild makes the state from nothing. mu is held.
func (e *entry) rebuild(source scheduling.Source, snap scheduling.Snapshot) {
	e.in = newInterner()
	e.numbers = map[string]int32{}
	e.gens = make(map[string]uint32, len(snap.Generations))
	maps.Copy(e.gens, snap.Generations)
	e.marks = newMarks(e.marks.outlast)
	e.marks.load(snap.Marks)
	old, st := e.state.Load(), newState(source)
	st.loaded = snap.Loaded || !snap.Status.Loaded.IsZero()
	st.status = ownStatus(snap.Status)
	st.dir = newDirectory(source, snap.Directory)
	st.ids = newIDIndex(2 * countSlots(snap.Windows))
	ids := scheduleIDs(st.dir, snap.Windows)
	for i, id := range ids {
		e.numbers[id] = int32(i)
	}
	st.layout = e.surveyor(source).survey(ids, st.dir)
	tx := e.begin(st)
	for i := range ids {
		tx.books.put(i, emptyBook())
	}
	for _, check := range snap.Checks {
		tx.check(check)
	}
	tx.write(snap.Windows)
	next := tx.done()
	e.replaced(old, next, tx.now)
	e.state.Store(next)
	e.repack = max(internLimit, 2*e.in.size())
}

// snapshot is the source as it could be loaded again. mu is held.
func (e *entry) snapshot() scheduling.Snapshot {
	snap := e.state.Load().snapshot()
	snap.Generations, snap.Marks = maps.Clone(e.gens), e.marks.list()
	return snap
}

// ownStatus shares no tally with whoever brought it.
func ownStatus(status scheduling.Status) scheduling.Status {
	status.Unusable, status.Unmapped = status.Unusable.Clone(), status.Unmapped.Clone()
	return status
}

func countSlots(windows []scheduling.Window) int {
	n := 0
	for _, w := range windows {
		n += len(w.Slots)
	}
	return n
}

// scheduleIDs are those of the directory and of the windows, in order.
func scheduleIDs(dir *directory, windows []scheduling.Window) []string {
	ids := make(map[string]bool, len(dir.Schedules))
	for id := range dir.Schedules {
		ids[id] = true
	}
	for i := range windows {
		ids[windows[i].Key.Schedule] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// kept is the state after the store lost its data.
func (e *entry) kept(old *state, status scheduling.Status) *state {
	next := *old
	if status.Tried.After(old.status.Tried) {
		next.status = ownStatus(status)
	}
	books := old.books.edit()
	for n := range old.books.count {
		b := old.books.at(n)
		windows := make([]*window, 0, len(b.windows))
		for _, w := range b.windows {
			copied := *w
			copied.fetch = 0
			windows = append(windows, &copied)
		}
		books.put(n, e.ruled(old, n, b, newBook(windows, b.cover.unnumbered())))
	}
	next.sets = e.in.sets
	e.marks.restart()
	next.cover = next.cover.unnumbered()
	next.books = books.shelf
	next.tell()
	return &next
}

// apply makes one step of the feed. It tells how many windows came too late: a
// later fetch had written them already.
func (e *entry) apply(change scheduling.Change) (late int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state.Load().source.Live {
		change.Windows, change.Check = nil, nil
	}
	return e.step(change)
}

// step is apply; mu is held.
func (e *entry) step(change scheduling.Change) (late int) {
	tx := e.begin(e.state.Load())
	if change.Status != nil {
		tx.next.status = ownStatus(*change.Status)
		tx.next.loaded = tx.next.loaded || !change.Status.Loaded.IsZero()
	}
	if change.Directory != nil {
		tx.directory(newDirectory(tx.next.source, *change.Directory))
	}
	tx.write(tx.retell(change.Marks, change.Generations))
	tx.write(change.Windows)
	if change.Check != nil {
		tx.check(*change.Check)
		tx.release()
	}
	next := tx.done()
	e.state.Store(next)
	if e.in.size() > e.repack {
		e.rebuild(next.source, e.snapshot())
	}
	return tx.late
}

// configure gives the source another configuration and keeps its slots.
func (e *entry) configure(source scheduling.Source) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tx := e.begin(e.state.Load())
	if reflect.DeepEqual(source.Rules, tx.next.source.Rules) {
		source.Rules = tx.next.source.Rules // what was made by them stays
	}
	tx.next.source = source
	tx.directory(newDirectory(source, tx.next.dir.Directory))
	e.state.Store(tx.done())
}
