package cache

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// How often what was learnt is written down and read again, how soon it counts
// for half, and for how many days it counts at all.
const (
	flushChances = 5 * time.Second
	readChances  = 30 * time.Second
	halfChance   = 4.0 // days
	keepChances  = 21  // days
)

// chances is a hash of what became of offers when an EHR was asked for them.
//
//	<prefix>:{s:source}:chance   hash; day "." age "." (t|k) -> count: of the day (since 1970),
//	                             of offers of the age (index of scheduling.ChanceAges), taken or kept
func (k sourceKeys) chances() string { return k.tag + "chance" }

// Chances learn how likely an offer is still there, by its age and source: from
// what EHRs answered to holds and bookings, on all nodes. They know sources, ages
// and days, and nothing of who asked. They are safe for concurrent use.
type Chances struct {
	store *Store
	share *prometheus.Desc
	asked *prometheus.Desc

	mu    sync.Mutex
	learn map[scheduling.SourceID]map[string]int64    // not yet written
	known map[scheduling.SourceID][]scheduling.Chance // as read last
}

// Chances makes a counter. Run writes down what it counts, and reads what all
// did.
func (s *Store) Chances() *Chances {
	labels := []string{"source", "age"}
	return &Chances{
		store: s,
		share: prometheus.NewDesc("slotgate_offers_still_there_ratio", "Part of the offers of this age that were still there when the source was asked.", labels, nil),
		asked: prometheus.NewDesc("slotgate_offers_asked", "How many offers of this age the ratio is learnt from; older ones count for less.", labels, nil),
		learn: map[scheduling.SourceID]map[string]int64{}, known: map[scheduling.SourceID][]scheduling.Chance{},
	}
}

// Learn counts what became of an offer that was confirmed so long ago.
func (c *Chances) Learn(source scheduling.SourceID, age time.Duration, taken bool) {
	c.learnAt(source, age, taken, time.Now())
}

func (c *Chances) learnAt(source scheduling.SourceID, age time.Duration, taken bool, now time.Time) {
	ages := scheduling.ChanceAges()
	at := slices.IndexFunc(ages, func(upTo time.Duration) bool { return age < upTo })
	if at < 0 {
		at = len(ages)
	}
	what := "k"
	if taken {
		what = "t"
	}
	field := strconv.FormatInt(dayOfChance(now), 10) + "." + strconv.Itoa(at) + "." + what
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.learn[source] == nil {
		c.learn[source] = map[string]int64{}
	}
	c.learn[source][field]++
}

func dayOfChance(t time.Time) int64 { return t.Unix() / 86400 }

// Of is what is known of a source, by age; nil where nothing is.
func (c *Chances) Of(source scheduling.SourceID) []scheduling.Chance {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[source]
}

// Run writes and reads until ctx ends; it gives the error of ctx.
func (c *Chances) Run(ctx context.Context, sources func() []scheduling.SourceID) error {
	write, read := time.NewTicker(flushChances), time.NewTicker(readChances)
	defer write.Stop()
	defer read.Stop()
	for {
		err := error(nil)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-write.C:
			err = c.flush(ctx)
		case <-read.C:
			err = c.read(ctx, sources(), time.Now())
		}
		if err != nil && ctx.Err() == nil {
			c.store.log.Debug("what became of offers cannot be counted now", "error", err)
		}
	}
}

// flush adds what was learnt to what others learnt. Where Redis is away it is
// forgotten: nothing depends on it.
func (c *Chances) flush(ctx context.Context) error {
	c.mu.Lock()
	learnt := c.learn
	c.learn = map[scheduling.SourceID]map[string]int64{}
	c.mu.Unlock()
	if len(learnt) == 0 {
		return nil
	}
	_, err := c.store.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for source, fields := range learnt {
			key := c.store.keys.source(source).chances()
			for field, n := range fields {
				pipe.HIncrBy(ctx, key, field, n)
			}
			pipe.Expire(ctx, key, keepChances*24*time.Hour)
		}
		return nil
	})
	return c.store.fault(err)
}

// read takes in what all learnt, and drops what is too old to count.
func (c *Chances) read(ctx context.Context, sources []scheduling.SourceID, now time.Time) error {
	pipe := c.store.client.Pipeline()
	asked := make([]*redis.MapStringStringCmd, len(sources))
	for i, source := range sources {
		asked[i] = pipe.HGetAll(ctx, c.store.keys.source(source).chances())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return c.store.fault(err)
	}
	known := map[scheduling.SourceID][]scheduling.Chance{}
	for i, source := range sources {
		chances, old := weigh(asked[i].Val(), dayOfChance(now))
		if len(old) > 0 {
			if err := c.store.client.HDel(ctx, c.store.keys.source(source).chances(), old...).Err(); err != nil {
				return c.store.fault(err)
			}
		}
		if len(chances) > 0 {
			known[source] = chances
		}
	}
	c.mu.Lock()
	c.known = known
	c.mu.Unlock()
	return nil
}

// weigh sums the counts of all days, each for what it is worth today. old are
// the fields that are worth nothing any more, or that nobody can read.
func weigh(fields map[string]string, today int64) (chances []scheduling.Chance, old []string) {
	ages := scheduling.ChanceAges()
	sums := make([]scheduling.Chance, len(ages)+1)
	for i, upTo := range ages {
		sums[i].UpTo = upTo
	}
	for field, text := range fields {
		parts := strings.Split(field, ".")
		n, err := strconv.ParseInt(text, 10, 64)
		if len(parts) != 3 || err != nil || n < 0 {
			old = append(old, field)
			continue
		}
		day, err := strconv.ParseInt(parts[0], 10, 64)
		at, other := strconv.Atoi(parts[1])
		if err != nil || other != nil || at < 0 || at >= len(sums) || today-day > keepChances {
			old = append(old, field)
			continue
		}
		worth := float64(n) * math.Exp2(-float64(max(0, today-day))/halfChance)
		sums[at].Asked += worth
		if parts[2] == "k" {
			sums[at].There += worth
		}
	}
	return slices.DeleteFunc(sums, func(c scheduling.Chance) bool { return c.Asked == 0 }), old
}

// Describe implements prometheus.Collector.
func (c *Chances) Describe(out chan<- *prometheus.Desc) {
	out <- c.share
	out <- c.asked
}

// Collect implements prometheus.Collector.
func (c *Chances) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	known := c.known
	c.mu.Unlock()
	for source, chances := range known {
		for _, chance := range chances {
			age := "older"
			if chance.UpTo > 0 {
				age = strconv.Itoa(int(chance.UpTo/time.Second)) + "s"
			}
			out <- prometheus.MustNewConstMetric(c.share, prometheus.GaugeValue, chance.Share(), string(source), age)
			out <- prometheus.MustNewConstMetric(c.asked, prometheus.GaugeValue, chance.Asked, string(source), age)
		}
	}
}
