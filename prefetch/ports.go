package prefetch

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// Fetcher asks one source. Every call may take as long as its context allows;
// it must return soon after that ended.
type Fetcher interface {
	// Directory reads who and what the source has, whole.
	Directory(ctx context.Context) (scheduling.Directory, scheduling.Tally, error)
	// Fetch reads the open slots of one scope. An incomplete answer is not an
	// error.
	Fetch(ctx context.Context, scope scheduling.Scope) (scheduling.Fetched, error)
}

// Writer is the store. It is shared by all workers and all sources, and must be
// safe for concurrent use.
type Writer interface {
	// Begin numbers a fetch (a counter per source): the order of fetches is the
	// order of these numbers, never that of clocks.
	Begin(ctx context.Context, source scheduling.SourceID) (fetch uint64, err error)
	// Known counts the open slots that the scope holds now.
	Known(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (slots int, err error)
	// KnownAmong are the open slots of the scope that have one of these ids, by
	// window.
	KnownAmong(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope, ids []string) (map[scheduling.WindowKey][]scheduling.Slot, error)
	// Replace puts a complete answer in place of every known window of its
	// scope. Windows written by a later fetch stay.
	Replace(ctx context.Context, source scheduling.SourceID, fetch uint64, at time.Time, fetched scheduling.Fetched) (scheduling.Replaced, error)
	// DropBefore forgets the windows of days gone by.
	DropBefore(ctx context.Context, source scheduling.SourceID, day scheduling.Day) error
	// PutDirectory replaces the directory; MergeDirectory adds to it. Only
	// differences are written.
	PutDirectory(ctx context.Context, source scheduling.SourceID, dir scheduling.Directory) error
	MergeDirectory(ctx context.Context, source scheduling.SourceID, found scheduling.Directory) error
	// Status is what PutStatus left last; false when there is nothing.
	Status(ctx context.Context, source scheduling.SourceID) (scheduling.Status, bool, error)
	PutStatus(ctx context.Context, status scheduling.Status) error
	// Epoch names this life of the store: another value means that data was
	// lost.
	Epoch(ctx context.Context) (string, error)
}

// Leaser decides which worker has a source.
type Leaser interface {
	// Lease gives the source to one worker. ok is false, without an error, when
	// another has it.
	Lease(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (lease scheduling.Lease, ok bool, err error)
}
