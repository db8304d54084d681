package prefetch

import (
	"context"
	"errors"
	"time"

	"slotgate/scheduling"
)

// Subscriber is a Fetcher that can be asked to tell of changes by itself. A call is
// sent once: after an error that is no refusal nobody knows whether it was done.
// Errors of the code unknown-id say that the source does not have it (any more),
// those of the codes of refusals that it does not do it.
type Subscriber interface {
	// OffersSubscriptions tells whether the source says that it can.
	OffersSubscriptions(ctx context.Context) (bool, error)
	Subscribe(ctx context.Context, channel scheduling.Channel, end time.Time) (scheduling.Subscription, error)
	// Resubscribe asks for the same again, until another end.
	Resubscribe(ctx context.Context, id string, channel scheduling.Channel, end time.Time) (scheduling.Subscription, error)
	ReadSubscription(ctx context.Context, id string) (scheduling.Subscription, error)
	// FindSubscriptions are those that lead to the channel's endpoint; none where
	// the source does not let us look.
	FindSubscriptions(ctx context.Context, channel scheduling.Channel) ([]scheduling.Subscription, error)
	// Unsubscribe removes one. That it is not there is no error.
	Unsubscribe(ctx context.Context, id string) error
}

// subscriberOf is nil for a Fetcher that is none.
func subscriberOf(f Fetcher) Subscriber {
	s, _ := f.(Subscriber)
	return s
}

// Memory is what all nodes know of what was asked for, so that whoever has the
// source next renews it.
type Memory interface {
	Subscription(ctx context.Context, source scheduling.SourceID) (scheduling.Subscribed, error)
	// PutSubscription remembers; one without an id was never heard of.
	PutSubscription(ctx context.Context, source scheduling.SourceID, sub scheduling.Subscribed) error
	DropSubscription(ctx context.Context, source scheduling.SourceID) error
}

// Channels gives the channel of a source; ok is false where it cannot be told
// yet. inPath: its endpoint holds the secret, and no header does.
type Channels func(source scheduling.SourceID, inPath bool) (channel scheduling.Channel, ok bool)

// SubscribeWay is whether a source is asked to tell of changes.
type SubscribeWay string

// The ways.
const (
	SubscribeNever  SubscribeWay = "" // also "false"
	SubscribeAlways SubscribeWay = "true"
	SubscribeAuto   SubscribeWay = "auto" // where the source says that it can
)

// Where the secret of a channel stands.
const (
	SecretAuto   = "auto" // in the header, and in the path where that does not work
	SecretHeader = "header"
	SecretPath   = "path"
)

// SubscriptionOptions say what is asked of a source that tells of changes.
type SubscriptionOptions struct {
	Way SubscribeWay
	// Lifetime is for how long it is asked for (24h); it is renewed after half of
	// what the source gives.
	Lifetime time.Duration
	// Heartbeat is how long the source may be silent (10m).
	Heartbeat time.Duration
	// Secret is where it stands; default: auto.
	Secret string
	// CallTimeout ends a call of the source: 30s.
	CallTimeout time.Duration
}

func (o *SubscriptionOptions) setDefaults() {
	if o.Way == "false" {
		o.Way = SubscribeNever
	}
	def(&o.Lifetime, 24*time.Hour)
	def(&o.Heartbeat, 10*time.Minute)
	def(&o.Secret, SecretAuto)
	def(&o.CallTimeout, 30*time.Second)
}

func (o *SubscriptionOptions) validate() error {
	switch {
	case o.Way != SubscribeNever && o.Way != SubscribeAlways && o.Way != SubscribeAuto:
		return errors.New("subscribe: must be true, false or auto")
	case o.Lifetime < time.Second:
		return errors.New("subscription.lifetime: must be at least 1s")
	case o.Heartbeat < 100*time.Millisecond:
		return errors.New("subscription.heartbeat: must be at least 100ms")
	case o.Secret != SecretAuto && o.Secret != SecretHeader && o.Secret != SecretPath:
		return errors.New("subscription.secret: must be auto, header or path")
	case o.CallTimeout <= 0:
		return errors.New("subscription.call_timeout: must be longer than 0s")
	}
	return nil
}

// retry: the first delay is a tenth of the heartbeat (a minute), the longest six
// of it (an hour), while the failure is young or old.
func (o *SubscriptionOptions) retry(jitter float64) Retry {
	first, most := max(o.Heartbeat/10, 50*time.Millisecond), 6*o.Heartbeat
	return Retry{First: first, Multiplier: 2, Max: most, Young: most, OldMax: most, AfterMax: most, Jitter: jitter}
}
