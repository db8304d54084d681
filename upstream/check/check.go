// Package check finds out whether a source can be used, and how well: one row a
// capability. It is what `slotgate check` prints. Run only reads; Write holds
// one slot and releases it.
//
// The rows come in the order in which things must work: without a connection
// there is no login, without a login no metadata. Rows that cannot be judged
// for an earlier one that failed are left out.
package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
	"slotgate/upstream"
)

// Verdict is how well something works.
type Verdict string

// The verdicts, as they are printed.
const (
	Works     Verdict = "works"
	WithQuirk Verdict = "works with quirk"
	DoesNot   Verdict = "does not"
)

// Row is one capability of a source.
type Row struct {
	Name    string // config, reachable, login, metadata, directory, prefetch, find or slots, register, coverage, subscribe
	Verdict Verdict
	Why     string // for the operator; no text of the source
	// Needed: without it the source cannot be used.
	Needed bool
}

// Usable tells whether everything that is needed works.
func Usable(rows []Row) bool {
	return !slices.ContainsFunc(rows, func(r Row) bool { return r.Needed && r.Verdict == DoesNot })
}

// Run tries everything that there is to try, from today on. It ends early when
// ctx does.
func Run(ctx context.Context, client *upstream.Client) []Row {
	r := &run{ctx: ctx, client: client, source: client.Source()}
	r.config()
	for _, try := range []func() bool{r.reachable, r.login, r.metadata, r.directory, r.slots, r.register, r.coverage, r.subscribe} {
		if !try() {
			break
		}
	}
	return r.rows
}

// run is one run. The next try is made when the one before returns true.
type run struct {
	ctx    context.Context //nolint:containedctx // lives as long as Run
	client *upstream.Client
	source scheduling.Source
	rows   []Row
	told   *model.CapabilityStatement // nil: none
}

func (r *run) add(name string, needed bool, verdict Verdict, format string, args ...any) {
	r.rows = append(r.rows, Row{Name: name, Verdict: verdict, Why: fmt.Sprintf(format, args...), Needed: needed})
}

// fail adds a row for what went wrong.
func (r *run) fail(name string, needed bool, err error) {
	r.add(name, needed, DoesNot, "%s", Explain(err))
}

// Explain is what an error of a client means, for the operator: code, message
// and cause, none of which holds text of the source.
func Explain(err error) string { return scheduling.AsError(err).Error() }

func (r *run) config() {
	what := fmt.Sprintf("%s, FHIR %s, %s", r.source.Dialect, r.source.Release, r.source.Base)
	if r.source.Zone == nil {
		r.add("config", true, WithQuirk, "%s; no timezone: places that tell none, and times without an offset, cannot be used", what)
		return
	}
	r.add("config", true, Works, "%s, %s", what, r.source.Zone)
}

func (r *run) reachable() bool {
	began := time.Now()
	if err := r.client.Reach(r.ctx); err != nil {
		r.fail("reachable", true, err)
		return false
	}
	r.add("reachable", true, Works, "answered in %v", time.Since(began).Round(time.Millisecond))
	return true
}

func (r *run) login() bool {
	kind := r.client.Options().Auth.Kind
	if err := r.client.Login(r.ctx); err != nil {
		r.fail("login", true, err)
		return false
	}
	r.add("login", true, Works, "%s", kind)
	return true
}

// metadata is not needed: some EHRs have none, and slots all the same.
func (r *run) metadata() bool {
	statement, err := r.client.Metadata(r.ctx)
	if err == nil {
		r.told = statement
	}
	switch {
	case err != nil && scheduling.CodeOf(err) == scheduling.SourceRefused:
		r.add("metadata", false, WithQuirk, "the source has no CapabilityStatement for us")
	case err != nil:
		r.fail("metadata", false, err)
	case !agrees(r.source.Release, statement.FHIRVersion):
		r.add("metadata", false, DoesNot, "the source says another FHIR version than %s; correct `fhir`", r.source.Release)
	default:
		r.add("metadata", false, Works, "FHIR version agrees: %s", r.source.Release)
	}
	return true
}

// agrees compares the release with what a CapabilityStatement says: 3.0.x is
// STU3, 4.0.x is R4.
func agrees(release scheduling.Release, version string) bool {
	if release == scheduling.STU3 {
		return version == "STU3" || strings.HasPrefix(version, "3.0")
	}
	return version == "R4" || strings.HasPrefix(version, "4.0")
}

func (r *run) directory() bool {
	dir, tally, err := r.client.Directory(r.ctx)
	if err != nil {
		r.fail("directory", true, err)
		return false
	}
	what := fmt.Sprintf("%d practitioners, %d roles, %d locations, %d organizations, %d services, %d schedules",
		len(dir.Practitioners), len(dir.Roles), len(dir.Locations), len(dir.Organizations), len(dir.Services), len(dir.Schedules))
	verdict := Works
	if len(dir.Schedules) == 0 && !r.ofFind() || tally.Total() > 0 {
		verdict = WithQuirk
		what += inWords("; cannot be used: ", tally)
	}
	r.add("directory", false, verdict, "%s", what)
	return true
}

// ofFind: the source knows no schedules, nor needs any.
func (r *run) ofFind() bool {
	return r.source.Dialect == upstream.IHE || r.source.Dialect == upstream.Epic
}

// searchDays is how far ahead a day with slots is looked for.
const searchDays = 14

// slots reads day after day until one has slots: a source that is closed on
// Sundays is not broken.
func (r *run) slots() bool {
	name := r.source.Dialect
	zone := r.source.Zone
	if zone == nil {
		zone = time.UTC
	}
	today := scheduling.DayOf(r.client.Now(), zone)
	for day := today; day < today+searchDays; day++ {
		got, err := r.client.Fetch(r.ctx, scheduling.Scope{Days: scheduling.Days{From: day, To: day + 1}})
		name = r.client.Way()
		if err != nil {
			r.fail(name, true, err)
			return false
		}
		if got.Slots() > 0 || got.Unusable.Total() > 0 || !got.Complete {
			r.day(name, day, got)
			return true
		}
	}
	r.add(name, true, WithQuirk, "the source answers, but has no open slots in the next %d days", searchDays)
	return true
}

// day judges the answer for one day.
func (r *run) day(name string, day scheduling.Day, got scheduling.Fetched) {
	what := fmt.Sprintf("%s: %d open slots", day, got.Slots()) + inWords("; cannot be used: ", got.Unusable) + inWords("; codes without a common one: ", got.Unmapped)
	verdict := Works
	switch {
	case !got.Complete:
		verdict = DoesNot
		what += "; not complete: " + got.Cut
	case got.Slots() == 0:
		verdict = DoesNot
	case got.Unusable.Total() > 0, name == "find" && !r.client.Options().Quirks.NoPrefetch && r.source.Dialect == upstream.Argonaut:
		verdict = WithQuirk
	}
	if name == "find" && verdict == WithQuirk {
		what += "; no Slot/$prefetch here, quirks.no_prefetch spares asking for it"
	}
	r.add(name, true, verdict, "%s", what)
}

// inWords is a tally as "2 no-zone, 1 bad-time" after a lead, or nothing.
func inWords(lead string, tally scheduling.Tally) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(tally)) {
		parts = append(parts, fmt.Sprintf("%d %s", tally[reason], reason))
	}
	if len(parts) == 0 {
		return ""
	}
	return lead + strings.Join(parts, ", ")
}
