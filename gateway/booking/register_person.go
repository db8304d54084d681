package booking

import (
	"context"
	"slices"

	"slotgate/scheduling"
)

var (
	_ Persons     = (*Registrar)(nil)
	_ Recognizers = (*Registrar)(nil)
)

// IsPatient tells whether somebody who is registered here is that Patient of the
// source: it must show an identifier of theirs, or their names and birth date, and
// nothing that contradicts.
func (r *Registrar) IsPatient(ctx context.Context, principal string, source scheduling.SourceID, id, native string) (bool, error) {
	person, err := r.People.Person(ctx, principal, id)
	if err != nil {
		return false, err
	}
	at, ok := r.At(source)
	if !ok {
		return false, nil
	}
	shown, err := at.ReadPatient(ctx, native)
	if err != nil {
		return false, nil
	}
	born := person.BirthDate != "" && shown.BirthDate != "" && len(person.Names) > 0 && len(shown.Names) > 0
	alike := person.SharesIdentifier(shown.Identifiers) || born
	return alike && !shown.Closed && !person.Contradicts(shown) && person.Vouches(shown), nil
}

// Person tells what a clinic's rule asks of somebody who is registered here.
// Whether the source had them before is not told (law 13), but who has been there
// for an appointment of ours has been seen.
func (r *Registrar) Person(ctx context.Context, principal string, source scheduling.SourceID, id string) (scheduling.Person, error) {
	links, err := r.People.Links(ctx, principal, id)
	if err != nil {
		return scheduling.Person{}, err
	}
	link := links[source]
	known, err := r.People.Person(ctx, principal, id)
	if err != nil && !(is(err, scheduling.UnknownID) && link.Native != "" && !link.Forgotten) { // the link may outlive the person
		return scheduling.Person{}, err
	}
	out := scheduling.Person{Born: known.BirthDate, Standing: scheduling.Stranger}
	if link.Native == "" {
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
