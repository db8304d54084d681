package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/replica"
	"slotgate/cache/vault"
	"slotgate/fhir"
	"slotgate/gateway"
	"slotgate/prefetch"
	"slotgate/scheduling"
)

// Once the end was asked for, requests under way have stopTime, and what is left
// of a shift and then of the node closeTime each: ten seconds in all.
const (
	stopTime  = 6 * time.Second
	closeTime = 2 * time.Second
)

// waitFor waits for all, but not for ever: whoever hangs on a source or on
// Redis ends with the process.
func waitFor(running *sync.WaitGroup, most time.Duration) bool {
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(most):
		return false
	}
}

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
	demand  *cache.Demand // nil without a gateway
	chances *cache.Chances
	public  *keptListener // nil without a gateway
	admin   *keptListener
	manager *prefetch.Manager // nil without prefetch
	keeper  *keeper           // nil where no bookings are taken; noKeeper says why
	secrets *secrets
	logins  *vault.Vault                   // seals the tokens of sources; nil: they are not shared
	base    atomic.Pointer[string]         // of the address that sources are told
	serving atomic.Pointer[gateway.Server] // that of the current shift

	noKeeper error
	current  *shift
	broken   chan error // a part that must run has ended
	running  sync.WaitGroup
	life     context.Context // of what outlives a shift; ends with the node
	end      context.CancelFunc
}

// newLogger writes one JSON line an event.
func newLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

// startNode opens and starts everything; on an error nothing is left running.
func startNode(ctx context.Context, f *file, r role, log *slog.Logger) (*node, error) {
	n := &node{role: r, log: log, metrics: prometheus.NewRegistry(), broken: make(chan error, 4)}
	n.life, n.end = context.WithCancel(context.WithoutCancel(ctx))
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := n.open(ctx, f); err != nil {
		n.close()
		return nil, err
	}
	n.running.Go(func() {
		if err := n.replica.Run(n.life, n.store); err != nil {
			n.broken <- err
		}
	})
	if n.demand != nil {
		n.running.Go(func() { _ = n.demand.Run(n.life) })
	}
	n.running.Go(func() { _ = n.chances.Run(n.life, n.replica.IDs) })
	if n.keeper != nil {
		n.keeper.run(n.life, n)
	}
	next, err := n.startShift(f)
	if err != nil {
		n.close()
		return nil, err
	}
	n.current = next
	n.running.Go(func() { n.secrets.keep(n.life, n) })
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
	n.chances = n.store.Chances()
	if err = n.metrics.Register(n.chances); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err = n.openLogins(f); err != nil {
		return err
	}
	n.secrets = openSecrets(ctx, n)
	n.replica = replica.New(replica.Options{
		Sources: f.sources(), Render: n.render(), Logger: n.log, Registerer: n.metrics,
	})
	if !n.role.gateway {
		return nil
	}
	n.demand = n.store.Demand()
	var wrong *wrongConfig
	if n.keeper, n.noKeeper = n.openKeeper(ctx, f); errors.As(n.noKeeper, &wrong) {
		return n.noKeeper
	}
	if n.noKeeper != nil {
		n.log.Warn("holds and bookings are not served", "why", n.noKeeper.Error())
	}
	return nil
}

// render makes the fragments of answers, where there is somebody to answer.
func (n *node) render() func(scheduling.Source, *scheduling.Setting) any {
	if !n.role.gateway {
		return nil
	}
	return fhir.NewRenderer(nil).Render
}

// reload puts a new configuration in place of the current one. Sockets, Redis
// and the keys stay: other ones need a new process, and the log says so.
func (n *node) reload(f *file) error {
	was := n.current.file
	for _, key := range lasting(was, f) {
		n.log.Warn("this change needs a new process", "key", key)
	}
	n.replica.SetSources(f.sources())
	next, err := n.startShift(f)
	if err != nil {
		n.replica.SetSources(was.sources())
		return err
	}
	old := n.current
	n.current = next
	old.stop(next)
	return nil
}

// lasting names what differs and stays as it was until the process ends.
func lasting(was, f *file) (keys []string) {
	for key, changed := range map[string]bool{
		"listen": f.Gateway.Listen != was.Gateway.Listen, "admin": f.Admin.Listen != was.Admin.Listen,
		"redis": !reflect.DeepEqual(f.Redis, was.Redis), "vault": !reflect.DeepEqual(f.Vault, was.Vault),
		"contact":        f.Contact != was.Contact,
		"booking.secret": f.Booking.Secret.Reveal() != was.Booking.Secret.Reveal(), // != compares where they lie
	} {
		if changed {
			keys = append(keys, key)
		}
	}
	return keys
}

// stop ends everything; requests under way have stopTime.
func (n *node) stop() {
	if n.current != nil {
		n.current.stop(nil)
	}
	n.close()
}

func (n *node) close() {
	n.end()
	waitFor(&n.running, closeTime)
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
