package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/upstream/ehrsim"
)

func simulate(t *testing.T, o ehrsim.Options) (*ehrsim.Server, string) {
	t.Helper()
	sim, err := ehrsim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	base, err := sim.Start(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	return sim, base
}

// configText is a config of these sources, all R4 slots, over one Redis.
func configText(redis string, bases ...string) string {
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nredis: {dial_timeout: 30s, read_timeout: 30s, write_timeout: 30s, url: %q}\nanonymous: [find, directory]\nsources:\n", redis)
	for i, base := range bases {
		text += fmt.Sprintf("  - {id: s%d, base: %q, dialect: slots, timezone: UTC, limits: {rate: 200, concurrency: 8},\n     prefetch: {cron: \"@every 1s\"}}\n", i, base)
	}
	return text
}

func TestOneRedisServesManyGatewaysAndWorkers(t *testing.T) {
	redis := redistest.Start(t)
	sim, base := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 3, Days: 10})
	path := write(t, t.TempDir(), "slotgate.yaml", configText(redis.URL(), base))
	for range 2 {
		start(t, "prefetch", "--config", path).saw(t, `admin`)
	}
	var gateways []string
	for range 2 {
		gateways = append(gateways, start(t, "gateway", "--config", path).saw(t, `gateway (http://\S+)`)[1])
	}
	all := func(want int) {
		t.Helper()
		for _, gateway := range gateways {
			eventually(t, func() error {
				if total := find(t, gateway, "_count=0").Total; total != want {
					return fmt.Errorf("%d offers, want %d", total, want)
				}
				return nil
			})
		}
	}
	all(benchOpenSlots(sim))
	// What is deleted without a trace is gone after the next look at its day.
	gone := sim.Slots("free")
	first := gone[len(gone)-1]
	for _, slot := range gone {
		if slot.Start.After(sim.Now().Add(time.Hour)) {
			first = slot
			break
		}
	}
	if err := sim.DeleteSlot(first.ID); err != nil {
		t.Fatal(err)
	}
	all(benchOpenSlots(sim))
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The replicas went on answering; the workers fill Redis by themselves.
	all(benchOpenSlots(sim))
}

func TestAHangupReadsTheConfigAgainAndABadOneChangesNothing(t *testing.T) {
	redis := redistest.Start(t)
	_, one := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 3})
	_, two := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 3, Seed: 9})
	path := write(t, t.TempDir(), "slotgate.yaml", configText(redis.URL(), one))
	p := start(t, "serve", "--config", path)
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	hangup := func(text string) {
		t.Helper()
		write(t, filepath.Dir(path), "slotgate.yaml", text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	failed := askAlways(t, gateway+"/fhir/r4/Appointment/$find?_count=0")
	hangup(configText(redis.URL(), one, two))
	eventually(t, func() error {
		if rows := sourcesOf(t, admin); len(rows) != 2 || rows["s1"].State != "ok" {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	})
	hangup("listen: nowhere\n")
	eventually(t, func() error {
		if !strings.Contains(p.err.String(), "slotgate.yaml:1: ") {
			return fmt.Errorf("nothing was said of the bad config: %s", p.err.String())
		}
		return nil
	})
	if rows := sourcesOf(t, admin); len(rows) != 2 {
		t.Errorf("%+v", rows)
	}
	if n := failed(); n != 0 {
		t.Errorf("%d requests failed while the config was read again", n)
	}
}

// What is known of a source outlives a hangup that does not change it: neither
// its directory nor its slots are read anew, and its breaker stays as it is.
func TestAHangupTouchesOnlyTheSourcesThatChanged(t *testing.T) {
	redis := redistest.Start(t)
	same, one := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 3})
	other, two := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 3, Seed: 9})
	text := strings.ReplaceAll(configText(redis.URL(), one, two), `cron: "@every 1s"`, `cron: "@every 1h"`)
	path := write(t, t.TempDir(), "slotgate.yaml", text)
	p := start(t, "serve", "--config", path)
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	loaded := func() error {
		rows := sourcesOf(t, admin)
		if rows["s0"].State != "ok" || rows["s1"].State != "ok" {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	}
	eventually(t, loaded)
	eventually(t, func() error { return atRest(same, other) })
	was, asked := same.Counters().Requests, other.Counters().Requests
	write(t, filepath.Dir(path), "slotgate.yaml", strings.Replace(text, "id: s1,", "id: s1, name: Other,", 1))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if other.Counters().Requests == asked {
			return errors.New("the source that changed was not read again")
		}
		return atRest(same, other)
	})
	if n := same.Counters().Requests; n != was {
		t.Errorf("the source that stayed the same was asked %d times", n-was)
	}
	eventually(t, loaded)
	if _, err := askOnce(t.Context(), http.DefaultClient, gateway+"/fhir/r4/Appointment/$find?_count=0"); err != nil {
		t.Error(err)
	}
}

