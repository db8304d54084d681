package booking

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// The desk sees the rest of Slotgate through these interfaces. All of them must
// be safe for concurrent use. Errors are *scheduling.Error; whatever else comes
// is taken for internal.

// Offers is what is open now (the replica).
type Offers interface {
	// Offer gives the open offer of this id. What another holds is not open.
	Offer(id string) (scheduling.Hit, bool)
	// BySlots gives the open offer that is made of exactly these Slots of ours,
	// in order of time: what a caller builds from prefetched slots has no
	// Appointment id.
	BySlots(slots []string) (scheduling.Hit, bool)
	// Gone tells that the id was an offer a short while ago: it is answered as
	// taken, not as unknown.
	Gone(id string) bool
	// Left gives the id of the offer that was made of exactly these Slots of ours,
	// in order of time, a short while ago.
	Left(slots []string) (id string, ok bool)
}

// Live asks the sources whose slots are not kept whether an offer is there
// still. ok is false, without an error, where the id leads nowhere.
//
// Errors: slot-taken where the source has it no longer, or another has claimed
// it; source-slow, source-down and others where it cannot be asked; shedding.
type Live interface {
	Offer(ctx context.Context, id string) (hit scheduling.Hit, ok bool, err error)
	BySlots(ctx context.Context, slots []string) (hit scheduling.Hit, ok bool, err error)
}

// Books keeps the entries. One implementation is the cache (Redis), another the
// twin in bookingtest; both run bookingtest.Contract.
//
// Every method fails with shedding (503) when the store is away. A store that
// can lose its last second finds that out before it takes or tells anything, and
// until every process has put back what it remembers: then Read, ByPatient and
// Save (without Restore) are shed with the Source set, and nothing is Due. So are
// Save, ByPatient and Read of what is absent while the books of the source are
// Lost.
type Books interface {
	// Read gives the entry of an id; the source follows from the id's tag. A
	// Private that cannot be unsealed is an internal error.
	//
	// Errors: unknown-id where there is none; shedding.
	Read(ctx context.Context, id string) (scheduling.Entry, error)
	// Save does one change, all of it or nothing, in one atomic step, and gives
	// the entry with its new version. What it stored is found by Read, Due and
	// the lists from the moment it returns.
	//
	// Errors: scheduling.ErrStaleEntry (wrapped) where the version is another
	// by now, and for version 0 where there is one; slot-taken where another
	// entry has one of the slots (ClaimsTake); hold-expired (Unexpired);
	// shedding where the store is away, its books of this source are lost
	// (without Restore), or too few replicas have the intent. After shedding
	// the change may have been stored: nobody may call the EHR, and the wake
	// leads the settler to it. What became of a call (no Intent, a version) is
	// tried again for a while before it is shed.
	Save(ctx context.Context, change scheduling.EntryChange) (scheduling.Entry, error)
	// Due gives at most limit entries whose wake has passed by the store's
	// clock, the longest overdue first. They stay due until they are saved.
	Due(ctx context.Context, source scheduling.SourceID, limit int) ([]scheduling.Entry, error)
	// ByPatient gives the entries of a principal that name this patient (as
	// asked or by its native id), of any state but free.
	//
	// Errors: shedding, with the Source where the others can be listed.
	ByPatient(ctx context.Context, source scheduling.SourceID, principal, patient string) ([]scheduling.Entry, error)
	// BySlot gives the id of the entry that has this Slot of ours claimed now.
	// It may cost a look at every claim of the source.
	//
	// Errors: unknown-id where nobody has it; shedding.
	BySlot(ctx context.Context, slot string) (offer string, err error)
	// Unsettled gives every entry of the source in doubt or with Doubt, in
	// order of id.
	Unsettled(ctx context.Context, source scheduling.SourceID) ([]scheduling.Entry, error)
	// Lost tells that the store lost the books of this source, or more of them
	// than anybody remembers, and nobody has rebuilt them yet.
	Lost(ctx context.Context, source scheduling.SourceID) (bool, error)
	// Rebuilt says that what the EHR knows of ours has been restored. Changes are
	// taken soon, once what processes remember has been put back too.
	Rebuilt(ctx context.Context, source scheduling.SourceID) error
}

// Holds counts what a principal holds, over all sources.
type Holds interface {
	// Take counts the offer for the principal, for ttl at most. An offer that is
	// counted already stays counted once, with the new ttl.
	//
	// Errors: hold-limit where limit others are counted; shedding.
	Take(ctx context.Context, principal, offer string, limit int, ttl time.Duration) error
	// Drop stops counting it. To drop what is not counted is no error.
	Drop(ctx context.Context, principal, offer string) error
	// Held are the offers that are counted: whether one is held still stands in
	// its entry.
	Held(ctx context.Context, principal string) ([]string, error)
}

// Keys remembers what was answered to an Idempotency-Key, per principal, for
// 24 h. Answers hold patient data: they are sealed.
type Keys interface {
	// Begin asks whether the request was seen, and makes it ours if not. A
	// record that runs longer than lease is taken for abandoned by a crash: the
	// next Begin with the same digest gets it as fresh.
	//
	// Errors: shedding.
	Begin(ctx context.Context, principal, key, digest, offer string, lease time.Duration) (scheduling.KeyRecord, error)
	// Renew prolongs the lease of a request that still runs; one that has its
	// answer, or was abandoned, stays as it is.
	Renew(ctx context.Context, principal, key, digest string, lease time.Duration) error
	// Finish keeps the answer.
	Finish(ctx context.Context, principal, key, digest string, answer []byte) error
	// Abandon forgets the request: what was answered is not kept.
	Abandon(ctx context.Context, principal, key, digest string) error
}

