package bookingtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"slotgate/scheduling"
)

// ErrVersion is what ReplaceCoverage gives around where the version is another.
var ErrVersion = errors.New("bookingtest: another version")

// Coverages keeps insurance in memory.
type Coverages struct {
	mu    sync.Mutex
	clock *Clock
	kept  map[string]scheduling.Coverage
	links map[string]map[scheduling.SourceID]scheduling.CoverageLink
	n     int
}

// NewCoverages knows none.
func NewCoverages(clock *Clock) *Coverages {
	return &Coverages{clock: clock, kept: map[string]scheduling.Coverage{}, links: map[string]map[scheduling.SourceID]scheduling.CoverageLink{}}
}

func unknownCoverage() error {
	return scheduling.Refuse(scheduling.UnknownID, "id", "no coverage of yours has this id")
}

// AddCoverage keeps one, unless the same resource is known.
func (s *Coverages) AddCoverage(_ context.Context, principal string, c scheduling.Coverage) (scheduling.Coverage, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, known := range s.kept {
		if name == owned(principal, known.ID) && known.Patient == c.Patient && string(known.Resource) == string(c.Resource) {
			return known, false, nil
		}
	}
	if c.ID == "" {
		s.n++
		var random [26]byte
		copy(random[:], fmt.Sprint(s.n))
		c.ID = scheduling.NewCoverageID(random)
	}
	c.Version, c.Created, c.Updated = 1, s.clock.Now(), s.clock.Now()
	s.kept[owned(principal, c.ID)] = c
	return c, true, nil
}

// ReplaceCoverage keeps the next version.
func (s *Coverages) ReplaceCoverage(_ context.Context, principal string, c scheduling.Coverage, version uint64) (scheduling.Coverage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.kept[owned(principal, c.ID)]
	switch {
	case !ok:
		return c, unknownCoverage()
	case version != 0 && version != known.Version:
		return c, scheduling.Fault(scheduling.NotAcceptable, ErrVersion, "the coverage has changed")
	}
	c.Version, c.Created, c.Updated = known.Version+1, known.Created, s.clock.Now()
	s.kept[owned(principal, c.ID)] = c
	return c, nil
}

// Coverage gives one.
func (s *Coverages) Coverage(_ context.Context, principal, id string) (scheduling.Coverage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.kept[owned(principal, id)]
	if !ok {
		return c, unknownCoverage()
	}
	return c, nil
}

// CoveragesOf gives those of a patient.
func (s *Coverages) CoveragesOf(_ context.Context, principal, patient string) ([]scheduling.Coverage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []scheduling.Coverage
	for name, c := range s.kept {
		if name == owned(principal, c.ID) && c.Patient == patient {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b scheduling.Coverage) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// ForgetCoverages forgets those of a patient.
func (s *Coverages) ForgetCoverages(_ context.Context, principal, patient string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range s.kept {
		if name == owned(principal, c.ID) && c.Patient == patient {
			delete(s.kept, name)
			delete(s.links, name)
		}
	}
	return nil
}

// ForgetCoverage forgets one.
func (s *Coverages) ForgetCoverage(_ context.Context, principal, _, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, owned(principal, id))
	delete(s.links, owned(principal, id))
	return nil
}

// CoverageLinks gives what sources have of one.
func (s *Coverages) CoverageLinks(_ context.Context, principal, id string) (map[scheduling.SourceID]scheduling.CoverageLink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	links := map[scheduling.SourceID]scheduling.CoverageLink{}
	for source, l := range s.links[owned(principal, id)] {
		links[source] = l
	}
	return links, nil
}

// SaveCoverageLink keeps one.
func (s *Coverages) SaveCoverageLink(_ context.Context, principal string, source scheduling.SourceID, id string, l scheduling.CoverageLink) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := owned(principal, id)
	if s.links[name] == nil {
		s.links[name] = map[scheduling.SourceID]scheduling.CoverageLink{}
	}
	s.links[name][source] = l
	return nil
}
