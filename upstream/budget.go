package upstream

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"slotgate/scheduling"
)

// inTwenty is how many calls may pass a waiting lane before it has its turn:
// each keeps 5 % of the budget.
const inTwenty = 20

// budget is how much we may ask of one source: calls a second, calls at once,
// less of both while it shows that this is too much, and nothing at all while it
// asked for a pause. Who waits is served by lane, then in order of arrival.
type budget struct {
	source   scheduling.SourceID
	rate     float64       // tokens a second
	burst    float64       // tokens at most
	places   int           // calls at once
	patience time.Duration // a longer pause is an error at once
	now      func() time.Time

	mu     sync.Mutex
	tokens float64
	filled time.Time // when tokens was right
	busy   int       // places taken
	lazy   int       // of these by lanes that leave one free
	queues [len(lanes)][]*turn
	passed [len(lanes)]int // calls of earlier lanes that went first while it waited
	timer  *time.Timer     // the next token, while somebody waits for it
	press  *pressure
	until  time.Time // end of the pause, by now
}

// turn is one who waits.
type turn struct {
	lane lane
	come chan struct{}
	has  bool // the place is taken; guarded by the budget's mutex
}

func newBudget(source scheduling.SourceID, limits Limits, now func() time.Time) *budget {
	burst := math.Max(float64(limits.Concurrency), math.Ceil(limits.Rate/10))
	return &budget{
		source: source, rate: limits.Rate, burst: burst, tokens: burst, filled: time.Now(),
		places: limits.Concurrency, patience: limits.RetryWait.Std(), now: now,
		press: newPressure(cmp.Or(limits.Recover.Std(), defaultRecover), time.Now()),
	}
}

// enter waits for a place and for its turn. After nil, leave must follow.
func (b *budget) enter(ctx context.Context, l lane) error {
	for {
		if err := b.waitPause(ctx); err != nil {
			return err
		}
		if err := b.waitTurn(ctx, l); err != nil {
			return err
		}
		if b.pauseLeft() <= 0 {
			return nil
		}
		b.leave(l) // the source asked for a pause meanwhile
	}
}

func (b *budget) waitTurn(ctx context.Context, l lane) error {
	t := &turn{lane: l, come: make(chan struct{})}
	b.mu.Lock()
	b.queues[l.rank()] = append(b.queues[l.rank()], t)
	b.serve()
	b.mu.Unlock()
	select {
	case <-t.come:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.has {
		b.vacate(l)
	} else {
		queue := &b.queues[l.rank()]
		*queue = slices.DeleteFunc(*queue, func(one *turn) bool { return one == t })
	}
	return ended(ctx, b.source)
}

// leave gives the place back.
func (b *budget) leave(l lane) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vacate(l)
}

func (b *budget) vacate(l lane) {
	b.busy--
	if l.patient() {
		b.lazy--
	}
	b.serve()
}

// serve gives out places while there are some. The caller holds the lock.
func (b *budget) serve() {
	share := b.press.at(time.Now())
	places := b.placesOf(share)
	for b.busy < places {
		rank := b.next(places)
		if rank < 0 || !b.token(share) {
			return
		}
		t := b.queues[rank][0]
		b.queues[rank] = b.queues[rank][1:]
		t.has = true
		b.busy++
		if t.lane.patient() {
			b.lazy++
		}
		for lower := rank + 1; lower < len(lanes); lower++ {
			if len(b.queues[lower]) > 0 {
				b.passed[lower]++
			}
		}
		b.passed[rank] = 0
		close(t.come)
	}
}

// next is the rank of the lane whose turn it is, -1 for none.
func (b *budget) next(places int) int {
	first := -1
	for rank := range lanes {
		if len(b.queues[rank]) == 0 || lanes[rank].patient() && b.lazy >= lazyPlaces(places) {
			continue
		}
		if b.passed[rank] >= inTwenty-1 {
			return rank
		}
		if first < 0 {
			first = rank
		}
	}
	return first
}

// placesOf is how many calls at once this share of the limits is: one at least.
func (b *budget) placesOf(share float64) int { return max(1, int(math.Round(float64(b.places)*share))) }

// lazyPlaces is how many calls of patient lanes may be under way.
func lazyPlaces(places int) int {
	if places >= 3 {
		return places - 1
	}
	return places
}

// token takes one, or sees to it that serve is called when there is one.
func (b *budget) token(share float64) bool {
	now := time.Now()
	rate, burst := b.rate*share, math.Max(1, b.burst*share)
	b.tokens = math.Min(burst, b.tokens+now.Sub(b.filled).Seconds()*rate)
	b.filled = now
	if b.tokens >= 1 {
		b.tokens--
		return true
	}
	if b.timer == nil {
		wait := time.Duration((1 - b.tokens) / rate * float64(time.Second))
		b.timer = time.AfterFunc(max(wait, time.Microsecond), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.timer = nil
			b.serve()
		})
	}
	return false
}

// feel learns from the end of a call how much the source can bear.
func (b *budget) feel(op string, took time.Duration, err error) (cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.press.feel(op, took, err, time.Now())
}

// share is the part of the limits that the source is asked for just now.
func (b *budget) share() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.press.at(time.Now())
}

// pause stops calls until then, by now's clock. A shorter pause does not end a
// longer one.
func (b *budget) pause(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until.After(b.until) {
		b.until = until
	}
}

func (b *budget) pauseLeft() time.Duration {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now)
}

func (b *budget) waitPause(ctx context.Context) error {
	wait := b.pauseLeft()
	switch {
	case wait <= 0:
		return nil
	case wait > b.patience:
		e := scheduling.Blame(scheduling.Throttled, b.source, &fault{cause: errPaused}, "the source asked us for a pause")
		e.RetryAfter = wait
		return e
	case !sleep(ctx, wait):
		return ended(ctx, b.source)
	default:
		return nil
	}
}

// state is what the admin listener shows.
func (b *budget) state() map[string]any {
	left := b.pauseLeft()
	b.mu.Lock()
	defer b.mu.Unlock()
	waiting := map[string]int{}
	for rank, l := range lanes {
		waiting[string(l)] = len(b.queues[rank])
	}
	share := b.press.at(time.Now())
	out := map[string]any{
		"rate": b.rate, "concurrency": b.places, "share": math.Round(100*share) / 100, "inFlight": b.busy, "waiting": waiting,
	}
	if left > 0 {
		out["pausedFor"] = left.Round(time.Second).String()
	}
	return out
}
