package prefetch

import (
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// maxTriggers is how many scopes wait at once; more become one.
const maxTriggers = 64

// inbox is where others leave word for a loop. It never blocks them.
type inbox struct {
	mu     sync.Mutex
	scopes []scheduling.Scope
	epoch  string
	aside  *aside
	wake   chan struct{}
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// trigger asks for a scope, unless one that waits already covers it.
func (b *inbox) trigger(scope scheduling.Scope) {
	b.mu.Lock()
	if !slices.ContainsFunc(b.scopes, func(s scheduling.Scope) bool { return within(scope, s) }) {
		b.scopes = slices.DeleteFunc(b.scopes, func(s scheduling.Scope) bool { return within(s, scope) })
		b.scopes = append(b.scopes, scope)
	}
	if len(b.scopes) > maxTriggers {
		b.scopes = []scheduling.Scope{hull(b.scopes)}
	}
	b.mu.Unlock()
	b.rouse()
}

// tell passes on the epoch of the store.
func (b *inbox) tell(epoch string) {
	b.mu.Lock()
	b.epoch = epoch
	b.mu.Unlock()
	b.rouse()
}

// looked leaves what was read beside the loop. found is not changed by us.
func (b *inbox) looked(found scheduling.Directory, at time.Time) {
	b.mu.Lock()
	if b.aside == nil {
		b.aside = &aside{found: scheduling.NewDirectory()}
	}
	b.aside.found.Merge(found)
	if at.After(b.aside.at) {
		b.aside.at = at
	}
	b.mu.Unlock()
	b.rouse()
}

// takeAside is nil where nothing was read.
func (b *inbox) takeAside() *aside {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.aside
	b.aside = nil
	return one
}

func (b *inbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the box. The epoch is "" when none was told since.
func (b *inbox) take() (scopes []scheduling.Scope, epoch string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	scopes, epoch = b.scopes, b.epoch
	b.scopes, b.epoch = nil, ""
	return scopes, epoch
}

// within tells whether b covers all of a.
func within(a, b scheduling.Scope) bool {
	if a.Days.From < b.Days.From || a.Days.To > b.Days.To {
		return false
	}
	if len(b.Schedules) == 0 {
		return true
	}
	if len(a.Schedules) == 0 {
		return false
	}
	for _, id := range a.Schedules {
		if !slices.Contains(b.Schedules, id) {
			return false
		}
	}
	return true
}

// hull is one scope of all schedules that covers all of them.
func hull(scopes []scheduling.Scope) scheduling.Scope {
	days := scopes[0].Days
	for _, s := range scopes {
		days.From, days.To = min(days.From, s.Days.From), max(days.To, s.Days.To)
	}
	return scheduling.Scope{Days: days}
}
