package ehrsim

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"
)

// slot is one entry of the book. It is never changed: a change replaces it by
// a copy of the next version, so a reader may keep it without a lock.
type slot struct {
	id, schedule string // schedule as a reference: "Schedule/x"
	start, end   time.Time
	status       string
	version      int
	updated      time.Time

	cal     *calendar // of a generated slot
	visit   int       // which of the calendar's visit types
	raw     object    // of a loaded slot: the resource as it came
	written bool      // its status was put there by a client over FHIR
}

func compareSlots(a, b *slot) int {
	if c := a.start.Compare(b.start); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// shelf holds the resources of one type in the order they came.
type shelf struct {
	ids  []string
	byID map[string]object
}

// store is all that the server knows. Order of work: build, then link, then
// serve; after that slots, schedules, patients and the ledger change.
type store struct {
	seed uint64
	days int

	mu        sync.RWMutex
	shelves   map[string]*shelf
	slots     map[string]*slot
	book      []*slot // by start, then id
	calendars []*calendar
	rolled    time.Time // when the next roll is due
	reach     map[string]*reach
	// changed hears of every slot that is another than it was: its schedule, and
	// the times between which it lies. It is called under the lock.
	changed func(schedule string, from, to time.Time)
	ledger
}

func newStore(o Options) *store {
	return &store{changed: func(string, time.Time, time.Time) {}, seed: o.Seed, days: o.Days, shelves: map[string]*shelf{}, slots: map[string]*slot{}, ledger: newLedger(o)}
}

// add puts a resource on its shelf; one of the same id is replaced. While the
// store is being built, or by a tx.
func (st *store) add(o object) {
	typ, id := o.str("resourceType"), o.str("id")
	sh := st.shelves[typ]
	if sh == nil {
		sh = &shelf{byID: map[string]object{}}
		st.shelves[typ] = sh
	}
	if sh.byID[id] == nil {
		sh.ids = append(sh.ids, id)
	}
	sh.byID[id] = o
}

func (st *store) addCalendar(c *calendar) {
	st.calendars = append(st.calendars, c)
	st.add(c.schedule)
}

// get finds a resource that is not a slot; nil if there is none. The caller
// holds the lock or is building.
func (st *store) get(typ, id string) object {
	if sh := st.shelves[typ]; sh != nil {
		return sh.byID[id]
	}
	return nil
}

// roll lets new days appear and old ones go, each in its place's own zone.
// It is asked before every answer and mostly does nothing.
func (st *store) roll(now time.Time) {
	st.mu.RLock()
	due := len(st.calendars) > 0 && !now.Before(st.rolled)
	st.mu.RUnlock()
	if !due {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if now.Before(st.rolled) {
		return
	}
	st.rolled = now.Add(24 * time.Hour)
	for _, c := range st.calendars {
		st.rollOne(c, now)
	}
	st.forget(now.Add(-48 * time.Hour))
	slices.SortFunc(st.book, compareSlots)
}

func (st *store) rollOne(c *calendar, now time.Time) {
	today := civilOf(now.In(c.zone))
	last := today.add(st.days)
	if c.until.before(today) {
		c.until = today
	}
	for ; c.until.before(last); c.until = c.until.add(1) {
		for _, s := range c.slots(st.seed, c.until, now) {
			st.slots[s.id] = s
			st.book = append(st.book, s)
		}
	}
	horizon := obj("start", today.String(), "end", last.add(-1).String())
	c.schedule = c.schedule.with("planningHorizon", horizon, "actor")
	st.shelves["Schedule"].byID[c.id] = c.schedule
	tomorrow := today.add(1)
	if midnight := time.Date(tomorrow.y, tomorrow.m, tomorrow.d, 0, 0, 0, 0, c.zone); midnight.Before(st.rolled) {
		st.rolled = midnight
	}
}

// forget drops generated slots that ended before a moment.
func (st *store) forget(before time.Time) {
	st.book = slices.DeleteFunc(st.book, func(s *slot) bool {
		gone := s.cal != nil && s.end.Before(before) && s.start.Before(before)
		if gone {
			delete(st.slots, s.id)
		}
		return gone
	})
}

// between gives the slots that begin in [from, to) and that keep accepts.
// A zero time leaves that side open.
func (st *store) between(from, to time.Time, keep func(*slot) bool) []*slot {
	st.mu.RLock()
	defer st.mu.RUnlock()
	at := 0
	if !from.IsZero() {
		at = sort.Search(len(st.book), func(i int) bool { return !st.book[i].start.Before(from) })
	}
	var out []*slot
	for _, s := range st.book[at:] {
		if !to.IsZero() && !s.start.Before(to) {
			break
		}
		if keep(s) {
			out = append(out, s)
		}
	}
	return out
}

// insert puts a slot into the book, in place of the one of the same id.
// The caller holds the lock.
func (st *store) insert(s *slot) {
	st.changed(s.schedule, s.start, s.end)
	if old := st.slots[s.id]; old != nil && compareSlots(old, s) == 0 {
		if at, found := slices.BinarySearchFunc(st.book, s, compareSlots); found {
			st.slots[s.id], st.book[at] = s, s
			return
		}
	}
	st.remove(s.id)
	st.slots[s.id] = s
	at, _ := slices.BinarySearchFunc(st.book, s, compareSlots)
	st.book = slices.Insert(st.book, at, s)
}

// remove takes a slot out of the book. The caller holds the lock.
func (st *store) remove(id string) bool {
	s := st.slots[id]
	if s == nil {
		return false
	}
	st.changed(s.schedule, s.start, s.end)
	delete(st.slots, id)
	if at, found := slices.BinarySearchFunc(st.book, s, compareSlots); found {
		st.book = slices.Delete(st.book, at, at+1)
	}
	return true
}

// change replaces a slot by a changed copy of the next version.
func (st *store) change(id string, now time.Time, edit func(*slot)) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	old := st.slots[id]
	if old == nil {
		return false
	}
	next := *old
	edit(&next)
	next.version++
	next.updated = now
	st.insert(&next)
	return true
}

// freshID names a slot that the control API adds.
func (st *store) freshID() string {
	for n := len(st.slots) + 1; ; n++ {
		if id := "added-" + strconv.Itoa(n); st.slots[id] == nil {
			return id
		}
	}
}
