package token_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/upstream/ehrsim"
	"slotgate/upstream/token"
)

func TestFiveHundredCallsOnEachNodeAtExpiryMakeOneTokenRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := w.nodes(4)
	for round := 1; round <= 3; round++ {
		if got := w.atOnce(nodes, 500); len(got) != 1 || got[""] != 0 {
			t.Errorf("round %d: %d tokens", round, len(got))
		}
		w.requests(round)
		w.clock.add(6 * time.Minute) // past the token's end
	}
}

func TestOneNodeRenewsEarlyAndTheOthersFollowWithoutAskingOrWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := w.nodes(3)
	first := w.token(nodes[0])
	for _, node := range nodes {
		if w.token(node) != first {
			t.Fatal("the nodes have different tokens")
		}
	}
	hang := ehrsim.Fault{ID: "slow", Kind: ehrsim.FaultHang, Path: "/oauth"}
	if _, err := w.sim.AddFaults(hang); err != nil {
		t.Fatal(err)
	}
	w.clock.add(5*time.Minute - 31*time.Second) // every node is to renew, none must
	if got := w.atOnce(nodes, 20); got[first] != 60 {
		t.Fatalf("calls wait for a renewal before it is needed: %v", len(got))
	}
	eventually(t, "one asks", func() bool { return w.sim.Logins().Requests == 2 })
	w.sim.RemoveFault("slow")
	w.requests(2)
}

func TestWhatOneNodeGotEarlyTheOthersTakeBeforeTheOldOneEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := w.nodes(3)
	first := w.token(nodes[0])
	w.atOnce(nodes, 1)
	w.clock.add(5*time.Minute - 31*time.Second)
	for _, node := range nodes {
		eventually(t, "it has the new one", func() bool {
			w.clock.add(time.Millisecond)
			return w.token(node) != first
		})
	}
	if got := w.atOnce(nodes, 1); len(got) != 1 {
		t.Errorf("%d tokens", len(got))
	}
	w.requests(2)
}

func TestARevokedTokenIsRenewedOnceForAllNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := w.nodes(3)
	w.atOnce(nodes, 1)
	w.sim.RevokeTokens()
	var running sync.WaitGroup
	for _, node := range nodes {
		for range 50 {
			running.Go(func() {
				if status, err := w.call(node); status != http.StatusOK || err != nil {
					t.Errorf("%d, %v", status, err)
				}
			})
		}
	}
	running.Wait()
	w.requests(2)
	// An EHR that refuses every token is not asked for one with every call.
	w.sim.RevokeTokens()
	for range 20 {
		for _, node := range nodes {
			if status, err := w.call(node); status != http.StatusUnauthorized || err != nil {
				t.Errorf("%d, %v", status, err)
			}
		}
	}
	w.requests(2)
}

func TestANodeThatBeginsUsesTheTokenThatIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.token(w.node())
	if got := w.token(w.node()); got != first {
		t.Error("another token")
	}
	w.requests(1)
	// What was got for something else, or cannot be opened, is not used.
	other := w.node(func(o *token.Options, _ *token.Deps) { o.Scopes = []string{"system/*.read"} })
	if w.token(other) == first {
		t.Error("a token of other scopes is used")
	}
	if got := w.token(w.node(func(_ *token.Options, d *token.Deps) { d.Store = w.store("B") })); got == first {
		t.Error("a token that cannot be opened is used")
	}
	w.requests(3)
}

func TestWithoutRedisEachNodeLogsInByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := w.nodes(2)
	first := w.token(nodes[0])
	if err := w.redis.Close(); err != nil {
		t.Fatal(err)
	}
	if w.token(nodes[1]) == first || w.token(nodes[0]) != first {
		t.Error("not its own token")
	}
	w.requests(2)
	w.sim.RevokeTokens()
	if status, err := w.call(nodes[0]); status != http.StatusOK || err != nil {
		t.Errorf("%d %v", status, err)
	}
	w.requests(3)
	if n := strings.Count(w.log.String(), "the token is not shared for now"); n != 2 {
		t.Errorf("said %d times by two nodes", n)
	}
}

func TestALoginThatNobodyFinishesIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release, ok, err := w.store().Lease(t.Context(), time.Minute)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	s := w.node(func(_ *token.Options, d *token.Deps) { d.Timeout = time.Second })
	w.token(s) // after its patience
	w.requests(1)
	if err := release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLaw11ATokenEndpointElsewhereIsRefusedAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var strangers atomic.Int32
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) }))
	t.Cleanup(stranger.Close)
	first := w.token(w.node())
	w.sim.ChangeLogin(ehrsim.LoginChange{Endpoint: stranger.URL + "/oauth/token?s3cret"})
	w.clock.add(6 * time.Minute)
	w.redisDel("token")
	_, err := w.node().Token(t.Context())
	if !errors.Is(err, token.ErrNonsense) || strangers.Load() != 0 {
		t.Errorf("%v, %d requests elsewhere", err, strangers.Load())
	}
	if !strings.Contains(w.log.String(), "level=ERROR") || strings.Contains(w.log.String(), "s3cret") {
		t.Error(w.log.String())
	}
	told := w.node(func(o *token.Options, _ *token.Deps) {
		o.TokenURL = strings.TrimSuffix(w.base, "/fhir") + "/oauth/token"
	})
	if got := w.token(told); got == first {
		t.Error("the token is over")
	}
}

