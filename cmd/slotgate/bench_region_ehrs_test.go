package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slotgate/upstream"
)

// A region is many EHRs behind one socket, each at a path of its own. They are
// not those of upstream/ehrsim: what they do is little, so that a benchmark
// measures the gateway. They know open and taken slots, write pages of them by
// appending bytes, and count who asks. They run in a process of their own, so
// that their time and memory are not taken for the gateway's.

// regionSpec is what the process of a region is told.
type regionSpec struct {
	Sources   int
	Slots     int // open, of each
	Schedules int // of each
	Days      int
	Seed      uint64
}

// The book of a schedule on a day has 32 slots of a quarter of an hour from 8:00.
const (
	regionTicks  = 32
	regionOpens  = 8 * time.Hour
	regionLength = 15 * time.Minute
)

// regionEnv makes the test binary a region.
const regionEnv = "SLOTGATE_BENCH_IS_REGION"

// manners are how an EHR helps those who ask again.
type manners string

const (
	tagged  manners = "etag"    // it has ETags, and says 304
	steady  manners = "same"    // the same content is the same bytes
	stamped manners = "stamped" // no answer is like another
)

// regionKinds are the EHRs of a region, in turn.
var regionKinds = []struct {
	dialect, release string
	manners          manners
	find             bool // Appointment/$find a day, and no Slot/$prefetch
}{
	{upstream.Slots, "r4", tagged, false},
	{upstream.Argonaut, "r4", steady, false},
	{upstream.Slots, "r4", steady, false},
	{upstream.IHE, "r4", steady, true},
	{upstream.Slots, "stu3", stamped, false},
	{upstream.Argonaut, "r4", tagged, false},
	{upstream.Slots, "r4", tagged, false},
	{upstream.Argonaut, "stu3", steady, true},
	{upstream.Epic, "stu3", stamped, true},
	{upstream.Links, "r4", tagged, false},
}

var regionZones = []string{"America/Chicago", "America/New_York", "Europe/Berlin", "America/Los_Angeles"}

// region is the server.
type region struct {
	spec    regionSpec
	base    string
	tenants []*tenant
	mu      sync.Mutex
	random  *rand.Rand
}

// tenant is one EHR.
type tenant struct {
	region *region
	n      int
	kind   int
	zone   *time.Location
	first  time.Time // midnight of the first day at the place
	base   string

	mu   sync.Mutex
	days []tenantDay

	calls    meter
	answers  atomic.Int64 // about slots
	spared   atomic.Int64 // 304
	repeated atomic.Int64 // sent, with nothing new since the same question before
	slots    atomic.Int64 // written
	bytes    atomic.Int64
	said     sync.Map // question -> version of the latest answer
}

type tenantDay struct {
	open    []uint32 // by schedule: a bit for each open slot
	version uint64
}

// meter counts calls, and the most that came within one minute.
type meter struct {
	mu     sync.Mutex
	minute time.Duration
	recent []time.Time
	total  int
	peak   int
}

func (m *meter) reset(minute time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.minute, m.recent, m.total, m.peak = minute, nil, 0, 0
}

func (m *meter) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	old := 0
	for old < len(m.recent) && now.Sub(m.recent[old]) >= m.minute {
		old++
	}
	m.recent = append(m.recent[old:], now)
	m.total++
	m.peak = max(m.peak, len(m.recent))
}

// serveRegion is the whole life of the process of a region: it ends with its
// standard input.
func serveRegion(spec string) error {
	r := &region{}
	if err := json.Unmarshal([]byte(spec), &r.spec); err != nil {
		return err
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.base = "http://" + socket.Addr().String()
	if err := r.populate(time.Now()); err != nil {
		return err
	}
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(socket) }()
	fmt.Println("region", r.base)
	_, err = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
	return err
}

// populate opens exactly as many slots as were asked for, the same ones for a seed.
func (r *region) populate(now time.Time) error {
	r.random = rand.New(rand.NewPCG(r.spec.Seed, 1))
	for n := range r.spec.Sources {
		zone, err := time.LoadLocation(regionZones[n%len(regionZones)])
		if err != nil {
			return err
		}
		y, m, d := now.In(zone).Date()
		t := &tenant{
			region: r, n: n, kind: n % len(regionKinds), zone: zone,
			first: time.Date(y, m, d, 0, 0, 0, 0, zone), base: r.base + "/" + regionID(n),
		}
		t.days = make([]tenantDay, r.spec.Days)
		for d := range t.days {
			t.days[d].open = make([]uint32, r.spec.Schedules)
		}
		books := r.spec.Days * r.spec.Schedules
		for book := range books {
			open := r.spec.Slots*(book+1)/books - r.spec.Slots*book/books
			free := &t.days[book/r.spec.Schedules].open[book%r.spec.Schedules]
			for _, tick := range r.random.Perm(regionTicks)[:min(open, regionTicks)] {
				*free |= 1 << tick
			}
		}
		r.tenants = append(r.tenants, t)
	}
	return nil
}

func regionID(n int) string { return fmt.Sprintf("ehr-%03d", n) }

