package redistest

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/embedded"
)

// Pair is a Redis and its replica behind one address, as a proxy or a virtual
// address puts them: who connects is led to the one that is the master now.
type Pair struct {
	replica  *embedded.Server
	listener net.Listener

	mu     sync.Mutex
	master *embedded.Server
	open   map[net.Conn]bool
	wg     sync.WaitGroup
}

// StartPair runs both, and waits until the replica follows.
func StartPair(t testing.TB) *Pair {
	t.Helper()
	need(t)
	port := strconv.Itoa(freePort(t))
	p := &Pair{open: map[net.Conn]bool{}}
	p.master = run(t, embedded.Options{Args: []string{"--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"}})
	p.replica = run(t, embedded.Options{Args: []string{"--replicaof", "127.0.0.1", port}})
	c := p.client(t)
	for deadline := time.Now().Add(20 * time.Second); !follows(t, c); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the replica does not follow")
		}
	}
	var err error
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.serve)
	t.Cleanup(p.close)
	return p
}

// URL leads to the master.
func (p *Pair) URL() string { return "redis://" + p.listener.Addr().String() }

// Part ends replication: from here on the replica misses what is written.
func (p *Pair) Part(t testing.TB) {
	t.Helper()
	p.caughtUp(t)
	if err := p.client(t).Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
}

// caughtUp waits until the replica has all that was written until now.
func (p *Pair) caughtUp(t testing.TB) {
	t.Helper()
	o, err := redis.ParseURL(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		// WAIT speaks of the writes of its own connection.
		conn := c.Conn()
		err := conn.Set(t.Context(), "redistest:mark", "1", time.Minute).Err()
		if err != nil {
			t.Fatal(err)
		}
		n, err := conn.Wait(t.Context(), 1, time.Second).Result()
		_ = conn.Close()
		switch {
		case err == nil && n > 0:
			return
		case time.Now().After(deadline):
			t.Fatalf("the replica lags behind: %v", err)
		}
	}
}

// Promote loses the master: its connections end, and new ones lead to what the
// replica has.
func (p *Pair) Promote() {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := p.master
	p.master = p.replica
	for conn := range p.open {
		_ = conn.Close()
	}
	_ = lost.Kill()
}

func (p *Pair) client(t testing.TB) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(p.replica.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func follows(t testing.TB, c *redis.Client) bool {
	role, err := c.Do(t.Context(), "ROLE").Slice()
	return err == nil && len(role) > 3 && role[0] == "slave" && role[3] == "connected"
}

func (p *Pair) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.join(conn) })
	}
}

// join carries bytes between a client and the master of that moment.
func (p *Pair) join(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	p.mu.Lock()
	server, err := net.Dial("unix", p.master.URL()[len("unix://"):])
	if err != nil {
		p.mu.Unlock()
		return
	}
	p.open[conn] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, conn)
	}()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(server, conn); _ = server.Close() })
	both.Go(func() { _, _ = io.Copy(conn, server); _ = conn.Close() })
	both.Wait()
}

func (p *Pair) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
