package upstream

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
)

// gate is a server that notes who comes and lets each go on by hand.
type gate struct {
	mu    sync.Mutex
	order []string
	in    atomic.Int32
	let   chan struct{}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := "prefetch"
	switch {
	case r.Method == http.MethodPost:
		kind = "book"
	case strings.HasSuffix(r.URL.Path, "/metadata"):
		w.WriteHeader(http.StatusNotFound)
		return
	}
	g.mu.Lock()
	g.order = append(g.order, kind)
	g.mu.Unlock()
	g.in.Add(1)
	<-g.let
	if kind == "book" {
		_, _ = w.Write([]byte(appointmentJSON("booked")))
		return
	}
	page(w, 0, "")
}

func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.order)
}

// During a full prefetch a booking waits behind no more than one call that is
// under way; with three places or more, behind none.
func TestLaw6PrefetchNeverStarvesBooking(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ places, first int }{"one place": {1, 1}, "two places": {2, 2}, "four places": {4, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{let: make(chan struct{})}
			open := sync.OnceFunc(func() { close(g.let) })
			defer open() // before the server closes
			c := client(t, serve(t, g.ServeHTTP), func(o *Options) {
				argonautR4(o)
				o.Limits.Concurrency, o.Quirks.NoPrefetch = tc.places, true
			})
			c.learn(t.Context(), laneBook)
			c.loaded.Store(true)
			var wg sync.WaitGroup
			for range 40 { // each of many days
				wg.Go(func() { _, _ = c.Fetch(t.Context(), ahead(noon, 1)) })
			}
			poll(t, func() bool { return int(g.in.Load()) == tc.first && waiting(c, lanePrefetch) >= 40-tc.first })
			wg.Go(func() {
				if _, err := c.Book(t.Context(), bookCall(anOffer(), nil)); err != nil {
					t.Errorf("book: %v", err)
				}
			})
			if tc.places >= 3 {
				poll(t, func() bool { return slices.Contains(g.seen(), "book") })
			} else {
				poll(t, func() bool { return waiting(c, laneBook) == 1 })
				g.let <- struct{}{} // one call ends
				poll(t, func() bool { return int(g.in.Load()) == tc.first+1 })
				if order := g.seen(); order[len(order)-1] != "book" {
					t.Errorf("%v went first", order[tc.first:])
				}
			}
			open()
			wg.Wait()
		})
	}
}

func waiting(c *Client, l lane) int {
	all, _ := c.Budget()["waiting"].(map[string]int)
	return all[string(l)]
}

func poll(t *testing.T, until func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !until() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that")
		}
		time.Sleep(time.Millisecond)
	}
}

// turns are calls that wait for their turn, and the order in which they had it.
type turns struct {
	wg    sync.WaitGroup
	mu    sync.Mutex
	order []lane
}

// want has so many calls of a lane wait at a budget.
func (all *turns) want(t *testing.T, b *budget, l lane, calls int) {
	for range calls {
		all.wg.Go(func() {
			if err := b.enter(t.Context(), l); err != nil {
				t.Errorf("%s: %v", l, err)
				return
			}
			all.mu.Lock()
			all.order = append(all.order, l)
			all.mu.Unlock()
			b.leave(l)
		})
	}
}

// A turn by turn account of the budget: who is next while everybody waits.
func TestLaw6LanesGoInOrderAndEachLowerOneKeepsFivePercent(t *testing.T) {
	t.Parallel()
	b := newBudget("src", Limits{Rate: 1e6, Concurrency: 1, RetryWait: config.Duration(time.Second)}, time.Now)
	if err := b.enter(t.Context(), laneBook); err != nil {
		t.Fatal(err)
	}
	var all turns
	const each = 100
	for _, l := range []lane{lanePrefetch, laneRevalidate, laneRead, laneHold, laneBook} {
		all.want(t, b, l, each)
	}
	poll(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		n := 0
		for _, queue := range b.queues {
			n += len(queue)
		}
		return n == each*len(lanes)
	})
	b.leave(laneBook)
	all.wg.Wait()
	count := map[lane]int{}
	for _, l := range all.order[:each] {
		count[l]++
	}
	// Of a hundred calls that all lanes want, each of the four lower ones has 5.
	for _, l := range lanes[1:] {
		if count[l] < 4 || count[l] > 5 {
			t.Errorf("%s went %d times of a hundred; all %v", l, count[l], count)
		}
	}
	if all.order[0] != laneBook || count[laneBook] < 79 {
		t.Errorf("%v", count)
	}
}

func TestWhoLeavesTheQueueCostsNobodyATurn(t *testing.T) {
	t.Parallel()
	b := newBudget("src", Limits{Rate: 1e6, Concurrency: 1, RetryWait: config.Duration(time.Second)}, time.Now)
	if err := b.enter(t.Context(), laneRead); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if b.enter(ctx, laneBook) == nil {
				b.leave(laneBook)
			}
		})
	}
	poll(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.queues[0]) == 20 })
	got := make(chan struct{})
	go func() {
		defer close(got)
		if b.enter(t.Context(), lanePrefetch) == nil {
			b.leave(lanePrefetch)
		}
	}()
	cancel()
	b.leave(laneRead)
	wg.Wait()
	<-got
	if state := b.state(); state["inFlight"] != 0 {
		t.Errorf("%v", state)
	}
}

