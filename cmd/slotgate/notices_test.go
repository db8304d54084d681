package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slotgate/cache/redistest"
	"slotgate/upstream/ehrsim"
)

// told is a source that tells of changes, and is read but once an hour.
func told(base, more string) string {
	return fmt.Sprintf("  - {id: tells, base: %q, timezone: America/Denver, limits: {rate: 500, concurrency: 8}, prefetch: {cron: \"@every 1h\", horizon: 10d},\n"+
		"     subscribe: true, subscription: {heartbeat: 2s, lifetime: 1m%s}, ", base, more)
}

// housing is the first lines of a config over a Redis.
func housing(redis string) string {
	return fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nredis: {dial_timeout: 30s, read_timeout: 30s, write_timeout: 30s, url: %q}\nanonymous: [find, directory]\n", redis)
}

// teller is an EHR that tells of changes, every 200 ms that there are none.
func teller(t *testing.T, o ehrsim.Options) (*ehrsim.Server, string) {
	t.Helper()
	o.Practitioners, o.Days, o.Zone = 4, 9, "America/Denver"
	o.Notify.Offered = true
	if o.Notify.Heartbeat == 0 {
		o.Notify.Heartbeat = 200 * time.Millisecond
	}
	return simulate(t, o)
}

type toldRow struct{ ID, Subscription string }

func subscriptionOf(t *testing.T, admin string) string {
	t.Helper()
	var rows []toldRow
	getJSON(t, admin+"/api/sources", &rows)
	for _, row := range rows {
		if row.ID == "tells" {
			return row.Subscription
		}
	}
	return ""
}

func becomes(t *testing.T, admin, want string) {
	t.Helper()
	eventually(t, func() error {
		if got := subscriptionOf(t, admin); got != want {
			return fmt.Errorf("the subscription is %q, want %q", got, want)
		}
		return nil
	})
}

// offered are the offers that a gateway shows, by start and practitioner.
func offered(t *testing.T, gateway string) []string {
	t.Helper()
	var found struct {
		Entry []struct {
			Resource struct {
				ResourceType string
				Start        string
				ServiceType  []struct{ Coding []struct{ Code string } }
				Participant  []struct {
					Actor struct{ Display, Reference string }
				}
			}
		}
	}
	getJSON(t, gateway+"/fhir/r4/Appointment/$find?_count=1000", &found)
	var out []string
	for _, e := range found.Entry {
		r := e.Resource
		if r.ResourceType != "Appointment" {
			continue
		}
		at, err := time.Parse(time.RFC3339, r.Start)
		if err != nil {
			t.Fatal(err)
		}
		who := ""
		for _, p := range r.Participant {
			if strings.Contains(p.Actor.Reference, "Practitioner/") {
				who = p.Actor.Display
			}
		}
		code := ""
		if len(r.ServiceType) > 0 && len(r.ServiceType[0].Coding) > 0 {
			code = r.ServiceType[0].Coding[0].Code
		}
		out = append(out, at.UTC().Format(time.RFC3339)+" "+who+" "+code)
	}
	return out
}

// What is lost is not known until the next regular look, in an hour: what is told
// afterwards is seen, and that is not.
func TestWhatASourceDoesNotTellIsLeftToItsClock(t *testing.T) {
	sim, base := teller(t, ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3})
	p := start(t, "serve", "--config", write(t, t.TempDir(), "slotgate.yaml",
		housing(redistest.Start(t).URL())+"sources:\n"+told(base, "")+"dialect: argonaut, fhir: stu3}\n"))
	gateway, admin := p.saw(t, `gateway (http://\S+)`)[1], p.saw(t, `admin (http://\S+)`)[1]
	becomes(t, admin, "live")
	if subs := sim.Subscriptions(); len(subs) != 1 || len(subs[0].Headers) != 1 || strings.Contains(p.err.String(), strings.Fields(subs[0].Headers[0])[2]) {
		t.Fatalf("%+v, or the secret is in the log", subs)
	}
	shows := func(want int) {
		t.Helper()
		eventually(t, func() error {
			if n := len(offered(t, gateway)); n != want {
				return fmt.Errorf("%d offers, want %d", n, want)
			}
			return nil
		})
	}
	open := benchOpenSlots(sim)
	shows(open)
	free := slices.DeleteFunc(sim.Slots("free"), func(s ehrsim.Slot) bool { return s.Start.Before(sim.Now().Add(30 * time.Hour)) })
	if _, err := sim.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultNoticeLost, Count: 1}); err != nil {
		t.Fatal(err)
	}
	far := free[slices.IndexFunc(free, func(s ehrsim.Slot) bool {
		return s.Schedule != free[0].Schedule && s.Start.After(free[0].Start.Add(48*time.Hour))
	})]
	if err := sim.DeleteSlot(free[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if sim.Subscriptions()[0].Lost != 1 {
			return errors.New("nothing was lost")
		}
		return nil
	})
	if err := sim.DeleteSlot(far.ID); err != nil {
		t.Fatal(err)
	}
	shows(open - 1)
}

