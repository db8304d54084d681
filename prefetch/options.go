package prefetch

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"slotgate/scheduling"
)

// DayCount is a number of calendar days, written as 60d or 60.
type DayCount int

// UnmarshalText reads 60d and 60.
func (d *DayCount) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), "d"))
	if err != nil {
		return errors.New("is no number of days; write for example 60d")
	}
	*d = DayCount(n)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d DayCount) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(d)) + "d"), nil }

// Options say how one source is prefetched. The zero value, with the defaults of
// SetDefaults, works.
type Options struct {
	Source scheduling.Source `yaml:"-"`

	// Cron is the clock of the nearest days, in UTC. Default: @every 1m.
	Cron string
	// Horizon is how many days are kept. Default: the source's, else 60.
	Horizon DayCount
	// NearDays are looked at at every tick (2), those before MiddleDays (14) at
	// every MiddleEvery-th (5), the rest at every FarEvery-th (20).
	NearDays    DayCount
	MiddleDays  DayCount
	MiddleEvery int
	FarEvery    int
	// DaysPerScope is how many days one fetch asks for at most. Default: 7.
	DaysPerScope DayCount
	// Quiet are the hours in which everything is looked at once, also what is
	// looked at seldom. Default: none.
	Quiet QuietHours
	// MaxFetches is how many fetches in a row one part of the plan may need
	// before the others have their turn. Default: 64.
	MaxFetches int
	// MaxHopeless is how many answers that are cut and cannot be split further
	// may come in a row before the rest is asked for as it is. Default: 8.
	MaxHopeless int

	// DirectoryEvery is the age from which the directory is read again: 24h.
	DirectoryEvery time.Duration

	// FetchTimeout ends a fetch of one scope (2m), DirectoryTimeout one of the
	// directory (3m), StoreTimeout a call of the store (10s). Grace is how long
	// a call is waited for after its end was asked for (1s).
	FetchTimeout time.Duration
	// RevalidateTimeout ends a look that somebody waits for (5s); it is longer
	// than they wait, so that the next ones find it done.
	RevalidateTimeout time.Duration
	DirectoryTimeout  time.Duration
	StoreTimeout      time.Duration
	Grace             time.Duration

	// LeaseTTL is how long a dead worker keeps its source. Default: 15s.
	LeaseTTL time.Duration

	Retry Retry

	// Lag is how far the source's searches are behind its writes: what it tells of
	// is looked at so much later. Default: 0.
	Lag time.Duration
	// Subscription is whether and how the source is asked to tell of changes.
	Subscription SubscriptionOptions

	// EmptiedShare is the part of a source's open slots that an answer may take
	// away without being asked for again. Default: 0.5.
	EmptiedShare float64
	// EmptiedFloor is the number of slots from which the same share of a single
	// scope is reason enough to ask again. Default: 10.
	EmptiedFloor int
}

// Retry says how soon a failing source is asked again.
type Retry struct {
	First      time.Duration // after the first failure: 1s
	Multiplier float64       // of each delay to the next: 2
	Max        time.Duration // of a delay, while failures are young: 30s
	Young      time.Duration // 10m
	// OldMax caps the delay afterwards, where the cron is slower still: 1h.
	OldMax time.Duration
	// AfterMax caps the delay that a source may ask for itself: 1h.
	AfterMax time.Duration
	// Jitter is the part by which delays vary to both sides: 0.2.
	Jitter float64
}

// SetDefaults fills in what is zero.
func (o *Options) SetDefaults() {
	def(&o.Cron, "@every 1m")
	def(&o.Horizon, DayCount(o.Source.Horizon))
	def(&o.Horizon, 60)
	def(&o.NearDays, 2)
	def(&o.MiddleDays, 14)
	def(&o.MiddleEvery, 5)
	def(&o.FarEvery, 20)
	def(&o.DaysPerScope, 7)
	def(&o.MaxFetches, 64)
	def(&o.MaxHopeless, 8)
	def(&o.DirectoryEvery, 24*time.Hour)
	def(&o.FetchTimeout, 2*time.Minute)
	def(&o.RevalidateTimeout, 5*time.Second)
	def(&o.DirectoryTimeout, 3*time.Minute)
	def(&o.StoreTimeout, 10*time.Second)
	def(&o.Grace, time.Second)
	def(&o.LeaseTTL, 15*time.Second)
	def(&o.EmptiedShare, 0.5)
	def(&o.EmptiedFloor, 10)
	o.Retry.SetDefaults()
	o.Subscription.setDefaults()
}

