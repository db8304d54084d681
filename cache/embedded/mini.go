package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// tick is how often miniredis is told that time has passed. Each tick looks at
// every key; the cache has a few hundred.
const tick = 250 * time.Millisecond

type mini struct {
	mu     sync.Mutex
	server *miniredis.Miniredis
	addr   string
	down   bool
	stop   chan struct{}
	ticker sync.WaitGroup
	closed bool
}

func startMini(log *slog.Logger) (engine, error) {
	m := &mini{server: miniredis.NewMiniRedis(), stop: make(chan struct{})}
	if err := m.listen(); err != nil {
		return nil, err
	}
	m.addr = m.server.Addr()
	log.Info("no redis-server in use: a stand-in within this process keeps the slots; nothing outlives the process")
	m.ticker.Go(m.run)
	return m, nil
}

// listen takes a loopback address of our own where the system has more than one,
// so that nobody's outgoing connection takes our port while restart frees it.
func (m *mini) listen() error {
	own := fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	if err := m.server.StartAddr(own); err == nil {
		return nil
	}
	return m.server.StartAddr("127.0.0.1:0")
}

// run lets the clock of miniredis run.
func (m *mini) run() {
	t := time.NewTicker(tick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-m.stop:
			return
		case now := <-t.C:
			m.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (m *mini) url() string { return "redis://" + m.addr }
func (m *mini) real() bool  { return false }

func (m *mini) kill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.halt()
	return nil
}

func (m *mini) halt() {
	if !m.down {
		m.server.Close()
		m.down = true
	}
}

func (m *mini) restart(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.halt()
	m.server.FlushAll()
	// The port may be held for a moment longer by connections that are ending.
	var err error
	for range 60 {
		if err = m.server.StartAddr(m.addr); err == nil {
			m.down = false
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func (m *mini) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	close(m.stop)
	m.ticker.Wait()
	m.halt()
	return nil
}
