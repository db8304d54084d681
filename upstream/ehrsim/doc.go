// Package ehrsim simulates the scheduling side of an EHR over real HTTP.
//
// A [Server] answers as one EHR would: in the Argonaut Scheduling dialect
// (Slot/$prefetch; Appointment/$find, $hold, $book and PATCH) or as a plain FHIR
// server (paged GET Slot with _include; PUT and PATCH of Slot and Appointment
// with If-Match, conditional POST, transactions), in FHIR STU3 (3.0.1) or R4
// (4.0.1), in JSON or XML; as IHE ITI Scheduling says (R4: $find, $hold and $book
// by POST, $book by status); as Epic does (STU3: names of its own, temporary ids,
// no holds); or as a publisher of files. Patients are registered, found and matched
// (Patient/$match) in both, and their Coverage is taken.
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
//	          -> search | read | $prefetch | $find | metadata | a write
//	          -> faults (after the deed) -> faults (content) -> JSON or XML
//	          -> faults (wire)
//
// Everything an answer is made of is immutable once built: changing a slot or
// an appointment replaces it in the book, so no reader ever sees half a change.
// Writes run one after another under one lock, and wholly or not at all.
//
// # Its own book
//
// The server knows what it did: [Server.Appointments] with every version of
// each, [Server.Book] line by line, [Server.DoubleBooked]. An appointment that
// $find offers is not in the book until somebody holds or books it; then it
// keeps the id it was offered under, and the slot, when it is free again, is
// offered under another. A hold is a pending appointment with a time to lapse.
// In the argonaut dialect, and in slots with Options.StrictSlots, a slot is
// busy-tentative while held, busy while booked, and free after; a plain slots
// server leaves slots to its clients. The clinic and a rival ([Server.TakeSlot],
// MoveAppointment, CancelAppointment) always set the slot as well.
//
// Patients pat-1 to pat-5, and pat-9 who has what rivals take, are known from
// the beginning.
//
// # Logging in
//
// With Options.Login callers need a token of POST /oauth/token, which
// [base]/.well-known/smart-configuration names: by a client secret, or as SMART
// Backend Services say, by an assertion signed with a key of the client's set.
// Assertions are judged strictly, and each is taken once. Tokens are opaque, end,
// and allow what their scopes say. Faults strike there by the path /oauth/token.
//
// # Insurance
//
// Coverage is judged by the rules of the server's own version (class and three
// required elements in R4, grouping in STU3), kept, and listed by
// [Server.Coverages]. It is refused by {"kind": "refuse", "on": "coverage",
// "shape": one of [CoverageShapes]}, its answer is lost by "commit-lost" and late
// by "latency", and with Options.CoverageFirst nobody is booked without.
//
// # Too many calls at once
//
// With Options.Throttle whoever goes over a number of calls at once locks out
// everybody for a while, and is told so in words alone: see [Throttle].
//
// # What has not changed
//
// With Options.Validators answers to searches carry an ETag, a weak one or a
// Last-Modified, and a GET that has them already is answered 304. Faults make
// them lie: "old-etag" keeps them when the answer becomes another one,
// "unasked-304" answers so to whoever asks, "other-304" with an ETag of something
// else. With Options.MarkDeleted a slot that is deleted becomes entered-in-error.
//
// # Notifications
//
// With Options.Notify clients subscribe to changes (Subscription, rest-hook; an
// argonaut server wants the extensions of argo-sub-notif). The channel is tried
// with an empty notification; from then on every change of a slot, whoever made
// it, is told as a Schedule with an actor and a planning horizon, changes that
// come together as one, and an empty one is sent as heartbeat. Faults lose,
// delay and multiply them; whoever takes none five times in a row is given up.
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
//	POST   /_control/slots            add: schedule, start, end or minutes, [id], [status], [type]; one or a list
//	DELETE /_control/slots            all gone, ?schedule=x: of one schedule: {"deleted": [...]}
//	GET    /_control/slots/{id}
//	PATCH  /_control/slots/{id}       status, type (code of a visit type; "": the next), and times: start alone keeps the length
//	DELETE /_control/slots/{id}       gone without a trace
//	GET    /_control/appointments     {"appointments": [...]}, see Appointment; ?status=booked&slot=x&patient=Patient/pat-1
//	POST   /_control/appointments     a rival takes a slot: {"slot": "x", ["patient": "Patient/pat-9"], ["force": true: from under a hold]}; 409 when taken
//	GET    /_control/appointments/{id}
//	PATCH  /_control/appointments/{id}  as the clinic: {"status": "cancelled", "reason": "..."}, {"status": "arrived"}, {"slot": "where it moves to"}
//	DELETE /_control/holds[/{id}]     let one hold lapse, or all: {"lapsed": n}
//	GET    /_control/book             {"lines": [...]}, see BookLine
//	GET    /_control/patients         {"patients": [...]}, see Patient
//	GET    /_control/users            {"users": [...]}, see User; POST gives somebody a token, DELETE takes all back
//	GET    /_control/coverages        {"coverages": [...]}, see Coverage
//	POST   /_control/fill             {"day": "2026-11-24", "schedule": ""}: free ones become busy
//	PATCH  /_control/schedules/{id}   {"practitioner": "prac-302"}: somebody else works it
//	GET    /_control/subscriptions    {"subscriptions": [...]}, see Subscription; DELETE ends all before their time: {"ended": n}
//	GET    /_control/requests         ?since=n: FHIR requests, see Request; DELETE forgets them
//	GET    /_control/login            see Logins; POST changes it first, see LoginChange
//	GET    /_control/throttle         see Throttling; POST {"strangers": n} has others take n places, DELETE ends lockouts
//	GET    /_control/counters         see Counters
//	POST   /_control/reset            first faults, data made anew, no history
package ehrsim
