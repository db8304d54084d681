package booking

import (
	"context"

	"slotgate/scheduling"
)

// Coverages keeps the insurance that was given to the gateway, each principal's
// own, and what of it the sources have. Every method fails with shedding (503)
// when the store is away.
type Coverages interface {
	// AddCoverage keeps one, unless the principal has given the same resource for
	// the same patient before: that one is given then, and added is false.
	//
	// Errors: unknown-id where the principal has no such patient; not-acceptable
	// where the patient has too many.
	AddCoverage(ctx context.Context, principal string, c scheduling.Coverage) (known scheduling.Coverage, added bool, err error)
	// ReplaceCoverage keeps c in place of the one of its id, with the next
	// version. version is the one that the caller saw, 0 for any.
	//
	// Errors: unknown-id; around scheduling.ErrStaleEntry where the version is
	// another; not-acceptable for another patient.
	ReplaceCoverage(ctx context.Context, principal string, c scheduling.Coverage, version uint64) (scheduling.Coverage, error)
	// Coverage gives one, whose time begins anew. Errors: unknown-id.
	Coverage(ctx context.Context, principal, id string) (scheduling.Coverage, error)
	// CoveragesOf gives those of a patient of ours, the earliest first.
	CoveragesOf(ctx context.Context, principal, patient string) ([]scheduling.Coverage, error)
	// ForgetCoverages forgets those of a patient at once, and their links.
	ForgetCoverages(ctx context.Context, principal, patient string) error
	// ForgetCoverage forgets one of a patient, and its links; there may be none.
	ForgetCoverage(ctx context.Context, principal, patient, id string) error
	// CoverageLinks gives what sources have of one; none is no error.
	CoverageLinks(ctx context.Context, principal, id string) (map[scheduling.SourceID]scheduling.CoverageLink, error)
	// SaveCoverageLink keeps one; one of no state is dropped, unless it says what
	// the source refused, or by which identifier it was sent. One that says sending is an intent, as Books.Save knows
	// it.
	SaveCoverageLink(ctx context.Context, principal string, source scheduling.SourceID, id string, l scheduling.CoverageLink) error
}

// Insurer is a source as it takes coverage. Calls obey ctx; nobody retries a
// write.
type Insurer interface {
	// Covering is how coverage is sent there. It may change while we run.
	Covering() scheduling.Covering
	// PutCoverage asks the source to take one, or a new version of it. It ends as
	// EHR's writes do: not-acceptable carries the source's reason, cleaned of its
	// internals; missing-data names the elements; not-supported where it has no
	// such interaction.
	PutCoverage(ctx context.Context, call scheduling.CoverageCall) (scheduling.NativeCoverage, error)
	// FindCoverage looks for the one that carries our identifier; found is false
	// where there is none. It ends as EHR's reads do.
	FindCoverage(ctx context.Context, identifier string) (native scheduling.NativeCoverage, found bool, err error)
}
