// Package ask answers for the sources whose slots may not be kept (store:
// false): each question is put to them live.
//
// A question is one source, some days and, where the directory leaves only a
// few, some schedules. Whoever asks the same while it is under way shares its
// answer (one call for a thousand callers), and whoever leaves ends it for
// nobody else. An answer lives as long as the requests that wait for it: it is
// in no store, in no file, and not in memory afterwards.
//
// What came is found in by the very code that finds in what was prefetched: an
// Index makes a layer of it and puts the layers over the copy of all other
// sources. So criteria, order, ids, claims and pages are the same for both.
//
// Nobody waits for longer than Options.Deadline, and nobody can make us a burden
// to a source: a question is of Options.Days days at most, Options.AtOnce
// questions of a source are under way at once (and as many of those about to
// hold or book, which finds never take), and its own budget and breaker
// come on top. What was not answered is told with the offers of the others.
//
// Where an offer's id leads (a schedule and a day, sealed) is remembered for
// Options.Keep, so that any gateway can ask the source for that day again when
// the offer is to be held, booked or read.
package ask
