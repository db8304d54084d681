package gateway

import (
	"bytes"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/gateway/booking"
)

// hold answers $hold, on an id or on the type.
func (x *exchange) hold() error {
	id := x.param("id")
	body, _, err := x.operand(id)
	if err != nil {
		return err
	}
	opts, err := x.bookOptions()
	if err != nil {
		return err
	}
	asked, err := fhir.ParseHold(id, body, opts)
	if err != nil {
		return err
	}
	key, err := x.asked(&asked)
	if err != nil {
		return err
	}
	ctx, cancel := x.bookingCtx()
	defer cancel()
	view, err := x.s.deps.Desk.Hold(ctx, x.bookingCaller(), booking.HoldRequest{
		Target: target(asked), Key: key, Patients: asked.Patients,
	})
	if err != nil {
		return err
	}
	return x.answerView(view, asked)
}

// target is what is to be held or booked.
func target(h fhir.Held) booking.Target {
	return booking.Target{ID: h.ID, Slots: h.Slots, Start: h.Start, End: h.End, ByResource: h.ByResource}
}

// bookOptions are ours, and the source whose own ids the address says are meant.
func (x *exchange) bookOptions() (fhir.BookOptions, error) {
	opts := fhir.BookOptions{Bases: x.s.bases(), Sources: x.s.live.Load().sources, Release: x.release, Coverage: x.s.deps.Coverages != nil, MaxValues: x.s.opts.MaxParams}
	values, err := x.query()
	if err == nil {
		opts.Source, err = x.oneSource(values)
	}
	return opts, err
}

// operand reads the body of $hold or $book. With an id in the path there need
// not be one. dropped counts the elements of XML that this version does not
// know.
func (x *exchange) operand(id string) (res model.Resource, dropped int, err error) {
	body := x.body()
	if id != "" && len(bytes.TrimSpace(body)) == 0 {
		return nil, 0, nil
	}
	format, ok := fhir.FormatOf(x.header(fiber.HeaderContentType))
	if !ok {
		return nil, 0, refuseHTTP(fiber.StatusUnsupportedMediaType)
	}
	// What is read keeps parts of the text: the text must be ours.
	return fhir.ReadCounting(x.release, format, bytes.Clone(body))
}

// asked adds the parameters of the address, which these operations do not have,
// and reads the headers that steer a change.
func (x *exchange) asked(h *fhir.Held) (key string, err error) {
	values, err := x.query()
	if err != nil {
		return "", err
	}
	for _, name := range sortedNames(values) {
		if name != "source" {
			h.Unknown = noteUnknown(h.Unknown, name)
		}
	}
	if x.strict() && len(h.Unknown) > 0 {
		return "", refuseUnknown(h.Unknown)
	}
	return x.idempotencyKey()
}