// redisDel takes one of the source's keys away.
func (w *world) redisDel(key string) {
	w.Helper()
	o, err := redis.ParseURL(w.redis.URL())
	if err != nil {
		w.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	if err := c.Del(w.Context(), "slotgate:{s:napa}:"+key).Err(); err != nil {
		w.Fatal(err)
	}
}

// TestTokensStandNowhereInClear walks the login through its faults, one of which
// repeats what was sent, and looks for what is secret.
func TestTokensStandNowhereInClear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := w.nodes(2)
	secrets := []string{w.token(nodes[0]), w.token(nodes[1]), "client_assertion", "eyJ"}
	w.sim.RevokeTokens()
	_, _ = w.call(nodes[0])
	secrets = append(secrets, w.token(nodes[0]))
	var said strings.Builder
	for _, fault := range []ehrsim.Fault{
		{Kind: ehrsim.FaultEcho, Status: 400},
		{Kind: ehrsim.FaultEcho, Status: 500},
		{Kind: ehrsim.FaultHTML},
		{Kind: ehrsim.FaultReset},
		{Kind: ehrsim.FaultEmptyBody},
		{Kind: ehrsim.FaultThrottle},
		{Kind: ehrsim.FaultHugeGzip, Size: 8 << 20},
	} {
		fault.Path = "/oauth"
		if _, err := w.sim.SetFaults(fault); err != nil {
			t.Fatal(err)
		}
		w.clock.add(10 * time.Minute)
		_, err := w.node(func(_ *token.Options, d *token.Deps) { d.Store = nil }).Token(t.Context())
		if err == nil {
			t.Errorf("%s: no error", fault.Kind)
			continue
		}
		said.WriteString(err.Error() + "\n")
	}
	for place, text := range map[string]string{"log": w.log.String(), "errors": said.String(), "redis": w.dump()} {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s in %s", place, secret, text)
			}
		}
	}
}

// dump is all that Redis has.
func (w *world) dump() string {
	w.Helper()
	o, err := redis.ParseURL(w.redis.URL())
	if err != nil {
		w.Fatal(err)
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	var all strings.Builder
	for _, key := range c.Keys(w.Context(), "*").Val() {
		all.WriteString(key + " " + c.Get(w.Context(), key).Val())
		for name, value := range c.HGetAll(w.Context(), key).Val() {
			all.WriteString(" " + name + " " + value)
		}
	}
	if !strings.Contains(all.String(), "v1|A|") {
		w.Errorf("nothing is there: %q", all.String())
	}
	return all.String()
}

func TestWhyTheSimulatorRefusesALoginIsToldWithoutItsWords(t *testing.T) {
	t.Parallel()
	_, strange := newKey(t)
	for name, tc := range map[string]struct {
		bend   func(*token.Options, *token.Deps)
		refuse string // the simulator's reason; "": it is taken
		told   string
	}{
		"another key":    {func(o *token.Options, _ *token.Deps) { o.Key = strange }, "unknown kid", "401 invalid_client"},
		"another kid":    {func(o *token.Options, _ *token.Deps) { o.KeyID = "mine" }, "unknown kid", "401 invalid_client"},
		"another client": {func(o *token.Options, _ *token.Deps) { o.ClientID = "somebody" }, "iss", "401 invalid_client"},
		"no scopes":      {func(o *token.Options, _ *token.Deps) { o.Scopes = nil }, "scope", "400 invalid_scope"},
		"a clock that is two minutes ahead": {func(_ *token.Options, d *token.Deps) {
			d.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
		}, "exp too far ahead", "s ahead of theirs"},
		"a clock that is five minutes behind": {func(_ *token.Options, d *token.Deps) {
			d.Now = func() time.Time { return time.Now().Add(-5 * time.Minute) }
		}, "expired", "s ahead of theirs"},
		"a clock that is three minutes behind": {func(_ *token.Options, d *token.Deps) {
			d.Now = func() time.Time { return time.Now().Add(-3 * time.Minute) }
		}, "", ""},
		"a clock that is half a minute ahead": {func(_ *token.Options, d *token.Deps) {
			d.Now = func() time.Time { return time.Now().Add(30 * time.Second) }
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.node(tc.bend).Token(t.Context())
			if tc.refuse == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, token.ErrRefused) || !strings.Contains(err.Error(), tc.told) || w.sim.Logins().Refused[tc.refuse] != 1 {
				t.Errorf("%v, %v", err, w.sim.Logins())
			}
		})
	}
}

func TestALoginThatHangsEndsInTimeAndWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.sim.AddFaults(ehrsim.Fault{Kind: ehrsim.FaultHang, Path: "/oauth"}); err != nil {
		t.Fatal(err)
	}
	s := w.node(func(_ *token.Options, d *token.Deps) { d.Timeout = 300 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's end: %v", err)
	}
	if _, err := s.Token(t.Context()); !errors.Is(err, token.ErrDown) {
		t.Errorf("ours: %v", err)
	}
}
