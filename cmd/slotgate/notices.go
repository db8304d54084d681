package main

import (
	"context"
	"fmt"

	"slotgate/cache"
	"slotgate/config"
	"slotgate/gateway"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// notices is where what sources tell goes on: to the worker in this process if it
// has the source, else by Redis.
type notices struct {
	node      *node
	memory    *cache.Subscriptions
	listening map[scheduling.SourceID]bool
}

// notify is what the gateway of this shift takes; nothing where no source is to
// tell anything.
func (s *shift) notify() gateway.Notify {
	listening := map[scheduling.SourceID]bool{}
	for _, o := range s.file.Sources {
		if o.Subscribe != upstream.SubscribeNever && !o.Paused {
			listening[o.ID] = true
		}
	}
	if len(listening) == 0 {
		return gateway.Notify{}
	}
	return gateway.Notify{
		Notices: notices{s.node, s.node.store.Subscriptions(), listening},
		Options: s.file.Notify,
	}
}

// Listens tells whether the source may tell anything.
func (n notices) Listens(source scheduling.SourceID) bool { return n.listening[source] }

// Heard notes a sign of life, for the worker to see.
func (n notices) Heard(ctx context.Context, source scheduling.SourceID) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return n.memory.Heard(ctx, source)
}

// Tell hands on what has changed.
func (n notices) Tell(ctx context.Context, source scheduling.SourceID, notice scheduling.Notice) error {
	if m := n.node.manager; m != nil && m.Notice(source, notice) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return n.node.store.TellNotice(ctx, source, notice)
}

// takeBase says under which address this node, or the gateways beside it, are
// reached by sources; "": nobody knows.
func (n *node) takeBase(f *file) {
	base := ""
	switch {
	case n.public != nil:
		base = gateway.PublicBase(f.Gateway, n.public.socket.Addr().String())
	case f.Gateway.PublicURL != "":
		base = gateway.PublicBase(f.Gateway, "")
	}
	n.base.Store(&base)
}

// channel is where a source is to tell of changes, and what it shows there.
func (n *node) channel(source scheduling.SourceID, inPath bool) (scheduling.Channel, bool) {
	base := n.base.Load()
	if base == nil || *base == "" {
		return scheduling.Channel{}, false
	}
	secret, _ := n.secrets.all()
	key, endpoint := scheduling.NotifyKey(secret, source), fmt.Sprintf("%s/notify/%s", *base, source)
	if inPath {
		return scheduling.Channel{Endpoint: endpoint + "/" + key}, true
	}
	return scheduling.Channel{Endpoint: endpoint, Header: "Authorization: Bearer " + key}, true
}

// subscription is what a source is asked for.
func subscription(o upstream.Options) prefetch.SubscriptionOptions {
	return prefetch.SubscriptionOptions{
		Way: prefetch.SubscribeWay(o.Subscribe), Secret: o.Subscription.Secret,
		Lifetime: o.Subscription.Lifetime.Std(), Heartbeat: o.Subscription.Heartbeat.Std(),
		CallTimeout: o.Limits.Timeout.Std(),
	}
}

// checkNotify refuses a worker that could not tell sources where we are.
func (f *file) checkNotify() error {
	if !f.worker || f.Gateway.PublicURL != "" {
		return nil
	}
	for i, o := range f.Sources {
		if o.Subscribe == upstream.SubscribeAlways {
			return config.At(at("sources", i, "subscribe"), "is true, and no source can be told where to tell us anything; write public_url, the address at which gateways are reached")
		}
	}
	return nil
}
