package scheduling

import (
	"errors"
	"time"
)

// SlotClaims says what a change does to the slots of its entry.
type SlotClaims string

// What a change may do to the slots.
const (
	// ClaimsKeep leaves them as they are.
	ClaimsKeep SlotClaims = "keep"
	// ClaimsTake takes every slot for the entry, or none and nothing is saved.
	// Slots that the entry has already stay its own.
	ClaimsTake SlotClaims = "take"
	// ClaimsDrop gives them back at once: nothing happened to them at the EHR.
	ClaimsDrop SlotClaims = "drop"
	// ClaimsFence gives them back, hidden until a fetch that began afterwards
	// has confirmed them (law 4).
	ClaimsFence SlotClaims = "fence"
)

// EntryChange is one compare-and-set of an entry, all of it or nothing.
type EntryChange struct {
	// Entry is what is to be stored. Its Version is the one that was read; 0:
	// there must be none yet. The store writes Version + 1.
	Entry  Entry
	Claims SlotClaims
	// Lag is how far the source's searches are behind its writes: a fence holds
	// against fetches that begin so much later, too.
	Lag time.Duration
	// Wake puts the entry on the list of the due this long from now by the
	// store's clock (Redis TIME), and replaces an earlier wake. 0: never.
	Wake time.Duration
	// Unexpired refuses the change with hold-expired when the wake that stands
	// for the entry has passed by the store's clock: a hold that has run out
	// cannot be booked, however the clocks differ.
	Unexpired bool
	// Intent says that a call to the EHR follows: where redis.wait_replicas is
	// set the store waits until so many have it, and fails otherwise.
	Intent bool
	// Restore allows the change while the source's books are lost: it is how
	// they are rebuilt.
	Restore bool
}

// ErrStaleEntry: another one changed the entry since it was read. Read again
// and judge anew.
var ErrStaleEntry = errors.New("scheduling: the entry has changed since it was read")
