package ehrsim

import (
	"net/http"
	"net/url"
	"strings"
)

// FaultEcho is a server that complains by repeating everything it was sent:
// nothing is done, and Status (422) comes with the address, the headers and the
// body of the request in each place that a client might read, log or pass on.
const FaultEcho FaultKind = "echo"

// echoed bounds what is repeated in a header.
const echoed = 1000

func (s *Server) echo(w http.ResponseWriter, rq *request, f Fault) {
	setDefault(&f.Status, http.StatusUnprocessableEntity)
	said := rq.http.URL.String() + " " + rq.http.Header.Get("If-None-Exist") + " " + string(rq.body)
	line := url.QueryEscape(said[:min(len(said), echoed)])
	w.Header().Set("Location", "http://"+rq.http.Host+BasePath+"/Patient/"+line)
	w.Header().Set("Warning", `199 - "`+line+`"`)
	w.Header().Set("ETag", `W/"`+line+`"`)
	w.Header().Set("WWW-Authenticate", `Bearer realm="`+line+`"`)
	said = strings.ToValidUTF8(said, "?")
	s.write(w, rq.http, f.Status, obj("resourceType", "OperationOutcome", "issue", list{obj(
		"severity", "error", "code", "invalid",
		"details", obj("coding", list{obj("system", "urn:ehrsim:error", "code", "ECHO", "display", said)}, "text", said),
		"diagnostics", said, "location", list{said}, "expression", list{said})}), rq.hits)
}
