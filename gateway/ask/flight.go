package ask

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"slotgate/scheduling"
)

// purpose is why a source is asked.
type purpose string

const (
	toFind  purpose = "find"
	toCheck purpose = "check" // what somebody wants to hold or book
)

// errCrowded: as many questions of the source are under way as there may be.
var errCrowded = errors.New("ask: too many questions are under way")

// result is what came of one question.
type result struct {
	layer Layer
	asked scheduling.Asked
	err   error
}

// put puts the question to the source, unless it is under way. Whoever asks
// shares the answer; nobody's end ends it.
func (a *Asker) put(s *source, why purpose, scope scheduling.Scope) <-chan singleflight.Result {
	return a.flights.DoChan(keyOf(s.ID, why, scope), func() (answer any, _ error) {
		defer func() {
			if value := recover(); value != nil {
				err := scheduling.Fault(scheduling.Internal, fmt.Errorf("ask: panic: %v\n%s", value, debug.Stack()), "something went wrong on our side")
				a.deps.Logger.Error("asking a source went wrong", "source", s.ID, "error", err)
				answer = a.without(s, scheduling.Failed, err)
			}
		}()
		return a.fly(s, why, scope), nil
	})
}

// keyOf is one text for equal questions. Ids of sources may hold anything.
func keyOf(id scheduling.SourceID, why purpose, scope scheduling.Scope) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d %d", id, why, scope.Days.From, scope.Days.To)
	for _, schedule := range scope.Schedules {
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(schedule))
	}
	return b.String()
}

// fly asks the source once.
func (a *Asker) fly(s *source, why purpose, scope scheduling.Scope) result {
	ctx, cancel := context.WithTimeout(a.deps.Life, a.opts.Timeout)
	defer cancel()
	if !s.place(ctx, why) {
		return a.without(s, scheduling.Crowded, &scheduling.Error{
			Code: scheduling.Shedding, Who: scheduling.Gateway, Source: s.ID, Err: errCrowded,
			Message: "this source is asked for as much as it may be just now", RetryAfter: time.Second,
		})
	}
	defer func() { <-s.places[why] }()
	answer := scheduling.Answer{Source: s.ID, Asked: scheduling.Answered}
	answer.Fetch = a.number(ctx, s)
	var err error
	began := time.Now()
	fetch := a.deps.Sources.Find
	if why == toCheck {
		fetch = a.deps.Sources.Again
	}
	answer.Fetched, err = fetch(ctx, s.ID, scope)
	a.metrics.question(s.ID, why, time.Since(began), err)
	if err != nil {
		return a.refused(s, err)
	}
	held(&answer.Fetched, scope)
	answer.At = a.deps.Now()
	answer.Status = s.went(answer.At, answer.Fetched, nil)
	if !answer.Fetched.Complete {
		answer.Asked = scheduling.Partly
	}
	got := result{layer: a.deps.Index.Layer(answer), asked: answer.Asked}
	a.keepNews(ctx, s, got.layer)
	return got
}

// place takes a place for a question. Who is about to hold or book waits for
// one until the end of ctx; a find is answered without the source instead.
func (s *source) place(ctx context.Context, why purpose) bool {
	select {
	case s.places[why] <- struct{}{}:
		return true
	default:
	}
	if why != toCheck {
		return false
	}
	select {
	case s.places[why] <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// storeTime is how long the store may take beside a question.
const storeTime = time.Second

// number is that of a fetch which begins now; 0, the safe side, where nobody can
// give one: what was claimed lately stays hidden.
func (a *Asker) number(ctx context.Context, s *source) uint64 {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	n, err := a.deps.Store.Begin(ctx, s.ID)
	if err != nil {
		a.deps.Logger.Debug("a question has no number", "source", s.ID, "error", err)
		return 0
	}
	return n
}

// keepNews keeps who and where was new: references to them must lead somewhere.
func (a *Asker) keepNews(ctx context.Context, s *source, layer Layer) {
	if layer == nil || layer.News().Len() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := a.deps.Store.MergeDirectory(ctx, s.ID, layer.News()); err != nil {
		a.deps.Logger.Debug("what an answer brought along for the directory was not kept", "source", s.ID, "error", err)
	}
}

// refused judges an error: that we do not ask now is ours, all else the
// source's.
func (a *Asker) refused(s *source, err error) result {
	e := scheduling.AsError(err)
	if a.deps.Life.Err() != nil {
		return a.without(s, scheduling.Failed, err)
	}
	if e.Code == scheduling.Throttled {
		return a.without(s, scheduling.Crowded, err)
	}
	s.went(a.deps.Now(), scheduling.Fetched{}, err)
	return a.without(s, scheduling.Failed, err)
}

// without is the result of a question without an answer.
func (a *Asker) without(s *source, asked scheduling.Asked, err error) result {
	return result{layer: a.empty(s, asked), asked: asked, err: err}
}

// empty is the layer of a source of which nothing is known.
func (a *Asker) empty(s *source, asked scheduling.Asked) Layer {
	return a.deps.Index.Layer(scheduling.Answer{Source: s.ID, Asked: asked, At: a.deps.Now(), Status: s.standing()})
}

// held holds the answer to the days that were asked for: what a source tells
// besides is known in part only. Other schedules than those asked for are judged
// by the query, as all are.
func held(got *scheduling.Fetched, scope scheduling.Scope) {
	wanted := make(map[scheduling.WindowKey][]scheduling.Slot, len(got.Windows))
	for key, slots := range got.Windows {
		if scope.Days.Has(key.Day) {
			wanted[key] = slots
		}
	}
	got.Scope, got.Windows = scope, wanted
}

// scopeOf is what is asked for: by name where the directory leaves only a few
// schedules.
func (a *Asker) scopeOf(reach scheduling.Reach, days scheduling.Days) scheduling.Scope {
	scope := scheduling.Scope{Days: days}
	if len(reach.Schedules) <= a.opts.Schedules {
		scope.Schedules = slices.Sorted(slices.Values(reach.Schedules))
	}
	return scope
}
