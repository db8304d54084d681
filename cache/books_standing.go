package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"slotgate/scheduling"
)

// How the books are told to stand. Put back is awaited longestWait times as long
// as Options.PutBack from gateways that Redis knows; they beat beatsEach times
// within it, but not more than beatsASecond in all.
const (
	longestWait  = 5
	beatsEach    = 8
	beatsASecond = 1000
	// sourcesAtOnce keeps a part of a cluster that is away from holding up the rest.
	sourcesAtOnce = 8
	forgetAfter   = 24 * time.Hour
)

// pulse is what this process knows of its beats at one source: by what Redis
// confirmed last it is found out when that is lost.
type pulse struct {
	mu sync.Mutex
	n  uint64 // the latest beat that was confirmed
	at int64  // when that was, by Redis' clock
}

func (p *pulse) heard(n uint64, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > p.n {
		p.n, p.at = n, at
	}
}

// stop forgets what was confirmed, and gives it.
func (p *pulse) stop() (n uint64, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, at = p.n, p.at
	p.n, p.at = 0, 0
	return n, at
}

// pulse gives the pulse of a source.
func (b *Books) pulse(source scheduling.SourceID) *pulse {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pulses[source]
	if p == nil {
		p = &pulse{}
		b.pulses[source] = p
	}
	return p
}

// feel is the pulse as scripts take it.
func (b *Books) feel(source scheduling.SourceID) string {
	p, least := b.pulse(source), b.putBackFor()
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(b.gateway, " ", p.n, " ", p.at, " ", least.Milliseconds(), " ", (longestWait * least).Milliseconds(), " ", rememberedFor.Milliseconds())
}

// beatEvery is how often this process beats at every source.
func (b *Books) beatEvery() time.Duration {
	return max(b.store.options.PutBack/beatsEach, time.Duration(len(*b.tags.Load()))*time.Second/beatsASecond, time.Millisecond)
}

// putBackFor is long enough for every gateway to notice a loss.
func (b *Books) putBackFor() time.Duration {
	return max(b.store.options.PutBack, beatsEach/2*b.beatEvery())
}

// stand is how the books of a source stand.
type stand struct {
	whole bool   // false: they are being put back
	round string // names the loss
	books bool   // false: they are lost
}

func (k sourceKeys) standing() []string {
	return []string{k.meta(), k.books(), k.vouched(), k.beats(), k.alive(), k.awaited()}
}

// heard takes a confirmed beat and its time from a script's answer.
func (b *Books) heard(source scheduling.SourceID, beat, at any) {
	n, _ := beat.(int64)
	var ms int64
	_, _ = fmt.Sscan(fmt.Sprint(at), &ms)
	b.pulse(source).heard(uint64(n), ms)
}

func numberAt(values []any, i int) int64 {
	n, _ := values[i].(int64)
	return n
}

// Run beats, and puts back what Redis loses, until ctx ends; it gives the error
// of ctx.
func (b *Books) Run(ctx context.Context) error {
	defer b.leave(ctx)
	var looked time.Time
	for {
		look := time.Since(looked) >= assertEvery
		if look {
			looked = time.Now()
		}
		if n, err := b.round(ctx, look); err != nil && ctx.Err() == nil {
			b.store.log.Debug("what Redis has of our entries cannot be read now", "error", err)
		} else if n > 0 {
			b.store.log.Warn("Redis had lost entries, which were put back", "entries", n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(b.beatEvery()):
		}
	}
}

// Reassert compares what this process saved and remembers with what Redis has,
// and puts back what is older there, or absent. It tells how many those were.
func (b *Books) Reassert(ctx context.Context) (restored int, err error) {
	n, err := b.round(ctx, true)
	return n, b.store.fault(err)
}

// notice tells a loss once.
func (b *Books) notice(source scheduling.SourceID, s stand) {
	b.mu.Lock()
	known := b.rounds[source] == s.round
	b.rounds[source] = s.round
	b.mu.Unlock()
	if s.whole || known {
		return
	}
	b.store.metrics.lives.WithLabelValues(string(source)).Inc()
	b.store.log.Warn("Redis is new, or another, or went back in time: what gateways remember of the books is put back", "source", source)
}

// leaveWithin is how long a process takes at most to leave: longer than Redis
// takes to answer, shorter than whoever ends it waits.
const leaveWithin = 2 * time.Second

// leave says that this process will not beat any more. What it saves from here
// on, it saves as another. Where the books are being put back it puts back its
// own first; if that fails, it does not leave: it is waited for in vain, and the
// EHR is asked for what only it knew.
func (b *Books) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	var wg sync.WaitGroup
	gate := make(chan struct{}, sourcesAtOnce)
	for _, source := range *b.tags.Load() {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			for !b.leaveSource(ctx, source) {
				select {
				case <-ctx.Done():
					b.store.log.Warn("this gateway ends before it has put back what Redis lost: the EHR is asked", "source", source)
					return
				case <-time.After(b.beatEvery()):
				}
			}
		})
	}
	wg.Wait()
}

