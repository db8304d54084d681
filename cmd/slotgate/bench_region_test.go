package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"slotgate/config"
	"slotgate/gateway/auth"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// regionScale is how large and how long the benchmark is. Time is scaled: what is
// a minute in practice, the tick of prefetch.cron, is Tick here, and the limits of
// the sources are as many times higher.
type regionScale struct {
	Sources, Slots int           // open slots of each source
	Tick           time.Duration // whole seconds
	Minutes        int           // of refresh, in practice's minutes, with conditional requests
	Plain          int           // and of refresh without them, before
	PerHour        float64       // share of the slots that changes in an hour
	Rate           float64       // limits.rate in practice: calls a second
	Seed           uint64
}

func regionScaleOf(env func(string) string) regionScale {
	number := func(name string, otherwise float64) float64 {
		if n, err := strconv.ParseFloat(env("REGION_"+name), 64); err == nil {
			return n
		}
		return otherwise
	}
	return regionScale{
		Sources: int(number("SOURCES", 200)), Slots: int(number("SLOTS", 5000)),
		Tick:    time.Duration(number("TICK", 6)) * time.Second,
		Minutes: int(number("MINUTES", 40)), Plain: int(number("PLAIN", 26)),
		PerHour: number("CHANGE", 0.02), Rate: number("RATE", 1), Seed: uint64(number("SEED", 1)),
	}
}

// regionDays is the horizon: the default.
const regionDays = 60

// faster is how many times faster than practice the benchmark runs.
func (s regionScale) faster() float64 { return float64(time.Minute) / float64(s.Tick) }

// practice is what a duration of the benchmark is in practice.
func (s regionScale) practice(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.faster())
}

// BenchmarkRegion loads and refreshes a region: 200 EHRs of mixed dialects with
// 5,000 open slots each, read over HTTP by the plan, the tiers and the budgets of
// the configuration, into a Redis and a replica.
//
// It is one run, however long, and prints a table; REGION_OUT names a folder for
// the table and a plot. Scale: REGION_SOURCES, _SLOTS, _TICK (seconds that stand
// for a minute), _MINUTES, _PLAIN, _CHANGE (share of slots an hour), _RATE, _SEED.
func BenchmarkRegion(b *testing.B) {
	r := regionRun{TB: b, scale: regionScaleOf(os.Getenv), tell: os.Stderr}
	for b.Loop() {
		r.run()
	}
	r.report(b)
	r.write(os.Getenv("REGION_OUT"))
}

// regionRun is one run.
type regionRun struct {
	testing.TB
	scale  regionScale
	tell   io.Writer
	began  time.Time
	base   string // of the region's process
	node   *node
	phases []regionPhase
}

// regionPhase is what one part of a run cost and brought.
type regionPhase struct {
	name    string
	took    time.Duration
	ehrs    regionStats
	redis   redisCost
	cpu     time.Duration // of the gateway's process
	changed int           // slots, by the region
	age     tierTimes     // of windows when they were asked for
	near    map[string][]time.Duration
	lag     tierTimes // from the taking of a slot until it was offered no more
	missed  int       // slots taken that were still offered long after
	curve   []agePoint
	valid   [3]scheduling.Spread // by the sources' own time, at the end
	resident,
	heap int64
	counted map[string]float64 // metrics of the gateway
}

func (r *regionRun) run() {
	r.began = time.Now()
	stop := r.startRegion()
	defer stop()
	f := newFile()
	f.Sources, f.Auth = r.sources(r.scale.Plain > 0), auth.Demo()
	f.Gateway.Listen, f.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	// No trial: without a vault no bookings are taken. They would look at Redis
	// all the while, by a clock that is not scaled.
	f.Redis.Embedded = true
	r.load(f)
	defer r.node.stop()
	if r.scale.Plain > 0 {
		r.refresh("refresh, every answer read", r.scale.Plain)
		again := *f
		again.Sources = r.sources(false)
		r.reload(&again)
	}
	if r.scale.Minutes > 0 {
		r.refresh("refresh, conditional", r.scale.Minutes)
	}
}