// begin is when a slot begins. Clocks may change in the night, not in the day.
func (t *tenant) begin(day, tick int) time.Time {
	y, m, d := t.first.Date()
	return time.Date(y, m, d+day, 0, int((regionOpens+time.Duration(tick)*regionLength)/time.Minute), 0, 0, t.zone)
}

func (t *tenant) slotID(day, schedule, tick int) string {
	at := t.begin(day, tick)
	return "s" + strconv.Itoa(schedule) + "." + at.Format("20060102.1504")
}

// ServeHTTP answers /control/.. and /ehr-000/..
func (r *region) ServeHTTP(w http.ResponseWriter, rq *http.Request) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(rq.URL.Path, "/"), "/")
	if first == "control" {
		r.control(w, rq, rest)
		return
	}
	n, err := strconv.Atoi(strings.TrimPrefix(first, "ehr-"))
	if err != nil || n < 0 || n >= len(r.tenants) {
		http.NotFound(w, rq)
		return
	}
	t := r.tenants[n]
	t.calls.count()
	t.serve(w, rq, rest)
}

// regionChange is a slot that was taken or given back.
type regionChange struct {
	Source, Day int
	Slot        string
	Taken       bool
}

// control is how the benchmark turns the region's wheels.
func (r *region) control(w http.ResponseWriter, rq *http.Request, what string) {
	query := rq.URL.Query()
	number := func(name string) int { n, _ := strconv.Atoi(query.Get(name)); return n }
	var out any
	switch what {
	case "phase": // counts begin anew
		for _, t := range r.tenants {
			t.calls.reset(time.Duration(number("minute")) * time.Millisecond)
			for _, c := range []*atomic.Int64{&t.answers, &t.spared, &t.repeated, &t.slots, &t.bytes} {
				c.Store(0)
			}
		}
	case "churn":
		out = r.churn(number("n"))
	case "stats":
		out = r.stats()
	}
	_ = json.NewEncoder(w).Encode(out)
}

// churn changes n slots: half are taken, half are given back. Most of it is near:
// a day is as busy as 1/(5+days from now).
func (r *region) churn(n int) []regionChange {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := 0.0
	for d := range r.spec.Days {
		total += 1 / (5 + float64(d))
	}
	var out []regionChange
	for i := 0; i < n; i++ {
		t := r.tenants[r.random.IntN(len(r.tenants))]
		day := 0
		for at := r.random.Float64() * total; day < r.spec.Days-1; day++ {
			if at -= 1 / (5 + float64(day)); at < 0 {
				break
			}
		}
		if c, ok := t.flip(r.random, day, i%2 == 0); ok {
			out = append(out, c)
		}
	}
	return out
}

// flip takes one of the open slots of a day, or gives one back.
func (t *tenant) flip(random *rand.Rand, day int, take bool) (regionChange, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.days[day]
	schedule := random.IntN(len(d.open))
	from := d.open[schedule]
	if !take {
		from = ^from
	}
	count := bits.OnesCount32(from)
	if count == 0 {
		return regionChange{}, false
	}
	for range random.IntN(count) {
		from &= from - 1
	}
	tick := bits.TrailingZeros32(from)
	d.open[schedule] ^= 1 << tick
	d.version++
	return regionChange{Source: t.n, Day: day, Slot: t.slotID(day, schedule, tick), Taken: take}, true
}

// regionStats is what a region saw since the phase began.
type regionStats struct {
	Open     int // slots that have not begun
	Calls    int
	Peak     int // the most of one source in one minute
	PeakID   int
	Answers  int64 // about slots
	Spared   int64 // of them 304
	Repeated int64 // of them sent, with nothing new
	Slots    int64 // written
	Bytes    int64
}

func (r *region) stats() regionStats {
	var out regionStats
	now := time.Now()
	for _, t := range r.tenants {
		t.calls.mu.Lock()
		out.Calls += t.calls.total
		if t.calls.peak > out.Peak {
			out.Peak, out.PeakID = t.calls.peak, t.n
		}
		t.calls.mu.Unlock()
		out.Answers += t.answers.Load()
		out.Spared += t.spared.Load()
		out.Repeated += t.repeated.Load()
		out.Slots += t.slots.Load()
		out.Bytes += t.bytes.Load()
		t.each(0, len(t.days), func(day, _, tick int) {
			if t.begin(day, tick).After(now) {
				out.Open++
			}
		})
	}
	return out
}

// each tells the open slots of some days in their order.
func (t *tenant) each(from, to int, tell func(day, schedule, tick int)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for day := max(from, 0); day < min(to, len(t.days)); day++ {
		for schedule, open := range t.days[day].open {
			for ; open != 0; open &= open - 1 {
				tell(day, schedule, bits.TrailingZeros32(open))
			}
		}
	}
}

// version changes with the content of some days.
func (t *tenant) version(from, to int) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := uint64(0)
	for day := max(from, 0); day < min(to, len(t.days)); day++ {
		sum += t.days[day].version
	}
	return sum
}

// digest is short and the same in every process.
func digest(parts ...string) string {
	sum := fnv.New64a()
	for _, part := range parts {
		_, _ = io.WriteString(sum, part)
		_, _ = sum.Write([]byte{0})
	}
	return strconv.FormatUint(sum.Sum64(), 36)
}
