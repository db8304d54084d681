// Package scheduling is the language of Slotgate: what an open slot is, who
// offers it, where, and how people ask for it. It imports the standard library
// only, and everyone else speaks it.
//
// # The field in one page
//
// A clinic's record system (an EHR) publishes its calendar through FHIR. A
// Schedule says who works where: its actors are practitioners, places and
// services. A Slot is one stretch of time on a Schedule; it is free, busy, or
// busy-tentative while somebody decides. Slots say nothing about patients.
//
// One EHR's FHIR server (or one tenant of it) is a Source. Every Source speaks
// scheduling in its own Dialect, so what arrives is first judged: a slot whose
// schedule does not exist, whose time has no zone, or that ends before it
// starts cannot be offered. It is counted by reason in a Tally, never dropped
// in silence.
//
// Slots are kept by Window: one schedule on one local day. A window is replaced
// whole, since few sources tell of deletions: what a complete answer does not
// name is gone. A Scope is what one fetch covers: a range of days, of some
// schedules or of all. Where an answer is the one that a scope's windows are of
// already (Basis), only its freshness moves. A Source whose slots may not be kept
// is Live: each find asks it, and its Answer is kept by nobody.
//
// What callers see is an Offer: a slot (or several adjacent ones) put forward
// as an Appointment that could be made, under an id that stays its id until it
// is booked and cancelled. A Query selects offers; a Setting is everything
// about an offer that its schedule decides (practitioner, place, specialty). A
// Rule of the clinic's own says which adjacent slots make one visit, when it may
// begin, and for which Person it is.
//
// An offer that is held or booked is an Entry, from its first hold on; its claim
// hides its slots, and what overlaps with them on the schedule (Overlap).
//
// What all nodes together may ask of a source is shared: each tells what it does
// in a BudgetReport, and is told in a BudgetWord what it may do.
//
// # Time
//
// Inside, a moment is an instant in UTC. A place keeps its zone, and days are
// cut in the place's zone: a day has 23, 24 or 25 hours. See Day, Occurrences
// and ParseInstant.
package scheduling
