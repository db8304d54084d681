package upstream

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"

	"slotgate/fhir"
	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// stack is what every call to one source passes.
type stack struct {
	source   scheduling.SourceID
	limits   Limits
	now      func() time.Time
	login    token.Source
	budget   *budget
	spare    *rate.Limiter // what revalidating may take of the budget
	breakers map[guard]*breaker
	metrics  *sourceMetrics
	noted    func(op string, a *answer) // sees every answer
}

// newStack reads from the wire outwards. The order matters:
//   - a try that the breaker or the budget refuses is not sent, and so neither
//     timed nor counted as a call;
//   - waiting for the budget is not part of the timeout of a read. A write has
//     its deadline in its context, and the waiting is part of it: past it others
//     take the entry over, and nothing may be sent any more;
//   - the breaker sees each try by itself, with the answer already read;
//   - a write is never retried, save with a new token where the old one was
//     refused, unread.
func newStack(s *stack, w *wire) sender {
	send := w.send
	send = s.judged(send)   // status and body become an error of ours
	send = s.loggedIn(send) // a token, renewed once where it is refused
	send = s.timed(send)    // limits.timeout, or the call's own
	send = s.observed(send) // metrics
	send = s.budgeted(send) // by lane, of all nodes: limits.rate, concurrency, less under pressure, limits.day, and the pause that the source asked for
	send = s.broken(send)   // a breaker each for reads, writes and prefetch
	return s.retried(send)  // limits.retries, reads only
}

// judged turns every answer that is not good into an error.
func (s *stack) judged(next sender) sender {
	return func(ctx context.Context, c *call) (*answer, error) {
		a, err := next(ctx, c)
		if err != nil {
			return nil, err // timed knows whose the fault is
		}
		if a.status == http.StatusNotModified && c.conditional {
			return a, nil
		}
		if err = judgeStatus(s.source, a, s.now()); err != nil {
			return a, judgeUser(ctx, s.source, err)
		}
		if c.read == nil {
			return a, nil
		}
		if err = c.read(formatOf(a), a.body); err != nil {
			return a, judgeBody(s.source, err)
		}
		return a, nil
	}
}

// formatOf is the format that the body looks like. The header is asked only
// when the body leaves it open: servers send XML as text/plain, and JSON as
// text/html.
func formatOf(a *answer) fhir.Format {
	for _, c := range a.body {
		switch c {
		case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
		case '<':
			return fhir.XML
		case '{':
			return fhir.JSON
		default:
			f, _ := fhir.FormatOf(a.header.Get("Content-Type"))
			return f
		}
	}
	return fhir.JSON
}

// loggedIn gives the call its token.
func (s *stack) loggedIn(next sender) sender {
	try := func(ctx context.Context, c *call) (*answer, string, error) {
		bearer, err := s.login.Token(ctx)
		if err != nil {
			return nil, "", judgeLogin(ctx, s.source, err)
		}
		with := *c
		with.bearer = bearer
		a, err := next(ctx, &with)
		return a, bearer, err
	}
	return func(ctx context.Context, c *call) (*answer, error) {
		if user, ok := userOf(ctx); ok {
			with := *c
			with.bearer = user.Reveal()
			return next(ctx, &with)
		}
		a, bearer, err := try(ctx, c)
		if refusedAs(err, http.StatusUnauthorized) && s.login.Refused(ctx, bearer) {
			a, _, err = try(ctx, c)
		}
		return a, err
	}
}

// timed bounds one try, from its token to the last byte of its answer.
func (s *stack) timed(next sender) sender {
	return func(ctx context.Context, c *call) (*answer, error) {
		limit := s.limits.Timeout.Std()
		if c.limit > 0 {
			limit = c.limit
		}
		within, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		began := time.Now()
		a, err := next(within, c)
		// A caller's deadline that falls together with ours is ours: the source
		// had its time.
		hadTime := errors.Is(ctx.Err(), context.DeadlineExceeded) && time.Since(began) > limit/2
		switch {
		case err == nil:
			return a, nil
		case within.Err() != nil && (ctx.Err() == nil || hadTime):
			return nil, judgeTransport(context.WithoutCancel(ctx), s.source, context.DeadlineExceeded)
		case scheduling.CodeOf(err) != scheduling.Internal:
			return a, err
		default:
			return nil, judgeTransport(ctx, s.source, err)
		}
	}
}

// observed counts and times what is really sent.
func (s *stack) observed(next sender) sender {
	return func(ctx context.Context, c *call) (*answer, error) {
		began := time.Now()
		a, err := next(ctx, c)
		s.metrics.call(c, a, err, time.Since(began))
		if s.noted != nil {
			s.noted(c.op, a)
		}
		return a, err
	}
}

// pausing are the statuses whose Retry-After is about the source as a whole. With
// any other it is about what was asked, and no reason to let others wait.
func pausing() []int {
	return []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusRequestTimeout, http.StatusGatewayTimeout}
}

// budgeted waits for the source's budget, and heeds its wish for a pause.
func (s *stack) budgeted(next sender) sender {
	return func(ctx context.Context, c *call) (*answer, error) {
		l := s.budget.laneOf(c)
		if err := s.budget.enter(ctx, l); err != nil {
			return nil, err
		}
		defer s.budget.leave(l)
		if c.lane == laneRevalidate {
			s.spare.ReserveN(time.Now(), 1)
		}
		began := time.Now()
		a, err := next(ctx, c)
		if _, user := userOf(ctx); user {
			return a, err // who asks too much alone slows nobody else down
		}
		if s.budget.feel(c.op, time.Since(began), err) {
			s.metrics.cut()
		}
		if wait := scheduling.AsError(err); wait != nil && wait.RetryAfter > 0 && refusedAs(err, pausing()...) {
			s.budget.pause(s.now().Add(wait.RetryAfter))
		}
		return a, err
	}
}

// transportFor is a connection pool of the source's own, so that one that hangs
// holds no connection that others wait for.
func transportFor(limits Limits) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented to be one
	t.MaxIdleConnsPerHost = limits.Concurrency
	t.MaxConnsPerHost = limits.Concurrency + 2 // reads and logins besides
	t.MaxResponseHeaderBytes = 1 << 20
	return t
}

// resolve finds a path and query below the base.
func resolve(base *url.URL, path string, query url.Values) *url.URL {
	u := *base
	u.Path = base.Path + "/" + path
	if path == "" {
		u.Path = cmp.Or(base.Path, "/")
	}
	u.RawPath = ""
	u.RawQuery = query.Encode()
	return &u
}
