package upstream

import (
	"errors"
	"time"

	"slotgate/config"
)

// Subscribe is whether a source is asked to tell of changes by itself.
type Subscribe string

// The choices.
const (
	SubscribeNever  Subscribe = "false"
	SubscribeAlways Subscribe = "true"
	SubscribeAuto   Subscribe = "auto" // where its CapabilityStatement says that it can
)

// UnmarshalText reads true, false and auto.
func (s *Subscribe) UnmarshalText(text []byte) error {
	switch choice := Subscribe(text); choice {
	case SubscribeNever, SubscribeAlways, SubscribeAuto:
		*s = choice
		return nil
	default:
		return errors.New("is none of true, false and auto")
	}
}

// MarshalText writes what UnmarshalText reads.
func (s Subscribe) MarshalText() ([]byte, error) { return []byte(s), nil }

// Where our secret stands in a Subscription.
const (
	SecretHeader = "header"
	SecretPath   = "path"
)

// Notifying is how one source tells of changes.
type Notifying struct {
	// Subscribe is true, false or auto; default: false.
	Subscribe Subscribe `yaml:"subscribe"`
	// Subscription is what is asked for.
	Subscription Subscription `yaml:"subscription"`
}

// Subscription is what is asked for at a source that tells of changes.
type Subscription struct {
	// Lifetime is for how long; it is renewed after half of that. Default: 24h.
	Lifetime config.Duration `yaml:"lifetime"`
	// Heartbeat is how long the source may be silent until it is no longer relied
	// on; default: 10m.
	Heartbeat config.Duration `yaml:"heartbeat"`
	// Secret is where the secret stands that notifications show: header, path, or
	// auto: in the header, and in the path where that does not work. Default: auto.
	Secret string `yaml:"secret"`
}

// SetDefaults fills in what was not given.
func (n *Notifying) SetDefaults() {
	setDefault(&n.Subscribe, SubscribeNever)
	setDefault(&n.Subscription.Lifetime, config.Duration(24*time.Hour))
	setDefault(&n.Subscription.Heartbeat, config.Duration(10*time.Minute))
	setDefault(&n.Subscription.Secret, auto)
}

// Validate tells everything that is wrong. Each message begins with the key.
func (n *Notifying) Validate() error {
	s := n.Subscription
	return errors.Join(
		need("subscribe", oneOf(string(n.Subscribe), "", string(SubscribeNever), string(SubscribeAlways), string(SubscribeAuto)), "is %q; write true, false or auto", n.Subscribe),
		within("subscription", errors.Join(
			need("lifetime", s.Lifetime >= config.Duration(time.Second) && s.Lifetime <= config.Duration(366*24*time.Hour), "is %v; write 1s to 366d", s.Lifetime),
			need("heartbeat", s.Heartbeat >= config.Duration(100*time.Millisecond), "is %v; write a duration such as 10m", s.Heartbeat),
			need("secret", oneOf(s.Secret, auto, SecretHeader, SecretPath), "is %q; write auto, header or path", s.Secret),
		)),
	)
}

// checkSubscribe: files do not tell of anything.
func (o *Options) checkSubscribe() error {
	return need("subscribe", o.Dialect != Links || o.Subscribe != SubscribeAlways, "a publisher of files tells of no changes; write false")
}
