package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slotgate/cache"
	"slotgate/cache/redistest"
	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/ehrsim"
)

// crowd is a server that counts who is there.
type crowd struct {
	mu    sync.Mutex
	now   int
	most  int
	calls int
	first time.Time
	last  time.Time
	serve http.HandlerFunc // nil: 404
	stay  time.Duration
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.now++
	c.calls++
	c.most = max(c.most, c.now)
	if c.first.IsZero() {
		c.first = time.Now()
	}
	c.last = time.Now()
	c.mu.Unlock()
	time.Sleep(c.stay) // that of a server that has to think
	c.mu.Lock()
	c.now-- // before the answer: whoever has it may send the next
	c.mu.Unlock()
	if c.serve != nil {
		c.serve(w, r)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

func (c *crowd) told() (calls, most int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.most, c.last.Sub(c.first)
}

func (c *crowd) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.most, c.first = 0, 0, time.Time{}
}

// store opens a node's own connection to Redis.
func store(t testing.TB, url string) *cache.Store {
	t.Helper()
	s, err := cache.Open(t.Context(), cache.Options{URL: url, BudgetWait: 10 * time.Second}, cache.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// nodes are so many processes that share a source, as far as it can tell.
func nodes(t *testing.T, n int, url, base string, bend func(*Options)) []*Client {
	t.Helper()
	all := make([]*Client, n)
	for i := range all {
		s := store(t, url)
		o := Options{ID: "src", Base: base, Dialect: Slots}
		quick(&o)
		o.Limits.BreakerFailures = 1000
		if bend != nil {
			bend(&o)
		}
		all[i] = registered(t, o, Deps{Budgets: func(id scheduling.SourceID) SharedBudget { return s.Budget(t.Context(), id) }})
	}
	return all
}

// eachMany has all nodes make so many calls in each of so many threads.
func eachMany(all []*Client, threads, calls int, one func(*Client)) {
	var wg sync.WaitGroup
	for _, c := range all {
		for range threads {
			wg.Go(func() {
				for range calls {
					one(c)
				}
			})
		}
	}
	wg.Wait()
}

func TestNodesTogetherMakeNoMoreCallsAtOnceThanConfigured(t *testing.T) {
	t.Parallel()
	for name, places := range map[string]int{"one": 1, "two": 2, "four": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			there := &crowd{stay: time.Millisecond}
			all := nodes(t, 3, redistest.Start(t).URL(), serve(t, there.ServeHTTP), func(o *Options) { o.Limits.Concurrency = places })
			eachMany(all, 4, 15, func(c *Client) { _ = readMetadata(t, c) })
			calls, most, _ := there.told()
			if calls != 3*4*15 || most > places {
				t.Errorf("%d calls, up to %d at once, want no more than %d", calls, most, places)
			}
		})
	}
}

func TestNodesTogetherMakeNoMoreCallsASecondThanConfigured(t *testing.T) {
	t.Parallel()
	const rate, burst = 60.0, 6
	there := &crowd{}
	all := nodes(t, 3, redistest.Start(t).URL(), serve(t, there.ServeHTTP), func(o *Options) { o.Limits.Rate, o.Limits.Concurrency = rate, 3 })
	eachMany(all, 4, 15, func(c *Client) { _ = readMetadata(t, c) })
	calls, _, took := there.told()
	// What was granted may be used a moment later, and comes a moment later.
	if most := burst + rate*(took+spareFor).Seconds() + 1; calls != 180 || float64(calls) > most {
		t.Errorf("%d calls in %v, want no more than %.0f", calls, took, most)
	}
	for _, c := range all {
		if got := c.Budget(); got["shared"] != true {
			t.Errorf("%v", got)
		}
	}
}

// The same law as within one process, with the prefetch on one node and the
// booking on another.
func TestLaw6PrefetchOfOneNodeNeverStarvesBookingOnAnother(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ places, first int }{"one place": {1, 1}, "two places": {2, 2}, "four places": {4, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &gate{let: make(chan struct{})}
			open := sync.OnceFunc(func() { close(g.let) })
			defer open()
			all := nodes(t, 2, redistest.Start(t).URL(), serve(t, g.ServeHTTP), func(o *Options) {
				argonautR4(o)
				o.Limits.Concurrency, o.Quirks.NoPrefetch = tc.places, true
				o.Limits.Timeout, o.Booking.CallTimeout, o.Booking.Settle = minute, minute, 2*minute
			})
			for _, c := range all {
				c.learn(t.Context(), laneBook)
				c.loaded.Store(true)
			}
			worker, gateway := all[0], all[1]
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { _, _ = worker.Fetch(t.Context(), ahead(noon, 1)) })
			}
			poll(t, func() bool { return int(g.in.Load()) == tc.first && waiting(worker, lanePrefetch) >= 20-tc.first })
			wg.Go(func() {
				if _, err := gateway.Book(t.Context(), bookCall(anOffer(), nil)); err != nil {
					t.Errorf("book: %v", err)
				}
			})
			if tc.places >= 3 {
				poll(t, func() bool { return slices.Contains(g.seen(), "book") })
			} else {
				poll(t, func() bool { return queuedUp(gateway) })
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

const minute = config.Duration(time.Minute)

// queuedUp tells whether a booking waits, and all nodes know.
func queuedUp(c *Client) bool {
	b := c.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queues[laneBook.rank()]) == 1 && b.joint.others > 0 && answered(b.joint)
}

// answered tells whether the store knows the latest.
func answered(j *joint) bool { return !j.soon && j.heardOf == j.reports }

// Each lower lane keeps its 5 %, also where those of the higher one are all on
// another node.
func TestLaw6LanesOfAllNodesGoInOrderAndEachLowerOneKeepsFivePercent(t *testing.T) {
	t.Parallel()
	all := nodes(t, 3, redistest.Start(t).URL(), "http://127.0.0.1:1", func(o *Options) { o.Limits.Concurrency = 1 })
	first := all[0].budget
	if err := first.enter(t.Context(), laneBook); err != nil {
		t.Fatal(err)
	}
	var had turns
	const each = 60
	for i, l := range []lane{laneBook, laneRead, lanePrefetch} {
		b := all[i].budget
		had.want(t, b, l, each)
		poll(t, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.queues[l.rank()]) == each && answered(b.joint) && (i == 0 || b.joint.others > 0)
		})
	}
	first.leave(laneBook)
	had.wg.Wait()
	count := map[lane]int{}
	for _, l := range had.order[:40] {
		count[l]++
	}
	if had.order[0] != laneBook || count[laneRead] < 1 || count[laneRead] > 2 || count[lanePrefetch] < 1 || count[lanePrefetch] > 2 {
		t.Errorf("of the first 40: %v", count)
	}
}

