package ehrsim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Dialect is the way the simulated EHR speaks scheduling.
type Dialect string

// The dialects.
const (
	Argonaut Dialect = "argonaut" // Slot/$prefetch and Appointment/$find
	Slots    Dialect = "slots"    // paged GET Slot, as a plain FHIR server
	IHE      Dialect = "ihe"      // IHE ITI Scheduling: POSTed $find, $hold and $book
	Epic     Dialect = "epic"     // $find and $book with names of its own, temporary ids, no holds
	Links    Dialect = "links"    // files of a publisher (SMART Scheduling Links): $bulk-publish and NDJSON
)

// FHIR is a FHIR version.
type FHIR string

// The versions.
const (
	STU3 FHIR = "stu3" // 3.0.1
	R4   FHIR = "r4"   // 4.0.1
)

// Paging is how a server lets a client go on to the next page.
type Paging string

// The forms of paging.
const (
	TokenPaging  Paging = "token"  // HAPI-like: next carries an opaque _getpages token over a frozen result
	OffsetPaging Paging = "offset" // next carries _offset over the living result
)

// Times is how a server writes the instants of slots and appointments.
type Times string

// The ways of writing them.
const (
	UTCTimes    Times = "utc"    // 2026-10-25T01:30:00Z
	OffsetTimes Times = "offset" // 2026-10-25T02:30:00+01:00
	LocalTimes  Times = "local"  // 2026-10-25T02:30:00, in the place's zone, which one must know
)

// IfMatch is what a server makes of If-Match.
type IfMatch string

// The ways of treating If-Match.
const (
	IfMatchHeeded   IfMatch = "heeded"   // a stale one is refused with 412
	IfMatchIgnored  IfMatch = "ignored"  // a stale one goes through
	IfMatchRequired IfMatch = "required" // none is refused with 412 too
)

// Options say what EHR is simulated. The zero value, after [New] filled in the
// defaults, is an Argonaut R4 server of twelve practitioners over 28 days.
type Options struct {
	Name          string   // of the health system; default "Lakeside Health Partners"
	Dialect       Dialect  // default argonaut
	FHIR          FHIR     // default r4
	Zone          string   // IANA zone: of all generated places, and of times without one. Empty: places in several zones, UTC for the rest
	Seed          uint64   // same seed and start day: same practice
	Practitioners int      // default 12
	Days          int      // local days from today on that are open for booking; default 28
	Data          *Dataset // loaded resources to serve instead of a generated practice

	PageSize       int    // entries on a page when the client gives no _count; default 50
	MaxCount       int    // the largest _count that is honoured; default 1000
	Paging         Paging // default token
	NoNext         bool   // pages carry no next link; only _offset reaches the others
	RelativeNext   bool   // next is a reference relative to the base: "Slot?_getpages=..."
	RepeatIDs      bool   // each page begins with the last entry of the page before
	EmptyLastPage  bool   // the last next leads to a page without entries
	PageOperations bool   // argonaut and epic: what $prefetch and $find find comes in pages too, as ihe's does

	NoPrefetch       bool  // argonaut: Slot/$prefetch is not there
	NoPrefetchStatus int   // what it answers then; default 404, 501 also seen
	FindNoSlot       bool  // argonaut: offers of $find name no slot
	RoleActors       bool  // schedules name PractitionerRoles as actors, not practitioners and locations
	Times            Times // how instants are written; default by dialect: slots in UTC, others with the place's offset
	NoTimezone       bool  // locations carry no timezone extension
	LocalCodes       bool  // visit types are coded in the EHR's own system only

	HoldFor        time.Duration // argonaut: how long a hold lasts, by the simulated clock; default 5m
	NoHold         bool          // argonaut: $hold is not there
	NoExpires      bool          // argonaut: $hold does not tell when it ends
	RenewHolds     bool          // argonaut: $hold of what is held already makes it last longer, in place of a refusal
	Outcomes       bool          // argonaut: $hold and $book answer with an OperationOutcome beside the Appointment
	MovesCancelled bool          // argonaut: $book cancels what cancelled-appt-id names, if it still stands
	Refusal        string        // the shape, of [RefusalShapes], in which a taken slot is refused; default cancelled for argonaut, conflict for slots

	StrictSlots    bool // slots: appointments need a free slot, which follows them; else the server books blindly, and slots are the client's business
	NoTransactions bool // slots: POST [base] is not there
	NoConditional  bool // If-None-Exist is not heeded
	EmptyAnswers   bool // creates and updates answer without a body; slots, as Oracle's do

	PatchIfMatch        IfMatch  // what PATCH makes of If-Match; PUT always heeds it. Default heeded
	PatchFormats        []string // of "json", "xml" and "fhirpath"; default all
	NoAppointmentSearch bool     // appointments are read by id alone

	PatientRace     time.Duration // between looking for a known patient and adding one, so that parallel ones both add
	PatientRequires []string      // members that a new Patient must have: "birthDate", "telecom"; else 422

	NoMatch           bool // Patient/$match is not there
	MatchCertainOnly  bool // $match refuses to give others than certain ones
	MatchTellsSeveral bool // $match gives several certain ones where one is asked for
	MatchUngraded     bool // matches carry a score and no grade

	NoCoverage       bool     // Coverage is not there
	CoverageSearch   bool     // argonaut: Coverage can be searched, as it can be in slots
	CoverageRequires []string // members that a Coverage must have besides those of its version: "subscriberId"; else 422
	CoverageFirst    bool     // a patient without coverage is booked nowhere

	Notify Notify // Subscriptions and notifications; zero: there are none

	Users []User // who has a token from the beginning

	LinksMaxAge time.Duration // links: for how long the manifest and the files are good, as Cache-Control says; 0: it does not say
	OfferLife   time.Duration // epic: how long a proposed appointment can be booked by its id; default 10m
	Patches     bool          // epic: PATCH Appointment is there

	SloppyLinks bool // links: what real publishers do, against the specification

	KeepBodies bool // the history keeps bodies

	Validators  Validators // by what answers to searches are known again; default: by nothing
	MarkDeleted bool       // a slot that is deleted stays, as entered-in-error, where _lastUpdated finds it

	MaxWindow     time.Duration // the longest period one request may ask for; 0: any
	RequireBearer string        // the token that requests must carry; empty: none

	Login Login // how callers get a token; zero: they need none

	Throttle Throttle // how many calls at once are borne; zero: any number

	Latency   time.Duration // added to every answer
	Jitter    time.Duration // up to this much more, at random
	ErrorRate float64       // share of requests answered with 500, 0..1
	Faults    []Fault       // set from the beginning, and again after a reset

	Now       func() time.Time // the clock; default time.Now
	TimeScale float64          // the simulated clock runs this many times faster; default 1
	Start     time.Time        // the simulated clock's first instant; default Now()
}