func TestALostNotificationIsMadeUpForByTheNextLook(t *testing.T) {
	sim, base := teller(t, ehrsim.Options{Dialect: ehrsim.Slots})
	p := start(t, "serve", "--config", write(t, t.TempDir(), "slotgate.yaml",
		housing(redistest.Start(t).URL())+"sources:\n"+strings.Replace(told(base, ""), "@every 1h", "@every 1s", 1)+"dialect: slots}\n"))
	gateway := p.saw(t, `gateway (http://\S+)`)[1]
	becomes(t, p.saw(t, `admin (http://\S+)`)[1], "live")
	if _, err := sim.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultNoticeLost}); err != nil {
		t.Fatal(err)
	}
	if err := sim.DeleteSlot(sim.Slots("free")[20].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if n := len(offered(t, gateway)); n != benchOpenSlots(sim) {
			return fmt.Errorf("%d offers", n)
		}
		return nil
	})
	if sim.Subscriptions()[0].Lost == 0 {
		t.Error("nothing was lost")
	}
}

// front is one address before several gateways.
type front struct {
	*httptest.Server
	behind atomic.Pointer[[]string]
	next   atomic.Int64
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{}
	f.behind.Store(&[]string{})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := *f.behind.Load()
		if len(all) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		to, err := url.Parse(all[int(f.next.Add(1))%len(all)])
		if err != nil {
			t.Error(err)
			return
		}
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}).ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// One of two workers subscribes, either gateway takes what is told; whoever comes
// after renews, and what is not wanted any more is removed.
func TestTwoGatewaysAndTwoWorkersHaveOneSubscription(t *testing.T) {
	sim, base := teller(t, ehrsim.Options{Dialect: ehrsim.Slots})
	redis := redistest.Start(t)
	public := newFront(t)
	text := housing(redis.URL()) + "public_url: " + public.URL + "\nsources:\n" + told(base, "") + "dialect: slots}\n"
	path := write(t, t.TempDir(), "slotgate.yaml", text)
	var gateways []string
	var admin string
	for range 2 {
		p := start(t, "gateway", "--config", path)
		gateways = append(gateways, p.saw(t, `gateway (http://\S+)`)[1])
		admin = p.saw(t, `admin (http://\S+)`)[1]
	}
	public.behind.Store(&gateways)
	workers := []*testProgram{start(t, "prefetch", "--config", path), start(t, "prefetch", "--config", path)}
	becomes(t, admin, "live")
	first := sim.Subscriptions()
	if len(first) != 1 {
		t.Fatalf("%+v", first)
	}
	gone := func(want int) {
		t.Helper()
		for _, gateway := range gateways {
			eventually(t, func() error {
				if n := len(offered(t, gateway)); n != want {
					return fmt.Errorf("%d offers, want %d", n, want)
				}
				return nil
			})
		}
	}
	flip := func() {
		t.Helper()
		free := sim.Slots("free")
		if err := sim.DeleteSlot(free[len(free)-1].ID); err != nil {
			t.Fatal(err)
		}
		gone(benchOpenSlots(sim))
	}
	gone(benchOpenSlots(sim))
	for range 3 {
		flip()
	}
	// Whoever ends takes its Subscription with it, and the other asks for its own.
	for i, w := range workers {
		w.end()
		<-w.code
		w.code <- exitOK
		if i == 0 {
			eventually(t, func() error {
				if subs := sim.Subscriptions(); len(subs) != 1 || subs[0].Status != "active" {
					return fmt.Errorf("%+v", subs)
				}
				return nil
			})
			flip()
		}
	}
	if subs := sim.Subscriptions(); len(subs) != 0 {
		t.Errorf("after both have ended: %+v", subs)
	}
}

