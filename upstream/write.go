package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// order is one write as the dialects ask for it.
type order struct {
	kind        scheduling.CallKind
	lane        lane
	method      string
	path        string // below the base
	resource    model.Resource
	body        []byte // in place of resource, with its content type
	contentType string
	ifMatch     string
	ifNoneExist string
	probe       bool
}

// sending notes how far a write has come on its way.
type sending struct {
	reached atomic.Bool // the transport has it
	asked   atomic.Bool // it asks for a connection
	got     atomic.Bool // it has one: from here on bytes may have gone out
}

// watch notes what becomes of a request, from the start.
func (s *sending) watch(req *http.Request) *http.Request {
	s.reached.Store(true)
	s.asked.Store(false)
	s.got.Store(false)
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { s.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { s.got.Store(true) },
	}))
}

// certainlyNot: no byte of the request has left. A transport that tells nothing
// may have sent everything.
func (s *sending) certainlyNot() bool {
	return !s.reached.Load() || s.asked.Load() && !s.got.Load()
}

// write sends an order once and reads what became of it: a reply that says yes,
// or an error that is a definite refusal (see refusal.go) or in-doubt.
func (c *Client) write(ctx context.Context, o order) (*reply, error) {
	send, err := c.writeCall(o)
	if err != nil {
		return nil, err
	}
	got := &reply{}
	send.read = func(f fhir.Format, body []byte) error { return got.read(c.source.Release, f, body) }
	a, err := c.send(ctx, send)
	if a != nil {
		got.heads(c, a)
	}
	switch {
	case err == nil:
		return got, c.judgeReply(o.kind, got)
	case a == nil:
		return nil, c.judgeUnanswered(send.sent, err)
	default:
		return nil, c.judgeRefused(o.kind, got, a, err)
	}
}

func (c *Client) writeCall(o order) (*call, error) {
	send := &call{
		op: string(o.kind), lane: o.lane, method: o.method, url: resolve(c.base, o.path, nil), body: o.body, kind: o.contentType,
		header: http.Header{}, limit: c.opts.Booking.CallTimeout.Std(), write: true, sent: &sending{}, probe: o.probe,
	}
	if o.resource != nil {
		format := c.writes()
		body, err := fhir.Write(c.source.Release, format, o.resource)
		if err != nil {
			return nil, scheduling.Blame(scheduling.NotAcceptable, c.source.ID, err, "what the source would have to be sent cannot be written")
		}
		send.body, send.kind = body, format.ContentType()
	}
	if o.ifMatch != "" && *c.opts.Quirks.IfMatch {
		send.header.Set("If-Match", o.ifMatch)
	}
	if o.ifNoneExist != "" {
		send.header.Set("If-None-Exist", o.ifNoneExist)
	}
	return send, nil
}

// writes is the format in which the source is written to.
func (c *Client) writes() fhir.Format {
	if c.opts.Quirks.Accept == "xml" {
		return fhir.XML
	}
	return fhir.JSON
}

// judgeUnanswered is for a write without a whole answer.
func (c *Client) judgeUnanswered(sent *sending, err error) error {
	f := faultOf(err)
	switch {
	case !sent.certainlyNot():
		return c.doubt(f)
	case scheduling.CodeOf(err) == scheduling.SourceLogin:
		return err
	default:
		e := scheduling.Blame(scheduling.SourceDown, c.source.ID, &fault{cause: unwrapFault(err)}, "the source could not be asked; nothing was sent")
		if from := asError(err); from != nil {
			e.RetryAfter = from.RetryAfter
		}
		return e
	}
}

func asError(err error) *scheduling.Error {
	var e *scheduling.Error
	errors.As(err, &e)
	return e
}

func unwrapFault(err error) error {
	if cause := faultOf(err).cause; cause != nil {
		return cause
	}
	return err
}

// doubt: it was sent, and nobody knows what the source did.
func (c *Client) doubt(cause error) *scheduling.Error {
	return scheduling.Blame(scheduling.InDoubt, c.source.ID, cause, "the source was asked, and its answer is not known")
}

// withinCall bounds everything that one call of the desk does at the source,
// the waiting included: past it another gateway takes the entry over.
func (c *Client) withinCall(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.opts.Booking.CallTimeout.Std())
}

// afterwards is a context for putting something right after a call: the call's
// own may be over, and what is put right is conditional.
func (c *Client) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.opts.Booking.ReadTimeout.Std())
}

// byIdentifier is the condition of a create: none of this identifier exists.
func byIdentifier(identifier string) string {
	if identifier == "" {
		return ""
	}
	return url.Values{"identifier": {IdentifierSystem + "|" + identifier}}.Encode()
}