// What counts as a failure of the source, at each of the three breakers.
func TestLaw6WhatOpensABreakerIsATable(t *testing.T) {
	t.Parallel()
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		opens bool
	}{
		"500":                  {answers(500, ""), true},
		"503":                  {answers(503, ""), true},
		"504":                  {answers(504, ""), true},
		"a timeout":            {slow, true},
		"nonsense":             {answers(200, "<html>Sign in</html>"), true},
		"a cut connection":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"400":                  {answers(400, ""), false},
		"401":                  {answers(401, ""), false},
		"404":                  {answers(404, ""), false},
		"409":                  {answers(409, ""), false},
		"412":                  {answers(412, ""), false},
		"422":                  {answers(422, ""), false},
		"429":                  {answers(429, ""), false},
		"501":                  {answers(501, ""), false},
		"a refusal within 200": {answers(200, outcomeJSON("fatal", "conflict", "x")), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, serve(t, onlyPosts(tc.serve)), func(o *Options) {
				argonautR4(o)
				o.Limits.BreakerFailures, o.Limits.BreakerOpen = 3, config.Duration(time.Hour)
				o.Booking.CallTimeout = config.Duration(40 * time.Millisecond)
			})
			for range 5 {
				_, _ = c.Book(t.Context(), bookCall(anOffer(), nil))
			}
			want := map[bool]string{true: "open", false: "closed"}[tc.opens]
			if got := c.Breakers(); got["write"] != want || got["read"] != "closed" || got["prefetch"] != "closed" || len(got) != 3 {
				t.Errorf("%v, want write %s", got, want)
			}
		})
	}
	t.Run("a refused connection", func(t *testing.T) {
		t.Parallel()
		c := client(t, "http://127.0.0.1:1/fhir", func(o *Options) { argonautR4(o); o.Limits.BreakerFailures = 3 })
		for range 3 {
			_, _ = c.Book(t.Context(), bookCall(anOffer(), nil))
		}
		if c.Breakers()["write"] != "open" {
			t.Errorf("%v", c.Breakers())
		}
	})
	t.Run("a caller who goes away", func(t *testing.T) {
		t.Parallel()
		var in atomic.Int32
		c := client(t, serve(t, onlyPosts(func(_ http.ResponseWriter, r *http.Request) { in.Add(1); <-r.Context().Done() })), func(o *Options) {
			argonautR4(o)
			o.Limits.BreakerFailures = 3
		})
		for n := range int32(4) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for in.Load() <= n && t.Context().Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			_, err := c.Book(ctx, bookCall(anOffer(), nil))
			wantCode(t, "book", err, scheduling.InDoubt)
			cancel()
		}
		if c.Breakers()["write"] != "closed" {
			t.Errorf("%v", c.Breakers())
		}
	})
}

// onlyPosts leaves everything but writes unanswered by the handler: 404.
func onlyPosts(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then a server sees who goes away
		handler(w, r)
	}
}

// Settling and releasing pass an open breaker, and close it when they find the
// source well; what a caller reads does not.
func TestLaw6SettlingAndReleasingPassAnOpenBreaker(t *testing.T) {
	t.Parallel()
	var sick atomic.Bool
	sick.Store(true)
	c := client(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/metadata"):
			w.WriteHeader(http.StatusNotFound)
		case sick.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Method == http.MethodGet:
			_, _ = w.Write([]byte(appointmentJSON("pending")))
		default:
			_, _ = w.Write([]byte(appointmentJSON("cancelled")))
		}
	}), func(o *Options) {
		argonautR4(o)
		o.Limits.BreakerFailures, o.Limits.BreakerOpen, o.Limits.Retries = 2, config.Duration(time.Hour), new(int)
	})
	for range 2 {
		_, _ = c.Book(t.Context(), bookCall(anOffer(), nil))
	}
	for range 2 {
		_, _ = c.Read(t.Context(), "a1", scheduling.ForRead)
	}
	if got := c.Breakers(); got["read"] != "open" || got["write"] != "open" {
		t.Fatalf("%v", got)
	}
	sick.Store(false)
	_, err := c.Read(t.Context(), "a1", scheduling.ForRead)
	wantCode(t, "a caller's read", err, scheduling.SourceDown)
	_, err = c.Book(t.Context(), bookCall(anOffer(), nil))
	wantCode(t, "book", err, scheduling.SourceDown)
	if err = c.Release(t.Context(), scheduling.ReleaseCall{Offer: anOffer(), Hold: scheduling.Hold{Native: "a1"}}); err != nil {
		t.Errorf("release: %v", err)
	}
	if got := c.Breakers(); got["read"] != "closed" || got["write"] != "closed" {
		t.Errorf("after a good probe: %v", got)
	}
	if _, err = c.Read(t.Context(), "a1", scheduling.ForRead); err != nil {
		t.Errorf("%v", err)
	}
}
