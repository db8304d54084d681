package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"slotgate/scheduling"
	"slotgate/upstream/token"
)

// fault is what the stack must know of a failed call. It is the cause within
// the *scheduling.Error that leaves it.
type fault struct {
	status int   // of the answer; 0 without one
	again  bool  // a repeat at once may succeed
	hurt   bool  // it counts against the source's health
	costly bool  // the source wants to be asked for less at once
	page   bool  // the answer is a page for people: of a proxy, not of the source
	cause  error // for the operator
	// because is set where our breaker refused the call: what opened it.
	because scheduling.Code
}

// Because is the code of the failure that made us leave the source alone, "" for
// any other fault. Whoever shows why a source is not read wants this one.
func (f *fault) Because() scheduling.Code { return f.because }

func (f *fault) Error() string {
	switch {
	case f.cause != nil && f.status != 0:
		return fmt.Sprintf("HTTP status %d: %v", f.status, f.cause)
	case f.cause != nil:
		return f.cause.Error()
	default:
		return fmt.Sprintf("HTTP status %d", f.status)
	}
}

func (f *fault) Unwrap() error { return f.cause }

// faultOf finds the fault in err; never nil.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return &fault{cause: err}
}

// statusOf is the HTTP status that err came of, 0 without one.
func statusOf(err error) int { return faultOf(err).status }

// refusedAs tells whether the source answered with one of the statuses.
func refusedAs(err error, statuses ...int) bool {
	status := statusOf(err)
	for _, one := range statuses {
		if status == one {
			return true
		}
	}
	return false
}

// isPage tells whether an answer is HTML, as proxies give it when what is behind
// them is away: it says nothing of the record that was asked for.
func isPage(a *answer) bool {
	body := bytes.ToLower(bytes.TrimLeft(a.body[:min(len(a.body), 256)], " \t\r\n\ufeff"))
	return bytes.HasPrefix(body, []byte("<!doctype html")) || bytes.HasPrefix(body, []byte("<html"))
}

// judgeStatus makes an error of every answer that is not 2xx. The one table of
// what a status means for a safe call.
func judgeStatus(source scheduling.SourceID, a *answer, now time.Time) error {
	f := &fault{status: a.status, page: isPage(a)}
	blame := func(code scheduling.Code, message string) error {
		e := scheduling.Blame(code, source, f, message)
		e.RetryAfter = retryAfter(a, now)
		return e
	}
	switch {
	case a.status/100 == 2:
		return nil
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return blame(scheduling.SourceLogin, "the source does not accept our login")
	case a.status == http.StatusTooManyRequests:
		f.again = true
		return blame(scheduling.Throttled, "the source asks us to slow down")
	case a.status == http.StatusRequestTimeout, a.status == http.StatusGatewayTimeout:
		f.again, f.hurt = true, true
		return blame(scheduling.SourceSlow, "the source did not answer in time")
	case a.status == http.StatusNotImplemented:
		return blame(scheduling.SourceRefused, "the source cannot do what we asked")
	case a.status >= 500:
		f.again, f.hurt = true, true
		return blame(scheduling.SourceDown, "the source is down")
	case a.status >= 400:
		f.costly = bytes.Contains(a.body[:min(len(a.body), maxWaitText)], []byte("too-costly"))
		return blame(scheduling.SourceRefused, "the source refused what we asked")
	default:
		f.hurt = true
		return blame(scheduling.SourceNonsense, "the source answered with a redirect or an unknown status")
	}
}

// judgeTransport sorts what kept an answer from coming. ctx is the caller's: a
// caller who went away says nothing about the source.
func judgeTransport(ctx context.Context, source scheduling.SourceID, err error) error {
	switch {
	case ctx.Err() != nil:
		return ended(ctx, source)
	case errors.Is(err, context.DeadlineExceeded):
		return scheduling.Blame(scheduling.SourceSlow, source, &fault{cause: err, again: true, hurt: true}, "the source did not answer in time")
	case errors.Is(err, errOtherOrigin):
		return scheduling.Blame(scheduling.SourceNonsense, source, &fault{cause: err, hurt: true}, "the source sends us to another address")
	case errors.Is(err, errRedirects):
		return scheduling.Blame(scheduling.SourceNonsense, source, &fault{cause: err, hurt: true}, "the source redirects without end")
	case errors.Is(err, errTooLarge):
		return scheduling.Blame(scheduling.SourceNonsense, source, &fault{cause: err}, "the source's answer is too large")
	default:
		return scheduling.Blame(scheduling.SourceDown, source, &fault{cause: err, again: true, hurt: true}, "the source cannot be reached")
	}
}

// ended is for a caller's context that is over. Going away says nothing of the
// source; a deadline that passed does, but one call that is late only because
// many came before it must not open a breaker.
func ended(ctx context.Context, source scheduling.SourceID) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return scheduling.Blame(scheduling.SourceSlow, source, &fault{cause: ctx.Err()}, "the source was not done in the time that it was given")
	}
	return fmt.Errorf("upstream: %w", context.Cause(ctx))
}

// judgeBody is for an answer that cannot be read.
func judgeBody(source scheduling.SourceID, err error) error {
	// What could not be read may be quoted in err; only its kind is kept.
	cause := errors.New("upstream: " + scheduling.AsError(err).Message)
	return scheduling.Blame(scheduling.SourceNonsense, source, &fault{cause: cause, again: true, hurt: true}, "the source's answer cannot be read")
}

// judgeLogin is for a login that failed before the call could be made.
func judgeLogin(ctx context.Context, source scheduling.SourceID, err error) error {
	switch {
	case ctx.Err() != nil:
		return ended(ctx, source)
	case errors.Is(err, token.ErrRefused):
		return scheduling.Blame(scheduling.SourceLogin, source, &fault{cause: err}, "the source's token endpoint refused us")
	case errors.Is(err, token.ErrNonsense):
		return scheduling.Blame(scheduling.SourceLogin, source, &fault{cause: err, hurt: true}, "the source's token endpoint answered nonsense")
	default:
		return scheduling.Blame(scheduling.SourceDown, source, &fault{cause: err, hurt: true}, "the source's token endpoint is down")
	}
}
