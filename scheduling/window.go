package scheduling

import (
	"cmp"
	"slices"
	"time"
)

// WindowKey names a window: one schedule on one local day of its place.
type WindowKey struct {
	Schedule string // id within the source
	Day      Day
}

// Window is the open slots of one schedule on one local day, in order of start
// and then id: the unit that prefetch replaces.
type Window struct {
	Key   WindowKey
	Slots []Slot
	// Fetch is the number of the fetch that wrote it (see Fetched).
	Fetch uint64
	// Checked is the end of the latest complete fetch that covered it.
	Checked time.Time
	// Changed is when its content last changed.
	Changed time.Time
}

// Scope is what one fetch covers.
type Scope struct {
	Days Days
	// Schedules are the ids within the source; none means all there are.
	Schedules []string
}

// Covers tells whether the window of this key lies in the scope.
func (s Scope) Covers(key WindowKey) bool {
	if !s.Days.Has(key.Day) {
		return false
	}
	return len(s.Schedules) == 0 || slices.Contains(s.Schedules, key.Schedule)
}

// Split cuts the scope in two, by days and then by schedules. It is false for
// one schedule on one day, and for all schedules on one day: whoever knows the
// schedules may name them and split on.
func (s Scope) Split() (a, b Scope, ok bool) {
	if near, far, ok := s.Days.Split(); ok {
		return Scope{near, s.Schedules}, Scope{far, s.Schedules}, true
	}
	if len(s.Schedules) < 2 {
		return s, Scope{}, false
	}
	mid := len(s.Schedules) / 2
	return Scope{s.Days, s.Schedules[:mid]}, Scope{s.Days, s.Schedules[mid:]}, true
}

// Fetched is the answer of a source for one scope.
type Fetched struct {
	Scope Scope
	// Windows holds the free and usable slots of the scope. A window that is
	// absent has none.
	Windows map[WindowKey][]Slot
	// Found is what the answer brought along for the directory.
	Found Directory
	// Complete: every page was read, the total reached, nothing said that the
	// answer was cut. Only then may it replace windows (law 8).
	Complete bool
	// Cut says why it is not complete, for the operator.
	Cut      string
	Unusable Tally
	Unmapped Tally
	// Doubtful are the ids of the slots that are there and whose records cannot
	// be used. What is known of them is neither confirmed nor gone.
	Doubtful []string
	// Nameless counts slots that cannot be used and that nobody can name.
	Nameless int
	// AsOf is when the source was asked, where that was before this fetch: a file
	// that its publisher lets us keep for a while. Zero: just now.
	AsOf time.Time
	// Valid is when the answer was true by the source's own account, the oldest
	// of its pages: servers answer from caches. Zero: it tells no time.
	Valid time.Time

	// Token names this very answer, so that a later one can be told to be the same
	// (see Basis). "": it cannot be.
	Token string
	// Unchanged: the source's answer is the one that Token names. Windows and Found
	// are empty then: Held is how many open slots there are, -1 where only the store
	// knows.
	Unchanged bool
	Held      int
	// Basis is set where the answer tells what changed since another one, which it
	// names: Windows are then the free slots among what changed, and Touched the ids
	// of all of it, whatever became of them. It is merged, and replaces nothing.
	Basis   string
	Touched []string
	// Proved: what is unchanged was read and compared. Else the source's word was
	// taken for it (HTTP 304), which proves nothing about a slot that was claimed.
	Proved bool
}

// Basis is of which answer the windows of a scope are, as the store knows it.
type Basis struct {
	// Token is that of the answer; "" where the windows are of none alone.
	Token string
	// Proof: a claim ended since the scope was last read, so that the source's word
	// that nothing changed (HTTP 304) is not enough.
	Proof bool
}

// Slots is the number of open slots in the answer.
func (f Fetched) Slots() int {
	n := f.Held
	for _, slots := range f.Windows {
		n += len(slots)
	}
	return n
}

// Windows groups slots by window, each in order of start and id. The zone of a
// slot's day is its schedule's.
func Windows(slots []Slot, zoneOf func(schedule string) *time.Location) map[WindowKey][]Slot {
	places := make(map[WindowKey][]int32)
	for i := range slots {
		key := WindowKey{slots[i].Schedule, DayOf(slots[i].Start, zoneOf(slots[i].Schedule))}
		places[key] = append(places[key], int32(i))
	}
	windows := make(map[WindowKey][]Slot, len(places))
	for key, list := range places {
		// Slots are large: their places are sorted, and each is copied once.
		slices.SortFunc(list, func(a, b int32) int { return compareSlots(&slots[a], &slots[b]) })
		window := make([]Slot, len(list))
		for to, from := range list {
			window[to] = slots[from]
		}
		windows[key] = window
	}
	return windows
}

// CompareSlots orders by start, then id.
func CompareSlots(a, b Slot) int { return compareSlots(&a, &b) }

func compareSlots(a, b *Slot) int {
	return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
}
