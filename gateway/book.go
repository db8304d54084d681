package gateway

import (
	"slotgate/fhir"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// book answers $book, on an id or on the type.
func (x *exchange) book() error {
	id := x.param("id")
	body, err := x.operand(id)
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
	key, err := x.asked(&asked.Held)
	if err != nil {
		return err
	}
	view, err := x.runBook(asked, key)
	if err != nil {
		return err
	}
	return x.answerView(view, asked.Held)
}

// runBook has the desk do what was asked.
func (x *exchange) runBook(asked fhir.Booked, key string) (booking.View, error) {
	ctx, cancel := x.bookingCtx()
	defer cancel()
	if asked.Act == fhir.ActCancel {
		return x.s.deps.Desk.Cancel(ctx, x.bookingCaller(), booking.CancelRequest{ID: asked.ID, Key: key, Reason: asked.Reason})
	}
	if len(asked.Patients) == 0 {
		return booking.View{}, scheduling.Refuse(scheduling.MissingData, "patient-id",
			"an appointment needs a patient: patient-id, or a participant that refers to one")
	}
	req := booking.BookRequest{
		Target: target(asked.Held), Key: key, Patients: asked.Patients, Comment: asked.Comment, Replaces: asked.Replaces,
	}
	if asked.Act == fhir.ActMove {
		req.Reschedule = scheduling.Move
	}
	return x.s.deps.Desk.Book(ctx, x.bookingCaller(), req)
}
