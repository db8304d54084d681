package ehrsim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// refusalShape is one of the ways in which real servers say no.
type refusalShape struct {
	status         int
	severity, code string
	text           string
	bundle         bool   // the OperationOutcome stands in a searchset
	cancelled      bool   // and beside it the Appointment, cancelled
	vendor         string // a code of the vendor's own
	expression     string // the element that it is about
}

// refusalShapes: who answers so is in the project's notes on specifications.
var refusalShapes = map[string]refusalShape{
	"cancelled":      {status: 200, severity: "error", code: "conflict", text: "the appointment is no longer available", bundle: true, cancelled: true}, // Argonaut
	"outcome-error":  {status: 200, severity: "error", code: "conflict", text: "the appointment is no longer available"},
	"outcome-fatal":  {status: 200, severity: "fatal", code: "not-found", text: "the appointment is no longer available"},
	"bundle-error":   {status: 200, severity: "error", code: "conflict", text: "the appointment is no longer available", bundle: true},
	"bundle-fatal":   {status: 200, severity: "fatal", code: "not-found", text: "the appointment is no longer available", bundle: true}, // IHE
	"epic":           {status: 200, severity: "fatal", code: "not-found", text: "invalid appointment ID", bundle: true, vendor: "59144"},
	"invalid":        {status: 400, severity: "error", code: "invalid", text: "Requested time slot is not available"},        // Medplum
	"no-slot":        {status: 400, severity: "error", code: "processing", text: "No slot found for given details"},          // athenahealth
	"unauthorized":   {status: 401, severity: "error", code: "login", text: "the access token is not valid"},                 //
	"forbidden":      {status: 403, severity: "error", code: "forbidden", text: "insufficient scope"},                        //
	"not-found":      {status: 404, severity: "error", code: "not-found", text: "the appointment is not known"},              //
	"conflict":       {status: 409, severity: "error", code: "conflict", text: "Requested time slot is no longer available"}, //
	"duplicate":      {status: 409, severity: "error", code: "duplicate", text: "DUPLICATE_REJECTED", vendor: "DUPLICATE_REJECTED"},
	"gone":           {status: 410, severity: "error", code: "not-found", text: "the appointment has been deleted"},
	"version":        {status: 412, severity: "error", code: "conflict", text: "the version is not the current one"},
	"unprocessable":  {status: 422, severity: "error", code: "business-rule", text: "the appointment cannot be booked"},
	"locked":         {status: 423, severity: "error", code: "lock-error", text: "the resource is locked"},
	"throttled":      {status: 429, severity: "error", code: "throttled", text: "Too many requests"},
	"throttled-text": {status: 429, severity: "error", code: "throttled"},
}

// RefusalShapes names every shape in which the server can refuse.
func RefusalShapes() []string { return slices.Sorted(maps.Keys(refusalShapes)) }

// refuse writes a refusal in one of the shapes; about is the appointment as it
// was asked for, which one of them gives back.
func (s *Server) refuse(w http.ResponseWriter, rq *request, name string, about object) {
	s.send(w, rq, s.refusal(rq, name, about, 1))
}

func (s *Server) refusal(rq *request, name string, about object, wait int) reply {
	sh := shapeOf(rq, name)
	a := reply{status: sh.status, header: map[string]string{}}
	switch name {
	case "unauthorized":
		a.header["WWW-Authenticate"] = `Bearer error="invalid_token"`
	case "throttled":
		a.header["Retry-After"] = strconv.Itoa(wait)
	case "throttled-text":
		sh.text = "User Rate Limit Exceeded, Try in another " + strconv.Itoa(wait) + " seconds"
	}
	details := obj("text", sh.text)
	if sh.vendor != "" {
		details = obj("coding", list{obj("system", "urn:ehrsim:error", "code", sh.vendor, "display", sh.text)}, "text", sh.text)
	}
	var elements list
	if sh.expression != "" {
		elements = list{sh.expression}
	}
	a.body = obj("resourceType", "OperationOutcome", "issue", list{obj(
		"severity", sh.severity, "code", sh.code, "details", details, "diagnostics", sh.text, "location", elements, "expression", elements)})
	if !sh.bundle {
		return a
	}
	note := entry(rq.base, a.body, "outcome")
	if !sh.cancelled || len(about) == 0 {
		a.body = s.bundle(0, nil, list{note})
		return a
	}
	a.body = s.bundle(1, nil, list{entry(rq.base, withStatus(about, "cancelled", "declined"), "match"), note})
	return a
}
