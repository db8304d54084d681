package booking

import (
	"context"

	"slotgate/scheduling"
)

// admits holds the clinic's rule by which the offer was made against the moment,
// and against those who are to be seen. What is held already was in time when it
// was held.
//
// Errors: not-acceptable; those of finding out who somebody is.
func (d *Desk) admits(ctx context.Context, c Caller, f found, patients []scheduling.PatientRef) error {
	rule := f.offer.Rule
	if f.entry.State != scheduling.EntryHeld {
		if err := rule.Timely(f.offer.Start(), d.now()); err != nil {
			return err
		}
	}
	if !rule.Asks() {
		return nil
	}
	for _, p := range patients {
		person, err := d.person(ctx, c, f.entry.Source, p)
		if err != nil {
			return err
		}
		if err := rule.Admits(person, f.offer.Start(), f.offer.Location()); err != nil {
			return err
		}
	}
	return nil
}

// person is what is known of somebody who was named, and vouched for, before.
func (d *Desk) person(ctx context.Context, c Caller, source scheduling.SourceID, p scheduling.PatientRef) (scheduling.Person, error) {
	if scheduling.OwnPatientID(p.Asked) {
		people, ok := d.Patients.(Persons)
		if !ok {
			return scheduling.Person{}, nil
		}
		return people.Person(ctx, c.Principal, source, p.Asked)
	}
	person := scheduling.Person{Standing: scheduling.Seen}
	at := d.userEHR(source)
	if at == nil {
		return person, nil
	}
	who := scheduling.AsGateway()
	if c.User.Given() {
		who = scheduling.AsUser(c.User)
	}
	r, err := at.UserPatient(ctx, who, p.Native)
	if err != nil {
		return person, nil // the source does not tell
	}
	person.Born = r.BirthDate
	return person, nil
}
