package ask

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// The room sees the rest of Slotgate through these interfaces. All of them must
// be safe for concurrent use.

// Sources are the EHRs that can be asked.
type Sources interface {
	// Find asks a source for the open slots of a scope, within what is set
	// aside of its budget for finds; it is refused at once where that is used up
	// or the source is not well. An answer that was cut is no error.
	Find(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error)
	// Again asks for what somebody wants to hold, book or read.
	Again(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope) (scheduling.Fetched, error)
}

// Store is what all nodes share. No slot ever goes there.
type Store interface {
	// Begin numbers a fetch: the order of fetches and of claims (law 4).
	Begin(ctx context.Context, source scheduling.SourceID) (fetch uint64, err error)
	// MergeDirectory adds who and where an answer brought along.
	MergeDirectory(ctx context.Context, source scheduling.SourceID, found scheduling.Directory) error
}

// Layer is an answer made ready to be found in. It is immutable.
type Layer interface {
	// Source is whose answer it is.
	Source() scheduling.SourceID
	// News is what it brought along for the directory and nobody knew.
	News() scheduling.Directory
}

// Index finds in answers, by the same rules as in everything else.
type Index interface {
	// Reach tells what of a source a query may match; false: the query does not
	// ask that source, or there is none of this id.
	Reach(source scheduling.SourceID, q scheduling.Query) (scheduling.Reach, bool)
	// Layer makes an answer ready; nil for a source that is not there.
	Layer(a scheduling.Answer) Layer
	// With is all that is known, with these answers in their places.
	With(layers []Layer) View
}

// View is what is known at the time of one request.
type View interface {
	Find(q scheduling.Query) (scheduling.Found, error)
	Offer(id string) (scheduling.Hit, bool)
	BySlots(slots []string) (scheduling.Hit, bool)
	Read(kind scheduling.Kind, id string) (scheduling.Record, bool)
}

// Leads remember where ids lead.
type Leads interface {
	// Remember keeps where these ids of a source lead, for ttl.
	Remember(ctx context.Context, source scheduling.SourceID, leads map[string]scheduling.Lead, ttl time.Duration) error
	// Recall gives one; known is false where it leads nowhere.
	//
	// Errors: shedding.
	Recall(ctx context.Context, source scheduling.SourceID, id string) (lead scheduling.Lead, known bool, err error)
}
