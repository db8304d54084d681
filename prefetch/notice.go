package prefetch

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// maxNotices is how many wait at once; more become one about everything.
const maxNotices = 1024

// noticeBox is where others leave for a loop what its source told.
type noticeBox struct {
	mu      sync.Mutex
	notices []scheduling.Notice
}

func (b *noticeBox) put(n scheduling.Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	same := func(other scheduling.Notice) bool { return reflect.DeepEqual(n, other) }
	switch {
	case slices.ContainsFunc(b.notices, same):
	case len(b.notices) >= maxNotices:
		b.notices = []scheduling.Notice{{}}
	default:
		b.notices = append(b.notices, n)
	}
}

func (b *noticeBox) take() []scheduling.Notice {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.notices
	b.notices = nil
	return out
}

// Notice hands on what a source told: what it is about is looked at soon, and
// each scope once a second at most, however often it is told. It is false for a
// source that this manager does not work on now; the worker that does must be
// told.
func (m *Manager) Notice(source scheduling.SourceID, n scheduling.Notice) bool {
	m.mu.Lock()
	w := m.byID[source]
	m.mu.Unlock()
	if w == nil || !w.state().Leased {
		return false
	}
	w.notices.put(n)
	w.inbox.rouse()
	return true
}

// noticeEvery is the least time from one look at a scope to the next, where the
// source itself tells of changes.
const noticeEvery = time.Second

// attend puts what the source told on the plan.
func (s *source) attend(now time.Time) {
	notices := s.notices.take()
	if len(notices) == 0 {
		return
	}
	resolver := scheduling.NewResolver(s.id, s.dir, s.opts.Source.Zone)
	for _, n := range notices {
		schedules := s.meant(n, now)
		days, err := n.Days(s.zonesOf(resolver, schedules), s.plan.days())
		switch {
		case err != nil:
			s.metrics.noticed(s.id, "unreadable")
		case days.Len() == 0:
			s.metrics.noticed(s.id, "beyond")
		default:
			s.metrics.noticed(s.id, "taken")
			s.lookSoon(scheduling.Scope{Days: days, Schedules: schedules}, now)
		}
	}
}

// lookSoon plans a look at each part of a scope, but not before its second is
// over, nor before the source's searches can tell of the change.
func (s *source) lookSoon(scope scheduling.Scope, now time.Time) {
	step := scheduling.Day(s.opts.DaysPerScope)
	for from := scope.Days.From; from < scope.Days.To; from += step {
		part := scheduling.Scope{Days: scheduling.Days{From: from, To: min(from+step, scope.Days.To)}, Schedules: scope.Schedules}
		s.extra(part)
		for _, it := range s.plan.extras {
			if it.reading != nil || !reflect.DeepEqual(it.scope, part) {
				continue
			}
			it.try.notBefore = now.Add(s.opts.Lag)
			if at := s.lately[keyOf(part)].Add(noticeEvery); at.After(it.try.notBefore) {
				it.try.notBefore = at
			}
		}
	}
}

// began notes when a scope was last looked at out of turn.
func (s *source) began(scope scheduling.Scope) {
	now := s.deps.Now()
	for key, at := range s.lately {
		if now.Sub(at) > noticeEvery {
			delete(s.lately, key)
		}
	}
	s.lately[keyOf(scope)] = now
}

// scopeKey names a scope.
type scopeKey struct {
	days      scheduling.Days
	schedules string
}

func keyOf(scope scheduling.Scope) scopeKey {
	key := scopeKey{days: scope.Days}
	for _, id := range scope.Schedules {
		key.schedules += id + " "
	}
	return key
}

// meant are the schedules that a notice is about; none: all. Where it names
// others than we know of at a schedule, who works there has changed: the
// directory is read again, and as long as that is not done, the source cannot be
// asked for that schedule by its people.
func (s *source) meant(n scheduling.Notice, now time.Time) []string {
	known := s.dir.Schedules[n.Schedule]
	switch {
	case known != nil && has(known, n.Actors):
		if known.Virtual {
			return nil
		}
		return []string{n.Schedule}
	case known != nil:
		s.directorySoon(now)
		return nil
	case n.Schedule != "" || len(n.Actors) == 0:
		if n.Schedule != "" {
			s.directorySoon(now)
		}
		return nil
	}
	var ids []string
	for id, schedule := range s.dir.Schedules {
		if has(schedule, n.Actors) {
			if schedule.Virtual {
				return nil
			}
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// has tells whether all of these take part in a schedule.
func has(schedule *scheduling.Schedule, actors []scheduling.Actor) bool {
	for _, actor := range actors {
		same := func(a scheduling.Actor) bool { return a.Kind == actor.Kind && a.ID == actor.ID }
		if !slices.ContainsFunc(schedule.Actors, same) {
			return false
		}
	}
	return true
}

// directoryEvery is the least time between two readings of the directory for
// what a source told.
const directoryEvery = 10 * time.Second

// directorySoon has the directory read before what is asked for next.
func (s *source) directorySoon(now time.Time) {
	at := s.redirected.Add(directoryEvery)
	if now.After(at) {
		at, s.redirected = now, now
	}
	if at.Before(s.plan.directory.at) {
		s.plan.directory.at = at
	}
}

// zonesOf are the zones of these schedules' places; of all, where one is not
// known.
func (s *source) zonesOf(resolver *scheduling.Resolver, schedules []string) []*time.Location {
	var zones []*time.Location
	for _, id := range schedules {
		setting, _ := resolver.Setting(id)
		if setting == nil {
			zones = nil
			break
		}
		if !slices.Contains(zones, setting.Zone) {
			zones = append(zones, setting.Zone)
		}
	}
	if len(zones) == 0 {
		return s.dir.Zones(s.opts.Source.Zone)
	}
	return zones
}

// tellSubscription leaves word how we stand with the source's notifications.
func (s *source) tellSubscription(state scheduling.SubscriptionState) {
	s.subscription.Store(&state)
	s.metrics.subscription(s.id, state)
	s.inbox.rouse()
}

// subscribed takes that over into the status.
func (s *source) subscribed() {
	var state scheduling.SubscriptionState
	if told := s.subscription.Load(); told != nil {
		state = *told
	}
	if state != s.status.Subscription {
		s.status.Subscription, s.dirty = state, true
	}
}
