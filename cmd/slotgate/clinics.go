package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream"
	"slotgate/upstream/ehrsim"
	"slotgate/upstream/token"
)

// clinics are the demo's simulated EHRs and how the gateway is told of them.
type clinics struct {
	servers []*ehrsim.Server
	sources []upstream.Options
}

// demoToken is what one of the EHRs asks for, so that a login is shown.
const demoToken = "demo-ehr-token"

// demoClient is our name at the EHR that takes a signed assertion.
const demoClient = "demo-gateway"

// cast is the demo's choice: both FHIR versions, both dialects, the ways in
// which such servers differ, and five zones, one of them without summer time.
func (c demoCommand) cast() []struct {
	id   string
	zone string // as the configuration says it
	sim  ehrsim.Options
	bend func(*upstream.Options)
} {
	type role = struct {
		id   string
		zone string
		sim  ehrsim.Options
		bend func(*upstream.Options)
	}
	return []role{
		{"lakeside", "America/Chicago", ehrsim.Options{
			Name: "Lakeside Health Partners", Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3,
			Zone: "America/Chicago", Practitioners: 14, Notify: ehrsim.Notify{Offered: true, Heartbeat: time.Minute},
		}, tells},
		{"bayview", "America/Los_Angeles", ehrsim.Options{
			Name: "Bayview Medical Group", Dialect: ehrsim.Argonaut, FHIR: ehrsim.R4,
			Zone: "America/Los_Angeles", Practitioners: 16, RequireBearer: demoToken,
		}, func(o *upstream.Options) {
			o.Auth.Kind, o.Auth.Token = token.Bearer, config.NewSecret(demoToken)
		}},
		{"summit", "America/Denver", ehrsim.Options{
			Name: "Summit Clinics", Dialect: ehrsim.Slots, FHIR: ehrsim.R4,
			Zone: "America/Denver", Practitioners: 12, RelativeNext: true, EmptyLastPage: true,
			Login: ehrsim.Login{Kind: ehrsim.SmartLogin, ClientID: demoClient}, Notify: ehrsim.Notify{Offered: true, Heartbeat: time.Minute},
		}, func(o *upstream.Options) {
			tells(o)
			o.Auth = token.Options{Kind: token.SmartBackend, ClientID: demoClient, Scopes: []string{"system/*.cruds"}}
		}},
		// Slow and moody: it lets its callers wait and fails one call in twenty,
		// but what it says is true.
		{"harbor", "America/New_York", ehrsim.Options{
			Name: "Harbor Community Care", Dialect: ehrsim.Slots, FHIR: ehrsim.R4,
			Zone: "America/New_York", Practitioners: 10, NoNext: true, RepeatIDs: true,
			Latency: 150 * time.Millisecond, Jitter: 400 * time.Millisecond, ErrorRate: 0.05,
		}, nil},
		{"saguaro", "America/Phoenix", ehrsim.Options{
			Name: "Saguaro Family Practice", Dialect: ehrsim.Argonaut, FHIR: ehrsim.STU3,
			Zone: "America/Phoenix", Practitioners: 6, NoPrefetch: true,
		}, ruled},
	}
}

// visitTypes is the code system of the guide's visit types.
const visitTypes = "http://fhir.org/guides/argonaut-scheduling/CodeSystem/visit-type"

// ruled is for a clinic with a rule: a physical takes two of its slots of twenty
// minutes. Nothing there is for some patients only: whoever tries the demo books
// what comes first.
func ruled(o *upstream.Options) {
	physical := scheduling.Token{System: visitTypes, Code: "physical", Scoped: true}
	o.Rules = []upstream.RuleOptions{{
		VisitType: []upstream.VisitType{{Token: physical}}, Minutes: 40, Lead: config.Duration(time.Hour),
	}}
}

// tells is for an EHR that tells of changes by itself.
func tells(o *upstream.Options) { o.Subscribe = upstream.SubscribeAuto }

// startClinics starts the cast, and the EHR of --load. What was started is in
// the result also when there is an error.
func (c demoCommand) startClinics(ctx context.Context) (*clinics, error) {
	all := &clinics{}
	for i, part := range c.cast() {
		part.sim.Seed = c.Seed + uint64(i)
		o := upstream.Options{
			ID: scheduling.SourceID(part.id), Name: part.sim.Name,
			Dialect: string(part.sim.Dialect), FHIR: scheduling.Release(part.sim.FHIR),
		}
		var err error
		if o.Timezone, err = config.LoadZone(part.zone); err != nil {
			return all, err
		}
		if part.bend != nil {
			part.bend(&o)
		}
		if o.Auth.Kind == token.SmartBackend {
			if part.sim.Login.Keys, err = drawKey(&o.Auth); err != nil {
				return all, err
			}
		}
		if o.Base, err = all.start(ctx, part.sim); err != nil {
			return all, err
		}
		if err := all.add(o); err != nil {
			return all, err
		}
	}
	if c.Load == "" {
		return all, nil
	}
	return all, c.startLoaded(ctx, all)
}

// drawKey makes a key for a login, which ends with the process, and gives its
// public half for the EHR to know.
func drawKey(o *token.Options) (keys string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	o.Key = config.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	set, err := token.PublicKeys(*o)
	return string(set), err
}

// startLoaded serves the bundles of a folder as the source of its source.yaml.
// Its dates move by whole weeks, so that what was published years ago is open
// from the next days on, at the same local time.
func (c demoCommand) startLoaded(ctx context.Context, all *clinics) error {
	// The type without methods: its base is not known yet, so it cannot be right.
	type entry upstream.Options
	var read entry
	if err := config.Load(filepath.Join(c.Load, "source.yaml"), &read); err != nil {
		return &wrongConfig{err}
	}
	o := upstream.Options(read)
	o.SetDefaults()
	zone := o.Timezone.String()
	data, err := ehrsim.Load(c.Load, ehrsim.LoadOptions{FHIR: ehrsim.FHIR(o.FHIR), Zone: zone, ShiftTo: time.Now()})
	if err != nil {
		return &wrongConfig{err}
	}
	o.Base, err = all.start(ctx, ehrsim.Options{
		Name: o.Name, Dialect: ehrsim.Dialect(o.Dialect), FHIR: ehrsim.FHIR(o.FHIR), Zone: zone, Data: data,
	})
	if err != nil {
		return err
	}
	return all.add(o)
}

func (all *clinics) start(ctx context.Context, o ehrsim.Options) (base string, err error) {
	server, err := ehrsim.New(o)
	if err != nil {
		return "", &wrongConfig{err}
	}
	if base, err = server.Start(ctx, "127.0.0.1:0"); err != nil {
		return "", err
	}
	all.servers = append(all.servers, server)
	return base, nil
}

// add completes a source with the demo's pace: changes are seen in seconds.
func (all *clinics) add(o upstream.Options) error {
	if o.Prefetch.Cron == "" || o.Prefetch.Cron == defaultCron {
		o.Prefetch.Cron = "@every 5s"
	}
	o.Limits.Rate, o.Limits.Concurrency = 50, 8
	o.SetDefaults()
	if err := o.Validate(); err != nil {
		return &wrongConfig{fmt.Errorf("source %s: %w", o.ID, err)}
	}
	all.sources = append(all.sources, o)
	return nil
}

// defaultCron is what a source has that does not say how often it is read.
const defaultCron = "@every 1m"

func (all *clinics) close() {
	for _, server := range all.servers {
		_ = server.Close()
	}
}
