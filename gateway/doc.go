// Package gateway is the HTTP side of Slotgate: two FHIR bases, /fhir/r4 and
// /fhir/stu3, over one replica of everybody's open slots. Sources whose slots may
// not be kept are asked by the request itself (package ask), and found in beside
// the replica.
//
// # A request's way
//
//	edge        request id, deadline, security headers, recover, log, metrics
//	  access    who calls, and may they
//	  format    JSON or XML
//	    find, search, read, metadata: one file an interaction
//	  refuse    an error becomes a status (status.go) and an OperationOutcome
//
// Handlers return errors and never write them: there is one place that knows
// which code has which status, and none that shows a foreign text.
//
// # Strings do not stay
//
// Fiber lends the strings of a request: after the handler the same memory holds
// another caller's request. Whatever comes from a request is copied before it
// is kept (exchange.query, exchange.header, exchange.param), and nothing else
// reads from Fiber's context.
//
// # Links
//
// Absolute addresses come from Options.PublicURL, else from the address that
// is listened on. The Host header is the caller's to choose, and a link made of
// it would lead other people where the caller likes.
package gateway
