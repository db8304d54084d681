package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// farewell is how long a redis-server may take to end in order.
const farewell = 5 * time.Second

// child runs redis-server.
type child struct {
	path    string
	args    []string
	socket  string
	scratch string // removed at the end
	timeout time.Duration
	log     *slog.Logger
	unlock  func()

	mu     sync.Mutex
	proc   *os.Process
	ended  chan struct{} // closed when proc has ended
	closed bool
}

func startChild(ctx context.Context, path string, o Options) (engine, error) {
	c := &child{path: path, timeout: o.StartTimeout, log: o.Logger, unlock: func() {}}
	if err := c.prepare(o); err != nil {
		_ = c.close()
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

// prepare makes the folders and decides on the arguments.
func (c *child) prepare(o Options) error {
	scratch, err := scratchDir()
	if err != nil {
		return err
	}
	c.scratch = scratch
	c.socket = filepath.Join(scratch, "redis.sock")
	dir, keep := scratch, "no"
	if o.Dir != "" {
		if dir, err = filepath.Abs(o.Dir); err != nil {
			return err
		}
		if err = os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if c.unlock, err = lockDir(dir); err != nil {
			return err
		}
		keep = "yes"
	}
	c.args = append([]string{
		"--port", "0", "--unixsocket", c.socket, "--unixsocketperm", "700",
		"--dir", dir, "--appendonly", keep, "--save", "",
		"--daemonize", "no", "--loglevel", "warning",
	}, o.Args...)
	return nil
}

// scratchDir is a new folder whose path leaves room for the name of a socket,
// which the kernel limits to about 100 bytes.
func scratchDir() (string, error) {
	base := os.TempDir()
	if len(base) > 60 {
		base = "/tmp"
	}
	return os.MkdirTemp(base, "slotgate-redis-")
}

// start runs the child and waits until it answers. c.mu is held, or nobody else
// knows c.
func (c *child) start(ctx context.Context) error {
	_ = os.Remove(c.socket)
	proc, ended, err := c.spawn()
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", c.path, err)
	}
	c.proc, c.ended = proc, ended
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := awaitPong(ctx, c.socket, ended); err != nil {
		c.stop(syscall.SIGKILL)
		return fmt.Errorf("%s does not answer: %w", c.path, err)
	}
	return nil
}

// spawn starts the process on a thread that lives as long as the process does:
// the kernel sends the parent's death signal when the thread that made the
// child ends, not when the whole parent does (prctl(2), PR_SET_PDEATHSIG).
func (c *child) spawn() (*os.Process, chan struct{}, error) {
	cmd := exec.Command(c.path, c.args...)
	out := &lines{log: c.log}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = attributes()
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, nil, err
	}
	return cmd.Process, ended, nil
}

// stop sends the signal, and a harder one when nothing comes of it.
func (c *child) stop(sig syscall.Signal) {
	if c.proc == nil {
		return
	}
	_ = c.proc.Signal(sig)
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
		_ = c.proc.Kill()
		<-c.ended
	}
	c.proc = nil
}

func (c *child) url() string { return "unix://" + c.socket }
func (c *child) real() bool  { return true }

func (c *child) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop(syscall.SIGKILL)
	return nil
}

func (c *child) restart(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.New("embedded: the server was closed")
	}
	c.stop(syscall.SIGKILL)
	return c.start(ctx)
}

func (c *child) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.stop(syscall.SIGTERM)
	c.unlock()
	if c.scratch == "" {
		return nil
	}
	return os.RemoveAll(c.scratch)
}
