// Package booking is the desk: it holds, books, cancels, releases, reschedules,
// reads, lists and settles appointments, in order, whatever an EHR does. It
// knows no HTTP, no FHIR and no Redis: everything it needs stands in ports.go.
//
// # What it answers to
//
//	New(deps Deps, opts Options) (*Desk, error)
//	(*Desk).Hold(ctx, Caller, HoldRequest) (View, error)
//	(*Desk).Book(ctx, Caller, BookRequest) (View, error)      // with Replaces: reschedule
//	(*Desk).Cancel(ctx, Caller, CancelRequest) (View, error)  // an appointment, or a hold
//	(*Desk).Read(ctx, Caller, id string) (View, error)
//	(*Desk).List(ctx, Caller, ListRequest) (List, error)
//	(*Desk).Unsettled(ctx) ([]scheduling.Entry, error)        // for the operator; ids only may be shown
//	(*Desk).Decide(ctx, Decision) error                       // a person decides what is unresolved
//	(*Desk).Run(ctx) error                                    // sweeps and settles until ctx ends
//
// Errors are *scheduling.Error. Two carry a status of their own, found with
// errors.Is: ErrState (409) and ErrVersion (412). What is in doubt is no error
// but a View with InDoubt.
//
// # One record per offer
//
// From the first hold on, an offer has one scheduling.Entry, which is claim and
// ledger in one. It is changed by compare-and-set alone. Whoever wants to call
// an EHR first saves the intent (holding, booking, cancelling, releasing) under
// the version that it read: of two that try, one wins, and the other reads
// again. The winner calls the EHR once, reads back, and saves what it saw.
//
// # What a crash leaves behind
//
// An in-flight entry carries a wake: call timeout plus a margin. When it passes,
// the settler of any gateway takes the entry over, finds out by reading what the
// EHR did, and ends it. It never sends again. See settle.go for when it may say
// that something did not happen (law 5).
//
// # Newcomers
//
// A booking for somebody whom the source does not know, or with coverage, is a
// journey of several calls: see journey.go. The Registrar keeps people and their
// coverage, makes sources know them, once, and knows who was made and is left
// without an appointment (Orphans). It is the desk's Patients, Insurance and
// Keeping.
//
// # Several slots, and a clinic's rules
//
// An offer may take several slots: its entry claims all of them or none. The rule
// that made the offer is judged again before anything is saved, against the moment
// and against whoever is to be seen (admits.go). Offers of sources whose slots are
// not kept are asked for at the source first (live.go).
//
// # Principals
//
// An entry belongs to one principal. To every other one its id is unknown, or,
// when they ask for the offer, taken (law 13).
package booking
