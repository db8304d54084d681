package token_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/embedded"
	"slotgate/cache/redistest"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/upstream/ehrsim"
	"slotgate/upstream/token"
)

// clock is one for all, and moves when it is told to.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) add(by time.Duration) { c.ahead.Add(int64(by)) }

// world is an EHR that wants a login, a Redis, and nodes that share it.
type world struct {
	*testing.T
	sim   *ehrsim.Server
	base  string
	redis *embedded.Server
	clock *clock
	opts  token.Options
	log   *lines
}

// lines are what was logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newKey(t *testing.T) (crypto.Signer, config.Secret) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, config.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, redis: redistest.Start(t), clock: &clock{}, log: &lines{}}
	_, key := newKey(t)
	w.opts = token.Options{Kind: token.SmartBackend, ClientID: "slotgate", Key: key, Scopes: []string{"system/Slot.read"}}
	keys, err := token.PublicKeys(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.sim, err = ehrsim.New(ehrsim.Options{
		Dialect: ehrsim.Slots, Days: 2, Practitioners: 1, Now: w.clock.now, Login: ehrsim.Login{Kind: ehrsim.SmartLogin, Keys: string(keys)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.base, err = w.sim.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.sim.Close() })
	return w
}

// store is a node's connection to what is shared.
func (w *world) store(keys ...string) *cache.Tokens {
	w.Helper()
	s, err := cache.Open(w.Context(), cache.Options{URL: w.redis.URL(), DialTimeout: time.Second}, cache.Deps{})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = s.Close() })
	var o vault.Options
	for _, id := range append(keys, "A")[:max(1, len(keys))] {
		o.Keys = append(o.Keys, vault.Key{ID: id, Key: config.NewSecret(strings.Repeat(id, 43) + "=")})
	}
	v, err := vault.Open(o)
	if err != nil {
		w.Fatal(err)
	}
	return s.Tokens(v, "napa")
}

// node is one more process.
func (w *world) node(bend ...func(*token.Options, *token.Deps)) token.Source {
	w.Helper()
	opts := w.opts
	deps := token.Deps{
		Base: w.base, Now: w.clock.now, Timeout: 10 * time.Second, Store: w.store(),
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, b := range bend {
		b(&opts, &deps)
	}
	s, err := token.New(opts, deps)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) nodes(n int) (all []token.Source) {
	for range n {
		all = append(all, w.node())
	}
	return all
}

// token gets one that must be there.
func (w *world) token(s token.Source) string {
	w.Helper()
	got, err := s.Token(w.Context())
	if err != nil || got == "" {
		w.Fatalf("%q, %v", got, err)
	}
	return got
}

func (w *world) requests(want int) {
	w.Helper()
	if got := w.sim.Logins(); got.Requests != want {
		w.Errorf("%d requests for a token, want %d: %+v", got.Requests, want, got)
	}
}

// call asks the EHR as the stack does: with the token, and once more with
// another where it is refused.
func (w *world) call(s token.Source) (status int, err error) {
	for range 2 {
		var bearer string
		if bearer, err = s.Token(w.Context()); err != nil {
			return 0, err
		}
		if status, err = w.get(bearer); err != nil || status != http.StatusUnauthorized || !s.Refused(w.Context(), bearer) {
			return status, err
		}
	}
	return status, nil
}

func (w *world) get(bearer string) (int, error) {
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.base+"/Slot?_count=1", http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// atOnce runs it so many times on each node, and gives the tokens.
func (w *world) atOnce(nodes []token.Source, times int) map[string]int {
	w.Helper()
	var mu sync.Mutex
	var running sync.WaitGroup
	got := map[string]int{}
	for _, node := range nodes {
		for range times {
			running.Go(func() {
				bearer, err := node.Token(w.Context())
				if err != nil {
					w.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got[bearer]++
			})
		}
	}
	running.Wait()
	return got
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
