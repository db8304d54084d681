package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// Client speaks to one source. It is safe for concurrent use.
type Client struct {
	opts     Options
	source   scheduling.Source
	base     *url.URL
	rule     *regexp.Regexp // quirks.schedule_ref; nil: none
	codes    *codeMap       // nil: none
	dialect  dialect
	wire     *wire  // the innermost sender
	send     sender // the whole stack
	login    token.Source
	breakers map[guard]*breaker
	budget   *budget
	spare    *rate.Limiter // what revalidating may take of it
	forbids  forbids
	metrics  *sourceMetrics
	log      *slog.Logger
	now      func() time.Time
	idle     func() // closes idle connections

	recall *recall // of what it answered
	known  *known
	turn   chan struct{} // held by whoever reads the directory
	loaded atomic.Bool   // it was read once

	local     atomic.Bool // the source has written a time without an offset
	linksNext atomic.Bool // the source has given a next link before
	schedules scheduleList
	strays    strayCount

	traits     atomic.Pointer[traits] // what the CapabilityStatement told; nil: nothing yet
	plainUntil atomic.Int64           // until then slots are taken as not writable (Unix, ns)
}

// newClient makes the client of valid options. base is the transport that
// requests go through, nil for one of the client's own.
func newClient(opts Options, deps Deps, m *sourceMetrics) (*Client, error) {
	source := opts.Source()
	base, err := url.Parse(source.Base)
	if err != nil {
		return nil, fmt.Errorf("upstream: base: %w", err)
	}
	c := &Client{
		opts: opts, source: source, base: base, dialect: newDialect(opts.Dialect), metrics: m,
		log: deps.Logger, now: deps.Now, known: newKnown(), recall: newRecall(opts.Conditional.Pages), turn: make(chan struct{}, 1), idle: func() {},
	}
	if c.codes, err = loadCodes(string(opts.Codes)); err != nil {
		return nil, within("codes", err)
	}
	if opts.Quirks.ScheduleRef != "" {
		if c.rule, err = regexp.Compile(opts.Quirks.ScheduleRef); err != nil {
			return nil, fmt.Errorf("upstream: schedule_ref: %w", err)
		}
	}
	transport := deps.Transport
	if transport == nil {
		own := transportFor(opts.Limits)
		transport, c.idle = own, own.CloseIdleConnections
	}
	if err = c.connect(deps, transport); err == nil {
		c.wire.strayed = c.strayed
	}
	return c, err
}

// connect builds the stack.
func (c *Client) connect(deps Deps, transport http.RoundTripper) (err error) {
	c.login, err = token.New(c.opts.Auth, token.Deps{
		Base: c.source.Base, Transport: transport, Now: deps.Now, Timeout: c.opts.Limits.Timeout.Std(),
		Store: deps.Tokens(c.source.ID), Logger: deps.Logger.With("source", c.source.ID), Count: c.metrics.login,
	})
	if err != nil {
		return fmt.Errorf("upstream: auth: %w", err)
	}
	c.breakers = map[guard]*breaker{}
	for _, g := range guards {
		c.breakers[g] = newBreaker(c.source.ID, g, c.opts.Limits, func(open bool) { c.breakerChanged(g, open) })
		c.metrics.breaker(g, false)
	}
	c.spare = newSpare(c.opts.Limits)
	c.budget = newBudget(c.source.ID, c.opts.Limits, deps.Now)
	c.budget.day = newDayCount(c.opts.Limits, c.source.Zone)
	c.budget.spare, c.budget.spareRate, c.budget.metrics = c.spare, c.spare.Limit(), c.metrics
	if with := deps.Budgets(c.source.ID); with != nil {
		c.budget.joint = newJoint(with, c.opts.Limits.OwnShare)
	}
	c.wire = &wire{
		client: newHTTPClient(c.base, transport), writer: newWriter(transport), base: c.base,
		accept: accept(c.opts.Quirks.Accept), agent: deps.UserAgent, max: c.opts.Limits.MaxBody, others: c.opts.Quirks.origins(),
	}
	c.send = newStack(&stack{
		source: c.source.ID, limits: c.opts.Limits, now: deps.Now, login: c.login,
		budget: c.budget, spare: c.spare, breakers: c.breakers, metrics: c.metrics, noted: c.noted,
	}, c.wire)
	return nil
}

// accept asks for one format and takes the other: some servers know only one.
func accept(format string) string {
	if format == "xml" {
		return "application/fhir+xml, application/fhir+json;q=0.5"
	}
	return "application/fhir+json, application/fhir+xml;q=0.5"
}