// Three nodes that each went by the limits would be locked out here.
func TestNodesTogetherAreNotLockedOutOfAnEHRThatBearsFewCallsAtOnce(t *testing.T) {
	t.Parallel()
	srv, base := sim(t, practice(slotsSim(func(o *ehrsim.Options) {
		o.Latency, o.Throttle = 10*time.Millisecond, ehrsim.Throttle{Calls: 8}
	})))
	all := nodes(t, 3, redistest.Start(t).URL(), base, func(o *Options) {
		utc(o)
		o.Limits.Concurrency, o.Quirks.MaxDays = 4, 1
	})
	var wg sync.WaitGroup
	for _, c := range all {
		for range 3 {
			wg.Go(func() { _ = fetch(t, c, ahead(noon, 8)) })
		}
	}
	wg.Wait()
	if got := srv.Throttling(); got.Lockouts > 0 || got.Most == 0 {
		t.Errorf("%+v", got)
	}
}

// Who is not used any more is not counted among those who share, and a node whose
// own clock is days off counts the day that all count.
func TestANodeThatLeavesIsForgottenAndAWrongClockChangesNoDay(t *testing.T) {
	t.Parallel()
	url, there := redistest.Start(t).URL(), &crowd{}
	base := serve(t, there.ServeHTTP)
	all := nodes(t, 2, url, base, func(o *Options) { o.Timezone = middayZone(t) })
	s := store(t, url)
	o := Options{ID: "src", Base: base, Dialect: Slots, Timezone: middayZone(t)}
	quick(&o)
	off := registered(t, o, Deps{
		Now:     func() time.Time { return time.Now().Add(72 * time.Hour) },
		Budgets: func(id scheduling.SourceID) SharedBudget { return s.Budget(t.Context(), id) },
	})
	all = append(all, off)
	poll(t, func() bool {
		eachMany(all, 1, 1, func(c *Client) { _ = readMetadata(t, c) })
		return knowEachOther(all)
	})
	calls, _, _ := there.told()
	_ = readMetadata(t, off)
	if day, _ := off.Budget()["day"].(map[string]any); day["spent"] != calls+1 {
		t.Errorf("%v after %d calls", day, calls+1)
	}
	if err := all[0].Close(); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool { _ = readMetadata(t, off); return off.Budget()["nodes"] == 2 })
	calls, _, _ = there.told()
	_ = readMetadata(t, all[0]) // of one that was left behind
	if after, _, _ := there.told(); after != calls+1 {
		t.Errorf("%d calls after the end", after-calls)
	}
}

