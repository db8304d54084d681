package token

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

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

// outcomeOf is the error in one word, for counting.
func outcomeOf(err error) string {
	switch {
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, ErrNonsense):
		return "nonsense"
	default:
		return "down"
	}
}

// statusError keeps the status of an answer and what helps to mend it, and
// nothing of its text.
type statusError struct {
	kind   error
	status int
	code   string        // one of oauthErrors, or ""
	wait   time.Duration // as the endpoint wishes
	skew   time.Duration // by how much our clock is ahead of theirs, if that is much
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%v: HTTP status %d", e.kind, e.status)
	if e.code != "" {
		text += " " + e.code
	}
	if e.skew != 0 {
		text += fmt.Sprintf("; our clock is %v ahead of theirs", e.skew)
	}
	return text
}
func (e *statusError) Unwrap() error { return e.kind }

// oauthErrors are those of RFC 6749, 5.2: known words, so they may be told.
var oauthErrors = []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}

// judgeStatus tells what an HTTP status other than 2xx means.
func judgeStatus(status int) *statusError {
	switch {
	case status >= 500, status == http.StatusTooManyRequests:
		return &statusError{kind: ErrDown, status: status}
	case status >= 400:
		return &statusError{kind: ErrRefused, status: status}
	default: // a redirect among them: the endpoint is pinned
		return &statusError{kind: ErrNonsense, status: status}
	}
}

// judge sorts the errors of the oauth2 library, whose texts hold the answer's body.
func judge(err error, now time.Time) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.Response != nil {
		return judgeAnswer(answer, now)
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		return fmt.Errorf("%w: %w", ErrDown, transport.Err)
	}
	return ErrNonsense
}

func judgeAnswer(answer *oauth2.RetrieveError, now time.Time) error {
	e := judgeStatus(answer.Response.StatusCode)
	if slices.Contains(oauthErrors, answer.ErrorCode) {
		e.code = answer.ErrorCode
		if e.status/100 == 2 {
			e.kind = ErrRefused // some say no with a 200
		}
	}
	if seconds, err := strconv.Atoi(answer.Response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.wait = time.Duration(min(seconds, 86400)) * time.Second
	}
	e.skew = skewOf(answer.Response.Header, now)
	return e
}

// muchSkew is how far apart clocks may be before it is worth telling. An
// assertion that lives for four minutes of at most five leaves one.
const muchSkew = 30 * time.Second

func skewOf(header http.Header, now time.Time) time.Duration {
	theirs, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	if skew := now.Sub(theirs).Round(time.Second); skew.Abs() >= muchSkew {
		return skew
	}
	return 0
}
