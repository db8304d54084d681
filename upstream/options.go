package upstream

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"slotgate/config"
	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// The dialects that can be configured.
const (
	Argonaut = "argonaut" // Slot/$prefetch and Appointment/$find (Argonaut Scheduling 1.0)
	Slots    = "slots"    // plain FHIR: GET Slot, paged
	IHE      = "ihe"      // POSTed Appointment/$find, $hold and $book (IHE ITI Scheduling 1.0)
	Epic     = "epic"     // Appointment/$find and $book of Epic
	Links    = "links"    // files that a publisher puts forward (SMART Scheduling Links)
)

// Options are one entry of `sources`.
type Options struct {
	// ID names the source everywhere: letters, digits, dots and hyphens.
	ID scheduling.SourceID `yaml:"id"`
	// Name is shown to people; default: the id.
	Name string `yaml:"name"`
	// Base is the FHIR base URL. Only its origin is ever spoken to.
	Base string `yaml:"base"`
	// Dialect is how the source speaks scheduling: argonaut, slots or links.
	Dialect string `yaml:"dialect"`
	// FHIR is the release: stu3 or r4; default: r4.
	FHIR scheduling.Release `yaml:"fhir"`
	// Timezone is the zone of times that come without an offset, and of places
	// that do not tell theirs. Without one, such slots are counted, not offered.
	Timezone config.Zone `yaml:"timezone"`
	// Readonly: no holds or bookings; finding goes on.
	Readonly bool `yaml:"readonly"`
	// Store: its slots may be kept. Where not, they are asked for live by each
	// find, and are in no store, no file and no memory. Default: true.
	Store *bool `yaml:"store"`
	// Prefetch is how often and how far the source is read.
	Prefetch Prefetch `yaml:"prefetch"`
	// Auth is how we log in.
	Auth token.Options `yaml:"auth"`
	// Booking is how the source is held, booked and cancelled at.
	Booking Booking `yaml:"booking"`
	// Register is how a person gets a Patient there.
	Register `yaml:",inline"`
	// Insurance is when it is told of a patient's coverage.
	Insurance `yaml:",inline"`
	// Notifying is whether it tells of changes by itself.
	Notifying `yaml:",inline"`
	// Limits keep us from being a burden to the source, and it to us.
	Limits Limits `yaml:"limits"`
	// Conditional is how answers that have not changed are known again.
	Conditional Conditional `yaml:"conditional"`
	// Paused: it is not asked for slots, and nothing is held or booked there;
	// what stands can be read and cancelled. Default: false.
	Paused bool `yaml:"paused"`
	// Quirks bend the dialect.
	Quirks Quirks `yaml:"quirks"`
	// Codes is a file that maps the source's own codes to common ones: CSV
	// (system,code,common_system,common_code,display) or a FHIR ConceptMap.
	Codes config.Path `yaml:"codes"`
	// Rules are the clinic's own, by visit type.
	Rules []RuleOptions `yaml:"rules"`
}

// Prefetch are the keys of a source that the prefetch follows. They stand here
// since they are one section of the source; the prefetch has its own checks.
type Prefetch struct {
	// Cron is the clock of the nearest days (robfig/cron, UTC, seconds
	// allowed); default: @every 1m.
	Cron string `yaml:"cron"`
	// Horizon is how far ahead is read, in whole days; default: 60d.
	Horizon config.Duration `yaml:"horizon"`
	// MaxAge is how long offers stay that the source no longer confirms;
	// default: 24h.
	MaxAge config.Duration `yaml:"max_age"`
	// StaleAfter is the age from which the source is told as stale; default: 15m.
	StaleAfter config.Duration `yaml:"stale_after"`
	// DaysPerCall is the largest scope of one fetch, in days; default: 7.
	DaysPerCall int `yaml:"days_per_call"`
	// QuietHours are the hours, such as 22:00-05:30 in the source's zone, in which
	// everything is looked at once, also what is looked at seldom; default: none.
	QuietHours string `yaml:"quiet_hours"`
	// Directory is how often who and what the source has is read anew;
	// default: 24h.
	Directory config.Duration `yaml:"directory"`
}

