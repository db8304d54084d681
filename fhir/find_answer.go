package fhir

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// FindAnswer is all that the answer to a $find is made of.
type FindAnswer struct {
	Release scheduling.Release
	Base    string // our base URL of this version, without a slash at its end
	Self    string // absolute URL of this page
	Next    string // of the next page, "" for the last one
	Found   scheduling.Found
	// Outcome is told as the last entry; nil for none.
	Outcome *model.OperationOutcome
	// Origin tells where a source's offers come from; nil for SourceURI.
	Origin func(scheduling.SourceID) string
}

// Requested is the period that was searched, as each Appointment repeats it.
func (a FindAnswer) Requested() *model.Period {
	if a.Found.From.IsZero() {
		return nil
	}
	p := &model.Period{Start: utc(a.Found.From)}
	if !a.Found.To.IsZero() {
		p.End = utc(a.Found.To)
	}
	return p
}

func (a FindAnswer) origin(o scheduling.Offer) Origin {
	uri := SourceURI
	if a.Origin != nil {
		uri = a.Origin
	}
	return Origin{Source: o.Setting.Source, URI: uri(o.Setting.Source), Synced: o.Checked}
}

// Bundle is the answer as a resource, in either format. Renderer.Find writes
// the same as JSON, much faster.
func (a FindAnswer) Bundle() *model.Bundle {
	b := a.frame()
	requested := a.Requested()
	for _, hit := range a.Found.Offers {
		b.Entry = append(b.Entry, model.BundleEntry{
			FullURL:  a.Base + "/Appointment/" + hit.ID,
			Resource: OfferAppointment(a.Release, hit.Offer, a.origin(hit.Offer), requested),
			Search:   &model.BundleSearch{Mode: "match"},
		})
	}
	if a.Outcome != nil {
		b.Entry = append(b.Entry, model.BundleEntry{Resource: a.Outcome, Search: &model.BundleSearch{Mode: "outcome"}})
	}
	return b
}

// frame is the Bundle without its entries.
func (a FindAnswer) frame() *model.Bundle {
	total := a.Found.Total
	return SearchSet(total, a.Self, a.Next)
}

// SearchSet is an empty searchset with its links; next is left out where it is
// "".
func SearchSet(total int, self, next string) *model.Bundle {
	b := &model.Bundle{Type: "searchset", Total: &total}
	if self != "" {
		b.Link = append(b.Link, model.BundleLink{Relation: "self", URL: self})
	}
	if next != "" {
		b.Link = append(b.Link, model.BundleLink{Relation: "next", URL: next})
	}
	return b
}

// AddMatch adds a resource that a search found.
func AddMatch(b *model.Bundle, base string, res model.Resource) {
	b.Entry = append(b.Entry, model.BundleEntry{
		FullURL: base + "/" + model.Ref(res), Resource: res, Search: &model.BundleSearch{Mode: "match"},
	})
}

// FindOutcome is what is told with the offers: what of the question was not
// applied, and for each source how fresh it is and what is missing (law 7).
func FindOutcome(f Find, found scheduling.Found) *model.OperationOutcome {
	out := &model.OperationOutcome{}
	tell := func(code, format string, names []string) {
		for _, name := range names {
			out.Issue = append(out.Issue, Told("warning", code, fmt.Sprintf(format, name), name))
		}
	}
	tell("not-supported", "parameter %s is not known and was not applied", f.Unknown)
	tell("incomplete", "parameter %s was not applied: offers are not judged by it here", f.NotApplied)
	tell("too-costly", "parameter %s was brought down to what is allowed", f.Cut)
	out.Issue = append(out.Issue, toldRules(&f.Query, found.Offers)...)
	for _, source := range found.Sources {
		out.Issue = append(out.Issue, sourceIssue(source))
	}
	if len(out.Issue) == 0 {
		out.Issue = append(out.Issue, Told("information", "informational", "no source is asked by this query", ""))
	}
	return out
}

// sourceIssue tells how fresh one source is.
func sourceIssue(f scheduling.Freshness) model.OutcomeIssue {
	details := &model.CodeableConcept{
		Text:   freshnessText(f),
		Coding: []model.Coding{{System: SourceSystem, Code: string(f.Source), Display: f.Name}},
	}
	issue := model.OutcomeIssue{Severity: "information", Code: "informational", Details: details, Diagnostics: details.Text}
	switch {
	case !f.Complete || f.State != scheduling.StateOK:
		issue.Severity, issue.Code = "warning", "incomplete"
	case f.Status.Emptied, f.Status.Unusable.Total() > f.Status.Unusable[scheduling.Unmapped]:
		issue.Severity, issue.Code = "warning", "processing"
	}
	if f.Asked == scheduling.Silent {
		issue.Code = "timeout"
	}
	if f.State == scheduling.StateDown {
		details.Coding = append(details.Coding,
			model.Coding{System: ErrorSystem, Code: string(scheduling.SourceDown)},
			model.Coding{System: WhoSystem, Code: string(scheduling.AtEHR)})
		issue.Code = "transient"
	}
	if !f.Status.LastSync.IsZero() {
		issue.Extension = []model.Extension{{URL: LastSyncExtension, ValueDateTime: utc(f.Status.LastSync)}}
	}
	return issue
}

// freshnessText is the same in words, with the counts of what is unusable.
func freshnessText(f scheduling.Freshness) string {
	name := f.Name
	if name == "" {
		name = string(f.Source)
	}
	parts := []string{name + ": " + string(f.State)}
	if f.Asked != "" {
		parts = append(parts, "its slots are not kept, "+askedText(f.Asked))
	} else if f.Status.LastSync.IsZero() {
		parts = append(parts, "never loaded")
	} else {
		parts = append(parts, "as of "+f.Status.LastSync.UTC().Format(time.RFC3339))
	}
	if !f.Complete {
		parts = append(parts, "offers may be missing")
	}
	if f.Status.Emptied {
		parts = append(parts, "emptied: the latest answer took away more than half")
	}
	if n := f.Status.Unusable.Total(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d records cannot be used (%s)", n, tallyText(f.Status.Unusable)))
	}
	return strings.Join(parts, ", ")
}

// askedText is what came of asking a source live.
func askedText(asked scheduling.Asked) string {
	switch asked {
	case scheduling.Answered:
		return "it was asked just now"
	case scheduling.Partly:
		return "it was asked just now and did not tell all"
	case scheduling.Silent:
		return "it did not answer in time"
	case scheduling.Crowded:
		return "it is asked for as much as it may be just now"
	case scheduling.Needless:
		return "nothing of it can match"
	case scheduling.Unasked:
		return "only $find asks it"
	default:
		return "it could not be asked"
	}
}

func tallyText(t scheduling.Tally) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, fmt.Sprintf("%s: %d", reason, t[reason]))
	}
	return strings.Join(parts, ", ")
}
