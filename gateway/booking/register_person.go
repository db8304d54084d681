package booking

import (
	"context"
	"slices"

	"slotgate/scheduling"
)

var _ Persons = (*Registrar)(nil)

// Person tells what a clinic's rule asks of somebody who is registered here.
// Whether the source had them before is not told (law 13), but who has been there
// for an appointment of ours has been seen.
func (r *Registrar) Person(ctx context.Context, principal string, source scheduling.SourceID, id string) (scheduling.Person, error) {
	known, err := r.People.Person(ctx, principal, id)
	if err != nil {
		return scheduling.Person{}, err
	}
	out := scheduling.Person{Born: known.BirthDate, Standing: scheduling.Stranger}
	links, err := r.People.Links(ctx, principal, id)
	if err != nil {
		return out, err
	}
	if links[source].Native == "" {
		return out, nil
	}
	out.Standing = scheduling.Registered
	entries, err := r.Named.ByPatient(ctx, source, principal, id)
	if err != nil {
		return out, err
	}
	now := r.Clock.Now()
	if slices.ContainsFunc(entries, func(e scheduling.Entry) bool {
		return e.State == scheduling.EntryBooked && e.Offer.Start().Before(now)
	}) {
		out.Standing = scheduling.Seen
	}
	return out, nil
}
