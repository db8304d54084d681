package cache

import (
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"slotgate/config"
)

// Options are the section `redis:` of the configuration.
type Options struct {
	// URL is redis://, rediss:// (TLS) or unix://, with the user, the password
	// and the number of the database where needed.
	URL string `yaml:"url"`
	// Embedded asks for a Redis of our own (package embedded). Whoever starts it
	// puts its URL into URL before Open.
	Embedded bool `yaml:"embedded"`
	// Dir is where an embedded Redis keeps its data; empty: nowhere.
	Dir config.Path `yaml:"dir"`
	// Username and Password go before those of the URL.
	Username string        `yaml:"username"`
	Password config.Secret `yaml:"password"`
	// Nodes are further addresses, host:port, of a cluster or of Sentinels.
	Nodes []string `yaml:"nodes"`
	// Cluster says that URL names a node of a Redis Cluster.
	Cluster bool `yaml:"cluster"`
	// SentinelMaster is the name of the master when URL names a Sentinel.
	SentinelMaster   string        `yaml:"sentinel_master"`
	SentinelPassword config.Secret `yaml:"sentinel_password"`

	// Prefix is the beginning of every key. Default slotgate.
	Prefix string `yaml:"prefix"`
	// DialTimeout, ReadTimeout and WriteTimeout bound one exchange with Redis.
	// Defaults 2s, 5s, 5s.
	DialTimeout  time.Duration `yaml:"dial_timeout"`
	ReadTimeout  time.Duration `yaml:"read_timeout"`
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// PoolSize is the number of connections to each node. Default 16.
	PoolSize int `yaml:"pool_size"`

	// WaitReplicas is how many replicas must have an intent before an EHR is
	// called. Default 0: nobody is waited for, and a failover may lose what was
	// saved in its last second.
	WaitReplicas int `yaml:"wait_replicas"`
	// WaitTimeout is how long they are waited for. Default 1s.
	WaitTimeout time.Duration `yaml:"wait_timeout"`
	// PutBack is how long gateways have, after Redis was lost or failed over, to
	// put back what they remember of holds and bookings, before any are taken
	// again. Gateways that Redis knows are waited for five times as long. Default 2s.
	PutBack time.Duration `yaml:"put_back"`
	// KeepPatients is how long after an appointment's end its entry still names
	// its patients. The entry itself stays for ever. Default 720h.
	KeepPatients time.Duration `yaml:"keep_patients"`

	// BudgetWait is how long a call of a source waits at most for Redis' word on
	// what all nodes may ask of it. Then the node goes by its own part of the
	// limits, until Redis answers again. Default 250ms.
	BudgetWait time.Duration `yaml:"budget_wait"`

	// Batch is the largest number of windows or records that one script writes.
	// Redis serves nobody else meanwhile: 500 take about a millisecond. Default 500.
	Batch int `yaml:"batch"`
	// FeedLength is about how many entries of each source's feed are kept. A
	// follower that is farther behind loads the source again. Default 1000.
	FeedLength int `yaml:"feed_length"`
	// FeedPoll is how often a follower looks by itself whether something
	// changed: what a lost wake-up can delay a change by. Default 1s.
	FeedPoll time.Duration `yaml:"feed_poll"`
	// FeedWorkers is how many sources a follower reads at once. Default 4.
	FeedWorkers int `yaml:"feed_workers"`
}

