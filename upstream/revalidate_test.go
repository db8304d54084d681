package upstream

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
)

// TestLaw6RevalidationGoesBeforePrefetchWithinItsPart: who waits for offers to
// be looked at again does not queue behind a full load, and takes no more than
// its part of the rate.
func TestLaw6RevalidationGoesBeforePrefetchWithinItsPart(t *testing.T) {
	t.Parallel()
	g := &gate{let: make(chan struct{})}
	open := sync.OnceFunc(func() { close(g.let) })
	defer open()
	c := client(t, serve(t, g.ServeHTTP), func(o *Options) {
		argonautR4(o)
		o.Limits.Concurrency, o.Limits.Rate, o.Limits.Revalidate, o.Quirks.NoPrefetch = 1, 100, 0.000001, true
	})
	c.learn(t.Context(), laneBook)
	c.loaded.Store(true)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = c.Fetch(t.Context(), ahead(noon, 1)) })
	}
	poll(t, func() bool { return g.in.Load() == 1 && waiting(c, lanePrefetch) >= 19 })
	done := make(chan error, 1)
	go func() {
		_, err := c.Revalidate(t.Context(), scheduling.Scope{Days: scheduling.Days{From: 20_000, To: 20_001}})
		done <- err
	}()
	poll(t, func() bool { return waiting(c, laneRevalidate) > 0 })
	before := g.in.Load()
	for calls := before; len(done) == 0; {
		select {
		case g.let <- struct{}{}:
			calls++
			time.Sleep(2 * time.Millisecond) // what was let go takes a moment to be told
		case <-time.After(time.Millisecond):
		}
		if calls-before > 15 { // behind all of prefetch it would be the twentieth
			t.Fatal("it waits behind prefetch")
		}
	}
	if err := <-done; err != nil {
		t.Errorf("%v", err)
	}
	for c.spare.TokensAt(time.Now()) >= 1 {
		c.spare.ReserveN(time.Now(), 1)
	}
	if _, err := c.Revalidate(t.Context(), ahead(noon, 1)); scheduling.CodeOf(err) != scheduling.Throttled {
		t.Errorf("over its part: %v", err)
	}
	open()
	wg.Wait()
}

func TestASourceThatIsNotWellIsNotRevalidated(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	})
	none := 0
	for name, tc := range map[string]struct {
		bend func(*Options)
		ail  func(*Client)
		code scheduling.Code
	}{
		"paused": {func(o *Options) { o.Paused = true }, func(*Client) {}, scheduling.SourceDown},
		"files":  {func(o *Options) { o.Dialect = Links }, func(*Client) {}, scheduling.NotSupported},
		"it asked for a pause": {
			nil, func(c *Client) { c.budget.pause(c.now().Add(time.Minute)) }, scheduling.Throttled,
		},
		"its breaker is open": {
			func(o *Options) {
				o.Limits.BreakerFailures, o.Limits.BreakerOpen, o.Limits.Retries = 1, config.Duration(time.Hour), &none
			},
			func(c *Client) { _, _ = c.Fetch(t.Context(), ahead(noon, 1)) }, scheduling.SourceDown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, base, tc.bend)
			tc.ail(c)
			before := calls.Load()
			_, err := c.Revalidate(t.Context(), ahead(noon, 1))
			if scheduling.CodeOf(err) != tc.code || calls.Load() != before {
				t.Errorf("%v, %d calls", err, calls.Load()-before)
			}
		})
	}
}
