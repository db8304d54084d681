package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/replica"
	"slotgate/fhir"
	"slotgate/scheduling"
)

// stopTime is how long requests under way may take once the end was asked for.
const stopTime = 10 * time.Second

// role says which halves of Slotgate a process runs.
type role struct{ gateway, prefetch bool }

// node is one running process: what outlives a reading of the configuration
// (sockets, Redis, the replica), and the shift that a configuration decides.
type node struct {
	role    role
	log     *slog.Logger
	metrics *prometheus.Registry
	redis   *embedded.Server // nil unless embedded
	store   *cache.Store
	replica *replica.Replica
	public  *keptListener // nil without a gateway
	admin   *keptListener
	secret  []byte

	current *shift
	broken  chan error // a part that must run has ended
	running sync.WaitGroup
	end     context.CancelFunc // of the replica's following
}

// newLogger writes one JSON line an event.
func newLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

// startNode opens and starts everything; on an error nothing is left running.
func startNode(ctx context.Context, f *file, r role, log *slog.Logger) (*node, error) {
	n := &node{role: r, log: log, metrics: prometheus.NewRegistry(), broken: make(chan error, 4)}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.open(ctx, f); err != nil {
		n.close()
		return nil, err
	}
	following, end := context.WithCancel(context.WithoutCancel(ctx))
	n.end = end
	n.running.Go(func() {
		if err := n.replica.Run(following, feed{n.store}); err != nil {
			n.broken <- err
		}
	})
	next, err := n.startShift(ctx, f)
	if err != nil {
		n.close()
		return nil, err
	}
	n.current = next
	return n, nil
}

func (n *node) open(ctx context.Context, f *file) (err error) {
	if n.role.gateway {
		if n.public, err = listen(ctx, f.Gateway.Listen); err != nil {
			return err
		}
	}
	if n.admin, err = listen(ctx, f.Admin.Listen); err != nil {
		return err
	}
	redis := f.Redis
	if redis.Embedded {
		if n.redis, err = embedded.Start(ctx, embedded.Options{Dir: string(redis.Dir), Logger: n.log}); err != nil {
			return fmt.Errorf("redis: %w", err)
		}
		redis.URL = n.redis.URL()
	}
	if n.store, err = cache.Open(ctx, redis, cache.Deps{Logger: n.log, Registerer: n.metrics}); err != nil {
		return err
	}
	n.secret = n.cursorSecret(ctx)
	n.replica = replica.New(replica.Options{
		Sources: f.sources(), Render: n.render(), Logger: n.log, Registerer: n.metrics,
	})
	return nil
}

// render makes the fragments of answers, where there is somebody to answer.
func (n *node) render() func(scheduling.Source, *scheduling.Setting) any {
	if !n.role.gateway {
		return nil
	}
	return fhir.NewRenderer(nil).Render
}

// cursorSecret signs cursors. It is shared through Redis; while that is away a
// secret of our own must do, and cursors of other gateways will be refused.
func (n *node) cursorSecret(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	secret, err := n.store.Secret(ctx, "cursors")
	if err != nil {
		n.log.Warn("no shared secret for cursors: those of other gateways will be refused", "error", err)
		return nil
	}
	return secret
}

// reload puts a new configuration in place of the current one. The sockets and
// Redis stay: other addresses need a new process.
func (n *node) reload(ctx context.Context, f *file) error {
	n.replica.SetSources(f.sources())
	next, err := n.startShift(ctx, f)
	if err != nil {
		n.replica.SetSources(n.current.file.sources())
		return err
	}
	old := n.current
	n.current = next
	return old.stop(ctx)
}

// stop ends everything; requests under way have stopTime.
func (n *node) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	var err error
	if n.current != nil {
		err = n.current.stop(ctx)
	}
	n.close()
	return err
}

func (n *node) close() {
	if n.end != nil {
		n.end()
		n.running.Wait()
	}
	var errs []error
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.redis != nil {
		errs = append(errs, n.redis.Close())
	}
	for _, socket := range []*keptListener{n.public, n.admin} {
		if socket != nil {
			socket.close()
		}
	}
	if err := errors.Join(errs...); err != nil {
		n.log.Warn("closing", "error", err)
	}
}

// feed is the store as the replica follows it.
type feed struct{ store *cache.Store }

func (f feed) Follow(ctx context.Context, sources []scheduling.SourceID, sink replica.Sink) error {
	return f.store.Follow(ctx, sources, sink)
}
