package bookingtest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"slotgate/scheduling"
)

// Orphans keeps Patients without an appointment in memory.
type Orphans struct {
	mu   sync.Mutex
	kept map[string]scheduling.Orphan
}

// NewOrphans knows none.
func NewOrphans() *Orphans { return &Orphans{kept: map[string]scheduling.Orphan{}} }

// SaveOrphan keeps one.
func (s *Orphans) SaveOrphan(_ context.Context, o scheduling.Orphan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.kept[o.ID]
	if o.Version == 0 || o.Version == known.Version {
		o.Version = known.Version + 1
		s.kept[o.ID] = o
	}
	return nil
}

// DropOrphan forgets one.
func (s *Orphans) DropOrphan(_ context.Context, source scheduling.SourceID, id string, version uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.kept[id]; ok && known.Source == source && (version == 0 || version == known.Version) {
		delete(s.kept, id)
	}
	return nil
}

// DropOrphansOf forgets those of some Patients.
func (s *Orphans) DropOrphansOf(_ context.Context, source scheduling.SourceID, natives []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, known := range s.kept {
		if known.Source == source && slices.Contains(natives, known.Native) {
			delete(s.kept, id)
		}
	}
	return nil
}

// Orphans gives all of a source.
func (s *Orphans) Orphans(_ context.Context, source scheduling.SourceID) ([]scheduling.Orphan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []scheduling.Orphan
	for _, o := range s.kept {
		if o.Source == source {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b scheduling.Orphan) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// OrphanSources are those of whom there are some.
func (s *Orphans) OrphanSources(context.Context) ([]scheduling.SourceID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []scheduling.SourceID
	for _, o := range s.kept {
		list = append(list, o.Source)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
