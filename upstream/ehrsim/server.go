package ehrsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// BasePath is where the FHIR base begins on the listener.
const BasePath = "/fhir"

// Server is one simulated EHR. It is an [http.Handler]; [Server.Start] puts it
// on a listener of its own.
type Server struct {
	opts    Options
	zone    *time.Location
	clock   clock
	flavour flavour
	faults  *faultBox
	log     *history
	pages   *pageBox
	stale   staleBox
	tags    tagBox
	users   userBox
	login   *loginDesk
	notices *noticeDesk
	door    *doorman

	mu    sync.RWMutex // guards store as a whole: reset puts another in its place
	store *store

	http     *http.Server
	cancel   context.CancelFunc
	served   chan struct{}
	stopping chan struct{} // closed when no hanging answer should wait any longer
	stopOnce sync.Once
}

var _ http.Handler = (*Server)(nil)

// New makes a server. It fails when the options are not valid.
func New(o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	zone, err := o.location()
	if err != nil {
		return nil, fmt.Errorf("ehrsim: zone: %w", err)
	}
	s := &Server{opts: o, zone: zone, clock: newClock(o), faults: newFaultBox(o.startFaults()), log: newHistory(), pages: newPageBox(), login: newLoginDesk(o), stopping: make(chan struct{})}
	s.flavour = flavour{fhir: o.FHIR, dialect: o.Dialect, made: s.clock.now().Truncate(time.Second), zone: zone, times: o.Times, hideSlots: o.FindNoSlot || o.Dialect == Epic}
	s.notices = newNoticeDesk(s)
	s.door = newDoorman(o.Throttle, s.clock)
	s.stale.clear()
	s.tags.clear()
	for _, u := range o.Users {
		if err := s.AddUser(u); err != nil {
			return nil, err
		}
	}
	s.store, err = s.build()
	return s, err
}

// build makes the data anew: from the seed, or from what was loaded.
func (s *Server) build() (*store, error) {
	st := newStore(s.opts)
	if s.opts.Data != nil {
		s.opts.Data.fill(st, s.flavour, s.zone)
	} else if err := generate(s.opts, s.flavour, st); err != nil {
		return nil, err
	}
	seedPatientsInto(st, s.flavour)
	st.link()
	st.roll(s.clock.now())
	st.changed = s.notices.changed
	return st, nil
}

// data is the store of this moment, rolled forward to it.
func (s *Server) data() *store {
	s.mu.RLock()
	st := s.store
	s.mu.RUnlock()
	st.roll(s.clock.now())
	s.lapse(st)
	return st
}

// Now is the simulated clock.
func (s *Server) Now() time.Time { return s.clock.now() }

// Start listens on an address ("127.0.0.1:0" for any free port) and serves
// until [Server.Close], [Server.Shutdown] or the end of ctx. It returns the
// FHIR base URL, without a slash at its end.
func (s *Server) Start(ctx context.Context, listen string) (string, error) {
	if s.http != nil {
		return "", errors.New("ehrsim: started already")
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return "", fmt.Errorf("ehrsim: listen: %w", err)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.served = make(chan struct{})
	unhook := context.AfterFunc(ctx, func() { s.stop(); _ = s.http.Close() })
	go func() {
		defer close(s.served)
		defer unhook()
		_ = s.http.Serve(ln) // always ErrServerClosed, or the listener is gone
	}()
	return "http://" + ln.Addr().String() + BasePath, nil
}

// Close stops at once; requests under way are cut.
func (s *Server) Close() error {
	s.stop()
	defer s.notices.running.Wait()
	if s.http == nil {
		return nil
	}
	s.cancel()
	err := s.http.Close()
	<-s.served
	return err
}

// stop lets hanging answers and notifications end; they are no work that could
// be finished.
func (s *Server) stop() { s.stopOnce.Do(func() { close(s.stopping) }) }

// Shutdown stops taking requests and waits for those under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	defer s.notices.running.Wait()
	if s.http == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.cancel()
	<-s.served
	return err
}

// ServeHTTP answers the control API under /_control/, the token endpoint, and
// FHIR under /fhir.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPath) {
		s.control(w, r)
		return
	}
	if r.URL.Path == tokenPath && s.login.settings().Kind != "" {
		s.token(w, r)
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, BasePath)
	if !ok || path != "" && path[0] != '/' {
		http.NotFound(w, r)
		return
	}
	rq := s.newRequest(r, path)
	rq.hits = s.faults.strike(rq)
	done := s.log.begin(r, rq, s.clock.now())
	sw := &statusWriter{ResponseWriter: w}
	defer func() { done(sw.status) }()
	leave, wait := s.door.enter(rq)
	if leave == nil {
		s.lockedOut(sw, rq, wait)
		return
	}
	defer leave()
	if s.spoilBefore(sw, rq) || s.discovery(sw, rq) || s.published(sw, rq) {
		return
	}
	a, err := s.answer(rq)
	if s.spoilAfter(sw, rq) {
		return
	}
	if err != nil {
		s.fail(sw, rq, err)
		return
	}
	a.body = spoilContent(a.body, rq)
	a = s.validated(rq, a)
	s.send(sw, rq, a)
}

// statusWriter remembers the status for the history.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
