package cache

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// Sink takes what a follower reads. Calls come one at a time, those of a source
// in order. What is handed over may be shared and must not be changed.
//
// It is an alias, so that it is one type with the Sink of another package that
// is written the same way.
type Sink = interface {
	// Load puts the source's whole state in place of what is known of it.
	Load(source scheduling.SourceID, snapshot scheduling.Snapshot)
	// Apply takes one step of the source's feed.
	Apply(source scheduling.SourceID, change scheduling.Change)
}

// Follow hands the sink each source whole, then every change, until ctx ends; it
// gives the error of ctx. It mends outages, lost wake-ups and lost positions by
// itself. Of a source that was emptied it tells the status alone until a worker
// has filled it again, and then hands it over whole.
func (s *Store) Follow(ctx context.Context, sources []scheduling.SourceID, sink Sink) error {
	f := &follower{store: s, sink: sink, tracked: map[scheduling.SourceID]*tracked{}}
	for _, id := range sources {
		if f.tracked[id] == nil {
			f.tracked[id] = &tracked{id: id, keys: s.keys.source(id)}
			f.order = append(f.order, id)
		}
	}
	f.queue = make(chan *tracked, len(f.order))
	var workers sync.WaitGroup
	for range min(s.options.FeedWorkers, len(f.order)) {
		workers.Go(func() { f.work(ctx) })
	}
	f.listen(ctx)
	workers.Wait()
	for _, id := range f.order {
		s.metrics.behind.DeleteLabelValues(string(id))
	}
	return ctx.Err()
}

// follower reads the feeds of many sources with a few goroutines: one listens
// for wake-ups and looks around now and then, the others read sources.
type follower struct {
	store   *Store
	sink    Sink
	tracked map[scheduling.SourceID]*tracked
	order   []scheduling.SourceID
	queue   chan *tracked // as long as there are sources: sending never blocks
	deaf    bool          // Redis did not answer when listen last asked

	sinkMu sync.Mutex // one call of the sink at a time

	mu sync.Mutex // over the fields state and seen of every tracked
}

// state says where a source stands between listen and the workers.
type state int

const (
	idle    state = iota
	queued        // waits for a worker
	reading       // a worker has it
	again         // a worker has it, and there was news meanwhile
)

// tracked is one source that is followed. What is not guarded belongs to the
// worker that has it.
type tracked struct {
	id    scheduling.SourceID
	keys  sourceKeys
	state state
	seen  *position // what meta said when it was last read to its end; nil: never

	handed  bool   // the sink has a snapshot
	life    string // the life that the sink's data are of
	waiting bool   // data were lost, and are not whole again
	why     string // the reason to load, "" for none
	pos     position
	dir     scheduling.Directory
	status  scheduling.Status
	decoder *decoder
}

// listen marks sources that have news, until ctx ends.
func (f *follower) listen(ctx context.Context) {
	sub := f.store.client.Subscribe(ctx, f.store.keys.wake())
	defer func() { _ = sub.Close() }()
	wakes := sub.ChannelWithSubscriptions()
	tick := time.NewTicker(f.store.options.FeedPoll)
	defer tick.Stop()
	f.look(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(ctx)
		case wake, ok := <-wakes:
			if !ok {
				wakes = nil
				continue
			}
			f.wake(ctx, wake)
		}
	}
}

// wake takes what came over pub/sub. A subscription that was made anew missed
// messages.
func (f *follower) wake(ctx context.Context, message any) {
	m, ok := message.(*redis.Message)
	if !ok {
		f.look(ctx)
		return
	}
	if t := f.tracked[scheduling.SourceID(m.Payload)]; t != nil {
		f.mark(t)
	}
}

// lookAt is how many sources are asked for in one pipeline.
const lookAt = 256

// look asks for the positions of all feeds and marks the sources that moved.
func (f *follower) look(ctx context.Context) {
	for rest := f.order; len(rest) > 0 && ctx.Err() == nil; {
		part := rest[:min(lookAt, len(rest))]
		rest = rest[len(part):]
		pipe := f.store.client.Pipeline()
		asked := make([]*redis.SliceCmd, len(part))
		for i, id := range part {
			asked[i] = pipe.HMGet(ctx, f.tracked[id].keys.meta(), positionFields()...)
		}
		_, err := pipe.Exec(ctx)
		f.heard(ctx, err)
		for i, id := range part {
			if asked[i].Err() == nil {
				f.compare(f.tracked[id], readPosition(asked[i].Val()))
			}
		}
	}
}

// heard logs when Redis goes and when it comes back, once each.
func (f *follower) heard(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		f.store.metrics.contacts.SetToCurrentTime()
	} else {
		_ = f.store.fault(err) // counts it
	}
	switch deaf := err != nil; {
	case deaf && !f.deaf:
		f.store.log.Warn("the feed of changes is interrupted: Redis does not answer", "error", err)
	case !deaf && f.deaf:
		f.store.log.Info("the feed of changes goes on")
	}
	f.deaf = err != nil
}

// compare marks the source unless all up to the position was read.
func (f *follower) compare(t *tracked, now position) {
	f.mu.Lock()
	moved := t.seen == nil || *t.seen != now
	f.mu.Unlock()
	if moved {
		f.mark(t)
	}
}

// mark hands the source to a worker, now or when it is done with it.
func (f *follower) mark(t *tracked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch t.state {
	case idle:
		t.state = queued
		f.queue <- t
	case reading:
		t.state = again
	}
}

// work reads the sources that are marked, until ctx ends.
func (f *follower) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-f.queue:
			f.mu.Lock()
			t.state = reading
			f.mu.Unlock()
			seen, err := f.read(ctx, t)
			f.done(ctx, t, seen, err)
		}
	}
}

// done takes the source back. After an error it is marked again by the next look.
func (f *follower) done(ctx context.Context, t *tracked, seen *position, err error) {
	if err != nil && ctx.Err() == nil {
		_ = f.store.fault(err) // counts it
		f.store.log.Debug("a source's feed cannot be read now", "source", t.id, "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.seen = seen
	if t.state == again {
		t.state = queued
		f.queue <- t
		return
	}
	t.state = idle
}
