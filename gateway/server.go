package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"slotgate/fhir"
	"slotgate/gateway/ask"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
)

// Deps are the parts that a Server joins.
type Deps struct {
	Finder     Finder
	Auth       *auth.Authenticator
	Sources    []scheduling.Source
	Secret     []byte // signs cursors; the same on every gateway, 16 bytes or more
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Version    string // of the program, told in the CapabilityStatement
	Now        func() time.Time
	// Demand counts what $find shows; nil: nobody counts.
	Demand Demand
	// Revalidate has windows looked at again where a _max-age asks for it; nil:
	// what is older is left out.
	Revalidate Revalidator
	// Live asks the sources whose slots are not kept; nil: there are none.
	Live *ask.Asker
	// KeySet is the document of our public keys (RFC 7517), by which sources
	// know what we signed; nil: we sign nothing, and none is served.
	KeySet []byte

	// Notify takes what sources tell by themselves.
	Notify Notify

	// Desk holds and books; nil: nothing of that is served, or told.
	Desk Desk
	// Patients keeps who was registered; nil: nobody is.
	Patients Patients
	// Elsewhere gives what sources have of their own patients; nil: nobody sees
	// that.
	Elsewhere Elsewhere
	// Coverages keeps what insurance was given; nil: none is. It needs Patients.
	Coverages Coverages
	// PrincipalKey keys the names that the desk knows callers by: the same on
	// every gateway and for ever, 16 bytes or more. Needed with a Desk or with
	// Patients.
	PrincipalKey []byte
	// Holds bounds what may be held at once; zero: DefaultHolds.
	Holds Holds
}

func (d Deps) check() error {
	if (d.Desk != nil || d.Patients != nil) && len(d.PrincipalKey) < minSecret {
		return fmt.Errorf("gateway: the key of principals needs %d bytes", minSecret)
	}
	if d.Coverages != nil && d.Patients == nil {
		return errors.New("gateway: coverage is somebody's: it needs patients")
	}
	if d.Finder == nil || d.Auth == nil || d.Logger == nil || d.Registerer == nil || d.Now == nil {
		return errors.New("gateway: a finder, an authenticator, a logger, a registerer and a clock are needed")
	}
	return nil
}

// Server is the listener that callers use.
type Server struct {
	opts    Options
	deps    Deps
	live    atomic.Pointer[live]
	app     *fiber.App
	metrics *metrics
	cursors *cursors
	flights *flights // nil: nothing is looked at again
	// renderer writes what has no fragment yet; it is the same everywhere.
	renderer *fhir.Renderer
	secrets  atomic.Pointer[[][]byte] // the current one and older ones
	notified *notified
	base     string // of absolute addresses; fixed before the first request
}

// live is what may change while the server runs.
type live struct {
	sources []scheduling.Source
	auth    *auth.Authenticator
}

// Reconfigure takes other sources and callers, from the next request on.
func (s *Server) Reconfigure(sources []scheduling.Source, a *auth.Authenticator) {
	s.live.Store(&live{sources: sources, auth: a})
}

// New makes a Server of valid options.
func New(opts Options, deps Deps) (*Server, error) {
	if err := errors.Join(opts.Validate(), opts.Limits.Validate(), deps.check()); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	c, err := newCursors(deps.Secret, opts.CursorTTL, deps.Now)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	if deps.Holds == (Holds{}) {
		deps.Holds = DefaultHolds()
	}
	s := &Server{opts: opts, deps: deps, metrics: m, cursors: c, renderer: fhir.NewRenderer(nil), base: publicBase(opts, opts.Listen)}
	if deps.Revalidate != nil {
		s.flights = newFlights(deps.Revalidate, opts.RevalidateTimeout, deps.Now)
	}
	if s.notified, err = newNotified(deps.Notify, deps.Registerer); err != nil {
		return nil, err
	}
	s.Reconfigure(deps.Sources, deps.Auth)
	s.secrets.Store(&[][]byte{deps.Secret})
	s.app = fiber.New(s.fiberConfig())
	s.app.Server().CloseOnShutdown = true
	s.app.Server().Handler = knownMethods(s.app.Server().Handler)
	s.routes()
	return s, nil
}

func (s *Server) fiberConfig() fiber.Config {
	return fiber.Config{
		AppName:                      "slotgate",
		DisableStartupMessage:        true,
		DisablePreParseMultipartForm: true,
		CaseSensitive:                true,
		StrictRouting:                true,
		BodyLimit:                    s.opts.BodyLimit,
		ReadBufferSize:               s.opts.HeaderLimit,
		ReadTimeout:                  s.opts.ReadTimeout,
		WriteTimeout:                 s.opts.WriteTimeout,
		IdleTimeout:                  s.opts.IdleTimeout,
		ErrorHandler:                 s.unread,
	}
}

// knownMethods answers a method of the caller's invention like one that is not
// served. Fiber would answer it by itself, in plain text.
func knownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if !slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
			ctx.Request.Header.SetMethod(fiber.MethodTrace)
		}
		next(ctx)
	}
}

// App is the Fiber app, for tests and benchmarks.
func (s *Server) App() *fiber.App { return s.app }

// Listen serves until Shutdown. It is called once.
func (s *Server) Listen(ln net.Listener) error {
	s.base = publicBase(s.opts, ln.Addr().String())
	if err := s.app.Listener(lingering{ln}); err != nil {
		return fmt.Errorf("gateway: serving: %w", err)
	}
	return nil
}

// Shutdown takes no more requests; those under way have until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.app.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("gateway: stopping: %w", err)
	}
	return nil
}

// root is the FHIR base of a release, such as https://host/fhir/r4.
func (s *Server) root(rel scheduling.Release) string {
	return s.base + "/fhir/" + string(rel)
}

// releaseOf guesses the release from a path: answers to addresses that do not
// exist are written in one too.
func releaseOf(path string) scheduling.Release {
	if strings.HasPrefix(path, "/fhir/stu3") {
		return scheduling.STU3
	}
	return scheduling.R4
}