// SetDefaults fills in what is zero.
func (r *Retry) SetDefaults() {
	def(&r.First, time.Second)
	def(&r.Multiplier, 2)
	def(&r.Max, 30*time.Second)
	def(&r.Young, 10*time.Minute)
	def(&r.OldMax, time.Hour)
	def(&r.AfterMax, time.Hour)
	def(&r.Jitter, 0.2)
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate tells the first thing that is wrong, beginning with its key. Zeros
// that SetDefaults would replace are refused, as nothing here means "off". Source
// is not judged here: it comes from elsewhere in the configuration.
func (o *Options) Validate() error {
	if _, err := ParseCron(o.Cron); err != nil {
		return fmt.Errorf("cron: %w", err)
	}
	for _, rule := range []struct {
		key  string
		ok   bool
		want string
	}{
		{"horizon", o.Horizon >= 1 && o.Horizon <= 730, "must be 1d to 730d"},
		{"near_days", o.NearDays >= 1, "must be at least 1d"},
		{"middle_days", o.MiddleDays >= o.NearDays, "must not be less than near_days"},
		{"middle_every", o.MiddleEvery >= 1, "must be at least 1"},
		{"far_every", o.FarEvery >= o.MiddleEvery, "must not be less than middle_every"},
		{"days_per_scope", o.DaysPerScope >= 1, "must be at least 1d"},
		{"max_fetches", o.MaxFetches >= 1, "must be at least 1"},
		{"max_hopeless", o.MaxHopeless >= 1, "must be at least 1"},
		{"directory_every", o.DirectoryEvery >= time.Second, "must be at least 1s"},
		{"fetch_timeout", o.FetchTimeout > 0, "must be longer than 0s"},
		{"revalidate_timeout", o.RevalidateTimeout > 0, "must be longer than 0s"},
		{"directory_timeout", o.DirectoryTimeout > 0, "must be longer than 0s"},
		{"store_timeout", o.StoreTimeout > 0, "must be longer than 0s"},
		{"grace", o.Grace > 0, "must be longer than 0s"},
		{"lease_ttl", o.LeaseTTL >= time.Second, "must be at least 1s"},
		{"emptied_share", o.EmptiedShare > 0 && o.EmptiedShare <= 1, "must be above 0 and at most 1"},
		{"lag", o.Lag >= 0, "must not be negative"},
		{"emptied_floor", o.EmptiedFloor >= 1, "must be at least 1"},
	} {
		if !rule.ok {
			return fmt.Errorf("%s: %s", rule.key, rule.want)
		}
	}
	if err := o.Retry.Validate(); err != nil {
		return fmt.Errorf("retry.%w", err)
	}
	return o.Subscription.validate()
}

// Validate tells the first thing that is wrong, beginning with its key.
func (r *Retry) Validate() error {
	switch {
	case r.First <= 0:
		return errors.New("first: must be longer than 0s")
	case !(r.Multiplier >= 1 && r.Multiplier <= 100):
		return errors.New("multiplier: must be 1 to 100")
	case r.Max < r.First:
		return errors.New("max: must not be less than first")
	case r.Young <= 0:
		return errors.New("young: must be longer than 0s")
	case r.OldMax <= 0:
		return errors.New("old_max: must be longer than 0s")
	case r.AfterMax <= 0:
		return errors.New("after_max: must be longer than 0s")
	case !(r.Jitter > 0 && r.Jitter < 1):
		return errors.New("jitter: must be above 0 and below 1")
	default:
		return nil
	}
}