// SetDefaults fills what is not set.
func (o *Options) SetDefaults() {
	fill(&o.Prefix, "slotgate")
	fill(&o.DialTimeout, 2*time.Second)
	fill(&o.ReadTimeout, 5*time.Second)
	fill(&o.WriteTimeout, 5*time.Second)
	fill(&o.PoolSize, 16)
	fill(&o.WaitTimeout, time.Second)
	fill(&o.PutBack, 2*time.Second)
	fill(&o.BudgetWait, 250*time.Millisecond)
	fill(&o.KeepPatients, 30*24*time.Hour)
	fill(&o.Batch, 500)
	fill(&o.FeedLength, 1000)
	fill(&o.FeedPoll, time.Second)
	fill(&o.FeedWorkers, 4)
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate tells everything that is wrong, for a person with the configuration
// before them.
func (o *Options) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) { errs = append(errs, config.At(field, format, args...)) }
	switch {
	case o.URL == "" && !o.Embedded:
		bad("url", "is missing; write redis://host:6379/0, or embedded: true to run a Redis of our own")
	case o.URL != "" && o.Embedded:
		bad("embedded", "does not go together with url; keep one of them")
	}
	if o.URL != "" {
		// The parser's own text may repeat the password.
		if _, err := redis.ParseURL(o.URL); err != nil {
			bad("url", "is no address of a Redis; write redis://host:6379/0, rediss://host:6379/0 or unix:///path")
		}
	}
	if o.Dir != "" && !o.Embedded {
		bad("dir", "is for an embedded Redis alone; remove it, or write embedded: true")
	}
	if o.Cluster && o.SentinelMaster != "" {
		bad("cluster", "does not go together with sentinel_master; keep one of them")
	}
	for _, node := range o.Nodes {
		if _, _, err := net.SplitHostPort(node); err != nil {
			bad("nodes", "must be host:port each")
		}
	}
	if len(o.Nodes) > 0 && !o.Cluster && o.SentinelMaster == "" {
		bad("nodes", "needs cluster: true or sentinel_master")
	}
	if strings.ContainsAny(o.Prefix, "{}") || strings.TrimSpace(o.Prefix) != o.Prefix || o.Prefix == "" {
		bad("prefix", "must be a word without braces; the default is slotgate")
	}
	return errors.Join(append(errs, o.limits()...)...)
}

// limits checks the numbers.
func (o *Options) limits() []error {
	var errs []error
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"dial_timeout", o.DialTimeout},
		{"read_timeout", o.ReadTimeout},
		{"write_timeout", o.WriteTimeout},
		{"feed_poll", o.FeedPoll},
		{"wait_timeout", o.WaitTimeout},
		{"budget_wait", o.BudgetWait},
	} {
		if d.value < 10*time.Millisecond || d.value > 10*time.Minute {
			errs = append(errs, config.At(d.field, "must be from 10ms to 10m"))
		}
	}
	if o.PutBack < time.Millisecond || o.PutBack > 10*time.Minute {
		errs = append(errs, config.At("put_back", "must be from 1ms to 10m"))
	}
	if o.KeepPatients < time.Hour || o.KeepPatients > 20*365*24*time.Hour {
		errs = append(errs, config.At("keep_patients", "must be from 1h to 175200h"))
	}
	for _, n := range []struct {
		field           string
		value, min, max int
	}{
		{"pool_size", o.PoolSize, 1, 10_000},
		{"wait_replicas", o.WaitReplicas, 0, 100},
		{"batch", o.Batch, 1, 10_000},
		{"feed_length", o.FeedLength, 1, 1_000_000},
		{"feed_workers", o.FeedWorkers, 1, 1_000},
	} {
		if n.value < n.min || n.value > n.max {
			errs = append(errs, config.At(n.field, "must be from %d to %d", n.min, n.max))
		}
	}
	return errs
}

// client makes the go-redis client. It connects when it is first used.
func (o *Options) client() (redis.UniversalClient, error) {
	base, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("cache: the URL of the Redis cannot be read")
	}
	u := &redis.UniversalOptions{
		Addrs:        append([]string{base.Addr}, o.Nodes...),
		DB:           base.DB,
		Username:     base.Username,
		Password:     base.Password,
		TLSConfig:    base.TLSConfig,
		DialTimeout:  o.DialTimeout,
		ReadTimeout:  o.ReadTimeout,
		WriteTimeout: o.WriteTimeout,
		PoolSize:     o.PoolSize,
		// A Redis that is away is found out at once; loops above try again.
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		IsClusterMode:         o.Cluster,
		MasterName:            o.SentinelMaster,
		SentinelPassword:      o.SentinelPassword.Reveal(),
		// Both cost round trips on every new connection and give us nothing.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.Username != "" {
		u.Username = o.Username
	}
	if !o.Password.IsZero() {
		u.Password = o.Password.Reveal()
	}
	return redis.NewUniversalClient(u), nil
}
