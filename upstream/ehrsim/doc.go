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
// Faults are set while it runs, by Go methods or by the control API under
// /_control/ on the same listener; see [Fault]. Everything an answer is made
// of is immutable once built: changing a slot replaces it in the book, so
// readers never wait for writers longer than one map access.
package ehrsim
