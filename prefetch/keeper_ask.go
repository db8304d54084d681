package prefetch

import (
	"context"
	"time"

	"slotgate/scheduling"
)

// call asks the source, within its time.
func (k *keeper) call(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, k.opts.CallTimeout)
	defer cancel()
	return do(ctx)
}

func (k *keeper) store(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, k.storeTime)
	defer cancel()
	return do(ctx)
}

func (k *keeper) put(ctx context.Context, sub scheduling.Subscribed) error {
	return k.store(ctx, func(ctx context.Context) error { return k.memory.PutSubscription(ctx, k.source, sub) })
}

// ask asks the source to tell of changes. That it will be asked is remembered
// first: whoever comes after a crash looks before asking again.
func (k *keeper) ask(ctx context.Context, known scheduling.Subscribed, channel scheduling.Channel) error {
	found, err := k.find(ctx, channel)
	if err != nil {
		return err
	}
	intent := scheduling.Subscribed{InPath: known.InPath, Proven: known.Proven, Digest: channel.Digest(), Since: k.now()}
	if err := k.put(ctx, intent); err != nil {
		return err
	}
	if len(found) > 0 {
		intent.ID = found[0].ID
		k.unsubscribe(ctx, found[1:])
		return k.renew(ctx, intent, channel)
	}
	return k.askAnew(ctx, intent, channel)
}

// blindAfter is how often in vain a source is searched before it is asked all the
// same: some fail at every search for Subscriptions.
const blindAfter = 3

// find looks for what we asked for and forgot, or never heard the answer of.
func (k *keeper) find(ctx context.Context, channel scheduling.Channel) (found []scheduling.Subscription, err error) {
	err = k.call(ctx, func(ctx context.Context) (err error) {
		found, err = k.subscriber.FindSubscriptions(ctx, channel)
		return err
	})
	if err != nil && ctx.Err() == nil && (k.try.failures >= blindAfter || scheduling.CodeOf(err) == scheduling.SourceNonsense) {
		return nil, nil
	}
	return found, err
}

// askAnew makes a new one.
func (k *keeper) askAnew(ctx context.Context, intent scheduling.Subscribed, channel scheduling.Channel) error {
	var sub scheduling.Subscription
	end := intent.Since.Add(k.opts.Lifetime)
	err := k.call(ctx, func(ctx context.Context) (err error) {
		sub, err = k.subscriber.Subscribe(ctx, channel, end)
		return err
	})
	if scheduling.CodeOf(err) == scheduling.SourceRefused && k.opts.Secret == SecretAuto && !intent.InPath {
		intent.InPath = true // some refuse any header: the next time it is without
		if err := k.put(ctx, intent); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	return k.made(ctx, intent, channel, sub, end)
}

// made remembers what the source took.
func (k *keeper) made(ctx context.Context, known scheduling.Subscribed, channel scheduling.Channel, sub scheduling.Subscription, end time.Time) error {
	known.ID, known.Digest, known.End = sub.ID, channel.Digest(), end
	if !sub.End.IsZero() && sub.End.Before(end) {
		known.End = sub.End
	}
	if known.Heard >= 0 && k.state != scheduling.SubscriptionSilent {
		k.try.clear()
	}
	if k.state == scheduling.SubscriptionRefused || k.state == scheduling.SubscriptionNone {
		k.become(scheduling.SubscriptionAsked)
	}
	k.log.Debug("the source is to tell of changes", "until", known.End)
	return k.put(ctx, known)
}

// renew asks for the same, longer. Where the source has lost it, or does not let
// us change it, there is a new one, and the old one is removed.
func (k *keeper) renew(ctx context.Context, known scheduling.Subscribed, channel scheduling.Channel) error {
	now := k.now()
	end := now.Add(k.opts.Lifetime)
	var sub scheduling.Subscription
	err := k.call(ctx, func(ctx context.Context) (err error) {
		sub, err = k.subscriber.Resubscribe(ctx, known.ID, channel, end)
		return err
	})
	switch code := scheduling.CodeOf(err); {
	case err == nil:
		if known.Heard >= 0 { // or it is as if it were asked for just now, for ever
			known.Since = now
		}
		return k.made(ctx, known, channel, sub, end)
	case code != scheduling.UnknownID && code != scheduling.SourceRefused:
		return err
	}
	old := known
	known.Since = now
	if err := k.askAnew(ctx, known, channel); err != nil {
		return err
	}
	k.unsubscribe(ctx, []scheduling.Subscription{{ID: old.ID}})
	return nil
}

// unsubscribe removes what nobody needs. What cannot be removed ends by itself.
func (k *keeper) unsubscribe(ctx context.Context, subs []scheduling.Subscription) {
	for _, sub := range subs {
		err := k.call(ctx, func(ctx context.Context) error { return k.subscriber.Unsubscribe(ctx, sub.ID) })
		if err != nil {
			k.log.Info("a Subscription could not be removed; it ends by itself", "code", string(scheduling.CodeOf(err)))
		}
	}
}

// remove takes back what we asked for, and forgets it. What only may have been
// asked for is looked for.
func (k *keeper) remove(ctx context.Context, known scheduling.Subscribed) error {
	if known.ID == "" && known.Digest == "" {
		return nil
	}
	subs := []scheduling.Subscription{{ID: known.ID}}
	if known.ID == "" {
		channel, ok := k.channel(known.InPath)
		if !ok {
			return nil
		}
		var err error
		if subs, err = k.find(ctx, channel); err != nil {
			return err
		}
	}
	for _, sub := range subs {
		err := k.call(ctx, func(ctx context.Context) error { return k.subscriber.Unsubscribe(ctx, sub.ID) })
		if err != nil && !refusal(err) {
			return err
		}
	}
	return k.store(ctx, func(ctx context.Context) error { return k.memory.DropSubscription(ctx, k.source) })
}

// end takes back what we asked for, at the end of this worker's time.
func (k *keeper) end(ctx context.Context) {
	known, err := k.remembered(ctx)
	if err == nil {
		err = k.remove(ctx, known)
	}
	if err != nil {
		k.log.Info("the source's Subscription could not be removed; it ends by itself, or is renewed by whoever comes next", "code", string(scheduling.CodeOf(err)))
	}
}
