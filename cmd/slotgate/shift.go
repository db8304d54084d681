package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"slotgate/gateway"
	"slotgate/gateway/admin"
	"slotgate/gateway/ask"
	"slotgate/gateway/auth"
	"slotgate/gateway/booking"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// shift is what one reading of the configuration decides: the clients of the
// sources, the prefetch, the desk, and the servers.
type shift struct {
	node     *node
	file     *file
	metrics  *prometheus.Registry
	registry *upstream.Registry
	jobs     []prefetch.Job
	booking  *booking.Desk // nil where no bookings are taken
	people   *booking.Registrar
	live     *ask.Asker      // nil where the slots of every source are kept
	gateway  *gateway.Server // nil without a gateway
	admin    *admin.Server
	end      context.CancelFunc // of settling
	running  sync.WaitGroup
}

// startShift makes all parts first and starts them then, so that an error
// leaves what ran before untouched.
func (n *node) startShift(f *file) (*shift, error) {
	s := &shift{node: n, file: f, metrics: prometheus.NewRegistry()}
	before := &upstream.Registry{}
	var err error
	if n.current == nil {
		s.registry, err = upstream.NewRegistry(f.Sources, upstream.Deps{
			Logger: n.log, Registerer: n.metrics, Tokens: n.tokens, UserAgent: f.userAgent(), Budgets: n.budget,
		})
	} else {
		before = n.current.registry
		s.registry, err = before.Renew(f.Sources)
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.makeJobs(), s.makeLive(), s.makeDesk(), s.makeGateway(), s.makeAdmin()); err != nil {
		return nil, errors.Join(err, s.registry.Retire(before))
	}
	// The last that may fail, and the first that others notice.
	if err := s.takeSources(); err != nil {
		return nil, errors.Join(err, s.registry.Retire(before))
	}
	s.start()
	return s, nil
}

func (s *shift) start() {
	n := s.node
	working, end := context.WithCancel(n.life)
	s.end = end
	if s.booking != nil {
		s.must("booking", func() error { return ended(working, s.booking.Run(working)) })
	}
	if s.gateway != nil {
		s.must("gateway", func() error { return s.gateway.Listen(n.public.lend()) })
		n.serving.Store(s.gateway)
		n.takeSecrets()
	}
	s.must("admin", func() error { return s.admin.Listen(n.admin.lend()) })
}

// ended forgives an error that only says that ctx has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// must runs a part whose failure ends the process.
func (s *shift) must(name string, run func() error) {
	s.running.Go(func() {
		if err := run(); err != nil {
			s.node.broken <- fmt.Errorf("%s: %w", name, err)
		}
	})
}

func (s *shift) makeJobs() (err error) {
	if s.node.role.prefetch {
		s.jobs, err = s.file.jobs(s.registry)
	}
	return err
}

// takeSources gives the prefetch its sources, and begins it with the first
// shift: sources that stay the same are not to notice that there is another.
func (s *shift) takeSources() error {
	n := s.node
	if !n.role.prefetch {
		return nil
	}
	n.takeBase(s.file)
	if n.manager != nil {
		return n.manager.Update(s.jobs)
	}
	n.manager = prefetch.NewManager(prefetch.Deps{
		Writer: n.store, Leaser: n.store, Demand: n.store, Logger: n.log, Registerer: n.metrics,
		Memory: n.store.Subscriptions(), Channels: n.channel,
	}, s.jobs)
	n.running.Go(func() {
		if err := n.manager.Run(n.life); err != nil {
			n.broken <- fmt.Errorf("prefetch: %w", err)
		}
	})
	n.running.Go(func() {
		n.store.HearRefetches(n.life, func(source scheduling.SourceID, scope scheduling.Scope, now bool) {
			if !now || !n.manager.Revalidate(source, scope, func(error) {}) {
				n.manager.Trigger(source, scope)
			}
		})
	})
	n.running.Go(func() {
		n.store.HearNotices(n.life, func(source scheduling.SourceID, notice scheduling.Notice) {
			n.manager.Notice(source, notice)
		})
	})
	return nil
}

