package cache

import (
	"context"
	"maps"
	"slices"

	"slotgate/scheduling"
)

// PutDirectory replaces the directory: records that dir does not hold go. Only
// differences are written.
func (s *Store) PutDirectory(ctx context.Context, source scheduling.SourceID, dir scheduling.Directory) error {
	records, err := encodeDirectory(dir)
	if err != nil {
		return s.fault(err)
	}
	known, err := s.client.HGetAll(ctx, s.keys.source(source).dirheads()).Result()
	if err != nil {
		return s.fault(err)
	}
	var gone []string
	for name := range known {
		if _, ok := records[name]; !ok {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return s.fault(s.writeDirectory(ctx, source, records, known, gone))
}

// MergeDirectory adds records, over those of the same kind and id. Only
// differences are written.
func (s *Store) MergeDirectory(ctx context.Context, source scheduling.SourceID, found scheduling.Directory) error {
	records, err := encodeDirectory(found)
	if err != nil || len(records) == 0 {
		return s.fault(err)
	}
	names := slices.Collect(maps.Keys(records))
	digests, err := s.client.HMGet(ctx, s.keys.source(source).dirheads(), names...).Result()
	if err != nil {
		return s.fault(err)
	}
	known := make(map[string]string, len(names))
	for i, name := range names {
		known[name] = textAt(digests, i)
	}
	return s.fault(s.writeDirectory(ctx, source, records, known, nil))
}

// writeDirectory writes the records whose digest is not the known one.
func (s *Store) writeDirectory(
	ctx context.Context, source scheduling.SourceID, records, known map[string]string, gone []string,
) error {
	var changed []string
	digests := map[string]string{}
	for name, text := range records {
		digest := digestOf([]byte(text))
		if known[name] != string(digest[:]) {
			changed = append(changed, name)
			digests[name] = string(digest[:])
		}
	}
	slices.Sort(changed)
	for len(changed)+len(gone) > 0 {
		put := changed[:min(len(changed), s.options.Batch)]
		del := gone[:min(len(gone), s.options.Batch-len(put))]
		changed, gone = changed[len(put):], gone[len(del):]
		if err := s.writeRecords(ctx, source, put, del, records, digests); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) writeRecords(
	ctx context.Context, source scheduling.SourceID, put, del []string, records, digests map[string]string,
) error {
	k := s.keys.source(source)
	args := []any{
		nonce(), nonce(), s.options.FeedLength, s.keys.wake(), string(source),
		packTexts(slices.Concat(put, del)), len(put),
	}
	for _, name := range put {
		args = append(args, name, digests[name], records[name])
	}
	args = append(args, len(del))
	for _, name := range del {
		args = append(args, name)
	}
	return s.run(ctx, s.scripts.directory, []string{k.meta(), k.directory(), k.dirheads(), k.feed()}, args...).Err()
}
