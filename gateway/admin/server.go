package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"slotgate/scheduling"
)

// Replica is what the listener asks about open slots.
type Replica interface {
	// Sources tells of every configured source.
	Sources() []scheduling.Freshness
	// Ready tells whether the first load of every source was tried.
	Ready() bool
}

// Deps are the parts that the listener shows.
type Deps struct {
	Replica  Replica
	Sources  []scheduling.Source
	Gatherer prometheus.Gatherer
	Logger   *slog.Logger
	Now      func() time.Time
	// Detail tells of a source that this process talks to itself; nil where
	// another process does.
	Detail func(scheduling.SourceID) (Detail, bool)
	// Ages tells how old what is known of a source is; nil: nobody does.
	Ages func(scheduling.SourceID) []scheduling.TierAge
	// Chances tells how many offers were still there, by age; nil: nobody learns.
	Chances func(scheduling.SourceID) []scheduling.Chance
	// Unsettled gives what is in doubt; nil: nothing is booked through this
	// process.
	Unsettled func(context.Context) ([]scheduling.Entry, error)
	// Decide ends what reading the EHR cannot: a person has looked. Errors:
	// unknown-id, not-acceptable where nothing is to be decided.
	Decide func(ctx context.Context, id string, d scheduling.Decision) error
	// Orphans gives the Patients that were made at sources and are left without an
	// appointment; nil: nobody is registered through this process.
	Orphans func(context.Context) ([]scheduling.Orphan, error)
	// TickOff says that a person has seen to one. Errors: unknown-id.
	TickOff func(ctx context.Context, id, by, reason string) error
	// Writes tells why holds and bookings would be refused; nil: they are not
	// served at all.
	Writes func(context.Context) error
}

// Server is the admin listener.
type Server struct {
	opts    Options
	deps    Deps
	app     *fiber.App
	started time.Time
	sources atomic.Pointer[[]scheduling.Source]
}

// SetSources takes other sources, from the next request on.
func (s *Server) SetSources(sources []scheduling.Source) { s.sources.Store(&sources) }

// New makes a listener of valid options.
func New(opts Options, deps Deps) (*Server, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	if deps.Replica == nil || deps.Gatherer == nil || deps.Logger == nil || deps.Now == nil {
		return nil, errors.New("admin: a replica, a gatherer, a logger and a clock are needed")
	}
	s := &Server{opts: opts, deps: deps, started: deps.Now()}
	s.SetSources(deps.Sources)
	s.app = fiber.New(fiber.Config{
		AppName:               "slotgate admin",
		DisableStartupMessage: true,
		CaseSensitive:         true,
		BodyLimit:             64 << 10,
		ReadBufferSize:        16 << 10,
		ReadTimeout:           10 * time.Second,
		WriteTimeout:          30 * time.Second,
		IdleTimeout:           60 * time.Second,
		ErrorHandler:          s.refuse,
	})
	s.app.Server().CloseOnShutdown = true
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.app.Use(s.recovered, s.headers, s.knownHost, s.sameOrigin)
	s.app.Get("/livez", s.livez)
	s.app.Get("/readyz", s.readyz)
	s.app.Get("/readyz/writes", s.writesReady)
	s.app.Use(s.token)
	s.app.Get("/metrics", adaptor.HTTPHandler(promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{
		Timeout: 10 * time.Second,
	})))
	s.app.Get("/api/sources", func(c *fiber.Ctx) error { return send(c, s.list()) })
	s.app.Get("/api/in-doubt", s.listDoubts)
	if s.deps.Unsettled != nil && s.deps.Decide != nil {
		s.app.Get("/api/in-doubt/:id", s.readDoubt)
		s.app.Post("/api/in-doubt/:id", s.decide)
	}
	s.app.Get("/api/orphans", s.listOrphans)
	if s.deps.Orphans != nil && s.deps.TickOff != nil {
		s.app.Post("/api/orphans/:id", s.tickOff)
	}
}

// App is the Fiber app, for tests.
func (s *Server) App() *fiber.App { return s.app }

// Listen serves until Shutdown.
func (s *Server) Listen(ln net.Listener) error {
	if err := s.app.Listener(ln); err != nil {
		return fmt.Errorf("admin: serving: %w", err)
	}
	return nil
}

// Shutdown ends the listener; requests under way have until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("admin: stopping: %w", err)
	}
	return nil
}

func send(c *fiber.Ctx, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("admin: writing an answer: %w", err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSONCharsetUTF8)
	return c.Send(append(body, '\n'))
}