// Limits bound what one source may cost.
type Limits struct {
	Rate        float64 `yaml:"rate"`        // calls a second; default: 10
	Concurrency int     `yaml:"concurrency"` // calls at once; default: 4
	// Day is calls a day, cut in the source's timezone (UTC where it has none);
	// 0: any number; default: 0.
	Day int `yaml:"day"`
	// DayPrefetch is the part of day from which on nothing is prefetched;
	// default: 0.8.
	DayPrefetch float64 `yaml:"day_prefetch"`
	// DayRead is the part of day from which on nothing is read for callers: the
	// rest is for holding and booking; default: 0.95.
	DayRead float64 `yaml:"day_read"`
	// OwnShare is the part of rate and concurrency that each node goes by while
	// Redis does not answer; 0: an equal part for each of the nodes known last;
	// default: 0.
	OwnShare float64 `yaml:"own_share"`
	// Timeout is for one call, from sending to the last byte; default: 30s.
	Timeout config.Duration `yaml:"timeout"`
	// Retries is how often a read is tried again at once; default: 2.
	Retries *int `yaml:"retries"`
	// RetryWait is the longest wait before such a try, also where the source
	// asks for one (Retry-After); default: 5s.
	RetryWait config.Duration `yaml:"retry_wait"`
	// Revalidate is the part of rate that offers may take which are looked at
	// again before they are shown (_max-age), and all finds where store is false;
	// 0: 0.2, and 0.8 where store is false; default: 0.
	Revalidate float64 `yaml:"revalidate"`
	// Recover is how long it takes from the least that a source is asked for
	// (5 % of rate and concurrency, after it said or showed that more is too
	// much) until it is asked for all again; default: 1m.
	Recover config.Duration `yaml:"recover"`
	// MaxBody is the largest answer in bytes, decompressed; default: 32 MiB.
	MaxBody int64 `yaml:"max_body"`
	// MaxPages is the most pages of one search; default: 500.
	MaxPages int `yaml:"max_pages"`
	// MaxSlots is the most slots of one fetch; default: 200000.
	MaxSlots int `yaml:"max_slots"`
	// BreakerFailures in a row open the breaker; default: 5.
	BreakerFailures int `yaml:"breaker_failures"`
	// BreakerOpen is how long it then stays open; default: 5s.
	BreakerOpen config.Duration `yaml:"breaker_open"`
}

// SetDefaults fills in what was not given.
func (o *Options) SetDefaults() {
	if o.Dialect == Epic {
		setDefault(&o.FHIR, scheduling.STU3)
	}
	setDefault(&o.Store, ref(true))
	if o.live() { // not yet known while a file is read: then this runs once more, before the source is used
		setDefault(&o.Limits.Revalidate, defaultLive)
	}
	o.Auth.SetDefaults()
	o.Prefetch.SetDefaults()
	o.Booking.SetDefaults()
	o.Register.SetDefaults()
	o.Insurance.SetDefaults()
	o.Notifying.SetDefaults()
	o.Limits.SetDefaults()
	o.Conditional.SetDefaults()
	o.Quirks.SetDefaults()
	setDefault(&o.FHIR, scheduling.R4)
}

// SetDefaults fills in what was not given.
func (p *Prefetch) SetDefaults() {
	setDefault(&p.Cron, "@every 1m")
	setDefault(&p.Horizon, config.Duration(60*24*time.Hour))
	setDefault(&p.MaxAge, config.Duration(24*time.Hour))
	setDefault(&p.StaleAfter, config.Duration(15*time.Minute))
	setDefault(&p.DaysPerCall, 7)
	setDefault(&p.Directory, config.Duration(24*time.Hour))
}

