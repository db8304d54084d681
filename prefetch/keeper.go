package prefetch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"slotgate/scheduling"
)

// keeper keeps the source telling us of changes, for as long as this worker has
// the lease: it asks, renews before the end, asks again when the heartbeat stays
// away, and removes what is not wanted. It runs beside the loop and takes nothing
// from it: the source is polled as ever, whatever becomes of this.
type keeper struct {
	source     scheduling.SourceID
	opts       SubscriptionOptions
	subscriber Subscriber
	memory     Memory
	channels   Channels
	now        func() time.Time
	jitter     func() float64
	storeTime  time.Duration
	log        *slog.Logger
	show       func(scheduling.SubscriptionState)

	try     retry
	offers  bool // auto: the source said that it can,
	offered time.Time
	looked  time.Time // when the source was last asked about it
	over    bool      // nothing is wanted, and nothing is left
	state   scheduling.SubscriptionState
}

const (
	// offeredFor is how long it is believed what a source said of itself.
	offeredFor = time.Hour
	// mostWait is the longest time between two looks at how things stand.
	mostWait = 15 * time.Second
)

func newKeeper(s *source) *keeper {
	o := s.opts.Subscription
	return &keeper{
		source: s.id, opts: o, subscriber: s.subscriber, memory: s.deps.Memory, channels: s.deps.Channels,
		now: s.deps.Now, jitter: s.deps.Jitter, storeTime: s.opts.StoreTimeout, log: s.log,
		show: s.tellSubscription, try: newRetry(o.retry(s.opts.Retry.Jitter)),
	}
}

// run works until ctx ends.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := min(k.opts.Heartbeat/4, mostWait)
		err := safely(func() error { return k.turn(ctx) })
		if err != nil && ctx.Err() == nil {
			k.failed(err)
		}
		if k.over {
			return
		}
		now := k.now()
		if k.try.waits(now) {
			wait = min(wait, k.try.notBefore.Sub(now))
		}
		timer := time.NewTimer(max(wait, 10*time.Millisecond))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// failed counts, and tells once in a while.
func (k *keeper) failed(err error) {
	e := scheduling.AsError(err)
	delay := k.try.fail(k.now(), 0, e.RetryAfter, k.jitter)
	if refusal(err) {
		k.become(scheduling.SubscriptionRefused)
	}
	if worthTelling(k.try.failures) {
		k.log.Warn("the source could not be asked to tell of changes; it is polled as ever",
			"code", string(e.Code), "failures", k.try.failures, "again_in", delay.String())
	}
}

// refusal: the source has said no, and what it was asked for is not done.
func refusal(err error) bool {
	switch scheduling.CodeOf(err) {
	case scheduling.SourceRefused, scheduling.SourceLogin, scheduling.UnknownID, scheduling.NotSupported:
		return true
	default:
		return false
	}
}

// turn looks how things stand and does what is to be done.
func (k *keeper) turn(ctx context.Context) error {
	known, err := k.remembered(ctx)
	if err != nil {
		return nil //nolint:nilerr // the store is away: nothing is known, and nothing changed
	}
	wanted, err := k.wanted(ctx)
	if err != nil {
		return err
	}
	if !wanted {
		k.become(scheduling.SubscriptionNone)
		if k.try.waits(k.now()) {
			return nil
		}
		err := k.remove(ctx, known)
		k.over = err == nil && k.opts.Way == SubscribeNever
		return err
	}
	k.judge(known)
	if k.try.waits(k.now()) {
		return nil
	}
	return k.keep(ctx, known)
}

func (k *keeper) remembered(ctx context.Context) (known scheduling.Subscribed, err error) {
	err = k.store(ctx, func(ctx context.Context) (err error) {
		known, err = k.memory.Subscription(ctx, k.source)
		return err
	})
	return known, err
}

// wanted: it is configured, and in doubt the source says that it can.
func (k *keeper) wanted(ctx context.Context) (bool, error) {
	if _, ok := k.channel(false); !ok || k.opts.Way == SubscribeNever {
		return false, nil
	}
	if k.opts.Way == SubscribeAlways || k.now().Before(k.offered) {
		return k.opts.Way == SubscribeAlways || k.offers, nil
	}
	if k.try.waits(k.now()) {
		return k.offers, nil
	}
	err := k.call(ctx, func(ctx context.Context) (err error) {
		k.offers, err = k.subscriber.OffersSubscriptions(ctx)
		return err
	})
	if err == nil {
		k.offered = k.now().Add(offeredFor)
	}
	return k.offers, err
}