// Patients knows the people registered at the gateway.
type Patients interface {
	// Known gives the source's id of a Patient of ours; known is false where the
	// person is the principal's, and the source does not know them yet. It
	// changes nothing anywhere.
	//
	// Errors: unknown-id where the id is none of this principal's; shedding.
	Known(ctx context.Context, principal string, source scheduling.SourceID, id string) (native string, known bool, err error)
	// Native is Known that registers the person at the source, once, where it
	// does not know them.
	//
	// Errors: unknown-id; needs-clinic, missing-data, not-supported,
	// not-acceptable where they cannot be registered; those of the source.
	Native(ctx context.Context, principal string, source scheduling.SourceID, id string) (native string, err error)
}

// Persons are Patients who can tell what a clinic's rule asks of one. Those who
// cannot are admitted by every rule: the clinic will see.
type Persons interface {
	// Person tells it of a Patient of ours. Errors: unknown-id; shedding.
	Person(ctx context.Context, principal string, source scheduling.SourceID, id string) (scheduling.Person, error)
}

// Recognizers are Patients who can tell whether a Patient of ours is one of the
// source's, without asking it to register anybody.
type Recognizers interface {
	// IsPatient reads the source's Patient. What cannot be seen is no. Errors:
	// unknown-id; shedding.
	IsPatient(ctx context.Context, principal string, source scheduling.SourceID, id, native string) (bool, error)
}

// EHR is one source. Calls obey ctx and their own timeout; nobody retries a
// write.
//
// A write (Hold, Release, Book, Cancel) ends in one of three ways:
//
//   - a result: the EHR said yes, in whatever shape;
//   - a definite refusal, a *scheduling.Error with slot-taken, not-acceptable,
//     needs-clinic, missing-data, not-supported, source-login, throttled
//     (refused unread), source-down (certainly not sent: breaker open, refused
//     connection, no budget, ctx over before the first byte), unknown-id
//     (Release, Cancel: there is no such appointment), or source-refused (a
//     refusal that is not in the table: the desk reads back before it says 502);
//   - in-doubt: it was sent, and the answer was lost, could not be read, or was
//     5xx.
//
// A read ends with a result or with unknown-id (the EHR says there is none),
// not-supported, source-down, source-slow, source-nonsense, source-login or
// throttled: none of these but unknown-id says anything about the appointment.
type EHR interface {
	// Can tells what the source can do. It may change while we run.
	Can() scheduling.Abilities
	// Hold keeps the slots for us, or renews. In-doubt: the desk finds and
	// releases what may have been made.
	Hold(ctx context.Context, call scheduling.HoldCall) (scheduling.HoldAnswer, error)
	// Release gives a hold back if it is still one; unknown-id or
	// not-acceptable: it is none any more.
	Release(ctx context.Context, call scheduling.ReleaseCall) error
	// Book makes the appointment, or moves one. The answer is not believed: the
	// desk reads it back. An answer without a native id (empty body, no
	// Location) has ID "" and is looked for.
	Book(ctx context.Context, call scheduling.BookCall) (scheduling.Appointment, error)
	// Cancel cancels the appointment; one that is cancelled already is a
	// success.
	Cancel(ctx context.Context, call scheduling.CancelCall) error
	// Vacate frees the slots that bear the mark of a booking which does not
	// stand, at a source where nobody else does. Where there is nothing to do it
	// is a success; whether the slots are free is to be seen by SlotStates.
	Vacate(ctx context.Context, call scheduling.VacateCall) error
	// Read gives the appointment as it is now, from no cache.
	Read(ctx context.Context, native string, purpose scheduling.Purpose) (scheduling.Appointment, error)
	// Find gives every appointment that matches, of any status; none is no
	// error. not-supported where Can().Search is false.
	Find(ctx context.Context, call scheduling.FindCall) ([]scheduling.Appointment, error)
	// SlotStates gives the state of each slot, in the order asked, from no
	// cache; a slot that is gone has status "". not-supported where Can().Slots
	// is false.
	SlotStates(ctx context.Context, slots []string, purpose scheduling.Purpose) ([]scheduling.SlotState, error)
	// Ours gives every appointment from now on that carries our identifier
	// system, and each slot that carries our mark as a pending one without an id
	// (Slots, Identifiers, ETag), to rebuild lost books. not-supported where not
	// both can be searched; it comes with a list of what was found all the same.
	Ours(ctx context.Context) ([]scheduling.Appointment, error)
}

// EHRs finds the EHR of a source, or of an id by its tag.
type EHRs interface {
	EHR(source scheduling.SourceID) (EHR, bool)
	// Sources are all sources, in order of id.
	Sources() []scheduling.SourceID
}

// Learned learns how likely an offer is still there, by its age: from what an
// EHR answered when it was first asked to hold or book it. It neither blocks nor
// fails.
type Learned interface {
	Learn(source scheduling.SourceID, age time.Duration, taken bool)
}

// Refetch asks the prefetch to read a scope again now. It neither blocks nor
// fails.
type Refetch interface {
	Refetch(source scheduling.SourceID, scope scheduling.Scope)
}

// Leases gives the settling of a source to one gateway at a time.
type Leases interface {
	// Settling gives the lease. ok is false, without an error, when another has
	// it.
	Settling(ctx context.Context, source scheduling.SourceID, ttl time.Duration) (lease scheduling.Lease, ok bool, err error)
}

// Clock tells the time. In a cluster it is the store's: the cache gives one
// that follows Redis TIME, so that gateways agree.
type Clock interface{ Now() time.Time }
