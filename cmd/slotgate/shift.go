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
	"slotgate/gateway/auth"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// shift is what one reading of the configuration decides: the clients of the
// sources, the prefetch, and the servers.
type shift struct {
	node     *node
	file     *file
	metrics  *prometheus.Registry
	registry *upstream.Registry
	gateway  *gateway.Server
	admin    *admin.Server
	endFetch context.CancelFunc
	running  sync.WaitGroup
}

// startShift makes all parts first and starts them then, so that an error
// leaves what ran before untouched.
func (n *node) startShift(ctx context.Context, f *file) (*shift, error) {
	s := &shift{node: n, file: f, metrics: prometheus.NewRegistry()}
	manager, err := s.makeFetch()
	if err != nil {
		return nil, err
	}
	if err := s.makeServers(); err != nil {
		s.registry.Close()
		return nil, err
	}
	fetching, end := context.WithCancel(context.WithoutCancel(ctx))
	s.endFetch = end
	if manager != nil {
		s.must("prefetch", func() error { return manager.Run(fetching) })
	}
	if s.gateway != nil {
		s.must("gateway", func() error { return s.gateway.Listen(n.public.lend()) })
	}
	s.must("admin", func() error { return s.admin.Listen(n.admin.lend()) })
	return s, nil
}

// must runs a part whose failure ends the process.
func (s *shift) must(name string, run func() error) {
	s.running.Go(func() {
		if err := run(); err != nil {
			s.node.broken <- fmt.Errorf("%s: %w", name, err)
		}
	})
}

func (s *shift) makeFetch() (manager *prefetch.Manager, err error) {
	n := s.node
	s.registry, err = upstream.NewRegistry(s.file.Sources, upstream.Deps{Logger: n.log, Registerer: s.metrics})
	if err != nil {
		return nil, err
	}
	if !n.role.prefetch {
		return nil, nil
	}
	jobs, err := s.file.jobs(s.registry)
	if err != nil {
		s.registry.Close()
		return nil, err
	}
	return prefetch.NewManager(prefetch.Deps{
		Writer: n.store, Leaser: n.store, Logger: n.log, Registerer: s.metrics,
	}, jobs), nil
}

func (s *shift) makeServers() (err error) {
	n := s.node
	s.admin, err = admin.New(s.file.Admin, admin.Deps{
		Replica: n.replica, Sources: s.file.sources(), Logger: n.log, Now: time.Now,
		Gatherer: prometheus.Gatherers{n.metrics, s.metrics},
		Detail:   s.detail,
	})
	if err != nil || !n.role.gateway {
		return err
	}
	callers, err := auth.New(s.file.Auth)
	if err != nil {
		return err
	}
	version, _ := buildVersion()
	s.gateway, err = gateway.New(s.file.Gateway, gateway.Deps{
		Finder: n.replica, Auth: callers, Sources: s.file.sources(), Secret: n.secret,
		Logger: n.log, Registerer: s.metrics, Version: version, Now: time.Now,
	})
	return err
}

// detail tells the admin listener how this process gets on with a source.
func (s *shift) detail(id scheduling.SourceID) (admin.Detail, bool) {
	client, ok := s.registry.Get(id)
	if !ok || !s.node.role.prefetch {
		return admin.Detail{}, false
	}
	states := client.Breakers()
	return admin.Detail{Breakers: admin.Breakers{
		Read: states["read"], Write: states["write"], Prefetch: states["prefetch"],
	}}, true
}

// stop ends the servers first: nobody asks any more. Then the prefetch.
func (s *shift) stop(ctx context.Context) error {
	var errs []error
	if s.gateway != nil {
		errs = append(errs, s.gateway.Shutdown(ctx))
	}
	errs = append(errs, s.admin.Shutdown(ctx))
	s.endFetch()
	s.running.Wait()
	s.registry.Close()
	return errors.Join(errs...)
}
