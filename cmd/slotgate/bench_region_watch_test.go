package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"slotgate/scheduling"
)

// tierTimes are durations of practice by tier, in the order of scheduling.Tiers.
type tierTimes [3][]time.Duration

// agePoint is how old what was asked for was, at one moment of practice.
type agePoint struct {
	at       time.Duration
	p50, p99 [3]time.Duration
}

// watch asks the replica, as $find does, and looks for slots that were taken.
type watch struct {
	run     *regionRun
	random  *rand.Rand
	age     tierTimes
	near    map[string][]time.Duration // of the nearest days, by dialect
	recent  tierTimes                  // since the last point of the curve
	from    time.Duration
	curve   []agePoint
	lag     tierTimes
	pending map[regionChange]time.Time // slots taken at their EHR, since when
}

func newWatch(r *regionRun, random *rand.Rand) *watch {
	return &watch{run: r, random: random, near: map[string][]time.Duration{}, pending: map[regionChange]time.Time{}}
}

// taken notes what changed. Slots that were not on offer are left out: those that
// have begun, and those of Epic, whose ids are ours.
func (w *watch) taken(changes []regionChange, count bool) {
	for _, c := range changes {
		back := c
		back.Taken = true
		if !c.Taken {
			delete(w.pending, back)
		} else if count && w.offered(c) {
			w.pending[c] = time.Now()
		}
	}
}

func (w *watch) offered(c regionChange) bool {
	id := scheduling.OfferID(scheduling.SourceID(regionID(c.Source)), 0, c.Slot)
	_, ok := w.run.node.replica.Offer(id)
	return ok
}

// agesAsked is how many windows of each tier are asked for at each look.
const agesAsked = 30

// look asks for windows of all tiers, each of one source on one day, and notes
// how long ago each was confirmed. at is the time of practice.
func (w *watch) look(at time.Duration) {
	for tier := range scheduling.Tiers() {
		for range agesAsked {
			source := w.random.IntN(w.run.scale.Sources)
			age, ok := w.ask(source, w.day(tier))
			if !ok {
				continue
			}
			w.age[tier] = append(w.age[tier], age)
			w.recent[tier] = append(w.recent[tier], age)
			if tier == 0 {
				dialect := regionKinds[source%len(regionKinds)].dialect
				w.near[dialect] = append(w.near[dialect], age)
			}
		}
	}
	if at >= w.from+time.Minute {
		w.curve = append(w.curve, w.recent.point(at))
		w.recent, w.from = tierTimes{}, at
	}
	w.mind()
}

// day is one of a tier's.
func (w *watch) day(tier int) int {
	first, end := 0, int(scheduling.Tiers()[tier].End)
	if tier > 0 {
		first = int(scheduling.Tiers()[tier-1].End)
	}
	if end == 0 {
		end = regionDays
	}
	return first + w.random.IntN(end-first)
}

// ask is how old the first window is that $find shows of a source on a day.
func (w *watch) ask(source, day int) (time.Duration, bool) {
	zone, err := time.LoadLocation(regionZones[source%len(regionZones)])
	if err != nil {
		w.run.Fatal(err)
	}
	now := time.Now()
	on := scheduling.DayBound(scheduling.DayOf(now, zone) + scheduling.Day(day))
	found, err := w.run.node.replica.Find(scheduling.Query{
		Start: on, End: on, Count: 1, Sources: []scheduling.SourceID{scheduling.SourceID(regionID(source))},
	})
	if err != nil {
		w.run.Fatal(err)
	}
	if len(found.Offers) == 0 {
		return 0, false // the day's last slot has begun
	}
	return w.run.scale.practice(now.Sub(found.Offers[0].Checked)), true
}

// mind looks which taken slots are no longer on offer.
func (w *watch) mind() {
	now := time.Now()
	for c, since := range w.pending {
		if !w.offered(c) {
			tier := tierOf(c.Day)
			w.lag[tier] = append(w.lag[tier], w.run.scale.practice(now.Sub(since)))
			delete(w.pending, c)
		}
	}
}

func tierOf(day int) int {
	return slices.IndexFunc(scheduling.Tiers(), func(t scheduling.Tier) bool { return t.End == 0 || day < int(t.End) })
}

