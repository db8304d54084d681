package ehrsim

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reply is an answer before it is written.
type reply struct {
	status   int
	body     object            // nil: none
	tagged   object            // the resource whose version ETag and Last-Modified tell
	location bool              // Location leads to the tagged resource
	header   map[string]string // others
}

// plain is a 200 answer, or the error.
func plain(body object, err error) (reply, error) {
	return reply{status: http.StatusOK, body: body}, err
}

// failure is an error that the client is told as an OperationOutcome.
type failure struct {
	status  int
	code    string // of FHIR's issue-type
	text    string
	taken   bool   // the slot is: told in the shape that Options.Refusal says
	about   object // what was asked for, of taken
	outcome object // in place of the one made of code and text
}

func (f *failure) Error() string { return f.text }

func bad(text string) error {
	return &failure{status: http.StatusBadRequest, code: "invalid", text: text}
}

func notFound(text string) error {
	return &failure{status: http.StatusNotFound, code: "not-found", text: text}
}

func unprocessable(code, text string) error {
	return &failure{status: http.StatusUnprocessableEntity, code: code, text: text}
}

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

// send writes an answer: its headers, and the body unless the server is one
// that answers a change with none, or the client wants none.
func (s *Server) send(w http.ResponseWriter, rq *request, a reply) {
	head := w.Header()
	if meta := a.tagged.obj("meta"); meta != nil {
		head.Set("ETag", etag(meta.str("versionId")))
		if at, err := time.Parse(time.RFC3339, meta.str("lastUpdated")); err == nil {
			head.Set("Last-Modified", at.UTC().Format(http.TimeFormat))
		}
	}
	if a.location {
		head.Set("Location", rq.base+"/"+a.tagged.str("resourceType")+"/"+a.tagged.str("id"))
	}
	for name, value := range a.header {
		head.Set(name, value)
	}
	if rq.writes() {
		head.Set("Date", s.clock.now().Format(http.TimeFormat))
	}
	if a.body == nil || s.answersNothing(rq) && a.status < 300 && a.tagged != nil {
		head.Set("Content-Length", "0")
		w.WriteHeader(a.status)
		return
	}
	s.write(w, rq.http, a.status, a.body, rq.hits)
}

// answersNothing: a change is told by its headers alone.
func (s *Server) answersNothing(rq *request) bool {
	minimal := s.opts.EmptyAnswers || strings.Contains(rq.http.Header.Get("Prefer"), "return=minimal")
	return minimal && (rq.act == "create" || rq.act == "update" || rq.act == "patch")
}

func etag(version string) string { return `W/"` + version + `"` }

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
	if struck.has(FaultDie) {
		w.WriteHeader(status)
		_, _ = w.Write(data[:len(data)/2])
		reset(w, nil, Fault{})
		return
	}
	if struck.has(FaultCutJSON) {
		// Fewer bytes than the length says: net/http closes the connection.
		data = data[:len(data)/2]
	}
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may be gone; nobody else to tell
}
