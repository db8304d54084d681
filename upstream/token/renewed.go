package token

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// renewed keeps a token and gets the next one in time.
type renewed struct {
	deps   Deps
	grant  grant
	common *shared // nil: no other node has this token
	flight singleflight.Group
	turn   chan struct{} // held by whoever gets a token

	mu      sync.Mutex
	held    held
	next    time.Time // not before then is a token got beside the calls
	dropped string    // the token refused last: it is not taken from others again
	forced  time.Time // when a refusal last made us drop one
	rest    rest
}

func newRenewed(deps Deps, grant grant, common *shared) *renewed {
	return &renewed{deps: deps, grant: grant, common: common, turn: make(chan struct{}, 1)}
}

// held is a token and its times.
type held struct {
	value string
	early time.Time // from then on the next one is got beside the calls
	late  time.Time // from then on calls wait for the next one
	end   time.Time
}

const (
	// unsaid is how long a token is used whose end was not told.
	unsaid = 5 * time.Minute
	// longest is how long one is used that is said to live for longer.
	longest = 24 * time.Hour
	// besides is the time between two tries to get a token beside the calls.
	besides = time.Second
)

// lifeOf is how long a token is used.
func lifeOf(said time.Duration) time.Duration {
	if said <= 0 {
		return unsaid
	}
	return min(said, longest)
}

// hold sets the times of a token that ends in left. It must survive the call
// that it goes out with, so calls no longer get it in the last tenth of its
// life, a minute at most. When it is renewed before that is left to chance, so
// that the nodes do not all come at once.
func hold(value string, now time.Time, life, left time.Duration) held {
	end := now.Add(left)
	late := end.Add(-min(time.Minute, life/10))
	spread := min(2*time.Minute, life/5)
	return held{value: value, late: late, end: end, early: late.Add(-time.Duration(rand.Float64() * float64(spread)))}
}

func (r *renewed) Token(ctx context.Context) (string, error) {
	token, due := r.kept()
	switch {
	case token == "":
		return r.wait(ctx)
	case due:
		// Nobody waits for this one: what is held is good for a while.
		detached := context.WithoutCancel(ctx)
		r.flight.DoChan("beside", func() (any, error) { return r.renew(detached, false) })
	}
	return token, nil
}

// kept is the token that calls may have now, and whether the next one is due.
func (r *renewed) kept() (token string, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	if r.held.value == "" || !now.Before(r.held.late) {
		return "", true
	}
	due = !now.Before(r.held.early) && !now.Before(r.next)
	if due {
		r.next = now.Add(besides)
	}
	return r.held.value, due
}

func (r *renewed) wait(ctx context.Context) (string, error) {
	// The caller who happens to be first may go away; the others still want it.
	detached := context.WithoutCancel(ctx)
	done := r.flight.DoChan("wait", func() (any, error) { return r.renew(detached, true) })
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case result := <-done:
		if result.Err != nil {
			return "", result.Err
		}
		token, _ := result.Val.(string)
		return token, nil
	}
}

// renew gets the next token. needed says that calls wait for it; else another
// node that is at it already is left to it.
func (r *renewed) renew(ctx context.Context, needed bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*r.deps.Timeout)
	defer cancel()
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return "", ErrDown
	}
	if token := r.fresh(); token != "" {
		return token, nil // it was got while we waited for our turn
	}
	err := r.resting()
	if err == nil {
		err = r.get(ctx, needed)
	} else if r.adopt(ctx) {
		err = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil && !r.deps.Now().Before(r.held.end):
		return "", err
	case r.held.value == "":
		return "", ErrDown // it was refused at once
	}
	return r.held.value, nil // without a new one the old one is used to its end
}

// fresh is the token if nothing is to be done about it yet.
func (r *renewed) fresh() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deps.Now().Before(r.held.early) {
		return r.held.value
	}
	return ""
}

