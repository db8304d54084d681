package ehrsim

import (
	"net/http"
	"strconv"
	"strings"
)

// failure is an error that the client is told as an OperationOutcome.
type failure struct {
	status int
	code   string // of FHIR's issue-type
	text   string
}

func (f *failure) Error() string { return f.text }

func bad(text string) error      { return &failure{http.StatusBadRequest, "invalid", text} }
func notFound(text string) error { return &failure{http.StatusNotFound, "not-found", text} }

// outcome is the resource that tells of an error.
func outcome(severity, code, text string) object {
	return obj("resourceType", "OperationOutcome", "issue", list{obj(
		"severity", severity, "code", code, "details", obj("text", text), "diagnostics", text)})
}

// wantsXML follows _format, then Accept.
func wantsXML(r *http.Request) bool {
	if format := r.URL.Query().Get("_format"); format != "" {
		return strings.Contains(format, "xml")
	}
	for _, accepted := range strings.Split(r.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(accepted), ";")
		switch strings.ToLower(media) {
		case "application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir":
			return true
		case "application/fhir+json", "application/json", "application/json+fhir":
			return false
		}
	}
	return false
}

// write sends a resource in the format the client asked for; wire faults may
// spoil it on the way.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, body object, struck hits) {
	asXML := wantsXML(r)
	var data []byte
	if asXML {
		data = appendXML(nil, body)
	} else {
		data = appendJSON(nil, body)
	}
	head := w.Header()
	head.Set("Content-Type", s.flavour.contentType(asXML))
	head.Set("Content-Length", strconv.Itoa(len(data)))
	if f, ok := struck[FaultWrongType]; ok {
		head.Set("Content-Type", f.contentType())
	}
	if _, ok := struck[FaultCutJSON]; ok {
		// Fewer bytes than the length says: net/http closes the connection.
		data = data[:len(data)/2]
	}
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may be gone; nobody else to tell
}
