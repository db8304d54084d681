package replica

import (
	"context"
	"errors"
	"fmt"

	"slotgate/scheduling"
)

// Feed brings what the replica copies.
type Feed interface {
	// Follow hands the sink each source whole, then every change in order,
	// until ctx ends. Outages, an emptied Redis and a lost position are its own
	// to mend: it loads the source again.
	Follow(ctx context.Context, sources []scheduling.SourceID, sink Sink) error
}

// Sink takes what a Feed brings. Calls for one source come one after another.
// It is an alias, so that a Feed need not know this package.
type Sink = interface {
	Load(source scheduling.SourceID, snapshot scheduling.Snapshot)
	Apply(source scheduling.SourceID, change scheduling.Change)
}

// errFeedEnded is a feed that stopped of its own accord without saying why.
var errFeedEnded = errors.New("replica: the feed ended")

// Run follows the feed until ctx ends, and then gives nil. When SetSources
// changes which sources there are, it follows anew. An error is the feed's.
func (r *Replica) Run(ctx context.Context, feed Feed) error {
	for ctx.Err() == nil {
		again, err := r.follow(ctx, feed)
		switch {
		case ctx.Err() != nil:
			return nil
		case again:
			r.opts.Logger.Info("the list of sources changed: following anew")
		case err != nil:
			return fmt.Errorf("replica: follow: %w", err)
		default:
			return errFeedEnded
		}
	}
	return nil
}

// follow follows the sources there are now; again says that they changed.
func (r *Replica) follow(ctx context.Context, feed Feed) (again bool, err error) {
	r.mu.Lock()
	changed, ids := r.changed, r.table.Load().ids()
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-changed:
			cancel()
		case <-stop:
		}
	}()
	err = feed.Follow(ctx, ids, r)
	close(stop)
	<-done
	select {
	case <-changed:
		return true, nil
	default:
		return false, err
	}
}

// Load puts a source's snapshot in place of all that was known of it. A
// snapshot that no worker has filled yet does not replace one that was.
func (r *Replica) Load(source scheduling.SourceID, snapshot scheduling.Snapshot) {
	e, ok := r.table.Load().byID[source]
	if !ok {
		return // no longer configured
	}
	e.load(snapshot)
	e.announce()
	r.metrics.loads.WithLabelValues(string(source)).Inc()
}

// Apply makes one step of a source's feed: all of it at once for readers.
func (r *Replica) Apply(source scheduling.SourceID, change scheduling.Change) {
	e, ok := r.table.Load().byID[source]
	if !ok {
		return
	}
	late := e.apply(change)
	e.announce()
	r.metrics.changes.WithLabelValues(string(source)).Inc()
	r.metrics.late.WithLabelValues(string(source)).Add(float64(late))
}