func TestALockoutToldToOneNodeIsKeptByAll(t *testing.T) {
	t.Parallel()
	var locked atomic.Bool
	there := &crowd{serve: func(w http.ResponseWriter, _ *http.Request) {
		if locked.Load() {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(outcomeJSON("error", "throttled", "User Rate Limit Exceeded, Try in another 844 seconds")))
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}}
	all := nodes(t, 3, redistest.Start(t).URL(), serve(t, there.ServeHTTP), func(o *Options) { o.Limits.Recover = config.Duration(1000 * time.Hour) })
	for _, c := range all {
		_ = readMetadata(t, c)
	}
	locked.Store(true)
	if err := readMetadata(t, all[0]); scheduling.CodeOf(err) != scheduling.Throttled {
		t.Fatal(err)
	}
	b := all[0].budget
	poll(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.joint.running // all is told, and answered
	})
	poll(t, func() bool { return all[0].Budget()["share"].(float64) < 1 })
	before, _, _ := there.told()
	for i, c := range all {
		err := readMetadata(t, c)
		if e := scheduling.AsError(err); e.Code != scheduling.Throttled || e.RetryAfter < 700*time.Second || e.RetryAfter > 845*time.Second {
			t.Errorf("node %d: %v, retry after %v", i, err, e.RetryAfter)
		}
		if c.Budget()["share"].(float64) >= 1 || c.Budget()["pausedFor"] == nil {
			t.Errorf("node %d: %v", i, c.Budget())
		}
	}
	if after, _, _ := there.told(); after != before {
		t.Errorf("%d calls were sent into the lockout", after-before)
	}
}

func knowEachOther(all []*Client) bool {
	return !slices.ContainsFunc(all, func(c *Client) bool { return c.Budget()["nodes"] != len(all) })
}

// flaky is a store that can be away.
type flaky struct {
	SharedBudget
	away atomic.Bool
	asks atomic.Int64
}

var errAway = errors.New("away")

func (f *flaky) Ask(r scheduling.BudgetReport) (scheduling.BudgetWord, error) {
	f.asks.Add(1)
	if f.away.Load() {
		return scheduling.BudgetWord{}, errAway
	}
	word, err := f.SharedBudget.Ask(r)
	if f.away.Load() { // what it said was on its way
		return scheduling.BudgetWord{}, errAway
	}
	return word, err
}