// get has one node ask, and the others take what it got.
func (r *renewed) get(ctx context.Context, needed bool) error {
	if r.common == nil {
		return r.ask(ctx)
	}
	patience := time.Now().Add(r.deps.Timeout) // then each node asks once, at worst
	for {
		if r.adopt(ctx) {
			return nil
		}
		release, ours := r.common.lease(ctx, r.deps.Timeout+time.Second)
		if ours {
			defer release()
			if r.adopt(ctx) {
				return nil // it came between our look and our lease
			}
			return r.ask(ctx)
		}
		if !needed {
			return nil
		}
		if time.Now().After(patience) || !pause(ctx, 20*time.Millisecond+rand.N(60*time.Millisecond)) {
			return r.ask(ctx)
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// adopt takes the token that another node got, where it is newer than ours.
func (r *renewed) adopt(ctx context.Context) bool {
	if r.common == nil {
		return false
	}
	got, left, ok := r.common.load(ctx)
	if !ok {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.deps.Now()
	h := hold(got.Token, now, got.life(), left)
	if h.value == r.dropped || h.value == r.held.value || !now.Before(h.late) {
		return false
	}
	r.held, r.rest = h, rest{}
	r.deps.Count("shared")
	return true
}

// ask asks the token endpoint.
func (r *renewed) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.deps.Timeout)
	defer cancel()
	began := r.deps.Now()
	got, err := r.grant(ctx)
	if err != nil {
		r.failed(err)
		return err
	}
	life := lifeOf(got.life)
	r.mu.Lock()
	r.held, r.rest = hold(got.value, began, life, life), rest{}
	r.mu.Unlock()
	r.deps.Count("granted")
	if r.common != nil {
		r.common.save(ctx, got.value, life)
	}
	return nil
}

// atMostEvery keeps an EHR that refuses every token from making us ask for one
// with every call: servers lock clients out for that. The first refusal is
// believed at once; the next one, of all nodes, only so much later.
const atMostEvery = 30 * time.Second

func (r *renewed) Refused(ctx context.Context, token string) bool {
	if r.other(token) {
		return true
	}
	detached := context.WithoutCancel(ctx)
	again, _, _ := r.flight.Do("refused", func() (any, error) { return r.refuse(detached, token), nil })
	return again == true
}

// other tells whether another token than this one would be given out.
func (r *renewed) other(token string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held.value != token
}

func (r *renewed) refuse(ctx context.Context, token string) bool {
	// Where another node has renewed it meanwhile, there is nothing to ask for.
	if r.other(token) || r.adopt(ctx) {
		return true
	}
	r.mu.Lock()
	soon := !r.forced.IsZero() && r.deps.Now().Sub(r.forced) < atMostEvery
	r.mu.Unlock()
	if soon || r.common != nil && !r.common.refuse(ctx, token) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.value == token {
		r.held, r.dropped, r.forced = held{}, token, r.deps.Now()
		r.deps.Logger.Warn("the source refused our token; another one is asked for")
	}
	return true
}

// rest is the pause after logins that failed.
type rest struct {
	failures int
	until    time.Time
	err      error
}

const (
	firstRest = 250 * time.Millisecond
	longRest  = 30 * time.Second
)

// resting is the error of the latest login, while it is too soon for another.
func (r *renewed) resting() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deps.Now().Before(r.rest.until) {
		return r.rest.err
	}
	return nil
}

// failed notes a login that failed. The next one waits the longer, the more
// failed in a row, or as long as the endpoint wishes.
func (r *renewed) failed(err error) {
	r.deps.Count(outcomeOf(err))
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := min(longRest, firstRest<<min(r.rest.failures, 10))
	var answer *statusError
	if errors.As(err, &answer) {
		wait = max(wait, min(answer.wait, 10*longRest))
	}
	r.rest = rest{failures: r.rest.failures + 1, until: r.deps.Now().Add(wait), err: err}
	if r.rest.failures == 1 {
		r.deps.Logger.Warn("logging in failed", "error", err)
	}
}
