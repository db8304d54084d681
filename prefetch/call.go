package prefetch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"slotgate/scheduling"
)

// Why a call of a source ended without an answer.
var (
	errHangs    = errors.New("prefetch: the call does not return")
	errVanished = errors.New("prefetch: the call ended without an answer")
)

// panicked is a panic that was caught.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("prefetch: panic: %v", p.value) }

// storeError marks what the store did wrong, which is not the source's fault.
type storeError struct{ err error }

func (e *storeError) Error() string { return "prefetch: store: " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

func storeFault(err error) error {
	if err == nil {
		return nil
	}
	return &storeError{err}
}

// call asks the source, apart from the loop: a call that panics is an error, and
// one that does not end when its time is up is abandoned. Until it really ended
// the source is asked nothing else, so that it never has two calls of ours.
func call[T any](ctx context.Context, s *source, timeout time.Duration, ask func(context.Context) (T, error)) (T, error) {
	var none T
	if s.busy() {
		return none, s.slow(errHangs)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var (
		answer T
		err    = error(scheduling.Fault(scheduling.Internal, errVanished, "a call of the source broke off"))
		gone   = make(chan struct{})
	)
	s.calling = gone
	go func() {
		defer close(gone)
		defer func() {
			if value := recover(); value != nil {
				err = caught(value)
			}
		}()
		answer, err = ask(ctx)
	}()
	if !wait(ctx, gone, s.opts.Grace) {
		return none, s.slow(errors.Join(errHangs, ctx.Err()))
	}
	if err != nil && ctx.Err() != nil && !isPanic(err) {
		return none, s.slow(err)
	}
	if err != nil {
		return none, err
	}
	return answer, nil
}

// wait is false when gone does not come until grace after the end of ctx.
func wait(ctx context.Context, gone <-chan struct{}, grace time.Duration) bool {
	select {
	case <-gone:
		return true
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-gone:
		return true
	case <-timer.C:
		return false
	}
}

// busy tells whether a call that was abandoned still runs.
func (s *source) busy() bool {
	if s.calling == nil {
		return false
	}
	select {
	case <-s.calling:
		return false
	default:
		return true
	}
}

func (s *source) slow(err error) error {
	return scheduling.Blame(scheduling.SourceSlow, s.id, err, "the source did not answer in time")
}

func caught(value any) error {
	return scheduling.Fault(scheduling.Internal, &panicked{value, debug.Stack()}, "something went wrong on our side")
}

func isPanic(err error) bool {
	var p *panicked
	return errors.As(err, &p)
}

// safely runs a step of the loop; a panic is an error.
func safely(step func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = caught(value)
		}
	}()
	return step()
}

// store calls the store, with its timeout.
func (s *source) store(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.StoreTimeout)
	defer cancel()
	return storeFault(safely(func() error { return do(ctx) }))
}