func TestWhileRedisIsAwayEachNodeGoesByItsPartAndThenTogetherAgain(t *testing.T) {
	t.Parallel()
	there := &crowd{stay: time.Millisecond}
	base := serve(t, there.ServeHTTP)
	server := redistest.Start(t)
	var stores []*flaky
	var all []*Client
	for range 2 {
		f := &flaky{SharedBudget: store(t, server.URL()).Budget(t.Context(), "src")}
		o := Options{ID: "src", Base: base, Dialect: Slots}
		quick(&o)
		o.Limits.Concurrency = 4
		stores = append(stores, f)
		all = append(all, registered(t, o, Deps{Budgets: func(scheduling.SourceID) SharedBudget { return f }}))
	}
	both := func(want bool) func() bool {
		return func() bool {
			eachMany(all, 1, 1, func(c *Client) { _ = readMetadata(t, c) })
			return all[0].Budget()["shared"] == want && all[1].Budget()["shared"] == want && knowEachOther(all)
		}
	}
	poll(t, both(true))
	for range 2 {
		for _, f := range stores {
			f.away.Store(true)
		}
		poll(t, both(false))
		there.reset()
		eachMany(all, 8, 10, func(c *Client) { _ = readMetadata(t, c) })
		if calls, most, _ := there.told(); calls != 160 || most > 4 {
			t.Errorf("%d calls, up to %d at once", calls, most)
		}
		if got := all[0].Budget(); got["part"] != 0.5 {
			t.Errorf("%v", got)
		}
		for _, f := range stores {
			f.away.Store(false)
		}
		poll(t, both(true))
	}
}

func TestARedisThatIsKilledHoldsNoCallUp(t *testing.T) {
	t.Parallel()
	there := &crowd{stay: time.Millisecond}
	server := redistest.Start(t)
	all := nodes(t, 2, server.URL(), serve(t, there.ServeHTTP), func(o *Options) { o.Limits.Concurrency = 4 })
	poll(t, func() bool {
		eachMany(all, 1, 1, func(c *Client) { _ = readMetadata(t, c) })
		return knowEachOther(all)
	})
	there.reset()
	var wg sync.WaitGroup
	wg.Go(func() { eachMany(all, 3, 40, func(c *Client) { _ = readMetadata(t, c) }) })
	poll(t, func() bool { calls, _, _ := there.told(); return calls > 40 })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if calls, _, _ := there.told(); calls != 2*3*40 {
		t.Errorf("%d calls", calls)
	}
	there.reset()
	eachMany(all, 4, 10, func(c *Client) { _ = readMetadata(t, c) })
	if calls, most, _ := there.told(); calls != 80 || most > 4 {
		t.Errorf("%d calls, up to %d at once, while Redis is gone", calls, most)
	}
}

func TestOfLimitsThatDifferTheLowestHoldsForAll(t *testing.T) {
	t.Parallel()
	there := &crowd{stay: time.Millisecond}
	base, url := serve(t, there.ServeHTTP), redistest.Start(t).URL()
	all := append(nodes(t, 1, url, base, func(o *Options) { o.Limits.Concurrency = 1 }), nodes(t, 1, url, base, func(o *Options) { o.Limits.Concurrency = 8 })...)
	_ = readMetadata(t, all[0])
	eachMany(all, 4, 10, func(c *Client) { _ = readMetadata(t, c) })
	if _, most, _ := there.told(); most != 1 {
		t.Errorf("up to %d at once", most)
	}
}

func TestWhoeverStopsWaitingCostsTheOtherNodesNothing(t *testing.T) {
	t.Parallel()
	all := nodes(t, 2, redistest.Start(t).URL(), "http://127.0.0.1:1", func(o *Options) { o.Limits.Concurrency = 1 })
	if err := all[0].budget.enter(t.Context(), laneRead); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if all[1].budget.enter(ctx, laneBook) == nil {
				t.Error("there were two at once")
			}
		})
	}
	poll(t, func() bool { return waiting(all[1], laneBook) == 10 })
	cancel()
	wg.Wait()
	all[0].budget.leave(laneRead)
	if err := all[0].budget.enter(t.Context(), lanePrefetch); err != nil {
		t.Error(err)
	}
	all[0].budget.leave(lanePrefetch)
}
