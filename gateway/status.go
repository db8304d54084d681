package gateway

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"slotgate/gateway/booking"
	"slotgate/scheduling"
)

// statusOf is the one table from what went wrong to the HTTP status.
//
// If you add a scheduling.Code you must add it here; a test looks.
func statusOf(code scheduling.Code) int {
	switch code {
	case scheduling.BadRequest:
		return fiber.StatusBadRequest
	case scheduling.Unauthorized:
		return fiber.StatusUnauthorized
	case scheduling.Forbidden:
		return fiber.StatusForbidden
	case scheduling.UnknownID:
		return fiber.StatusNotFound
	case scheduling.SlotTaken, scheduling.HoldExpired, scheduling.HoldLimit:
		return fiber.StatusConflict
	case scheduling.UsedID:
		return fiber.StatusGone
	case scheduling.NotAcceptable, scheduling.NeedsClinic, scheduling.MissingData:
		return fiber.StatusUnprocessableEntity
	case scheduling.InDoubt, scheduling.Unresolved:
		return fiber.StatusAccepted
	case scheduling.NotSupported:
		return fiber.StatusNotImplemented
	case scheduling.SourceDown, scheduling.Shedding:
		return fiber.StatusServiceUnavailable
	case scheduling.SourceSlow:
		return fiber.StatusGatewayTimeout
	case scheduling.SourceRefused, scheduling.SourceLogin, scheduling.SourceNonsense:
		return fiber.StatusBadGateway
	case scheduling.Throttled:
		return fiber.StatusTooManyRequests
	default:
		return fiber.StatusInternalServerError
	}
}

// refusal is an error of HTTP itself, such as 405, whose status no code has.
type refusal struct {
	status int
	err    *scheduling.Error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// judge gives the error in our words and its status.
func judge(err error) (*scheduling.Error, int) {
	var r *refusal
	if errors.As(err, &r) {
		return r.err, r.status
	}
	var f *fiber.Error
	if errors.As(err, &f) {
		r = refuseHTTP(f.Code)
		return r.err, r.status
	}
	e := scheduling.AsError(err)
	switch {
	case errors.Is(err, booking.ErrState):
		return e, fiber.StatusConflict
	case errors.Is(err, booking.ErrVersion):
		return e, fiber.StatusPreconditionFailed
	}
	return e, statusOf(e.Code)
}

// refuseHTTP words what HTTP itself refuses. Fiber's and fasthttp's texts
// repeat the request and are dropped.
func refuseHTTP(status int) *refusal {
	code, message := scheduling.BadRequest, "the request could not be read"
	switch status {
	case fiber.StatusNotFound:
		code, message = scheduling.UnknownID, "there is nothing at this address"
	case fiber.StatusMethodNotAllowed:
		code, message = scheduling.NotSupported, "this method is not served here; Allow names those that are"
	case fiber.StatusNotAcceptable:
		code, message = scheduling.NotSupported, "answers are written as application/fhir+json or application/fhir+xml"
	case fiber.StatusRequestTimeout:
		message = "the request did not arrive in time"
	case fiber.StatusRequestEntityTooLarge:
		message = "the body is too large"
	case fiber.StatusUnsupportedMediaType:
		code, message = scheduling.NotSupported, "bodies are read as application/fhir+json or application/fhir+xml"
	case fiber.StatusRequestHeaderFieldsTooLarge:
		message = "the address and headers are too large; POST takes more"
	case fiber.StatusInternalServerError:
		return &refusal{status, scheduling.Fault(scheduling.Internal, nil, "something went wrong on our side")}
	default:
		status = fiber.StatusBadRequest
	}
	return &refusal{status, scheduling.Refuse(code, "", "%s", message)}
}
