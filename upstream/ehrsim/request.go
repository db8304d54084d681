package ehrsim

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
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
	act    string // the interaction: read, search, find, prefetch, match, metadata, hold, book, create, update, patch, transaction; "": none
	typ    string // the resource type in the path
	id     string
	params url.Values
	body   []byte // as posted, at most one byte over maxBody
	hits   hits
}

// newRequest reads the body at once: only then does net/http notice that a
// client goes away, which a hanging answer waits for.
func (s *Server) newRequest(r *http.Request, path string) *request {
	rq := &request{srv: s, http: r, base: "http://" + r.Host + BasePath, path: strings.TrimSuffix(path, "/")}
	rq.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody+1)) // half a body is refused when it is read
	rq.act, rq.typ, rq.id = interaction(r.Method, strings.Split(strings.TrimPrefix(rq.path, "/"), "/"))
	return rq
}

// interaction names what a method and a path below the base ask for.
func interaction(method string, parts []string) (act, typ, id string) {
	typ = parts[0]
	last := parts[len(parts)-1]
	reads := method == http.MethodGet
	switch {
	case method == http.MethodDelete && len(parts) == 2:
		return "delete", typ, last
	case !reads && method != http.MethodPost && method != http.MethodPut && method != http.MethodPatch:
		return method, typ, ""
	case typ == "metadata" && reads:
		return "metadata", "", ""
	case len(parts) == 1 && typ == "" && method == http.MethodPost:
		return "transaction", typ, ""
	case len(parts) == 1 && reads, len(parts) == 2 && last == "_search" && method == http.MethodPost:
		return "search", typ, ""
	case len(parts) == 1 && method == http.MethodPost:
		return "create", typ, ""
	case len(parts) == 2 && (last == "$find" || last == "$prefetch") && (reads || method == http.MethodPost):
		return last[1:], typ, ""
	case len(parts) == 2 && last == "$match" && method == http.MethodPost:
		return "match", typ, ""
	case (len(parts) == 2 || len(parts) == 3) && (last == "$hold" || last == "$book") && method == http.MethodPost:
		if len(parts) == 3 {
			id = parts[1]
		}
		return last[1:], typ, id
	case len(parts) == 2 && !strings.HasPrefix(last, "$"):
		return map[string]string{http.MethodGet: "read", http.MethodPut: "update", http.MethodPatch: "patch"}[method], typ, last
	}
	return "", typ, ""
}

// writes: it asks for a change.
func (rq *request) writes() bool {
	return slices.Contains([]string{"hold", "book", "create", "update", "patch", "transaction"}, rq.act)
}

// doing is the kind of interaction that a fault may be limited to, see Fault.On.
func (rq *request) doing() string {
	has := func(text string) bool { return bytes.Contains(rq.body, []byte(text)) }
	switch rq.act + " " + rq.typ {
	case "hold Appointment":
		return "hold"
	case "update Slot", "patch Slot":
		if has("free") {
			return "release"
		}
		return "hold"
	case "book Appointment", "create Appointment":
		if rq.iheCancels() {
			return "cancel"
		}
		return "book"
	case "transaction ":
		if has("cancelled") {
			return "cancel"
		}
		return "book"
	case "patch Appointment", "update Appointment":
		return "cancel"
	case "create Patient":
		return "register"
	case "create Coverage", "update Coverage":
		return "coverage"
	case "find Appointment", "prefetch Slot":
		return "find"
	}
	return rq.act
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
	if len(rq.body) > maxBody {
		return &failure{status: http.StatusRequestEntityTooLarge, code: "too-long", text: "the body is too large"}
	}
	switch rq.act {
	case "search", "find", "prefetch":
		if rq.http.Method == http.MethodPost {
			return rq.readBody(rq.body)
		}
	}
	return nil
}

// resource reads the body as one FHIR resource; none: an empty object.
func (rq *request) resource() (object, error) {
	if len(rq.body) == 0 {
		return object{}, nil
	}
	media, err := rq.media()
	if err != nil {
		return nil, err
	}
	var body object
	switch {
	case strings.HasSuffix(media, "json"):
		body, err = readJSON(rq.body)
	case strings.HasSuffix(media, "xml"):
		body, err = readXML(rq.body, rq.srv.opts.FHIR)
	default:
		return nil, errMedia
	}
	if err != nil || body.str("resourceType") == "" {
		return nil, bad("the body cannot be read")
	}
	return body, nil
}

var errMedia = &failure{status: http.StatusUnsupportedMediaType, code: "not-supported", text: "the body's content type is missing or not supported"}

func (rq *request) media() (string, error) {
	media, _, err := mime.ParseMediaType(rq.http.Header.Get("Content-Type"))
	if err != nil {
		return "", errMedia
	}
	return media, nil
}

func (rq *request) readBody(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	media, err := rq.media()
	if err != nil {
		return err
	}
	if media == "application/x-www-form-urlencoded" {
		return rq.readForm(data)
	}
	body, err := rq.resource()
	if err != nil {
		return err
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

var errNotParameters = &failure{status: http.StatusUnprocessableEntity, code: "structure", text: "the body must be a Parameters resource"}

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
		return &failure{status: http.StatusBadRequest, code: "too-costly", text: "the period asked for is too long"}
	}
	return nil
}
