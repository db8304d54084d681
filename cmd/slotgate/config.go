package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"slotgate/cache"
	"slotgate/cache/vault"
	"slotgate/config"
	"slotgate/gateway"
	"slotgate/gateway/admin"
	"slotgate/gateway/ask"
	"slotgate/gateway/auth"
	"slotgate/prefetch"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// file is the whole configuration: the Options of every package, joined.
type file struct {
	// Contact is how the operators of sources reach ours, an address or a URL; it
	// stands in the User-Agent of every call to a source.
	Contact string          `yaml:"contact"`
	Gateway gateway.Options `yaml:",inline"`
	Admin   admin.Options   `yaml:",inline"`
	// Notify bounds what sources tell by themselves.
	Notify   gateway.NotifyOptions `yaml:"notify"`
	Auth     auth.Options          `yaml:",inline"`
	Redis    cache.Options         `yaml:"redis"`
	Vault    vault.Options         `yaml:"vault"`
	Booking  bookingOptions        `yaml:"booking"`
	Patients patientOptions        `yaml:"patients"`
	Live     ask.Options           `yaml:"live"`
	Sources  []upstream.Options    `yaml:"sources"`

	// trial: the demo, where nothing outlives the process and nothing is secret.
	trial bool
	// alone: a process of another kind is needed beside this one.
	alone bool
	// worker: no gateway runs in this process.
	worker bool
}

// newFile is a configuration with every default and no source.
func newFile() *file {
	f := &file{}
	f.Gateway.SetDefaults()
	f.Gateway.Limits.SetDefaults()
	f.Admin.SetDefaults()
	f.Notify.SetDefaults()
	f.Redis.SetDefaults()
	f.Booking.SetDefaults()
	f.Live.SetDefaults()
	f.Patients.PatientOptions.SetDefaults()
	f.Patients.Register.SetDefaults()
	return f
}

// maxContact is the longest contact, in characters.
const maxContact = 200

// userAgent is what sources see of us.
func (f *file) userAgent() string {
	version, _ := buildVersion()
	if f.Contact == "" {
		return "slotgate/" + version
	}
	return "slotgate/" + version + " (+" + f.Contact + ")"
}

// Validate checks what concerns more than one section.
func (f *file) Validate() error {
	if len(f.Contact) > maxContact || strings.ContainsFunc(f.Contact, func(r rune) bool { return r < ' ' || r > '~' || r == '(' || r == ')' }) {
		return config.At("contact", "is no plain text of at most %d characters; write an address such as ehr-ops@example.org", maxContact)
	}
	if len(f.Sources) == 0 {
		return config.At("sources", "is missing or empty; name at least one EHR")
	}
	if f.Redis.Embedded && f.alone {
		return config.At("redis.embedded", "is for slotgate serve: a gateway or a prefetch worker alone needs a Redis that others reach; write redis.url")
	}
	seen := map[scheduling.SourceID]bool{}
	for i, source := range f.Sources {
		if seen[source.ID] {
			return config.At(at("sources", i, "id"), "two sources have the id %q; give each its own", source.ID)
		}
		seen[source.ID] = true
		if _, err := prefetch.ParseCron(source.Prefetch.Cron); err != nil {
			return config.At(at("sources", i, "prefetch.cron"), "%v", err)
		}
		var quiet prefetch.QuietHours
		if err := quiet.UnmarshalText([]byte(source.Prefetch.QuietHours)); err != nil {
			return config.At(at("sources", i, "prefetch.quiet_hours"), "is %q; %v", source.Prefetch.QuietHours, err)
		}
	}
	if err := f.checkKeys(); err != nil {
		return err
	}
	if err := f.checkNotify(); err != nil {
		return err
	}
	for i, caller := range f.Auth.Callers {
		for _, id := range caller.Trusted {
			if !seen[id] {
				return config.At(at("callers", i, "trusted"), "names %q, which is no source; name one of sources", id)
			}
		}
	}
	return nil
}

// loadFile reads and checks the file at path. Its error leads to exit code 2.
func loadFile(path string) (*file, error) {
	return loadFileFor(path, role{gateway: true, prefetch: true})
}

// loadFileFor is loadFile for a process that runs so much of Slotgate.
func loadFileFor(path string, r role) (*file, error) {
	f := &file{alone: r != role{gateway: true, prefetch: true}, worker: !r.gateway}
	if err := config.Load(path, f); err != nil {
		return nil, &wrongConfig{err}
	}
	return f, nil
}

// sources are the configured sources in the words of the domain.
func (f *file) sources() []scheduling.Source {
	list := make([]scheduling.Source, len(f.Sources))
	for i, o := range f.Sources {
		list[i] = o.Source()
	}
	return list
}

func (f *file) ids() []scheduling.SourceID {
	ids := make([]scheduling.SourceID, len(f.Sources))
	for i, o := range f.Sources {
		ids[i] = o.ID
	}
	return ids
}

// jobs are the sources as prefetch works on them.
func (f *file) jobs(registry *upstream.Registry) ([]prefetch.Job, error) {
	var list []prefetch.Job
	for _, o := range f.Sources {
		client, ok := registry.Get(o.ID)
		if !ok {
			return nil, errors.New("a configured source has no client")
		}
		if o.Paused {
			continue
		}
		var quiet prefetch.QuietHours
		if err := quiet.UnmarshalText([]byte(o.Prefetch.QuietHours)); err != nil {
			return nil, fmt.Errorf("quiet hours: %w", err)
		}
		var fetcher prefetch.Fetcher = client
		if client.Source().Live {
			fetcher = directoryOnly{client}
		}
		list = append(list, prefetch.Job{Fetcher: fetcher, Options: prefetch.Options{
			Source:         o.Source(),
			Cron:           o.Prefetch.Cron,
			Horizon:        prefetch.DayCount(o.Prefetch.Horizon.Std() / (24 * time.Hour)),
			DaysPerScope:   prefetch.DayCount(o.Prefetch.DaysPerCall),
			DirectoryEvery: o.Prefetch.Directory.Std(),
			Quiet:          quiet,
			Subscription:   subscription(o),
			Lag:            o.Booking.Lag.Std(),
		}})
	}
	return list, nil
}