func (k *keeper) channel(inPath bool) (scheduling.Channel, bool) {
	if k.channels == nil {
		return scheduling.Channel{}, false
	}
	return k.channels(k.source, inPath && k.opts.Secret == SecretAuto || k.opts.Secret == SecretPath)
}

// judge shows how we stand.
func (k *keeper) judge(known scheduling.Subscribed) {
	switch {
	case known.ID == "" && k.state == scheduling.SubscriptionRefused:
	case known.ID == "":
		k.become(scheduling.SubscriptionAsked)
	case known.Heard >= 0 && known.Heard <= k.opts.Heartbeat:
		k.become(scheduling.SubscriptionLive)
		k.try.clear()
	case known.Heard < 0 && k.now().Sub(known.Since) <= k.opts.Heartbeat:
		k.become(scheduling.SubscriptionAsked)
	default:
		k.become(scheduling.SubscriptionSilent)
	}
}

func (k *keeper) become(state scheduling.SubscriptionState) {
	if state == k.state {
		return
	}
	if state == scheduling.SubscriptionSilent {
		k.log.Warn("the source tells nothing any more, no heartbeat either; it is polled as ever")
	}
	k.state = state
	k.show(state)
}

// keep asks, renews or looks, whatever is due.
func (k *keeper) keep(ctx context.Context, known scheduling.Subscribed) error {
	channel, ok := k.channel(known.InPath)
	if !ok {
		return nil
	}
	now := k.now()
	silent := k.state == scheduling.SubscriptionSilent
	switch {
	case known.ID == "":
		return k.ask(ctx, known, channel)
	case known.Digest != channel.Digest(), !now.Before(renewal(known)):
		return k.renew(ctx, known, channel)
	case silent, k.state == scheduling.SubscriptionAsked && now.Sub(k.looked) >= k.opts.Heartbeat/4:
		k.looked = now
		return k.look(ctx, known, channel, silent)
	}
	return nil
}

// renewal is when half of the time is over.
func renewal(known scheduling.Subscribed) time.Time {
	return known.Since.Add(known.End.Sub(known.Since) / 2)
}

// look asks the source about a Subscription of which nothing is heard.
func (k *keeper) look(ctx context.Context, known scheduling.Subscribed, channel scheduling.Channel, silent bool) error {
	var sub scheduling.Subscription
	err := k.call(ctx, func(ctx context.Context) (err error) {
		sub, err = k.subscriber.ReadSubscription(ctx, known.ID)
		return err
	})
	switch {
	case scheduling.CodeOf(err) == scheduling.UnknownID:
		return k.ask(ctx, scheduling.Subscribed{InPath: known.InPath, Proven: known.Proven || known.Heard >= 0}, channel)
	case err != nil:
		return err
	case !silent && !sub.Broken():
		return nil // its channel is being tried
	case known.Heard < 0 && !known.Proven && k.opts.Secret == SecretAuto && !known.InPath:
		return k.intoPath(ctx, known)
	}
	// It is there: asked for again, the source tries the channel again. That is
	// done more and more seldom, until something is heard.
	k.try.fail(k.now(), 0, 0, k.jitter)
	return k.renew(ctx, known, channel)
}

// intoPath gives up a header that does not come to us.
func (k *keeper) intoPath(ctx context.Context, known scheduling.Subscribed) error {
	channel, ok := k.channel(true)
	if !ok {
		return nil
	}
	k.log.Info("nothing is heard by a header of ours; the secret goes into the path")
	err := k.call(ctx, func(ctx context.Context) error { return k.subscriber.Unsubscribe(ctx, known.ID) })
	if err != nil && !refusal(err) {
		return err
	}
	return k.ask(ctx, scheduling.Subscribed{InPath: true}, channel)
}

// keepSubscribed begins to keep the source's Subscription while we have the
// lease; nil where nobody could.
func (s *source) keepSubscribed(ctx context.Context, running *sync.WaitGroup) *keeper {
	if s.subscriber == nil || s.deps.Memory == nil {
		return nil
	}
	k := newKeeper(s)
	running.Go(func() { k.run(ctx) })
	return k
}

// letGo removes the Subscription at the end of our work, unless somebody else in
// this process goes on with it. A worker elsewhere asks for its own.
func (s *source) letGo(ctx context.Context, k *keeper) {
	if k == nil || k.opts.Way == SubscribeNever || s.handed.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := safely(func() error { k.end(ctx); return nil }); err != nil {
		s.log.Error("something went wrong with the source's Subscription", "error", err)
	}
}
