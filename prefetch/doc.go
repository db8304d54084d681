// Package prefetch keeps the store filled: for every source one loop that asks
// the EHR for its open slots, again and again, and puts what it hears in place.
//
// It reads from the outside in:
//
//   - Manager runs one source each, so that no source disturbs another.
//   - A source works only while it holds a lease, so that of any number of
//     worker processes exactly one asks an EHR. A dead worker's lease ends, and
//     another takes over. Workers count each other (Roll), and who has more than
//     its part of the sources gives some away.
//   - The loop of a source does one thing at a time: it picks what is most due
//     from its plan, looks, writes, and waits. It can therefore not overlap
//     itself, and ticks that pass meanwhile are dropped, not queued.
//   - The plan cuts the days to come into parts. The near ones are due at every
//     tick of the source's cron, the farther ones at every so many ticks. Where
//     calls a day are limited (Rationed), all are put off so that they last.
//   - A look at a part is one fetch, or several: an answer that was cut is split
//     and asked again (see reading).
//
// # What may be replaced
//
// Law 8: deleted means gone, cut is not deleted. Only a complete answer replaces
// windows; an incomplete one replaces nothing. An answer that would empty more
// than half of a source is asked for once more, then believed and shown as
// emptied.
//
// # What has not changed
//
// A Fetcher that is a Comparer knows an answer again, and a Writer that is a
// Confirmer knows of which answer the windows of a scope are. Where both say the
// same, the freshness of the windows moves and nothing else is written; where the
// source tells what changed, that is merged. What is asked out of turn is read.
//
// Of a source whose slots may not be kept (Source.Live) only who and where it has
// is read, and what was kept before is removed.
//
// # When things go wrong
//
// A source that fails keeps its slots and is asked again after a delay that
// doubles, up to a cap. Everything that one scope does wrong (errors, panics, a
// call that never returns) is counted and shown, and the other scopes and the
// other sources go on. The store's outages are not the source's fault: they are
// waited for without asking the source, and do not appear in its status.
//
// The package knows no Redis and no FHIR. It speaks to both through Fetcher,
// Writer and Leaser, and what more some of them can: Comparer, Confirmer,
// Subscriber, Rationed and Roll.
package prefetch
