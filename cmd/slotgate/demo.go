package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"slotgate/gateway/auth"
)

type demoCommand struct {
	Listen string `default:"127.0.0.1:8080" help:"Where the gateway listens."`
	Admin  string `default:"127.0.0.1:9090" help:"Where the admin listener listens (loopback only)."`
	Redis  string `placeholder:"URL" help:"A Redis to use; without it an embedded one."`
	Load   string `type:"existingdir" placeholder:"DIR" help:"FHIR bundles (XML or JSON) to serve as one more EHR, described by DIR/source.yaml."`
	Seed   uint64 `default:"1" help:"Another number makes other practices."`
}

// Run runs simulated EHRs, an embedded Redis, prefetch and gateway in one
// process until it is told to end.
func (c demoCommand) Run(ctx context.Context, con console) (err error) {
	log := slog.New(slog.NewJSONHandler(con.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	sims, err := c.startClinics(ctx)
	defer sims.close()
	if err != nil {
		return err
	}
	f, err := c.file(sims)
	if err != nil {
		return err
	}
	n, err := startNode(ctx, f, role{gateway: true, prefetch: true}, log)
	if err != nil {
		return err
	}
	c.say(con, n)
	err = n.untilReady(ctx)
	if err == nil {
		tour(con, n, sims)
		err = n.watch(ctx, nil, nil, log)
	}
	n.stop()
	return err
}

// file is the demo's configuration: what a user would write, in Go.
func (c demoCommand) file(sims *clinics) (*file, error) {
	f := newFile()
	f.Sources, f.trial = sims.sources, true
	f.Gateway.Listen, f.Admin.Listen = c.Listen, c.Admin
	f.Redis.URL, f.Redis.Embedded = c.Redis, c.Redis == ""
	f.Auth = auth.Demo()
	f.Auth.Callers[0].Trusted = f.ids()
	err := errors.Join(f.Gateway.Validate(), f.Admin.Validate(), f.Redis.Validate())
	if err == nil {
		err = f.Validate()
	}
	if err != nil {
		return nil, &wrongConfig{fmt.Errorf("demo: %w", err)}
	}
	return f, nil
}

func (c demoCommand) say(con console, n *node) {
	_, _ = fmt.Fprintf(con.out, "gateway %s\nadmin   %s\n", n.public.url(), n.admin.url())
	if n.redis != nil && !n.redis.Real() {
		_, _ = fmt.Fprintln(con.out, "redis   in this process (no redis-server on the PATH): nothing outlives it")
	}
}

// untilReady waits until every source's first load was tried, a minute at most.
func (n *node) untilReady(ctx context.Context) error {
	timeout := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !n.replica.Ready() {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.broken:
			return err
		case <-timeout:
			return nil
		case <-tick.C:
		}
	}
	return nil
}

// tour prints what there is to see, as lines that work as printed.
func tour(con console, n *node, sims *clinics) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(con.out, format+"\n", args...) }
	open := 0
	for _, source := range n.replica.Sources() {
		p("  %-12s %-34s %6d open slots", source.Source, source.Name, source.Slots)
		open += source.Slots
	}
	p("ready: %d open slots of %d simulated EHRs. Try:", open, len(sims.sources))
	tomorrow := time.Now().AddDate(0, 0, 1).Format(time.DateOnly)
	at := n.public.url()
	p("  curl -s '%s/fhir/r4/Appointment/$find?_count=5'", at)
	p("  curl -s '%s/fhir/r4/Appointment/$find?specialty=394582007&start=%s&_count=5'", at, tomorrow)
	p("  curl -s -H 'Accept: application/fhir+xml' '%s/fhir/stu3/Appointment/$find?location-string=CA&_count=2'", at)
	p("  curl -s '%s/fhir/r4/Practitioner?_count=5'", at)
	p("  curl -s '%s/fhir/r4/metadata'", at)
	p("  curl -s '%s/.well-known/jwks.json'", at)
	p("  curl -s -H 'Authorization: Bearer demo' '%s/fhir/r4/Appointment?patient=pat-1'", at)
	p("  curl -s '%s/api/sources'", n.admin.url())
	p("  %s find --at %s -n 5", program(), at)
	p("Ctrl-C ends it.")
}

// program is how this program was most likely called.
func program() string {
	if path, err := exec.LookPath("slotgate"); err == nil && path != "" {
		return "slotgate"
	}
	if _, err := os.Stat("cmd/slotgate"); err == nil {
		return "go run ./cmd/slotgate"
	}
	return os.Args[0]
}