// reload begins with other options of the sources, and waits until every window
// was read by them.
func (r *regionRun) reload(f *file) {
	r.say("from now on by conditional requests; everything is read once more")
	since := time.Now()
	if err := r.node.reload(f); err != nil {
		r.Fatal(err)
	}
	for deadline := since.Add(15 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		young := 0
		for n := range r.scale.Sources {
			tiers := r.node.replica.Ages(scheduling.SourceID(regionID(n)))
			if !slices.ContainsFunc(tiers, func(t scheduling.TierAge) bool { return t.Checked.P99 > time.Since(since) }) {
				young++
			}
		}
		if young == r.scale.Sources {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("%d sources were read after 15 minutes", young)
		}
	}
}

func (r *regionRun) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.tell, "%7.1fs "+format+"\n", append([]any{time.Since(r.began).Seconds()}, args...)...)
}

// startRegion starts the EHRs as a process of its own.
func (r *regionRun) startRegion() (stop func()) {
	spec, err := json.Marshal(regionSpec{
		Sources: r.scale.Sources, Slots: r.scale.Slots, Days: regionDays, Seed: r.scale.Seed,
		Schedules: max(1, (r.scale.Slots+regionDays*22-1)/(regionDays*22)),
	})
	if err != nil {
		r.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), regionEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		r.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	r.base = strings.TrimPrefix(strings.TrimSpace(line), "region ")
	if err != nil || r.base == "" {
		r.Fatalf("the region did not start: %q, %v", line, err)
	}
	return func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
}

// control turns one of the region's wheels.
func (r *regionRun) control(path string, out any) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.base+"/control/"+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		r.Fatal(err)
	}
}

// sources are the EHRs as they would stand in a configuration.
func (r *regionRun) sources(plain bool) []upstream.Options {
	list := make([]upstream.Options, r.scale.Sources)
	for n := range list {
		kind := regionKinds[n%len(regionKinds)]
		zone, err := time.LoadLocation(regionZones[n%len(regionZones)])
		if err != nil {
			r.Fatal(err)
		}
		o := &list[n]
		o.ID, o.Base = scheduling.SourceID(regionID(n)), r.base+"/"+regionID(n)
		o.Dialect, o.FHIR, o.Timezone = kind.dialect, scheduling.Release(kind.release), config.Zone{Location: zone}
		o.Limits.Rate = r.scale.Rate * r.scale.faster()
		o.Prefetch.Cron = "@every " + r.scale.Tick.String()
		o.Prefetch.Horizon = config.Duration(regionDays * 24 * time.Hour)
		o.Quirks.NoPrefetch = kind.find && kind.dialect == upstream.Argonaut
		o.Quirks.PageSize = 250
		o.Quirks.FileEvery = config.Duration(r.scale.Tick)
		if plain {
			o.Conditional.Use = "none"
		}
		o.SetDefaults()
		if err := o.Validate(); err != nil {
			r.Fatal(err)
		}
	}
	return list
}

// load starts a gateway with its worker, and waits until all is on offer.
func (r *regionRun) load(f *file) {
	p := r.begin("full load", func() {
		var err error
		if r.node, err = startNode(r.Context(), f, role{gateway: true, prefetch: true}, newLogger(io.Discard)); err != nil {
			r.Fatal(err)
		}
	})
	told := time.Now()
	for deadline := time.Now().Add(15 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		slots := 0
		for _, source := range r.node.replica.Sources() {
			slots += source.Slots
		}
		loaded := r.node.manager.Loaded()
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			r.say("%d slots on offer", slots)
		}
		// Slots begin while we load.
		if loaded && slots >= r.scale.Sources*r.scale.Slots*97/100 {
			r.say("%d slots on offer, everything was read", slots)
			break
		}
		if time.Now().After(deadline) {
			r.Fatalf("%d slots after 15 minutes, loaded: %v", slots, loaded)
		}
	}
	p.end(r)
}

