// Package replica is the in-process copy of all open slots: it answers $find
// and the directory searches without asking anybody.
//
// # How it is built
//
// Every source has one state, which never changes once it is published: a
// change makes the next state out of the last one and stores it by one atomic
// pointer. So readers never wait, never lock, and never see half a change. The
// states share nearly everything; swapping one window copies that window, its
// schedule's short list of windows, and the few nodes of the tables above them.
//
//	Replica ── table ── entry (one a source) ── state
//	                                              ├ directory   records by our id, identifier
//	                                              ├ layout      one place a schedule: its setting, resolved, and its fragment
//	                                              ├ books       one book a schedule: its windows, and the offers that rules make of them
//	                                              ├ ids         offer and slot ids -> schedule
//	                                              └ coverage    which days were last confirmed when
//
// Where a clinic has rules (scheduling.Rule), offers of several slots are made when
// a window comes or goes, into windows of their own (see ruled.go); without rules
// a slot is an offer, and there is nothing else.
//
// A layout changes with the directory, books change with the slots. A schedule
// that the directory cannot explain keeps its book, hidden and counted by
// reason, and appears as soon as a later directory explains it.
//
// What is claimed, or was and is not confirmed since (law 4), is held aside when
// its window is packed: no reader meets it, and none has to ask for marks. So is
// what overlaps with it on its schedule, where the mark has a span. The
// marks themselves, and the generations that offer ids are made of, belong to
// the source's writer.
//
// # How it answers
//
// A query first selects schedules (who, where, for what), then counts in each
// by binary search, then merges the soonest slots of those schedules in order
// of start and offer id. A page goes on after its cursor's start and id, not
// after a number of rows: what prefetch swaps between two pages moves nothing.
//
// A slot takes 24 bytes and its ids' text, in one string per window. Times are
// kept to the second, as scheduling.ParseStamp reads them.
package replica