// SetDefaults fills in what was not given.
func (l *Limits) SetDefaults() {
	setDefault(&l.Rate, 10)
	setDefault(&l.Concurrency, 4)
	setDefault(&l.DayPrefetch, 0.8)
	setDefault(&l.DayRead, 0.95)
	setDefault(&l.Timeout, config.Duration(30*time.Second))
	setDefault(&l.Retries, ref(2))
	setDefault(&l.RetryWait, config.Duration(5*time.Second))
	setDefault(&l.Recover, config.Duration(defaultRecover))
	setDefault(&l.MaxBody, 32<<20)
	setDefault(&l.MaxPages, 500)
	setDefault(&l.MaxSlots, 200_000)
	setDefault(&l.BreakerFailures, 5)
	setDefault(&l.BreakerOpen, config.Duration(5*time.Second))
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var sourceID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$`)

// Validate tells everything that is wrong. Each message begins with the key.
func (o *Options) Validate() error {
	return errors.Join(
		need("id", sourceID.MatchString(string(o.ID)), "is %q; write 1 to 64 letters, digits, dots or hyphens", o.ID),
		o.checkBase(),
		o.checkDialect(),
		need("fhir", o.FHIR.Valid(), "unknown release %q; write stu3 or r4", o.FHIR),
		within("auth", o.Auth.Validate()),
		within("prefetch", o.Prefetch.Validate()),
		within("booking", o.Booking.Validate()),
		o.Register.Validate(),
		o.Insurance.Validate(),
		o.Notifying.Validate(),
		o.checkSubscribe(),
		o.checkStore(),
		within("limits", o.Limits.Validate()),
		within("conditional", o.Conditional.Validate()),
		within("quirks", o.Quirks.Validate()),
		o.checkWays(),
		o.checkCodes(),
		o.checkRules(),
	)
}

func (o *Options) checkBase() error {
	if o.Base == "" {
		return errors.New("base: is missing; write the source's FHIR base URL")
	}
	u, err := url.Parse(o.Base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("base: is not an http or https URL; write one such as https://ehr.example.org/fhir")
	case u.User != nil:
		return errors.New("base: holds a user or password; put credentials into auth")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("base: has a query or fragment; write the FHIR base URL alone")
	}
	return nil
}

func (o *Options) checkDialect() error {
	switch o.Dialect {
	case Argonaut, Slots:
		return nil
	case Links:
		return o.checkLinks()
	case IHE:
		return need("fhir", o.FHIR == "" || o.FHIR == scheduling.R4, "is %q; IHE Scheduling is r4, write that", o.FHIR)
	case Epic:
		return need("fhir", o.FHIR == "" || o.FHIR == scheduling.STU3, "is %q; Epic's scheduling is stu3, write that", o.FHIR)
	case "":
		return errors.New("dialect: is missing; write argonaut, slots, ihe, epic or links")
	default:
		return fmt.Errorf("dialect: unknown dialect %q; write argonaut, slots, ihe, epic or links", o.Dialect)
	}
}

func (o *Options) checkCodes() error {
	if o.Codes == "" {
		return nil
	}
	_, err := loadCodes(string(o.Codes))
	return within("codes", err)
}

// Validate tells everything that is wrong. Each message begins with the key.
func (p *Prefetch) Validate() error {
	day := config.Duration(24 * time.Hour)
	return errors.Join(
		need("cron", strings.TrimSpace(p.Cron) != "", "is empty; write a schedule such as @every 1m"),
		need("horizon", p.Horizon >= day && p.Horizon <= 730*day && p.Horizon%day == 0, "is %v; write whole days from 1d to 730d", p.Horizon),
		need("max_age", p.MaxAge > 0, "is %v; write a duration such as 24h", p.MaxAge),
		need("stale_after", p.StaleAfter > 0 && p.StaleAfter <= p.MaxAge, "is %v; write a duration up to max_age", p.StaleAfter),
		need("days_per_call", p.DaysPerCall >= 1, "is %d; write 1 or more", p.DaysPerCall),
		need("directory", p.Directory >= config.Duration(time.Minute), "is %v; write 1m or more", p.Directory),
	)
}

// Validate tells everything that is wrong. Each message begins with the key.
func (l *Limits) Validate() error {
	return errors.Join(
		need("rate", l.Rate > 0 && l.Rate <= 10_000, "is %v; write calls a second, above 0", l.Rate),
		need("concurrency", l.Concurrency >= 1 && l.Concurrency <= 1000, "is %d; write 1 to 1000", l.Concurrency),
		need("day", l.Day >= 0 && l.Day <= 1_000_000_000, "is %d; write calls a day, or 0 for any number", l.Day),
		need("day_prefetch", l.DayPrefetch > 0 && l.DayPrefetch <= 1, "is %v; write a part of day, above 0 and up to 1", l.DayPrefetch),
		need("day_read", l.DayRead >= l.DayPrefetch && l.DayRead <= 1, "is %v; write a part of day, from day_prefetch up to 1", l.DayRead),
		need("own_share", l.OwnShare >= 0 && l.OwnShare <= 1, "is %v; write a part, up to 1, or 0 for an equal part", l.OwnShare),
		need("timeout", l.Timeout > 0, "is %v; write a duration such as 30s", l.Timeout),
		need("retries", l.Retries == nil || *l.Retries >= 0 && *l.Retries <= 10, "write 0 to 10"),
		need("retry_wait", l.RetryWait > 0, "is %v; write a duration such as 5s", l.RetryWait),
		need("revalidate", l.Revalidate >= 0 && l.Revalidate <= 1, "is %v; write a part of rate, up to 1, or 0 for the default", l.Revalidate),
		need("recover", l.Recover > 0, "is %v; write a duration such as 1m", l.Recover),
		need("max_body", l.MaxBody >= 1024 && l.MaxBody <= 1<<30, "is %d; write bytes, 1024 to 1073741824", l.MaxBody),
		need("max_pages", l.MaxPages >= 1, "is %d; write 1 or more", l.MaxPages),
		need("max_slots", l.MaxSlots >= 1, "is %d; write 1 or more", l.MaxSlots),
		need("breaker_failures", l.BreakerFailures >= 1, "is %d; write 1 or more", l.BreakerFailures),
		need("breaker_open", l.BreakerOpen > 0, "is %v; write a duration such as 5s", l.BreakerOpen),
	)
}

// need is an error about a key unless ok.
func need(key string, ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(key+": "+format, args...)
}

// within puts the errors of a section under its key, each by itself.
func within(section string, err error) error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return config.At(section, "%w", err)
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, within(section, one))
	}
	return errors.Join(all...)
}

// Source is the source as everybody else knows it.
func (o *Options) Source() scheduling.Source {
	name := o.Name
	if name == "" {
		name = string(o.ID)
	}
	return scheduling.Source{
		ID:         o.ID,
		Name:       name,
		Base:       strings.TrimRight(o.Base, "/"),
		Dialect:    o.Dialect,
		Release:    o.FHIR,
		Zone:       o.Timezone.Location,
		Readonly:   o.Readonly,
		Paused:     o.Paused,
		Live:       o.live(),
		MaxAge:     o.Prefetch.MaxAge.Std(),
		StaleAfter: o.Prefetch.StaleAfter.Std(),
		Horizon:    int(o.Prefetch.Horizon.Std() / (24 * time.Hour)),
		Rules:      o.rules(),
	}
}