// refresh lets the EHRs change for so many minutes of practice, and asks.
func (r *regionRun) refresh(name string, minutes int) {
	p := r.begin(name, func() {})
	random := rand.New(rand.NewPCG(r.scale.Seed, 2))
	watch := newWatch(r, random)
	perMinute := float64(r.scale.Sources*r.scale.Slots) * r.scale.PerHour / 60
	due, told := 0.0, 0
	every := r.scale.Tick / 10 // of a step; ten make a minute of practice
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for step := range minutes * 10 {
		<-ticker.C
		if due += perMinute / 10; due >= 1 {
			var changes []regionChange
			r.control("churn?n="+strconv.Itoa(int(due)), &changes)
			due -= float64(int(due))
			p.changed += len(changes)
			// What is taken late would not be missed within this phase.
			watch.taken(changes, step < 10*(minutes-regionLate))
		}
		watch.look(time.Duration(step) * time.Minute / 10)
		if minute := (step + 1) / 10; minute >= told+5 {
			told = minute
			r.say("minute %d: %d changes; %v", minute, p.changed, watch.latest())
		}
	}
	p.age, p.near, p.lag, p.curve, p.missed = watch.age, watch.near, watch.lag, watch.curve, len(watch.pending)
	p.end(r)
}

// regionLate is how many minutes before the end of a phase slots are no longer
// counted: longer than the slowest tier needs to come round.
const regionLate = 22

func (r *regionRun) begin(name string, start func()) *regionPhase {
	r.say("%s", name)
	var none any
	r.control("phase?minute="+strconv.FormatInt(r.scale.Tick.Milliseconds(), 10), &none)
	p := &regionPhase{name: name, took: -time.Since(r.began), cpu: -cpuTime()}
	if r.node != nil {
		p.redis, p.counted = readRedis(r).negative(), r.metrics(-1, map[string]float64{})
	}
	start()
	return p
}

func (p *regionPhase) end(r *regionRun) {
	p.took += time.Since(r.began)
	p.cpu += cpuTime()
	p.redis = p.redis.plus(readRedis(r))
	if p.counted == nil {
		p.counted = map[string]float64{}
	}
	p.counted = r.metrics(1, p.counted)
	r.control("stats", &p.ehrs)
	p.valid = r.valid()
	p.resident, p.heap = memory()
	r.phases = append(r.phases, *p)
	r.say("%s: done in %v: %d slots in %d answers, %d calls to Redis that write",
		p.name, p.took.Round(100*time.Millisecond), p.ehrs.Slots, p.ehrs.Answers, p.redis.writes)
}

// metrics adds what the gateway counts, over all sources, by family and result.
func (r *regionRun) metrics(sign float64, into map[string]float64) map[string]float64 {
	families, err := r.node.metrics.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetCounter() == nil {
				continue
			}
			name := family.GetName()
			for _, label := range m.GetLabel() {
				if slices.Contains([]string{"result", "outcome", "by"}, label.GetName()) {
					name += " " + label.GetValue()
				}
			}
			into[name] += sign * m.GetCounter().GetValue()
		}
	}
	return into
}

// valid is how old windows are by their sources' own time: the middle source's
// middle, and the last per cent of the worst but one in a hundred.
func (r *regionRun) valid() (out [3]scheduling.Spread) {
	var middles, lasts [3][]time.Duration
	for n := range r.scale.Sources {
		for i, tier := range r.node.replica.Ages(scheduling.SourceID(regionID(n))) {
			if tier.Valid.Count > 0 {
				middles[i] = append(middles[i], r.scale.practice(tier.Valid.P50))
				lasts[i] = append(lasts[i], r.scale.practice(tier.Valid.P99))
			}
		}
	}
	for i := range out {
		slices.Sort(middles[i])
		slices.Sort(lasts[i])
		out[i] = scheduling.Spread{Count: len(lasts[i]), P50: quantile(middles[i], 0.5), P99: quantile(lasts[i], 0.99)}
	}
	return out
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