func (o Options) withDefaults() Options {
	setDefault(&o.Name, "Lakeside Health Partners")
	setDefault(&o.Dialect, Argonaut)
	if o.Dialect == Epic {
		setDefault(&o.FHIR, STU3)
	}
	setDefault(&o.FHIR, R4)
	setDefault(&o.Practitioners, 12)
	setDefault(&o.Days, 28)
	setDefault(&o.PageSize, 50)
	setDefault(&o.MaxCount, 1000)
	setDefault(&o.Paging, TokenPaging)
	setDefault(&o.NoPrefetchStatus, 404)
	setDefault(&o.TimeScale, 1)
	setDefault(&o.HoldFor, 5*time.Minute)
	setDefault(&o.Notify.Heartbeat, 5*time.Minute)
	setDefault(&o.PatchIfMatch, IfMatchHeeded)
	setDefault(&o.OfferLife, 10*time.Minute)
	setDefault(&o.Refusal, map[Dialect]string{Argonaut: "cancelled", IHE: "bundle-fatal", Epic: "epic"}[o.Dialect])
	setDefault(&o.Refusal, "conflict")
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate says everything that is wrong with the options, after defaults.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("ehrsim: "+format, args...))
		}
	}
	refuse(!slices.Contains([]Dialect{Argonaut, Slots, IHE, Epic, Links}, o.Dialect), "dialect %q: want argonaut, slots, ihe, epic or links", o.Dialect)
	refuse((o.Dialect == Links || o.Dialect == IHE) && o.FHIR != R4, "dialect %s is r4", o.Dialect)
	refuse(o.Dialect == Epic && o.FHIR != STU3, "dialect epic is stu3")
	refuse(!slices.Contains(validators, o.Validators), "validators %q: want one of %q", o.Validators, validators)
	refuse(o.FHIR != STU3 && o.FHIR != R4, "fhir %q: want stu3 or r4", o.FHIR)
	refuse(o.Paging != TokenPaging && o.Paging != OffsetPaging, "paging %q: want token or offset", o.Paging)
	refuse(o.Practitioners < 1 || o.Practitioners > 100_000, "practitioners %d: want 1 to 100000", o.Practitioners)
	refuse(o.Days < 1 || o.Days > 730, "days %d: want 1 to 730", o.Days)
	refuse(o.PageSize < 1 || o.MaxCount < 1, "page size and max count must be positive")
	refuse(o.ErrorRate < 0 || o.ErrorRate > 1, "error rate %v: want 0 to 1", o.ErrorRate)
	refuse(o.TimeScale <= 0, "time scale %v: want more than 0", o.TimeScale)
	refuse(o.Latency < 0 || o.Jitter < 0 || o.MaxWindow < 0, "durations must not be negative")
	refuse(o.HoldFor < 0 || o.PatientRace < 0, "durations must not be negative")
	refuse(!slices.Contains(RefusalShapes(), o.Refusal), "refusal %q: want one of %v", o.Refusal, RefusalShapes())
	refuse(!slices.Contains([]Times{"", UTCTimes, OffsetTimes, LocalTimes}, o.Times), "times %q: want utc, offset or local", o.Times)
	refuse(o.PatchIfMatch != IfMatchHeeded && o.PatchIfMatch != IfMatchIgnored && o.PatchIfMatch != IfMatchRequired,
		"patch if-match %q: want heeded, ignored or required", o.PatchIfMatch)
	for _, format := range o.PatchFormats {
		refuse(!slices.Contains(patchFormats, format), "patch format %q: want one of %v", format, patchFormats)
	}
	_, err := o.location()
	refuse(err != nil, "zone %q is not known", o.Zone)
	errs = append(errs, o.Login.validate(), o.Throttle.validate())
	for _, f := range o.Faults {
		errs = append(errs, f.validate())
	}
	return errors.Join(errs...)
}

// location is the zone of times and days that name none.
func (o Options) location() (*time.Location, error) {
	if o.Zone == "Local" {
		return nil, errors.New("ehrsim: the zone must be named")
	}
	return time.LoadLocation(o.Zone)
}

// startFaults are the faults that hold from the beginning.
func (o Options) startFaults() []Fault {
	var out []Fault
	if o.Latency > 0 || o.Jitter > 0 {
		out = append(out, Fault{ID: "latency", Kind: FaultLatency, Delay: Duration(o.Latency), Jitter: Duration(o.Jitter)})
	}
	if o.ErrorRate > 0 {
		out = append(out, Fault{ID: "error-rate", Kind: FaultStatus, Status: 500, Rate: o.ErrorRate})
	}
	return append(out, o.Faults...)
}
