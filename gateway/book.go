package gateway

import (
	"context"
	"slices"

	"slotgate/fhir"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// book answers $book, on an id or on the type.
func (x *exchange) book() error {
	id := x.param("id")
	body, dropped, err := x.operand(id)
	if err != nil {
		return err
	}
	opts, err := x.bookOptions()
	if err != nil {
		return err
	}
	asked, err := fhir.ParseBook(id, body, opts)
	if err != nil {
		return err
	}
	if dropped > 0 && len(asked.People)+len(asked.Coverages) > 0 {
		return scheduling.Refuse(scheduling.NotAcceptable, "patient-resource", "the patient or the coverage has elements that this version of FHIR does not have")
	}
	key, err := x.asked(&asked.Held)
	if err != nil {
		return err
	}
	view, err := x.runBook(&asked, key)
	if err != nil {
		return err
	}
	return x.answerView(view, asked.Held)
}

// runBook has the desk do what was asked.
func (x *exchange) runBook(asked *fhir.Booked, key string) (booking.View, error) {
	ctx, cancel := x.bookingCtx()
	defer cancel()
	if asked.Act == fhir.ActCancel {
		return x.s.deps.Desk.Cancel(ctx, x.bookingCaller(), booking.CancelRequest{ID: asked.ID, Key: key, Reason: asked.Reason})
	}
	if len(asked.Patients)+len(asked.People) == 0 {
		return booking.View{}, scheduling.Refuse(scheduling.MissingData, "patient-id",
			"an appointment needs a patient: patient-id, patient-resource, or a participant that refers to one")
	}
	coverages, err := x.register(ctx, asked)
	if err != nil {
		return booking.View{}, err
	}
	req := booking.BookRequest{
		Target: target(asked.Held), Key: key, Patients: asked.Patients, Coverages: coverages, Comment: asked.Comment, Replaces: asked.Replaces,
		Sent: asked.Digest(),
	}
	if asked.Act == fhir.ActMove {
		req.Reschedule = scheduling.Move
	}
	return x.s.deps.Desk.Book(ctx, x.bookingCaller(), req)
}

// register keeps the patients and coverages that came with a booking, and gives
// the ids of the coverages. A repeat finds the same ones.
func (x *exchange) register(ctx context.Context, asked *fhir.Booked) (coverages []string, err error) {
	if len(asked.People) > 0 && x.s.deps.Patients == nil {
		return nil, scheduling.Refuse(scheduling.NotAcceptable, "patient-resource", "patients are not registered here: name one by patient-id")
	}
	if err := x.judge(ctx, asked); err != nil {
		return nil, err
	}
	var people []string
	for _, person := range asked.People {
		known, _, err := x.s.deps.Patients.Register(ctx, x.principalName(), person, "")
		if err != nil {
			return nil, err
		}
		people = append(people, known.ID)
	}
	given, err := asked.Cover(fhir.BookOptions{Bases: x.s.bases(), Release: x.release}, people)
	if err != nil {
		return nil, err
	}
	for _, id := range people {
		if !slices.Contains(asked.Patients, id) {
			asked.Patients = append(asked.Patients, id)
		}
	}
	return x.insure(ctx, asked.Coverages, given)
}

// judge refuses what can be known to fail, before anybody is registered.
func (x *exchange) judge(ctx context.Context, asked *fhir.Booked) error {
	if err := x.whole(ctx, asked.People); err != nil {
		return err
	}
	if err := x.own(ctx, asked.Named); err != nil {
		return err
	}
	for _, one := range asked.Coverages {
		if one.Resource() {
			continue
		}
		if _, err := x.s.deps.Coverages.ReadCoverage(ctx, x.principalName(), one.ID); err != nil {
			return err
		}
	}
	return nil
}

// insure keeps what came as a resource, and names all.
func (x *exchange) insure(ctx context.Context, all []fhir.GivenCoverage, given []scheduling.Coverage) (ids []string, err error) {
	for _, one := range all {
		id := one.ID
		if one.Resource() {
			known, _, err := x.s.deps.Coverages.GiveCoverage(ctx, x.principalName(), given[0], "")
			if err != nil {
				return nil, err
			}
			id, given = known.ID, given[1:]
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
