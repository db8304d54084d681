package token

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
)

// Why there is no token.
var (
	// ErrRefused: the endpoint does not accept us. Asking again is of no use.
	ErrRefused = errors.New("token: the token endpoint refused us")
	// ErrDown: the endpoint did not answer, or with a 5xx.
	ErrDown = errors.New("token: the token endpoint is down")
	// ErrNonsense: it answered what is no token.
	ErrNonsense = errors.New("token: the token endpoint answered nonsense")
)

// statusError keeps the status of an answer, and nothing of its text.
type statusError struct {
	kind   error
	status int
}

func (e *statusError) Error() string { return fmt.Sprintf("%v: HTTP status %d", e.kind, e.status) }
func (e *statusError) Unwrap() error { return e.kind }

// judgeStatus tells what an HTTP status other than 2xx means.
func judgeStatus(status int) error {
	switch {
	case status >= 500, status == http.StatusTooManyRequests:
		return &statusError{ErrDown, status}
	case status >= 400:
		return &statusError{ErrRefused, status}
	default: // a redirect among them: the endpoint is pinned
		return &statusError{ErrNonsense, status}
	}
}

// judge sorts the errors of the oauth2 library, whose texts hold the answer's body.
func judge(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode/100 != 2 {
		return judgeStatus(answer.Response.StatusCode)
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		return fmt.Errorf("%w: %w", ErrDown, transport.Err)
	}
	return ErrNonsense
}
