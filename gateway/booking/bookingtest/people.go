package bookingtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// People are persons, their links and the locks on them in memory: what the
// cache does in Redis, done plainly under one lock.
type People struct {
	mu      sync.Mutex
	clock   *Clock
	keep    time.Duration
	persons map[string]person // by principal and id
	links   map[string]map[scheduling.SourceID]scheduling.PatientLink
	until   map[string]time.Time // of links
	locks   map[string]*lock
}

type person struct {
	scheduling.Registration
	until time.Time
}

type lock struct {
	people *People
	names  []string
	until  time.Time
	ttl    time.Duration
}

// NewPeople knows nobody. A person is kept for a day after last use.
func NewPeople(clock *Clock) *People {
	return &People{
		clock: clock, keep: 24 * time.Hour, persons: map[string]person{}, links: map[string]map[scheduling.SourceID]scheduling.PatientLink{},
		until: map[string]time.Time{}, locks: map[string]*lock{},
	}
}

func owned(principal, id string) string { return principal + "/" + id }

// Add keeps a person, unless one who shares an identifier, or is the same
// resource, is known: what is told later takes the older's place, if it does not
// contradict it.
func (p *People) Add(_ context.Context, principal string, r scheduling.Registration) (scheduling.Registration, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, known := range p.persons {
		mine := name == owned(principal, known.ID) && known.until.After(p.clock.Now())
		switch {
		case mine && string(known.Resource) == string(r.Resource):
			return known.Registration, false, nil
		case mine && known.SharesWith(r) && known.ContradictsPerson(r):
			return scheduling.Registration{}, false, refuseContradiction()
		case mine && known.SharesWith(r):
			r.ID, r.Created = known.ID, known.Created
			p.persons[name] = person{r, known.until}
			return r, false, nil
		}
	}
	p.persons[owned(principal, r.ID)] = person{r, p.clock.Now().Add(p.keep)}
	return r, true, nil
}

// Judge fails as Add would.
func (p *People) Judge(_ context.Context, principal string, r scheduling.Registration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, known := range p.persons {
		mine := name == owned(principal, known.ID) && known.until.After(p.clock.Now())
		if mine && known.SharesWith(r) && known.ContradictsPerson(r) {
			return refuseContradiction()
		}
	}
	return nil
}

func refuseContradiction() error {
	return scheduling.Refuse(scheduling.NotAcceptable, "Patient.identifier", "an identifier of this patient is one of another patient")
}

// Person gives one.
func (p *People) Person(ctx context.Context, principal, id string) (scheduling.Registration, error) {
	return p.Keep(ctx, principal, id, p.keep)
}

// Keep gives one, and keeps them at least so long.
func (p *People) Keep(_ context.Context, principal, id string, ttl time.Duration) (scheduling.Registration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.persons[owned(principal, id)]
	if !ok || !known.until.After(p.clock.Now()) {
		return scheduling.Registration{}, scheduling.Refuse(scheduling.UnknownID, "id", "no patient of yours has this id")
	}
	if until := p.clock.Now().Add(ttl); until.After(known.until) {
		known.until = until
		p.persons[owned(principal, id)] = known
	}
	return known.Registration, nil
}

// SearchPatients finds persons.
func (p *People) SearchPatients(_ context.Context, principal string, s scheduling.PatientSearch) ([]scheduling.Registration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []scheduling.Registration
	for name, known := range p.persons {
		if name == owned(principal, known.ID) && s.Matches(known.Registration) {
			list = append(list, known.Registration)
		}
	}
	slices.SortFunc(list, func(a, b scheduling.Registration) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// Forget forgets one.
func (p *People) Forget(_ context.Context, principal, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.persons[owned(principal, id)]; !ok {
		return scheduling.Refuse(scheduling.UnknownID, "id", "no patient of yours has this id")
	}
	delete(p.persons, owned(principal, id))
	return nil
}

// Links gives who a person is at sources.
func (p *People) Links(_ context.Context, principal, id string) (map[scheduling.SourceID]scheduling.PatientLink, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := map[scheduling.SourceID]scheduling.PatientLink{}
	for source, l := range p.links[owned(principal, id)] {
		links[source] = l
	}
	return links, nil
}

// SaveLink keeps one.
func (p *People) SaveLink(_ context.Context, principal string, source scheduling.SourceID, id string, l scheduling.PatientLink) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := owned(principal, id)
	if p.links[name] == nil {
		p.links[name] = map[scheduling.SourceID]scheduling.PatientLink{}
	}
	p.links[name][source] = l
	if l.State == scheduling.LinkNone {
		delete(p.links[name], source)
	}
	return nil
}

// KeepLinks keeps the links of a person until then at least.
func (p *People) KeepLinks(_ context.Context, principal, id string, until time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name := owned(principal, id); until.After(p.until[name]) {
		p.until[name] = until
	}
	return nil
}

// LinksUntil is how long the links of a person are kept.
func (p *People) LinksUntil(principal, id string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until[owned(principal, id)]
}

// Lock keeps others from registering the same person.
func (p *People) Lock(ctx context.Context, source scheduling.SourceID, r scheduling.Registration, ttl time.Duration) (scheduling.Lease, bool, error) {
	l := &lock{people: p, ttl: ttl}
	for _, id := range r.Naming() {
		l.names = append(l.names, string(source)+" "+id.System+"|"+id.Value)
	}
	for _, n := range r.Names {
		l.names = append(l.names, string(source)+" "+scheduling.Folded(n.Family)+" "+r.BirthDate)
	}
	if l.Renew(ctx) != nil {
		return nil, false, nil
	}
	return l, true, nil
}

// Renew takes the lock, or prolongs it.
func (l *lock) Renew(context.Context) error {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	now := l.people.clock.Now()
	for _, name := range l.names {
		if other := l.people.locks[name]; other != nil && other != l && other.until.After(now) {
			return errLeaseLost
		}
	}
	l.until = now.Add(l.ttl)
	for _, name := range l.names {
		l.people.locks[name] = l
	}
	return nil
}

// Release gives it back.
func (l *lock) Release(context.Context) error {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	for _, name := range l.names {
		if l.people.locks[name] == l {
			delete(l.people.locks, name)
		}
	}
	return nil
}
