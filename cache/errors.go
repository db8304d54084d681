package cache

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/scheduling"
)

// What callers may want to tell apart, with errors.Is.
var (
	// ErrLeaseLost: another worker has the source, or may have it.
	ErrLeaseLost = errors.New("cache: the lease is not ours any more")
	// ErrDataLost: the store was emptied after the fetch began. Fetch again.
	ErrDataLost = errors.New("cache: the store lost its data after the fetch began")
	// ErrIncomplete: an incomplete answer replaces nothing (law 8).
	ErrIncomplete = errors.New("cache: an incomplete answer replaces nothing")
	// ErrBusy: others wrote to the source all the time.
	ErrBusy = errors.New("cache: other writes came between every time")
	// ErrBadWindow: a slot lies in a window of another schedule.
	ErrBadWindow = errors.New("cache: a slot lies in the window of another schedule")
)

// away is how soon a caller may try again when Redis does not answer.
const away = time.Second

// fault makes an error of ours of one of Redis. nil stays nil.
func (s *Store) fault(err error) error {
	if err == nil {
		return nil
	}
	var known *scheduling.Error
	if errors.As(err, &known) {
		return err
	}
	switch {
	case isAway(err):
		s.metrics.errors.WithLabelValues("away").Inc()
		e := scheduling.Fault(scheduling.Shedding, err, "the gateway's store does not answer at the moment")
		e.RetryAfter = away
		return e
	case errors.Is(err, ErrDataLost):
		s.metrics.errors.WithLabelValues("lost").Inc()
		return scheduling.Fault(scheduling.Internal, err, "the gateway's store lost its data")
	default:
		s.metrics.errors.WithLabelValues("internal").Inc()
		return scheduling.Fault(scheduling.Internal, err, "the gateway's store failed")
	}
}

// isAway tells whether Redis could not be reached, or not in time, or is not
// ready to serve: all that passes by itself.
func isAway(err error) bool {
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrClosed), errors.Is(err, errFewReplicas),
		errors.As(err, &netErr):
		return true
	}
	var said redis.Error
	if !errors.As(err, &said) {
		return false
	}
	word, _, _ := strings.Cut(said.Error(), " ")
	switch word {
	case "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "BUSY", "OOM":
		return true
	}
	return false
}
