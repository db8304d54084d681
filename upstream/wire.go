package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"slotgate/fhir"
)

// call is one request to a source. One that is no write is safe: it changes
// nothing there and may be repeated.
type call struct {
	op     string // for metrics: metadata, directory, slots, read, book, ...
	lane   lane
	method string
	url    *url.URL
	body   []byte
	kind   string // Content-Type of body
	fresh  bool   // the answer must not come from a cache on the way
	header http.Header
	// conditional: it says what we have already, and 304 is an answer.
	conditional bool
	// limit is the longest time for one try; 0: limits.timeout.
	limit time.Duration
	// write: it changes something. It is sent once, and what became of it is
	// noted in sent.
	write bool
	sent  *sending
	probe bool // it passes an open breaker, as its probe
	// read decodes the answer. It runs within the stack, since an answer that
	// cannot be read counts against the source.
	read func(f fhir.Format, body []byte) error

	bearer string // set by the login wrapper
}

// answer is what came back, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// sender sends a call; wrappers make senders of senders.
type sender func(ctx context.Context, c *call) (*answer, error)

// wire is the innermost sender.
type wire struct {
	client  *http.Client
	writer  *http.Client // follows no redirect: a write is sent once
	base    *url.URL
	others  []*url.URL // origins that files may be read from, without a token
	accept  string
	agent   string
	max     int64
	strayed func(stray) // counts where we did not go
}

var (
	errOtherOrigin = errors.New("upstream: another origin")
	errRedirects   = errors.New("upstream: too many redirects")
	errTooLarge    = errors.New("upstream: the body is larger than max_body")
	errPaused      = errors.New("upstream: the source asked for a pause")
)

const maxRedirects = 5

// newHTTPClient follows redirects within the origin only (law 11). The token
// would go along to wherever a redirect leads.
func newHTTPClient(base *url.URL, transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: transport,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case !sameOrigin(base, req.URL):
				return errOtherOrigin
			case len(via) > maxRedirects, req.Method != via[0].Method:
				return errRedirects
			default:
				return nil
			}
		},
	}
}

// newWriter is the same for writes. A redirect is an answer then: to follow it
// would send the write again, and nobody knows what the first one did.
func newWriter(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// sameOrigin compares scheme, host and port (RFC 6454).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// send is the sender itself. Its errors are those of net/http, without the
// address, or one of those above.
func (w *wire) send(ctx context.Context, c *call) (*answer, error) {
	if !w.mayAsk(c) {
		w.strayed(fileElsewhere)
		return nil, errOtherOrigin
	}
	req, err := http.NewRequestWithContext(ctx, c.method, c.url.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("upstream: request: %w", bare(err))
	}
	w.headers(req, c)
	client := w.client
	if err = ctx.Err(); err != nil {
		return nil, err //nolint:wrapcheck // timed knows whose the fault is
	}
	if c.write {
		client = w.writer
		req = c.sent.watch(req)
	}
	resp, err := client.Do(req)
	if err != nil {
		if why := redirected(err); why != "" {
			w.strayed(why)
		}
		return nil, bare(err)
	}
	if c.write && resp.Header.Get("Location") != "" && resp.StatusCode/100 == 3 {
		w.strayed(redirectWrite)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readBody(resp, w.max+1)
	switch {
	case err != nil:
		return nil, bare(err)
	case int64(len(body)) > w.max:
		return nil, errTooLarge
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// biggestGuess bounds what is set aside for a body before it has come.
const biggestGuess = 4 << 20

// readBody reads so much of an answer at most. Room is made once where the source
// says how much will come; what it says is not believed beyond biggestGuess.
func readBody(resp *http.Response, most int64) ([]byte, error) {
	var body bytes.Buffer
	if size := min(resp.ContentLength, most, biggestGuess); size > 0 {
		body.Grow(int(size) + bytes.MinRead) // or it would grow to see the end
	}
	_, err := body.ReadFrom(io.LimitReader(resp.Body, most))
	return body.Bytes(), err //nolint:wrapcheck // send strips it
}

// mayAsk keeps to the source's own origin, but for files of the publishers that
// the configuration names.
func (w *wire) mayAsk(c *call) bool {
	if sameOrigin(w.base, c.url) {
		return true
	}
	return !c.write && c.method == http.MethodGet &&
		slices.ContainsFunc(w.others, func(origin *url.URL) bool { return sameOrigin(origin, c.url) })
}

func (w *wire) headers(req *http.Request, c *call) {
	req.Header.Set("Accept", w.accept)
	req.Header.Set("User-Agent", w.agent)
	for name, values := range c.header {
		req.Header[name] = values
	}
	if c.fresh {
		req.Header.Set("Cache-Control", "no-cache")
	}
	if c.kind != "" {
		req.Header.Set("Content-Type", c.kind)
	}
	if c.bearer != "" && sameOrigin(w.base, c.url) {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
}

// bare strips the address from an error of net/http: its query belongs into no
// log.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
