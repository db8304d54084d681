package config_test

import (
	"errors"
	"fmt"
	"time"

	"slotgate/config"
)

// file is a config as cmd composes it, of sections that stand for those of the packages.
type file struct {
	Listen    string
	PublicURL string
	Redis     redis
	Callers   []caller
	Sources   []origin
	Labels    map[string]string
	Codes     map[string]limits
	Extra     map[string]any
	Level     level
	Optional  *limits
	Store     *bool
	Admin     config.Secret `yaml:"admin_token"`
	Ignored   string        `yaml:"-"`
}

func (f *file) SetDefaults() { f.Listen = "127.0.0.1:8080" }

func (f *file) Validate() error {
	if len(f.Sources) == 0 {
		return config.At("sources", "names no source; add one with id, base, dialect, fhir and timezone")
	}
	seen := map[string]int{}
	for i, s := range f.Sources {
		if first, twice := seen[s.ID]; twice {
			return config.At(fmt.Sprintf("sources[%d].id", i), "is the id of sources[%d] too; give each source its own", first)
		}
		seen[s.ID] = i
	}
	return nil
}

type redis struct {
	URL      string
	Embedded bool
	Dir      config.Path
	Pool     uint8
}

func (r *redis) SetDefaults() { r.URL, r.Pool = "redis://127.0.0.1:6379/0", 10 }

func (r *redis) Validate() error {
	if r.Embedded && r.URL != "redis://127.0.0.1:6379/0" {
		return config.At("embedded", "is on although url is %s; keep one of the two", r.URL)
	}
	return nil
}

type caller struct {
	ID      string
	Trusted []string
}

// origin has an inlined part, and a section of a package that does not know package config.
type origin struct {
	ID       string
	Name     string
	Timezone config.Zone
	Part     `yaml:",inline"`
	Prefetch plan
	Auth     auth
	Limits   limits
}

// Part is a struct whose keys stand among those around it.
type Part struct {
	Readonly bool
	Lag      config.Duration
}

func (p *Part) SetDefaults() { p.Readonly = true }

func (p *Part) Validate() error {
	if p.Lag < 0 {
		return config.At("lag", "must not be negative")
	}
	return nil
}

func (s *origin) Validate() error {
	switch {
	case s.ID == "":
		return config.At("id", "is missing; give the source a name of its own")
	case s.Timezone.IsZero():
		return config.At("timezone", "is missing; write an IANA name such as America/Los_Angeles")
	}
	return nil
}

type plan struct {
	Cron    string
	Horizon time.Duration
	Zone    *time.Location
}

func (p *plan) SetDefaults() { p.Cron, p.Horizon = "@every 1m", 60*24*time.Hour }

// Validate words its errors without package config: by the path at the beginning of the text.
func (p *plan) Validate() error {
	var errs []error
	if p.Horizon < 24*time.Hour {
		errs = append(errs, errors.New("horizon: must be at least 1d"))
	}
	if p.Cron == "" {
		errs = append(errs, errors.New("cron: must not be empty; write for example @every 1m"))
	}
	return errors.Join(errs...)
}

type auth struct {
	Kind         string
	Token        config.Secret
	ClientSecret config.Secret
}

type limits struct {
	Rate        float64
	Concurrency int
}

func (l *limits) SetDefaults() { *l = limits{Rate: 10, Concurrency: 4} }

// named is an error of a package that does not know package config, with a type of its own.
type named struct{ field, text string }

func (n named) Error() string { return n.text }
func (n named) Field() string { return n.field }

func (l *limits) Validate() error {
	if l.Rate < 0 {
		return fmt.Errorf("limits: %w", named{"rate", "must not be negative"})
	}
	return nil
}

// level is an enumeration that reads itself.
type level int

func (l *level) UnmarshalText(text []byte) error {
	for i, name := range []string{"low", "high"} {
		if string(text) == name {
			*l = level(i)
			return nil
		}
	}
	return fmt.Errorf("unknown level %q; write low or high", text)
}
