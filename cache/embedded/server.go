package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"time"
)

// Options say how to run the server. The zero value works.
type Options struct {
	// Dir is the folder in which data are kept; it is made where absent. Empty:
	// nothing is kept. Two servers cannot share one.
	Dir string
	// Logger is told what the server says. Default: nobody is.
	Logger *slog.Logger
	// InProcess takes miniredis even where a redis-server is installed.
	InProcess bool
	// Args are further arguments of redis-server; miniredis ignores them.
	Args []string
	// StartTimeout is how long the server may take to answer; a large
	// append-only file takes its time. Default 30 s.
	StartTimeout time.Duration
}

// ErrNoServer says that data are to be kept, and that no redis-server is on the
// PATH that could keep them.
var ErrNoServer = errors.New("embedded: keeping data in a folder needs redis-server on the PATH")

// Server is a running Redis. Its methods are safe for concurrent use.
type Server struct{ engine engine }

// engine is one way to run a Redis.
type engine interface {
	url() string
	real() bool
	kill() error
	restart(ctx context.Context) error
	close() error
}

// Start runs a Redis and returns once it answers; ctx bounds the start alone.
// Call Close to end it.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = 30 * time.Second
	}
	path := ""
	if !o.InProcess {
		path = Find()
	}
	if path == "" && o.Dir != "" {
		return nil, ErrNoServer
	}
	var e engine
	var err error
	if path == "" {
		e, err = startMini(o.Logger)
	} else {
		e, err = startChild(ctx, path, o)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	return &Server{e}, nil
}

// Find is the path of the redis-server that Start would run, "" when there is
// none.
func Find() string {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// URL is the server's address as go-redis reads it: unix:// or redis://. It
// stays the same over Restart.
func (s *Server) URL() string { return s.engine.url() }

// Real tells whether it is a redis-server, rather than its stand-in.
func (s *Server) Real() bool { return s.engine.real() }

// Kill ends the server without a farewell, as a crash does. Close is still due.
func (s *Server) Kill() error { return s.engine.kill() }

// Restart kills the server and runs it again at the same address: empty, unless
// it keeps its data in a folder.
func (s *Server) Restart(ctx context.Context) error { return s.engine.restart(ctx) }

// Close ends the server and removes what it left in the temporary folder. It is
// harmless to call it again.
func (s *Server) Close() error { return s.engine.close() }
