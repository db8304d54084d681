package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// Deps is what the clients need from outside. The zero value works.
type Deps struct {
	// Logger gets what operators should know; nil: nothing is logged.
	Logger *slog.Logger
	// Registerer gets the metrics; nil: nobody does.
	Registerer prometheus.Registerer
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Transport carries all requests; nil: one pool of connections per source.
	Transport http.RoundTripper
	// Tokens is where the nodes share their login at a source; nil, or giving
	// nil: each node logs in by itself.
	Tokens func(scheduling.SourceID) token.Store
	// Budgets is where the nodes share what may be asked of a source; nil, or
	// giving nil: each node goes by the limits itself.
	Budgets func(scheduling.SourceID) SharedBudget
	// UserAgent is what the EHRs see of us; default: slotgate.
	UserAgent string
}

func (d Deps) withDefaults() Deps {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Tokens == nil {
		d.Tokens = func(scheduling.SourceID) token.Store { return nil }
	}
	if d.Budgets == nil {
		d.Budgets = func(scheduling.SourceID) SharedBudget { return nil }
	}
	if d.UserAgent == "" {
		d.UserAgent = "slotgate"
	}
	return d
}

// Registry holds one client per source.
type Registry struct {
	deps    Deps
	metrics *metrics
	order   []scheduling.SourceID
	clients map[scheduling.SourceID]*Client
}

// NewRegistry makes the clients. Options need not have their defaults yet; they
// are validated, and two sources of one id are refused.
func NewRegistry(sources []Options, deps Deps) (*Registry, error) {
	deps = deps.withDefaults()
	all, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, fmt.Errorf("upstream: metrics: %w", err)
	}
	return newRegistry(sources, &Registry{deps: deps, metrics: all})
}

// Renew makes a registry of other sources. A source whose options are the same
// keeps its client, and with it what is known of the source: its directory, its
// breakers, its budget. On an error r is as it was.
func (r *Registry) Renew(sources []Options) (*Registry, error) { return newRegistry(sources, r) }

// newRegistry takes over what before has of the sources.
func newRegistry(sources []Options, before *Registry) (_ *Registry, err error) {
	r := &Registry{deps: before.deps, metrics: before.metrics, clients: map[scheduling.SourceID]*Client{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Retire(before))
		}
	}()
	for _, opts := range sources {
		opts.SetDefaults()
		if err = opts.Validate(); err != nil {
			return nil, fmt.Errorf("upstream: source %q: %w", opts.ID, err)
		}
		if r.clients[opts.ID] != nil {
			return nil, fmt.Errorf("upstream: two sources have the id %q", opts.ID)
		}
		client := before.clients[opts.ID]
		if client == nil || !reflect.DeepEqual(client.opts, opts) {
			if client, err = newClient(opts, r.deps, r.metrics.of(opts.ID)); err != nil {
				return nil, fmt.Errorf("upstream: source %q: %w", opts.ID, err)
			}
		}
		r.order = append(r.order, opts.ID)
		r.clients[opts.ID] = client
	}
	return r, nil
}

// Get finds a source's client.
func (r *Registry) Get(id scheduling.SourceID) (*Client, bool) {
	c, ok := r.clients[id]
	return c, ok
}

// Clients are all clients in the order of the configuration.
func (r *Registry) Clients() []*Client {
	out := make([]*Client, len(r.order))
	for i, id := range r.order {
		out[i] = r.clients[id]
	}
	return out
}

// Sources are all sources in the order of the configuration.
func (r *Registry) Sources() []scheduling.Source {
	out := make([]scheduling.Source, len(r.order))
	for i, id := range r.order {
		out[i] = r.clients[id].Source()
	}
	return out
}

// Close lets go of what the clients hold and of their metrics.
func (r *Registry) Close() error { return r.Retire(&Registry{}) }

// Retire closes the clients that next does not have, and forgets the metrics of
// the sources that it does not know.
func (r *Registry) Retire(next *Registry) error {
	var errs []error
	for id, c := range r.clients {
		if next.clients[id] != c {
			errs = append(errs, c.Close())
		}
		if next.clients[id] == nil {
			c.metrics.forget()
		}
	}
	return errors.Join(errs...)
}
