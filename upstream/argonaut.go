package upstream

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// argonaut is the dialect of the Argonaut Scheduling guide
// (http://fhir.org/guides/argonaut-scheduling): Slot/$prefetch for a whole
// period, or Appointment/$find per day where the source has no $prefetch.
type argonaut struct {
	mu   sync.Mutex
	find time.Time // until then $find is asked at once
	post bool      // operations are to be POSTed
}

// findFor is how long a source is remembered not to have $prefetch; a proxy
// that answered 404 in a bad moment must not cost it for ever.
const findFor = 24 * time.Hour

func (a *argonaut) fetch(ctx context.Context, c *Client, scope scheduling.Scope) (*harvest, string, error) {
	if c.opts.Quirks.NoPrefetch || a.asksFind(c.now()) {
		return a.findAll(ctx, c, scope)
	}
	h, cut, err := a.run(ctx, c, scope, operation{op: "prefetch", path: "Slot/$prefetch", kind: scheduling.KindSlot, stride: c.opts.Quirks.MaxDays})
	if err != nil && a.lacksPrefetch(ctx, c, err) {
		a.mu.Lock()
		a.find = c.now().Add(findFor)
		a.mu.Unlock()
		c.log.Info("source has no Slot/$prefetch; Appointment/$find is asked per day", "source", c.source.ID)
		return a.findAll(ctx, c, scope)
	}
	return h, cut, err
}

func (a *argonaut) asksFind(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.find)
}

func (a *argonaut) findAll(ctx context.Context, c *Client, scope scheduling.Scope) (*harvest, string, error) {
	return a.run(ctx, c, scope, operation{
		op: "find", path: "Appointment/$find", kind: kindAppointment,
		stride: smallest(1, c.opts.Quirks.MaxDays), count: max(0, c.opts.Quirks.PageSize),
	})
}

// lacksPrefetch: the source says that the operation is not there, or refuses it
// in other words and does not claim to have it.
func (a *argonaut) lacksPrefetch(ctx context.Context, c *Client, err error) bool {
	switch {
	case refusedAs(err, http.StatusNotFound, http.StatusNotImplemented, http.StatusMethodNotAllowed):
		return true
	case !refusedAs(err, http.StatusBadRequest, http.StatusUnprocessableEntity) || faultOf(err).costly:
		return false
	}
	statement, err := c.Metadata(ctx)
	return err == nil && !hasOperation(statement, "prefetch") && hasOperation(statement, "find")
}

// hasOperation looks where both releases tell of operations.
func hasOperation(statement *model.CapabilityStatement, name string) bool {
	named := func(op model.CapabilityOperation) bool { return op.Name == name || op.Name == "$"+name }
	for _, rest := range statement.Rest {
		if slices.ContainsFunc(rest.Operation, named) {
			return true
		}
		for _, resource := range rest.Resource {
			if slices.ContainsFunc(resource.Operation, named) {
				return true
			}
		}
	}
	return false
}

// operation is one of the guide's two ways to ask for what is open.
type operation struct {
	op     string // for metrics
	path   string
	kind   scheduling.Kind
	stride int // days a call may cover, 0: any
	count  int // _count to send, 0: none
}

// run asks an operation over a scope.
func (a *argonaut) run(ctx context.Context, c *Client, scope scheduling.Scope, op operation) (*harvest, string, error) {
	actors := c.practitionersOf(scope.Schedules)
	ask := func() (*harvest, string, error) {
		var questions []question
		for _, p := range c.periods(scope.Days, op.stride) {
			q, err := a.question(c, op, p, actors)
			if err != nil {
				return nil, "", err
			}
			questions = append(questions, q)
		}
		return c.gather(ctx, op.kind, questions)
	}
	h, cut, err := ask()
	if refusedAs(err, http.StatusMethodNotAllowed) && a.usePost() {
		h, cut, err = ask()
	}
	return h, cut, err
}

// usePost changes over to POST; false when that was so already.
func (a *argonaut) usePost() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.post
	a.post = true
	return !was
}

// longestQuery is what goes through proxies with certainty; above it the
// operation is POSTed.
const longestQuery = 1800

func (a *argonaut) question(c *Client, op operation, p period, practitioners []string) (question, error) {
	query := url.Values{"start": {instant(p.from)}, "end": {instant(p.to)}}
	if c.opts.Quirks.DateOnly {
		query = url.Values{"start": {(p.days.From - 1).String()}, "end": {p.days.To.String()}}
	}
	for _, id := range practitioners {
		query.Add("practitioner", "Practitioner/"+id)
	}
	if op.count > 0 {
		query.Set("_count", strconv.Itoa(op.count))
	}
	c.opts.Quirks.set(query)
	a.mu.Lock()
	post := a.post
	a.mu.Unlock()
	q := question{op: op.op, kind: op.kind, method: http.MethodGet, url: resolve(c.base, op.path, query), limit: op.count}
	if !post && len(q.url.RawQuery) <= longestQuery {
		return q, nil
	}
	body, err := parameters(c.source.Release, query)
	q.method, q.body, q.url = http.MethodPost, body, resolve(c.base, op.path, nil)
	return q, err
}

// parameters writes a query as the body of an operation.
func parameters(release scheduling.Release, query url.Values) ([]byte, error) {
	var in model.Parameters
	for _, name := range []string{"start", "end"} {
		in.Parameter = append(in.Parameter, model.Parameter{Name: name, ValueDateTime: query.Get(name)})
	}
	for _, ref := range query["practitioner"] {
		in.Parameter = append(in.Parameter, model.Parameter{Name: "practitioner", ValueURI: ref})
	}
	if count, err := strconv.Atoi(query.Get("_count")); err == nil {
		in.Parameter = append(in.Parameter, model.Parameter{Name: "_count", ValueInteger: &count})
	}
	for name, values := range query {
		if !oneOf(name, "start", "end", "practitioner", "_count") {
			in.Parameter = append(in.Parameter, model.Parameter{Name: name, ValueString: values[0]})
		}
	}
	return fhir.Write(release, fhir.JSON, &in) //nolint:wrapcheck // one of ours
}
