package gateway

import "slotgate/scheduling"

// Demand counts the offers that answers show, so that the prefetch looks sooner
// where people look. It must be safe for concurrent use, and quick.
type Demand interface{ Shown(offers []scheduling.Hit) }

// Finder answers from what was prefetched. It must be safe for concurrent use,
// and what it gives is never changed, by it or by us.
type Finder interface {
	// Find gives one page of the offers that match. Errors: bad-request for a
	// query that cannot be asked.
	Find(q scheduling.Query) (scheduling.Found, error)
	// Offer gives the open offer of an Appointment id.
	Offer(id string) (scheduling.Hit, bool)
	// Search gives one page of records of the directory.
	Search(s scheduling.Search) (scheduling.Records, error)
	// Read gives one record of the directory by our id.
	Read(kind scheduling.Kind, id string) (scheduling.Record, bool)
	// Sources tells how fresh each source is.
	Sources() []scheduling.Freshness
	// Ready tells whether the answers mean anything yet.
	Ready() bool
}