// A process that was killed leaves its Subscription; the next one renews it. One
// that is told that it is not wanted any more removes it.
func TestARestartAddsNoSecondSubscriptionAndAConfigWithoutRemovesIt(t *testing.T) {
	sim, base := teller(t, ehrsim.Options{Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3})
	redis := redistest.Start(t)
	public := newFront(t)
	text := housing(redis.URL()) + "public_url: " + public.URL + "\nsources:\n" + told(base, "") + "dialect: argonaut, fhir: stu3}\n"
	path := write(t, t.TempDir(), "slotgate.yaml", text)
	p := start(t, "serve", "--config", path)
	public.behind.Store(&[]string{p.saw(t, `gateway (http://\S+)`)[1]})
	admin := p.saw(t, `admin (http://\S+)`)[1]
	becomes(t, admin, "live")
	was := sim.Subscriptions()
	// The EHR cannot be reached while the process ends: as if it were killed.
	if _, err := sim.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503, Path: "/Subscription"}); err != nil {
		t.Fatal(err)
	}
	p.end()
	<-p.code
	p.code <- exitOK
	if subs := sim.Subscriptions(); len(subs) != 1 {
		t.Fatalf("%+v", subs)
	}
	if _, err := sim.SetFaults(); err != nil {
		t.Fatal(err)
	}
	again := func(ago string) {
		t.Helper()
		p = start(t, "serve", "--config", path)
		public.behind.Store(&[]string{p.saw(t, `gateway (http://\S+)`)[1]})
		admin = p.saw(t, `admin (http://\S+)`)[1]
		becomes(t, admin, "live")
		if subs := sim.Subscriptions(); len(subs) != 1 || subs[0].ID != was[0].ID {
			t.Errorf("%s: %+v, was %+v", ago, subs, was)
		}
	}
	again("after the end of a process")
	hangup := func(text string) {
		t.Helper()
		write(t, filepath.Dir(path), "slotgate.yaml", text)
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangup(strings.Replace(text, "horizon: 10d", "horizon: 9d", 1))
	eventually(t, func() error {
		if !strings.Contains(p.err.String(), "the configuration was read again") {
			return errors.New("the hangup is not heeded")
		}
		return nil
	})
	becomes(t, admin, "live")
	if subs := sim.Subscriptions(); len(subs) != 1 || subs[0].ID != was[0].ID {
		t.Errorf("after a change of the source: %+v", subs)
	}
	hangup(strings.Replace(text, "subscribe: true", "subscribe: false", 1))
	becomes(t, admin, "none")
	eventually(t, func() error {
		if subs := sim.Subscriptions(); len(subs) != 0 {
			return fmt.Errorf("%+v", subs)
		}
		return nil
	})
}

// The heartbeat stays away, the Subscription ends before its time, a header does
// not come: each is seen, and mended.
func TestASilentSourceIsSeenAndAskedAgain(t *testing.T) {
	sim, base := teller(t, ehrsim.Options{Dialect: ehrsim.Slots, Notify: ehrsim.Notify{NoHeader: true}})
	p := start(t, "serve", "--config", write(t, t.TempDir(), "slotgate.yaml",
		housing(redistest.Start(t).URL())+"sources:\n"+told(base, "")+"dialect: slots}\n"))
	admin := p.saw(t, `admin (http://\S+)`)[1]
	becomes(t, admin, "live") // by the path, in the end
	subs := sim.Subscriptions()
	if len(subs) != 1 || len(subs[0].Headers) != 0 {
		t.Errorf("%+v", subs)
	}
	secret := subs[0].Endpoint[strings.LastIndex(subs[0].Endpoint, "/")+1:]
	sim.ExpireSubscriptions()
	eventually(t, func() error {
		if subs := sim.Subscriptions(); len(subs) != 1 || subs[0].Status != "active" {
			return fmt.Errorf("%+v", subs)
		}
		return nil
	})
	becomes(t, admin, "live")
	if _, err := sim.SetFaults(ehrsim.Fault{Kind: ehrsim.FaultHeartbeatLost}, ehrsim.Fault{Kind: ehrsim.FaultStatus, Status: 503, Path: "/Subscription"}); err != nil {
		t.Fatal(err)
	}
	becomes(t, admin, "silent")
	if rows := sourcesOf(t, admin); rows["tells"].State != "ok" {
		t.Errorf("a silent source is %+v", rows["tells"])
	}
	if _, err := sim.SetFaults(); err != nil {
		t.Fatal(err)
	}
	becomes(t, admin, "live")
	if len(secret) < 32 || strings.Contains(p.err.String(), secret) {
		t.Errorf("the secret %q stands in the log", secret)
	}
}

func TestAWorkerAloneMustKnowWhereNotificationsGo(t *testing.T) {
	text := housing("redis://127.0.0.1:1/0") + "sources:\n" + told("http://127.0.0.1:1/fhir", "") + "dialect: slots}\n"
	path := write(t, t.TempDir(), "slotgate.yaml", text)
	var err error
	for kind, r := range map[string]role{"prefetch": {prefetch: true}, "gateway": {gateway: true}, "serve": {gateway: true, prefetch: true}} {
		_, err = loadFileFor(path, r)
		if refused := err != nil; refused != (kind == "prefetch") {
			t.Errorf("%s: %v", kind, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "slotgate.yaml:7: ") || !strings.Contains(err.Error(), "public_url")) {
			t.Error(err)
		}
	}
	if _, err = loadFileFor(write(t, t.TempDir(), "slotgate.yaml", "public_url: https://slots.example.org\n"+text), role{prefetch: true}); err != nil {
		t.Error(err)
	}
}
