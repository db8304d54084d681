package ehrsim

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds what a client may send.
const maxBody = 1 << 20

// request is one FHIR request with its parameters, wherever they came from.
type request struct {
	srv    *Server
	http   *http.Request
	base   string // "http://host:port/fhir"
	path   string // below the base: "/Slot/$prefetch"
	params url.Values
	body   []byte // as posted, at most one byte over maxBody
	hits   hits
}

// newRequest reads the body at once: only then does net/http notice that a
// client goes away, which a hanging answer waits for.
func (s *Server) newRequest(r *http.Request, path string) *request {
	rq := &request{srv: s, http: r, base: "http://" + r.Host + BasePath, path: strings.TrimSuffix(path, "/")}
	rq.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody+1)) // half a body is refused when it is read
	return rq
}

// target is what faults are matched against: the path below the base, and the
// query.
func (rq *request) target() string {
	t := rq.path
	if t == "" {
		t = "/"
	}
	if rq.http.URL.RawQuery != "" {
		t += "?" + rq.http.URL.RawQuery
	}
	return t
}

// read collects the parameters of the URL and of a posted form or Parameters.
func (rq *request) read() error {
	params, err := url.ParseQuery(rq.http.URL.RawQuery)
	if err != nil {
		return bad("the query cannot be read")
	}
	rq.params = params
	if rq.http.Method != http.MethodPost {
		return nil
	}
	if len(rq.body) > maxBody {
		return &failure{http.StatusRequestEntityTooLarge, "too-long", "the body is too large"}
	}
	return rq.readBody(rq.body)
}

func (rq *request) readBody(data []byte) error {
	media, _, err := mime.ParseMediaType(rq.http.Header.Get("Content-Type"))
	if len(data) == 0 {
		return nil
	}
	if err != nil {
		return &failure{http.StatusUnsupportedMediaType, "not-supported", "the body's content type is missing or wrong"}
	}
	var body object
	switch {
	case media == "application/x-www-form-urlencoded":
		return rq.readForm(data)
	case strings.HasSuffix(media, "json"):
		body, err = readJSON(data)
	case strings.HasSuffix(media, "xml"):
		body, err = readXML(data, rq.srv.opts.FHIR)
	default:
		return &failure{http.StatusUnsupportedMediaType, "not-supported", "the body's content type is not supported"}
	}
	if err != nil {
		return bad("the body cannot be read")
	}
	return rq.readParameters(body)
}

func (rq *request) readForm(data []byte) error {
	form, err := url.ParseQuery(string(data))
	if err != nil {
		return bad("the form cannot be read")
	}
	for name, values := range form {
		rq.params[name] = append(rq.params[name], values...)
	}
	return nil
}

var errNotParameters = &failure{http.StatusUnprocessableEntity, "structure", "the body must be a Parameters resource"}

func (rq *request) readParameters(body object) error {
	if body.str("resourceType") != "Parameters" {
		return errNotParameters
	}
	for _, v := range body.each("parameter") {
		p, ok := v.(object)
		if !ok || p.str("name") == "" {
			return errNotParameters
		}
		if text, ok := parameterText(p); ok {
			rq.params.Add(p.str("name"), text)
		}
	}
	return nil
}

// parameterText gives the value of a parameter as it would stand in a URL.
func parameterText(p object) (string, bool) {
	for _, m := range p {
		if !strings.HasPrefix(m.name, "value") {
			continue
		}
		switch v := m.value.(type) {
		case string:
			return v, true
		case number:
			return string(v), true
		case object:
			return objectText(v), true
		}
	}
	return "", false
}

// objectText: Reference by its reference, Identifier and Coding as a token.
func objectText(o object) string {
	if ref := o.str("reference"); ref != "" {
		return ref
	}
	if c := o.each("coding"); len(c) > 0 {
		first, _ := c[0].(object)
		o = first
	}
	if code := o.str("code"); code != "" {
		return o.str("system") + "|" + code
	}
	return o.str("system") + "|" + o.str("value")
}

// period reads start and end of an operation; a day given as end counts whole.
// Missing: from now, and without end.
func (rq *request) period() (from, to time.Time, err error) {
	from = rq.srv.clock.now()
	for _, name := range []string{"start", "end"} {
		text := rq.params.Get(name)
		if text == "" {
			continue
		}
		sp, err := parseSpan(text, rq.srv.zone)
		if errors.Is(err, errNoDate) {
			return from, to, bad(name + " is not a dateTime")
		}
		if name == "start" {
			from = sp.from
		} else {
			to = sp.to
		}
	}
	if !to.IsZero() && to.Before(from) {
		return from, to, bad("end is before start")
	}
	if limit := rq.srv.opts.MaxWindow; to.IsZero() && limit > 0 {
		to = from.Add(limit)
	}
	return from, to, rq.srv.checkWindow(from, to)
}

// checkWindow refuses a period longer than this EHR allows.
func (s *Server) checkWindow(from, to time.Time) error {
	limit := s.opts.MaxWindow
	if limit == 0 {
		return nil
	}
	if from.IsZero() || to.IsZero() || to.Sub(from) > limit {
		return &failure{http.StatusBadRequest, "too-costly", "the period asked for is too long"}
	}
	return nil
}