func (s *shift) makeGateway() error {
	n := s.node
	if !n.role.gateway {
		return nil
	}
	callers, err := auth.New(s.file.Auth)
	if err != nil {
		return err
	}
	version, _ := buildVersion()
	secret, _ := n.secrets.all()
	deps := gateway.Deps{
		Finder: n.replica, Auth: callers, Sources: s.file.sources(), Secret: secret,
		Logger: n.log, Registerer: s.metrics, Version: version, Now: time.Now, Revalidate: revalidator{s},
	}
	if s.booking != nil {
		deps.Desk, deps.Patients, deps.Coverages, deps.PrincipalKey = s.booking, s.people, s.people, n.keeper.secret
		deps.Elsewhere = s.booking
		deps.Holds = gateway.Holds{Named: s.file.Booking.Holds, Unnamed: s.file.Booking.HoldsUnnamed}
	}
	deps.Notify, deps.Live = s.notify(), s.live
	if n.demand != nil { // a typed nil would be a counter
		deps.Demand = n.demand
	}
	if deps.KeySet, err = s.file.keySet(); err != nil {
		return err
	}
	s.gateway, err = gateway.New(s.file.Gateway, deps)
	return err
}

func (s *shift) makeAdmin() (err error) {
	n := s.node
	deps := admin.Deps{
		Replica: fresh{n.replica, s.live}, Sources: s.file.sources(), Logger: n.log, Now: time.Now,
		Gatherer: prometheus.Gatherers{n.metrics, s.metrics}, Detail: s.detail, Ages: n.replica.Ages, Chances: n.chances.Of,
		Writes: s.writes,
	}
	if s.booking != nil {
		deps.Unsettled = s.booking.Unsettled
		deps.Decide = s.decide
		deps.Orphans, deps.TickOff = s.people.Orphans, s.people.TickOff
	}
	s.admin, err = admin.New(s.file.Admin, deps)
	return err
}

// decide is what a person found out about a booking that reading cannot settle.
func (s *shift) decide(ctx context.Context, id string, d scheduling.Decision) error {
	return s.booking.Decide(ctx, booking.Decision{
		ID: id, Booked: d.Booked, Native: d.Native, By: d.By, Reason: d.Reason,
	})
}

// detail tells the admin listener how this process gets on with a source.
func (s *shift) detail(id scheduling.SourceID) (admin.Detail, bool) {
	client, ok := s.registry.Get(id)
	if !ok {
		return admin.Detail{}, false
	}
	states := client.Breakers()
	exclusive := "gateway"
	if client.Can().Exclusive {
		exclusive = "ehr"
	}
	return admin.Detail{
		Exclusive: exclusive, Budget: client.Budget(), Pages: client.Pages(), RefusedLinks: client.RefusedLinks(),
		Breakers: admin.Breakers{Read: states["read"], Write: states["write"], Prefetch: states["prefetch"]},
	}, true
}

// stop ends the servers and the work at once; requests under way have stopTime.
// Who has not ended by then is told and left behind. What next goes on with, nil
// for nothing, stays.
func (s *shift) stop(next *shift) {
	n := s.node
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.life), stopTime)
	defer cancel()
	var stopping sync.WaitGroup
	stop := func(name string, shutdown func(context.Context) error) {
		stopping.Go(func() {
			if err := shutdown(ctx); err != nil {
				n.log.Warn("requests were cut off at the end", "listener", name, "error", err)
			}
		})
	}
	if s.gateway != nil {
		n.serving.CompareAndSwap(s.gateway, nil)
		stop("gateway", s.gateway.Shutdown)
	}
	stop("admin", s.admin.Shutdown)
	// A booking under way is finished, or settled by whoever comes next.
	s.end()
	stopping.Wait()
	if !waitFor(&s.running, closeTime) {
		n.log.Warn("work was left behind at the end")
	}
	kept := &upstream.Registry{}
	if next != nil {
		kept = next.registry
	}
	if err := s.registry.Retire(kept); err != nil {
		n.log.Warn("closing", "error", err)
	}
}
