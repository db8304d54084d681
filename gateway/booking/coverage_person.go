package booking

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"slotgate/scheduling"
)

// What nobody but a person can settle about a coverage is listed among the
// orphans: a call whose answer was lost, at a source that cannot be searched for
// it, and what could not be sent for a day.

// coverPlace is the name it is listed under: our identifier on the Coverage, or,
// where none was ever sent, the coverage and the source.
func coverPlace(source scheduling.SourceID, id string, l scheduling.CoverageLink) string {
	if l.Identifier != "" {
		return l.Identifier
	}
	return id + "." + string(source)
}

// forPerson lists a coverage for the clinic, unless it is listed, or somebody has
// seen to it.
func (r *Registrar) forPerson(ctx context.Context, principal string, source scheduling.SourceID, c scheduling.Coverage, l scheduling.CoverageLink) error {
	if r.OrphanStore == nil {
		return nil
	}
	name := coverPlace(source, c.ID, l)
	all, err := r.OrphanStore.Orphans(ctx, source)
	if err != nil || slices.ContainsFunc(all, func(o scheduling.Orphan) bool { return o.ID == name }) {
		return err
	}
	since := l.SentAt
	if since.IsZero() {
		since = r.now()
	}
	r.covers.WithLabelValues(string(source), "for-a-person").Inc()
	return r.OrphanStore.SaveOrphan(context.WithoutCancel(ctx), scheduling.Orphan{
		ID: name, Source: source, Principal: principal, Patient: c.Patient, Coverage: c.ID, Native: l.Native, Since: since, Blind: true, Saved: r.now(),
	})
}

// settled takes it off the list: the source has it.
func (r *Registrar) settled(ctx context.Context, source scheduling.SourceID, id string, l scheduling.CoverageLink) error {
	if r.OrphanStore == nil {
		return nil
	}
	away := context.WithoutCancel(ctx)
	if err := r.OrphanStore.DropOrphan(away, source, id+"."+string(source), 0); err != nil || l.Identifier == "" {
		return err
	}
	return r.OrphanStore.DropOrphan(away, source, l.Identifier, 0)
}

// CoverageGivenUp lists a coverage for the clinic that could not be sent, and
// that nobody sends any more. One that was forgotten is nothing to anybody.
func (r *Registrar) CoverageGivenUp(ctx context.Context, principal string, source scheduling.SourceID, id string) error {
	c, err := r.coverage(ctx, principal, id)
	if is(err, scheduling.UnknownID) {
		return nil
	}
	if err != nil {
		return err
	}
	links, err := r.Coverages.CoverageLinks(ctx, principal, id)
	if err != nil || has(links[source], c) {
		return err
	}
	return r.forPerson(ctx, principal, source, c, links[source])
}

// coverSeen: somebody has seen to it that the source has the coverage as it was,
// or need not have it. The next version is sent as any other.
func (r *Registrar) coverSeen(ctx context.Context, o scheduling.Orphan) error {
	if r.Coverages == nil {
		return nil
	}
	links, err := r.Coverages.CoverageLinks(ctx, o.Principal, o.Coverage)
	l := links[o.Source]
	if err != nil || l.State != scheduling.LinkSending {
		return err
	}
	l.State = scheduling.LinkKnown
	return r.Coverages.SaveCoverageLink(ctx, o.Principal, o.Source, o.Coverage, l)
}

// dead tells whether the insurance is none any more: withdrawn, or past. It is
// past when its last day is over everywhere.
func dead(c scheduling.Coverage, now time.Time) bool {
	var said struct {
		Status string `json:"status"`
		Period struct {
			End string `json:"end"`
		} `json:"period"`
	}
	if json.Unmarshal(c.Resource, &said) != nil {
		return false
	}
	return said.Status == "cancelled" || said.Status == "entered-in-error" || endsBefore(said.Period.End, now)
}

// westernmost is how much later than in UTC a day ends somewhere.
const westernmost = 12 * time.Hour

// endsBefore tells whether a FHIR dateTime, of whatever precision, is past.
func endsBefore(text string, now time.Time) bool {
	if end, err := time.Parse(time.RFC3339, text); err == nil {
		return !end.After(now)
	}
	for layout, after := range map[string][3]int{time.DateOnly: {0, 0, 1}, "2006-01": {0, 1, 0}, "2006": {1, 0, 0}} {
		if end, err := time.Parse(layout, text); err == nil {
			return !end.AddDate(after[0], after[1], after[2]).Add(westernmost).After(now)
		}
	}
	return false
}
