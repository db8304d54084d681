package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// Deps are what the store needs of its surroundings.
type Deps struct {
	Logger     *slog.Logger          // nil: nobody is told
	Registerer prometheus.Registerer // nil: nobody counts
}

// Store is the slot plane in Redis. It is what prefetch writes to and what
// replicas follow. Its methods are safe for concurrent use; their errors are
// *scheduling.Error.
type Store struct {
	options Options
	client  redis.UniversalClient
	keys    keys
	scripts scripts
	metrics *metrics
	log     *slog.Logger

	mu     sync.Mutex
	loaded map[scheduling.SourceID]loadedIn
}

// loadedIn says in which life of a source this value of Status.Loaded was first
// seen: it is worth nothing in another.
type loadedIn struct {
	at   time.Time
	life string
}

// Open makes a store. It does not talk to Redis: a Redis that is away now is
// used once it is there. Embedded Redis must run already, its address in URL.
func Open(_ context.Context, o Options, deps Deps) (*Store, error) {
	o.SetDefaults()
	checked := o
	checked.Embedded = false
	checked.Dir = ""
	if err := checked.Validate(); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	s := &Store{
		options: o, keys: keys{o.Prefix}, scripts: newScripts(), metrics: newMetrics(), log: deps.Logger,
		loaded: map[scheduling.SourceID]loadedIn{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.metrics.register(deps.Registerer); err != nil {
		return nil, fmt.Errorf("cache: metrics: %w", err)
	}
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	s.client = client
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() error { return s.fault(s.client.Close()) }

// Ping tells whether Redis answers.
func (s *Store) Ping(ctx context.Context) error { return s.fault(s.client.Ping(ctx).Err()) }

// run runs a script and measures it.
func (s *Store) run(ctx context.Context, sc script, keys []string, args ...any) *redis.Cmd {
	began := time.Now()
	cmd := sc.Run(ctx, s.client, keys, args...)
	s.metrics.scripts.WithLabelValues(sc.name).Observe(time.Since(began).Seconds())
	return cmd
}

// nonce is a random name that nothing else has.
func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
