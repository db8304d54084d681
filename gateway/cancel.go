package gateway

import (
	"bytes"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// patch answers PATCH: it cancels an appointment, releases a hold, or only
// tests.
func (x *exchange) patch() error {
	id, err := x.appointmentID()
	if err != nil {
		return err
	}
	patch, err := x.readPatch()
	if err != nil {
		return err
	}
	req := booking.CancelRequest{
		ID: id, Reason: patch.Reason, Status: patch.Expects(), Sent: string(x.body()),
		Check: func(v booking.View) error { return x.agree(patch, v) },
	}
	if req.Key, err = x.idempotencyKey(); err != nil {
		return err
	}
	if req.IfMatch, err = x.ifMatch(); err != nil {
		return err
	}
	view, err := x.runPatch(patch, req)
	if err != nil {
		return err
	}
	return x.answerPatch(view)
}

// agree judges a patch by the appointment as it stands. A test that fails is a
// state that does not allow it, also when the desk gives that answer again.
func (x *exchange) agree(patch fhir.Patch, v booking.View) error {
	err := patch.Agree(x.release, x.appointment(v))
	if errors.Is(err, fhir.ErrTest) {
		e := scheduling.AsError(err)
		e.Err = booking.ErrState
		return e
	}
	return err
}

func (x *exchange) readPatch() (fhir.Patch, error) {
	// What is read keeps parts of the text: the text must be ours.
	body := bytes.Clone(x.body())
	format, ok := fhir.PatchFormatOf(x.header(fiber.HeaderContentType), body)
	if !ok {
		x.c.Set("Accept-Patch", strings.Join(fhir.PatchTypes(), ", "))
		return fhir.Patch{}, refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	return fhir.ParsePatch(x.release, format, body)
}

// runPatch has the desk cancel. A patch that only tests changes nothing.
func (x *exchange) runPatch(patch fhir.Patch, req booking.CancelRequest) (booking.View, error) {
	ctx, cancel := x.bookingCtx()
	defer cancel()
	if patch.Cancels() {
		return x.s.deps.Desk.Cancel(ctx, x.bookingCaller(), req)
	}
	view, err := x.s.deps.Desk.Read(ctx, x.bookingCaller(), req.ID)
	if err != nil {
		return view, err
	}
	if req.IfMatch != 0 && req.IfMatch != view.Entry.Version {
		return view, &scheduling.Error{
			Code: scheduling.NotAcceptable, Who: scheduling.Client, Param: fiber.HeaderIfMatch,
			Message: "the appointment has changed since you read it", Err: booking.ErrVersion,
		}
	}
	return view, req.Check(view)
}

// answerPatch answers as the caller prefers: the Appointment, an outcome, or
// nothing. While it is in doubt it is always the outcome that counts.
func (x *exchange) answerPatch(v booking.View) error {
	status := x.viewHead(v)
	preference := x.preferred()
	if preference != "" {
		x.c.Set("Preference-Applied", "return="+preference)
	}
	switch {
	case preference == "minimal":
		x.c.Status(status)
		return nil
	case preference == "OperationOutcome", v.InDoubt:
		return x.resource(status, patchOutcome(v))
	default:
		return x.resource(status, x.appointment(v))
	}
}

// patchOutcome says how the appointment stands now.
func patchOutcome(v booking.View) *model.OperationOutcome {
	if outcome := fhir.BookOutcome(fhir.Held{}, notices(v), doubts(v)...); outcome != nil {
		return outcome
	}
	return &model.OperationOutcome{Issue: []model.OutcomeIssue{
		fhir.Told("information", "informational", "the appointment is "+string(v.Status), ""),
	}}
}

// preferred is what Prefer wants returned (RFC 7240; FHIR adds
// OperationOutcome), "" for what is not known or not said.
func (x *exchange) preferred() string {
	value := x.preference("return")
	for _, known := range []string{"representation", "OperationOutcome", "minimal"} {
		if strings.EqualFold(value, known) {
			return known
		}
	}
	return ""
}