// A paused source is asked for nothing; what is known of it is still found, and
// told as paused. Its operator sees whom to call.
func TestAPausedSourceIsLeftAloneAndTold(t *testing.T) {
	redis := redistest.Start(t)
	sim, one := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 3})
	text := "contact: ops@example.org\n" + configText(redis.URL(), one)
	path := write(t, t.TempDir(), "slotgate.yaml", text)
	p := start(t, "serve", "--config", path)
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	state := func(want string) {
		t.Helper()
		eventually(t, func() error {
			if rows := sourcesOf(t, admin); string(rows["s0"].State) != want || rows["s0"].Slots == 0 {
				return fmt.Errorf("%+v", rows)
			}
			return nil
		})
	}
	state("ok")
	if agent := sim.Requests(0)[0].UserAgent; !strings.HasPrefix(agent, "slotgate/") || !strings.HasSuffix(agent, "(+ops@example.org)") {
		t.Errorf("we are seen as %q", agent)
	}
	write(t, filepath.Dir(path), "slotgate.yaml", strings.Replace(text, "id: s0,", "id: s0, paused: true,", 1))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	state("paused")
	eventually(t, func() error { return atRest(sim) })
	asked := sim.Counters().Requests
	time.Sleep(2500 * time.Millisecond) // two ticks
	if n := sim.Counters().Requests; n != asked {
		t.Errorf("a paused source was asked %d times", n-asked)
	}
	res, err := http.Get(gateway + "/fhir/r4/Appointment/$find?_count=1")
	if err != nil {
		t.Fatal(err)
	}
	found, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || !strings.Contains(string(found), "paused") || !strings.Contains(string(found), `"proposed"`) {
		t.Errorf("%v %.800s", err, found)
	}
	write(t, filepath.Dir(path), "slotgate.yaml", text)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	state("ok")
	eventually(t, func() error {
		if sim.Counters().Requests == asked {
			return errors.New("it is not asked again")
		}
		return nil
	})
}

// atRest tells whether nobody is being asked anything.
func atRest(all ...*ehrsim.Server) error {
	before := make([]int, len(all))
	for i, sim := range all {
		before[i] = sim.Counters().Requests
	}
	time.Sleep(300 * time.Millisecond)
	for i, sim := range all {
		if c := sim.Counters(); c.Requests != before[i] || c.InFlight > 0 {
			return fmt.Errorf("source %d is being asked", i)
		}
	}
	return nil
}

// askAlways asks on new connections until the count of failures is asked for.
func askAlways(t *testing.T, address string) func() int64 {
	t.Helper()
	var failures atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for ctx.Err() == nil {
			_, err := askOnce(ctx, client, address)
			if err != nil && ctx.Err() == nil {
				t.Log(err)
				failures.Add(1)
			}
		}
	}()
	return func() int64 { cancel(); <-done; return failures.Load() }
}