func (c *Client) breakerChanged(g guard, open bool) {
	c.metrics.breaker(g, open)
	c.log.Info("breaker changed", "source", c.source.ID, "breaker", g, "open", open)
}

// Source is the source as everybody else knows it.
func (c *Client) Source() scheduling.Source { return c.source }

// Options are what the client was made of.
func (c *Client) Options() Options { return c.opts }

// Breakers tells the state of each breaker (read, write, prefetch): closed,
// half-open or open.
func (c *Client) Breakers() map[string]string {
	out := map[string]string{}
	for g, b := range c.breakers {
		out[string(g)] = b.state()
	}
	return out
}

// Budget tells what may be asked of the source, what is under way, and how many
// wait in each lane.
func (c *Client) Budget() map[string]any { return c.budget.state() }

// Now is the client's clock.
func (c *Client) Now() time.Time { return c.now() }

// Way is how slots are asked for just now: slots, files, prefetch or find. An
// argonaut source without $prefetch is found out by the first Fetch.
func (c *Client) Way() string {
	a, ok := c.dialect.(*argonaut)
	switch {
	case c.opts.Dialect == Links:
		return "files"
	case c.opts.Dialect == IHE, c.opts.Dialect == Epic:
		return "find"
	case !ok:
		return "slots"
	case c.opts.Quirks.NoPrefetch || a.asksFind(c.now()):
		return "find"
	default:
		return "prefetch"
	}
}

// Close lets go of idle connections. Calls under way go on to their end.
func (c *Client) Close() error {
	c.budget.close()
	c.idle()
	return nil
}

// Reach asks the source for anything at all, without a token: every answer of
// an HTTP server will do.
func (c *Client) Reach(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, c.opts.Limits.Timeout.Std())
	defer cancel()
	_, err := c.wire.send(within, &call{op: "reach", method: http.MethodGet, url: resolve(c.base, "metadata", nil)})
	if err == nil || errors.Is(err, errTooLarge) {
		return nil
	}
	if within.Err() != nil && ctx.Err() == nil {
		err = context.DeadlineExceeded
	}
	return judgeTransport(ctx, c.source.ID, err)
}

// Login gets a token, as a call would. It does nothing at an open source.
func (c *Client) Login(ctx context.Context) error {
	if _, err := c.login.Token(ctx); err != nil {
		return judgeLogin(ctx, c.source.ID, err)
	}
	return nil
}

// Metadata reads the source's CapabilityStatement.
func (c *Client) Metadata(ctx context.Context) (*model.CapabilityStatement, error) {
	return c.metadata(ctx, laneRead)
}

func (c *Client) metadata(ctx context.Context, l lane) (*model.CapabilityStatement, error) {
	res, err := c.readIn(ctx, l, "metadata", "metadata")
	if err != nil {
		return nil, err
	}
	statement, ok := res.(*model.CapabilityStatement)
	if !ok {
		return nil, scheduling.Blame(scheduling.SourceNonsense, c.source.ID, nil, "the source answers metadata with something else")
	}
	return statement, nil
}

// readIn reads one resource at a path below the base.
func (c *Client) readIn(ctx context.Context, l lane, op, path string) (model.Resource, error) {
	var res model.Resource
	_, err := c.send(ctx, &call{
		op: op, lane: l, method: http.MethodGet, url: resolve(c.base, path, nil),
		read: func(f fhir.Format, body []byte) (err error) {
			res, err = fhir.Read(c.source.Release, f, body)
			return err //nolint:wrapcheck // judged by the stack
		},
	})
	return res, err
}

// zones are those in which the source's days are cut.
func (c *Client) zones() []*time.Location { return c.known.directory().Zones(c.source.Zone) }

// practitionersOf are whom these schedules bind; nil when one of them binds
// somebody else, since the operations cannot ask for that.
func (c *Client) practitionersOf(schedules []string) []string {
	dir := c.known.directory()
	found := map[string]bool{}
	for _, id := range schedules {
		schedule := dir.Schedules[id]
		if schedule == nil {
			return nil
		}
		before := len(found)
		for _, actor := range schedule.Actors {
			if actor.Kind == scheduling.KindPractitioner && actor.ID != "" {
				found[actor.ID] = true
			}
		}
		if len(found) == before && !bindsOneOf(schedule, found) {
			return nil
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func bindsOneOf(schedule *scheduling.Schedule, practitioners map[string]bool) bool {
	return slices.ContainsFunc(schedule.Actors, func(a scheduling.Actor) bool {
		return a.Kind == scheduling.KindPractitioner && practitioners[a.ID]
	})
}
