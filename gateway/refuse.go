package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// refuse answers with an error: status, headers and an OperationOutcome. It is
// the only way an error leaves this package.
func (x *exchange) refuse(err error) error {
	e, status := judge(err)
	if status >= fiber.StatusInternalServerError && e.Err != nil {
		x.s.deps.Logger.LogAttrs(x.ctx, slog.LevelError, "a request failed",
			slog.String("requestId", x.id), slog.String("route", x.route),
			slog.String("code", string(e.Code)), slog.String("source", string(e.Source)), slog.String("error", x.cause(e.Err)))
	}
	x.refuseHeaders(e, status)
	body, err := fhir.Write(x.release, x.format, fhir.Outcome(e))
	if err != nil {
		// An outcome that cannot be written leaves the status to speak.
		x.c.Status(status)
		return nil
	}
	return x.send(status, body)
}

// cause is what is logged of an error behind a refusal. An error of net/http
// holds the address that was asked, and with it perhaps a patient's id: where
// patients come in, the kinds of errors must do.
func (x *exchange) cause(err error) string {
	if !x.private {
		return err.Error()
	}
	var kinds []string
	for ; err != nil; err = errors.Unwrap(err) {
		kinds = append(kinds, fmt.Sprintf("%T", err))
	}
	return strings.Join(kinds, " < ")
}

func (x *exchange) refuseHeaders(e *scheduling.Error, status int) {
	x.c.Set(fiber.HeaderCacheControl, "no-store")
	if status == fiber.StatusUnauthorized {
		challenge := `Bearer realm="slotgate"`
		if e.Param == headerUser { // of the source: it is not the caller's key that is wrong
			challenge = `Bearer realm="source"`
		}
		if x.header(fiber.HeaderAuthorization) != "" {
			challenge += `, error="invalid_token"`
		}
		x.c.Set(fiber.HeaderWWWAuthenticate, challenge)
	}
	if wait := retryAfter(e, status); wait > 0 {
		x.c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait))
	}
}

// defaultRetry is told where nobody knows better.
const defaultRetry = 5 * time.Second

// retryAfter is in whole seconds, rounded up; 0: not to be told.
func retryAfter(e *scheduling.Error, status int) int {
	wait := e.RetryAfter
	if wait <= 0 {
		if status != fiber.StatusServiceUnavailable && status != fiber.StatusTooManyRequests {
			return 0
		}
		wait = defaultRetry
	}
	return int(math.Ceil(wait.Seconds()))
}
