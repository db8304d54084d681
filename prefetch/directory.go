package prefetch

import (
	"context"
	"maps"

	"slotgate/scheduling"
)

// lookAtDirectory reads who and what the source has, and adds it to what is
// known. It takes the place of what is known only later: see settleDirectory.
func (s *source) lookAtDirectory(ctx context.Context, it *item) error {
	began := s.deps.Now()
	type listing struct {
		dir   scheduling.Directory
		tally scheduling.Tally
	}
	got, err := call(ctx, s, s.opts.DirectoryTimeout, func(ctx context.Context) (listing, error) {
		dir, tally, err := s.fetcher.Directory(ctx)
		return listing{dir, tally}, err
	})
	s.metrics.directory(s.id, err, s.deps.Now().Sub(began))
	if err != nil {
		return err
	}
	got.dir = sound(got.dir)
	s.answered()
	err = s.store(ctx, func(ctx context.Context) error {
		return s.deps.Writer.MergeDirectory(ctx, s.id, got.dir)
	})
	if err != nil {
		return err
	}
	s.dir.Merge(got.dir)
	s.found = scheduling.NewDirectory()
	s.pending = &got.dir
	for _, part := range s.plan.parts {
		part.fresh = false
	}
	it.unusable = got.tally.Clone()
	it.at = s.deps.Now().Add(s.opts.DirectoryEvery)
	if s.opts.Source.Live {
		return s.listed(ctx)
	}
	return nil
}

// listed is all that is done where slots are not kept: who and where is known.
func (s *source) listed(ctx context.Context) error {
	now := s.deps.Now()
	s.status.Tried, s.status.LastSync = now, now
	if s.status.Loaded.IsZero() {
		s.status.Loaded = now
	}
	return s.settleDirectory(ctx)
}

// sound is a copy without records that are nil, which would make others panic.
func sound(dir scheduling.Directory) scheduling.Directory {
	clean := scheduling.NewDirectory()
	clean.Merge(dir)
	dropNil(clean.Practitioners)
	dropNil(clean.Roles)
	dropNil(clean.Locations)
	dropNil(clean.Organizations)
	dropNil(clean.Services)
	dropNil(clean.Schedules)
	return clean
}

func dropNil[T any](records map[string]*T) {
	maps.DeleteFunc(records, func(_ string, record *T) bool { return record == nil })
}

// learn adds what an answer brought along to what is known.
func (s *source) learn(ctx context.Context, found scheduling.Directory) error {
	if found.Len() == 0 {
		return nil
	}
	err := s.store(ctx, func(ctx context.Context) error {
		return s.deps.Writer.MergeDirectory(ctx, s.id, found)
	})
	if err != nil {
		return err
	}
	s.found.Merge(found)
	s.dir.Merge(found)
	return nil
}

// settleDirectory forgets the records that the source has no longer. Many are
// only ever seen beside slots, so this waits until every part was looked at
// since the directory was read; and a directory that is empty forgets nothing.
func (s *source) settleDirectory(ctx context.Context) error {
	if s.pending == nil || !s.plan.all(func(it *item) bool { return it.fresh }) {
		return nil
	}
	whole := scheduling.NewDirectory()
	whole.Merge(s.found)
	whole.Merge(*s.pending)
	if s.pending.Len() > 0 {
		err := s.store(ctx, func(ctx context.Context) error {
			return s.deps.Writer.PutDirectory(ctx, s.id, whole)
		})
		if err != nil {
			return err
		}
		s.dir = whole
	}
	s.pending = nil
	return nil
}