// leaveSource leaves one source; false where the books lack what this process
// remembers, or may.
func (b *Books) leaveSource(ctx context.Context, source scheduling.SourceID) bool {
	if _, err := b.attend(ctx, source); err != nil {
		return false
	}
	felt := b.feel(source)
	n, at := b.pulse(source).stop()
	left, err := b.store.run(ctx, b.scripts.leave, b.store.keys.source(source).standing(), felt).Int64()
	if err != nil || left == 0 {
		b.pulse(source).heard(n, at)
		return false
	}
	return true
}

// Open opens the books of a store that is as new as this process: nothing can
// have been lost.
func (b *Books) Open(ctx context.Context, source scheduling.SourceID) error {
	k := b.store.keys.source(source)
	return b.store.fault(b.store.run(ctx, b.scripts.open, []string{k.books(), k.vouched(), k.awaited()}, nonce()).Err())
}

// Ready tells that the books of this source take changes: they are not lost, and
// what gateways remember of them was put back.
func (b *Books) Ready(ctx context.Context, source scheduling.SourceID) (bool, error) {
	s, err := b.beat(ctx, source)
	return s.whole && s.books, b.store.fault(err)
}

// Lost tells that the books of this source are gone, and not rebuilt. As long as
// gateways put back what they remember, they are not: what the EHR shows of an
// appointment is less than that, and goes after it. While there are books nobody
// is asked more: should they turn out to be lost, a beat finds it out.
func (b *Books) Lost(ctx context.Context, source scheduling.SourceID) (bool, error) {
	n, err := b.store.client.Exists(ctx, b.store.keys.source(source).books()).Result()
	if err != nil || n > 0 {
		return false, b.store.fault(err)
	}
	s, err := b.beat(ctx, source)
	return s.whole && !s.books, b.store.fault(err)
}

// Rebuilt says that what the EHR knows of ours has been restored. Changes are
// taken once the gateways have put back what they remember, too.
func (b *Books) Rebuilt(ctx context.Context, source scheduling.SourceID) error {
	_, err := b.store.once(ctx, b.store.keys.source(source).books(), []byte(nonce()))
	return b.store.fault(err)
}

// Why a change was not saved, or nothing can be told.
var (
	errLost    = errors.New("cache: the books of the source are lost and not rebuilt yet")
	errPutBack = errors.New("cache: gateways have not put back yet what Redis lost of the books")
)

// refuseLost says that the books of the source must be rebuilt first.
func refuseLost(source scheduling.SourceID) error {
	err := scheduling.Fault(scheduling.Shedding, errLost, "the gateway's books of this source are being rebuilt")
	err.Source, err.RetryAfter = source, rebuilding
	return err
}

// refusePutBack says that they are about to be whole again.
func refusePutBack(source scheduling.SourceID) error {
	err := scheduling.Fault(scheduling.Shedding, errPutBack, "the gateway's books of this source are being put back")
	err.Source, err.RetryAfter = source, puttingBack
	return err
}

// How soon a caller may try again.
const (
	rebuilding  = 5 * time.Second
	puttingBack = 2 * time.Second
)