// latest is the newest point of the curve, to be told.
func (w *watch) latest() string {
	if len(w.curve) == 0 {
		return "nothing was asked yet"
	}
	p := w.curve[len(w.curve)-1]
	var parts []string
	for i, tier := range scheduling.Tiers() {
		parts = append(parts, fmt.Sprintf("%s %v/%v", tier.Name, p.p50[i].Round(time.Second), p.p99[i].Round(time.Second)))
	}
	return "age p50/p99 " + strings.Join(parts, ", ")
}

func (t *tierTimes) point(at time.Duration) agePoint {
	p := agePoint{at: at}
	for i := range t {
		p.p50[i], p.p99[i] = t.quantile(i, 0.5), t.quantile(i, 0.99)
	}
	return p
}

func (t *tierTimes) quantile(tier int, q float64) time.Duration {
	return quantile(slices.Sorted(slices.Values(t[tier])), q)
}

// quantile takes the nearest rank of what is sorted.
func quantile[T cmp.Ordered](sorted []T, q float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// redisCost is what Redis counts.
type redisCost struct {
	calls, writes int // commands, also those within scripts
	in            int // bytes that came to it
	memory        int // bytes that it uses
	cpu           time.Duration
	by            map[string]int
}

func (c redisCost) negative() redisCost {
	out := redisCost{calls: -c.calls, writes: -c.writes, in: -c.in, cpu: -c.cpu, by: map[string]int{}}
	for name, n := range c.by {
		out.by[name] = -n
	}
	return out
}

func (c redisCost) plus(d redisCost) redisCost {
	out := redisCost{calls: c.calls + d.calls, writes: c.writes + d.writes, in: c.in + d.in, memory: d.memory, cpu: c.cpu + d.cpu, by: map[string]int{}}
	for _, by := range []map[string]int{c.by, d.by} {
		for name, n := range by {
			out.by[name] += n
		}
	}
	return out
}

// most are the commonest commands, each with how many there were an answer.
func (c redisCost) most(n int, answers int64) string {
	names := slices.SortedFunc(maps.Keys(c.by), func(a, b string) int { return cmp.Compare(c.by[b], c.by[a]) })
	var parts []string
	for _, name := range names[:min(n, len(names))] {
		parts = append(parts, fmt.Sprintf("%s %.1f", name, float64(c.by[name])/max(1, float64(answers))))
	}
	return strings.Join(parts, ", ")
}

// redisWrites are the commands by which data comes into Redis, or goes.
var redisWrites = []string{
	"set", "setex", "psetex", "hset", "hmset", "hdel", "hincrby", "incr", "incrby", "del", "unlink", "sadd", "srem", "zadd", "zrem",
	"xadd", "xtrim", "expire", "pexpire", "pexpireat", "rename", "zremrangebyscore",
}

// readRedis asks the Redis of the run what it counts.
func readRedis(r *regionRun) (out redisCost) {
	out.by = map[string]int{}
	for line := range strings.Lines(redisInfo(r)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch number, _ := strconv.ParseFloat(value, 64); {
		case strings.HasPrefix(name, "cmdstat_"):
			command := strings.ToLower(strings.TrimPrefix(name, "cmdstat_"))
			count, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
			n, _ := strconv.Atoi(count)
			out.calls += n
			out.by[command] += n
			if slices.Contains(redisWrites, command) {
				out.writes += n
			}
		case name == "total_net_input_bytes":
			out.in = int(number)
		case name == "used_memory":
			out.memory = int(number)
		case name == "used_cpu_sys", name == "used_cpu_user":
			out.cpu += time.Duration(number * float64(time.Second))
		}
	}
	return out
}

// redisInfo speaks Redis' protocol itself: the cache keeps its client to itself.
func redisInfo(r *regionRun) string {
	network, address := "tcp", strings.TrimPrefix(r.node.redis.URL(), "redis://")
	if path, ok := strings.CutPrefix(r.node.redis.URL(), "unix://"); ok {
		network, address = "unix", path
	}
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "INFO everything\r\n"); err != nil {
		r.Fatal(err)
	}
	in := bufio.NewReader(conn)
	head, err := in.ReadString('\n')
	size, sizeErr := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
	if err != nil || sizeErr != nil {
		r.Fatalf("Redis says %q: %v", head, err)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(in, body); err != nil {
		r.Fatal(err)
	}
	return string(body)
}

// memory is what the process has of the machine (where /proc tells), and what of
// the heap is in use after a collection.
func memory() (resident, heap int64) {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	resident = int64(stats.Sys)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return resident, int64(stats.HeapAlloc)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			resident = kb << 10
		}
	}
	return resident, int64(stats.HeapAlloc)
}
