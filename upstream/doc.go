// Package upstream speaks to the EHRs: one [Client] per source, made and found
// through a [Registry].
//
// No two EHRs speak alike. A dialect (argonaut, slots, ihe, epic, links) is a
// small type behind one interface that knows which requests ask for open slots;
// [Quirks] bend it to one EHR's habits, by configuration. What comes back goes through pure
// functions: pages are gathered, references followed, times made instants,
// codes mapped, and every record that cannot be offered is counted by reason.
//
//	Fetch -> dialect -> pages (a walk over next links) -> gathering
//	      -> assembling with the directory -> windows of scheduling.Slot
//
// Every request passes one stack of wrappers, which stack.go lists from the
// outermost to the wire: retry, breaker, budget, metrics, timeout, login,
// judging of the answer, sending. A source is a foreign program: bodies are
// capped (after decompression), pages are counted, paging links and redirects
// to another origin are refused, and no text of its answers reaches an error, a
// log or a metric: the reason why a coverage is refused is told again, in words
// of a list (coverage_reason.go).
//
// # What has not changed
//
// [Client.FetchSince] knows an answer again: by the source's word (304), or by a
// hash of each page (pageprint.go), and then decodes nothing. What is remembered
// of an answer (recall.go) holds nothing of a slot, and counts only where the
// store's windows are of that very answer. As soon as one page differs, the answer
// is read as any other (comparison.go). Where deletions leave a trace, only what
// changed is asked for (delta.go).
//
// # The budget
//
// Calls to a source queue up in lanes: book, hold, read, revalidate, prefetch. How
// many may go, a second, at once and a day, is asked of a [SharedBudget] that all
// nodes share; while it does not answer, or where there is none, the client goes by
// its own part of the limits (budget_joint.go). A source under pressure is asked
// for less (pressure.go).
//
// # Writing
//
// A client holds, books, cancels, releases, reads and finds appointments (it is
// booking.EHR). Which way it takes follows from the dialect, the quirks and the
// source's CapabilityStatement. Every write is sent once, within one deadline
// that the waiting for the budget is part of, and ends as a yes, as a definite
// refusal (the one table is in refusal.go), or in doubt: it was sent, and its
// answer was lost, could not be read, or was 5xx. Whether it was sent is asked
// of the connection, not guessed from the error.
//
// It registers, matches and finds patients (booking.Registry) and sends their
// insurance (booking.Insurer) in the same ways: what is asked for by name, birth
// date or number stands in the body of a POST.
//
// # Errors
//
// All errors are *scheduling.Error with the source's id and one of the codes
// source-down, source-slow, source-refused, source-login, source-nonsense and
// throttled. An answer that was read but is not whole is not an error: it comes
// back with Complete false and the reason in Cut.
package upstream
