package upstream

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"slotgate/scheduling"
)

// inTwenty is how many calls may pass a waiting lane before it has its turn:
// each keeps 5 % of the budget.
const inTwenty = 20

// budget is how much we may ask of one source: calls a second, calls at once and
// calls a day, less of the first two while it shows that this is too much, and
// nothing at all while it asked for a pause. Who waits is served by lane, then in
// order of arrival. Where the budget is shared, all nodes stand in one queue: see
// joint.
type budget struct {
	source   scheduling.SourceID
	rate     float64       // tokens a second
	burst    float64       // tokens at most
	places   int           // calls at once
	patience time.Duration // a longer pause is an error at once
	now      func() time.Time
	metrics  *sourceMetrics // nil: nobody counts

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
	day    dayCount
	joint  *joint // nil: the budget is this process's alone

	spare     *rate.Limiter // what revalidating may take; nil: not bounded
	spareRate rate.Limit
}

// turn is one who waits.
type turn struct {
	lane lane
	come chan struct{}
	has  bool  // the place is taken; guarded by the budget's mutex
	err  error // there will be none
}

func newBudget(source scheduling.SourceID, limits Limits, now func() time.Time) *budget {
	return &budget{
		source: source, rate: limits.Rate, burst: limits.burst(), tokens: limits.burst(), filled: time.Now(),
		places: limits.Concurrency, patience: limits.RetryWait.Std(), now: now,
		press: newPressure(cmp.Or(limits.Recover.Std(), defaultRecover), time.Now()),
		day:   newDayCount(limits, time.UTC),
	}
}

// burst is how many calls may come at once after a silence.
func (l *Limits) burst() float64 { return math.Max(float64(l.Concurrency), math.Ceil(l.Rate/10)) }

// enter waits for a place and for its turn. After nil, leave must follow.
func (b *budget) enter(ctx context.Context, l lane) error {
	for {
		if err := b.waitPause(ctx); err != nil {
			return err
		}
		has, err := b.waitTurn(ctx, l)
		if err != nil {
			return err
		}
		if has && b.pauseLeft() <= 0 {
			return nil
		}
		if has {
			b.leave(l) // the source asked for a pause meanwhile
		}
	}
}

// waitTurn waits in the queue. It is false, without an error, where the queue was
// broken off since the source asked for a pause.
func (b *budget) waitTurn(ctx context.Context, l lane) (has bool, err error) {
	t := &turn{lane: l, come: make(chan struct{})}
	b.mu.Lock()
	b.queues[l.rank()] = append(b.queues[l.rank()], t)
	b.serve()
	b.mu.Unlock()
	select {
	case <-t.come:
		return t.has, t.err
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.has {
		b.vacate(l)
	} else {
		queue := &b.queues[l.rank()]
		*queue = slices.DeleteFunc(*queue, func(one *turn) bool { return one == t })
		b.askAgain()
	}
	return false, ended(ctx, b.source)
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
	b.vacated(l)
	b.serve()
}

// serve gives out places while there are some. The caller holds the lock.
func (b *budget) serve() {
	b.refuseSpent()
	if b.joint != nil && !b.joint.alone {
		b.serveJoint()
		return
	}
	if b.joint != nil {
		b.askAgain() // it goes alone until the store answers
	}
	part := b.joint.part()
	share := b.press.at(time.Now()) * part
	places := b.placesOf(share, part)
	for b.busy < places {
		rank := b.next(places)
		if rank < 0 || !b.token(share) {
			return
		}
		b.addAlone()
		b.begin(rank)
		b.refuseSpent()
	}
}

// begin lets the first of a lane go.
func (b *budget) begin(rank int) {
	t := b.queues[rank][0]
	b.queues[rank] = b.queues[rank][1:]
	t.has = true
	b.busy++
	if t.lane.patient() {
		b.lazy++
		b.day.made++
	}
	for lower := rank + 1; lower < len(lanes); lower++ {
		if len(b.queues[lower]) > 0 {
			b.passed[lower]++
		}
	}
	b.passed[rank] = 0
	close(t.come)
}

// dismiss sends a lane's queue away: with an error, or to queue up again.
func (b *budget) dismiss(rank int, err error) {
	for _, t := range b.queues[rank] {
		t.err = err
		close(t.come)
	}
	b.queues[rank] = nil
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
// Parts of several nodes are no more than the whole.
func (b *budget) placesOf(share, part float64) int {
	places := math.Round(float64(b.places) * share)
	if part < 1 {
		places = math.Floor(float64(b.places) * share)
	}
	return max(1, int(places))
}

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
	most, burst := b.rate*share, math.Max(1, b.burst*share)
	b.tokens = math.Min(burst, b.tokens+now.Sub(b.filled).Seconds()*most)
	b.filled = now
	if b.tokens >= 1 {
		b.tokens--
		return true
	}
	if b.timer == nil {
		wait := time.Duration((1 - b.tokens) / most * float64(time.Second))
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
	cut = b.press.feel(op, took, err, time.Now())
	if cut && b.joint != nil {
		b.joint.tellShare = true
		b.askAgain()
	}
	return cut
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
	if !until.After(b.until) {
		return
	}
	b.until = until
	b.rest()
	if b.joint != nil {
		b.joint.tellPause = true
		b.askAgain()
	}
}

// rest has the share wait for the end of the pause. The caller holds the lock.
func (b *budget) rest() {
	now := time.Now()
	b.press.rest(now, now.Add(b.until.Sub(b.now())))
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