// Connections keep arriving on both listeners while the config is read again
// and again: each time the next server takes over, and the old one lets go.
func TestManyHangupsUnderTraffic(t *testing.T) {
	redis := redistest.Start(t)
	_, one := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 2})
	path := write(t, t.TempDir(), "slotgate.yaml", configText(redis.URL(), one))
	p := start(t, "serve", "--config", path)
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	var counts []func() int64
	for range 3 {
		counts = append(counts, askAlways(t, gateway+"/fhir/r4/Appointment/$find?_count=0"), askAlways(t, admin+"/livez"))
	}
	const times = 20
	for i := range times {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if n := strings.Count(p.err.String(), "the configuration was read again"); n <= i {
				return fmt.Errorf("read again %d times, want %d: %.2000s", n, i+1, p.err.String())
			}
			return nil
		})
	}
	for _, failed := range counts {
		if n := failed(); n != 0 {
			t.Errorf("%d requests failed", n)
		}
	}
}

func TestExitCodes(t *testing.T) {
	_, base := simulate(t, ehrsim.Options{Dialect: ehrsim.Slots, Practitioners: 1, Days: 2})
	good := write(t, t.TempDir(), "good.yaml", configText("redis://127.0.0.1:1/0", base))
	down := write(t, t.TempDir(), "down.yaml", configText("redis://127.0.0.1:1/0", "http://127.0.0.1:1"))
	bad := write(t, t.TempDir(), "bad.yaml", "sources: 7\n")
	alone := write(t, t.TempDir(), "alone.yaml", strings.Replace(configText("", base), `url: ""`, "embedded: true", 1))
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"version", []string{"version"}, exitOK, "fhir"},
		{"no command", nil, exitUsage, "expected one of"},
		{"an unknown flag", []string{"demo", "--lisen", "x"}, exitUsage, "--listen"},
		{"no config", []string{"serve"}, exitUsage, "--config"},
		{"a config that is not there", []string{"serve", "--config", "/no/such/file"}, exitUsage, "/no/such/file"},
		{"a bad config", []string{"gateway", "--config", bad}, exitUsage, "bad.yaml:1: "},
		{"an embedded Redis for a gateway alone", []string{"gateway", "--config", alone}, exitUsage, alone + ":3: redis.embedded: is for slotgate serve"},
		{"an embedded Redis for a worker alone", []string{"prefetch", "--config", alone}, exitUsage, alone + ":3: redis.embedded: is for slotgate serve"},
		{"check of a good source", []string{"check", "--config", good}, exitOK, "works"},
		{"check of a source that is down", []string{"check", "--config", down}, exitFailed, "does not"},
		{"check of no source", []string{"check", "--config", good, "--source", "nobody"}, exitUsage, "nobody"},
		{"find at nobody", []string{"find", "--at", "http://127.0.0.1:1"}, exitFailed, "find: "},
		{"find at an EHR", []string{"find", "--at", strings.TrimSuffix(base, ehrsim.BasePath) + "/nothing"}, exitFailed, "is it a gateway"},
		{"find at no URL", []string{"find", "--at", "here"}, exitUsage, "--at"},
		{"find with a key file that is not there", []string{"find", "--at", "http://127.0.0.1:1", "--token-file", "/no"}, exitUsage, "/no"},
		{"demo on a port that cannot be", []string{"demo", "--listen", "nowhere"}, exitUsage, "listen"},
		{"demo on a port that there is not", []string{"demo", "--listen", "127.0.0.1:99999"}, exitUsage, "no port 99999"},
		{"demo with an admin port that there is not", []string{"demo", "--admin", "127.0.0.1:-1"}, exitUsage, "no port -1"},
		{"demo with an open admin listener", []string{"demo", "--admin", "0.0.0.0:0"}, exitUsage, "admin"},
		{"demo of an empty folder", []string{"demo", "--load", t.TempDir()}, exitUsage, "source.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs screen
			code := run(t.Context(), c.args, console{&out, &errs})
			if said := out.String() + errs.String(); code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("code %d, want %d and %q: %s", code, c.code, c.says, said)
			}
		})
	}
}
