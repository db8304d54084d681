// Package ehrsim simulates the scheduling side of an EHR over real HTTP.
//
// A [Server] answers as one EHR would: in the Argonaut Scheduling dialect
// (Slot/$prefetch and Appointment/$find) or as a plain FHIR server (paged
// GET Slot with _include), in FHIR STU3 (3.0.1) or R4 (4.0.1), in JSON or XML.
// What it serves is either a practice generated from a seed (people, places,
// weekly hours, booked and open slots that roll forward with the clock) or the
// resources of FHIR bundles found in a folder, dirt included ([Load]).
//
// The package shares no code with the gateway's own FHIR room: it writes and
// reads JSON and XML by itself, so that an error of the gateway's encoder
// cannot hide behind the same error here.
//
// How a request is answered:
//
//	ServeHTTP -> history -> faults (before) -> bearer -> route
//	          -> search | read | $prefetch | $find | metadata
//	          -> faults (content) -> JSON or XML -> faults (wire)
//
// Everything an answer is made of is immutable once built: changing a slot
// replaces it in the book, so no reader ever sees half a change.
//
// # Control API
//
// What the Go methods of [Server] do, the control API does over HTTP, in plain
// JSON on the same listener. Errors are {"error": "..."} with 400 or 404.
//
//	GET    /_control/                 name, dialect, fhir, base, now, slots, free
//	GET    /_control/faults           {"faults": [...]}, see Fault
//	PUT    /_control/faults           these in place of all others: a list, {"faults": list}, or one
//	POST   /_control/faults           add; a known id is replaced (PATCH does the same)
//	PATCH  /_control/faults/{id}      put this one there
//	DELETE /_control/faults[/{id}]    take one away, or all
//	GET    /_control/slots            ?status=free&schedule=x
//	POST   /_control/slots            add: schedule, start, end or minutes, [id], [status]; one or a list
//	GET    /_control/slots/{id}
//	PATCH  /_control/slots/{id}       status, and times: start alone keeps the length
//	DELETE /_control/slots/{id}       gone without a trace
//	POST   /_control/fill             {"day": "2026-11-24", "schedule": ""}: free ones become busy
//	GET    /_control/requests         ?since=n: FHIR requests, see Request; DELETE forgets them
//	GET    /_control/counters         see Counters
//	POST   /_control/reset            first faults, data made anew, no history
package ehrsim
