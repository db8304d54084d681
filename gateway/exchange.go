package gateway

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
)

// exchange is one request and its answer. It is the only thing that touches
// Fiber's context, and every string that it gives is a copy.
type exchange struct {
	s       *Server
	c       *fiber.Ctx
	ctx     context.Context // carries the principal and the deadline
	started time.Time
	id      string // X-Request-Id
	route   string // the template, for logs and metrics
	release scheduling.Release
	format  fhir.Format
	caller  string
	private bool // nothing of an error's cause is logged but its kind
	user    scheduling.UserToken
}

// exchangeKey is where the exchange lies in Fiber's context.
type exchangeKey struct{}

func newExchange(s *Server, c *fiber.Ctx) *exchange {
	x := &exchange{s: s, c: c, ctx: c.UserContext(), started: s.deps.Now(), route: "unmatched"}
	x.release = releaseOf(c.Path())
	x.id = requestID(x.header(fiber.HeaderXRequestID))
	x.format, _ = x.negotiate()
	return x
}

// negotiate finds the format that the caller wants. It is false for one that
// we cannot write, or of another release than that of the base; an error about
// that is then in the format of the body.
func (x *exchange) negotiate() (fhir.Format, bool) {
	fallback, known := fhir.FormatOf(x.header(fiber.HeaderContentType))
	if !known {
		fallback = fhir.JSON
	}
	asked, given := strings.Clone(x.c.Query("_format")), x.header(fiber.HeaderAccept)
	accept := fhir.AcceptOf(given, x.release)
	format, ok := fhir.Accepted(accept, asked, fallback)
	switch {
	case !ok, asked != "" && !fhir.OfRelease(asked, x.release):
		return fallback, false
	case asked == "" && accept == "" && given != "":
		return fallback, false
	}
	return format, true
}

// header is a copy of a request header; of one that came more than once, all
// its lines, as one list (RFC 9110, 5.3).
func (x *exchange) header(name string) string {
	lines := x.c.Request().Header.PeekAll(name)
	if len(lines) == 1 {
		return string(lines[0])
	}
	return string(bytes.Join(lines, []byte(", ")))
}

// param is a copy of a part of the path.
func (x *exchange) param(name string) string { return strings.Clone(x.c.Params(name)) }

// method is the request's method. What could not be read may have any, and is
// told as OTHER: there is no end of metrics otherwise.
func (x *exchange) method() string {
	if at := slices.Index(fiber.DefaultMethods, x.c.Method()); at >= 0 {
		return fiber.DefaultMethods[at]
	}
	return "OTHER"
}

// body is the request's body as it came. It is the caller's until the handler
// ends, and whoever keeps anything of it copies it first. Fiber's own Body
// would inflate a compressed one without a limit; plainBody refuses those.
func (x *exchange) body() []byte { return x.c.Request().Body() }

// plainBody refuses bodies of another release than that of the base, and
// compressed ones: a few bytes could become gigabytes, and no request here is
// long enough to need it.
func (x *exchange) plainBody() error {
	coding := strings.ToLower(strings.TrimSpace(x.header(fiber.HeaderContentEncoding)))
	ours := x.isNotice() || fhir.OfRelease(x.header(fiber.HeaderContentType), x.release)
	if ours && (coding == "" || coding == "identity") {
		return nil
	}
	return refuseHTTP(fiber.StatusUnsupportedMediaType)
}

// query reads the parameters of the address.
func (x *exchange) query() (url.Values, error) {
	return x.s.parseForm(string(x.c.Request().URI().QueryString()))
}

// parseForm reads name=value pairs, copied from text.
func (s *Server) parseForm(text string) (url.Values, error) {
	if strings.Count(text, "&") >= s.opts.MaxParams {
		return nil, scheduling.Refuse(scheduling.BadRequest, "", "more than %d parameters", s.opts.MaxParams)
	}
	// A semicolon parts nothing (WHATWG): it stands in _format=json;fhirVersion=4.0.
	values, err := url.ParseQuery(strings.ReplaceAll(text, ";", "%3B"))
	if err != nil {
		return nil, scheduling.Refuse(scheduling.BadRequest, "", "the parameters are not well-formed")
	}
	for name, list := range values {
		for _, value := range append(slices.Clip(list), name) {
			if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
				return nil, scheduling.Refuse(scheduling.BadRequest, "", "a parameter is not text in UTF-8")
			}
		}
	}
	return values, nil
}

// principal is who asks.
func (x *exchange) principal() auth.Principal { return auth.From(x.ctx) }

// preference is what the caller prefers for something, "" for nothing: Prefer
// may come more than once, name several, and put values in quotes (RFC 7240).
// The first counts.
func (x *exchange) preference(about string) string {
	for _, part := range strings.FieldsFunc(x.header("Prefer"), func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.TrimSpace(name), about) {
			return strings.ToLower(strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	return ""
}

// strict tells whether the caller wants unknown parameters refused
// (http://hl7.org/fhir/search.html#errors).
func (x *exchange) strict() bool { return x.preference("handling") == "strict" }

// resource answers with a resource in the format asked for.
func (x *exchange) resource(status int, res model.Resource) error {
	body, err := fhir.Write(x.release, x.format, res)
	if err != nil {
		return err
	}
	return x.send(status, body)
}

// send answers with a body that is written in the format asked for.
func (x *exchange) send(status int, body []byte) error {
	x.head(status)
	return x.c.Send(body)
}

// head says what the body is.
func (x *exchange) head(status int) {
	x.c.Status(status)
	x.c.Set(fiber.HeaderContentType, x.format.ContentType())
	x.c.Set(fiber.HeaderVary, fiber.HeaderAccept)
}
