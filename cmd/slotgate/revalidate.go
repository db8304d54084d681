package main

import (
	"context"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream"
)

// revalidator has windows read again by the worker of a source: the one in this
// process if it has the source, else by Redis. Either way the replica tells when
// the answer has come.
type revalidator struct{ shift *shift }

// May is false for what is paused, and for publishers of files, which say
// themselves when they may be asked again.
func (r revalidator) May(source scheduling.SourceID) bool {
	client, ok := r.shift.registry.Get(source)
	return ok && !client.Source().Paused && !client.Source().Live && client.Source().Dialect != upstream.Links
}

func (r revalidator) Revalidate(ctx context.Context, source scheduling.SourceID, scope scheduling.Scope, windows []scheduling.WindowKey) error {
	n := r.shift.node
	since := make(map[scheduling.WindowKey]time.Time, len(windows))
	for _, key := range windows {
		since[key] = n.replica.Checked(source, key)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ended := func(err error) {
		if err != nil {
			giveUp(err)
		}
	}
	if m := n.manager; m == nil || !m.Revalidate(source, scope, ended) {
		if err := n.store.AskRevalidate(ctx, source, scope); err != nil {
			return err
		}
	}
	return n.replica.Await(ctx, source, since)
}
