package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"slotgate/scheduling"
)

// What a source does to a slot that is deleted (quirks.deletions).
const (
	deletionsSilent = "silent" // it is gone without a trace
	deletionsMarked = "marked" // it stays, with another status, and _lastUpdated finds it
)

// deltaMargin is how far a question for what changed reaches behind the answer
// before it, besides booking.lag: a change has its time before it can be found.
const deltaMargin = 30 * time.Second

// delta asks for what changed since the answer that the store's windows are of,
// whatever its status and day. ok is false where the answer is to be read whole:
// where deletions leave no trace, after conditional.verify, after a claim, and
// where anything about what changed is doubtful.
//
//	GET Slot?_lastUpdated=ge..&_include=..&_count=..
func (c *Client) delta(ctx context.Context, s *comparison, scope scheduling.Scope) (out scheduling.Fetched, ok bool) {
	_, plain := c.dialect.(slotSearch)
	if !plain || c.opts.Quirks.Deletions != deletionsMarked || s == nil || s.known == nil || !s.word || s.known.since.IsZero() {
		return out, false
	}
	folds := c.folds(scope.Days)
	if folds && c.local.Load() {
		return out, false // what changed does not tell of its neighbours (law 9)
	}
	began := c.now()
	h, cut, err := c.gather(ctx, scheduling.KindSlot, []question{c.deltaQuestion(s.known.since)})
	if err != nil || cut != "" || folds && h.local() {
		return out, false
	}
	newest := later(s.known.newest, h.newest)
	out = scheduling.Fetched{Scope: scope, Found: scheduling.NewDirectory(), Complete: true, Valid: h.valid}
	if len(h.records) == 0 && h.nameless+len(h.doubtful) == 0 {
		out.Unchanged, out.Token, out.Held = true, s.known.token, s.known.held
		out.Nameless, out.Unusable, out.Unmapped = s.known.nameless, s.known.unusable.Clone(), s.known.unmapped.Clone()
		c.recall.delta(s.known, s.known.token, newest, since(h.valid, newest, began), false)
		return out, true
	}
	h.settleSchedules()
	dir, version, unread, err := c.settle(ctx, h, out.Found)
	if err != nil || unread || version != s.known.directory {
		s.known = nil // it was read with another directory
		return out, false
	}
	a := newAssembler(c.source, scope, scheduling.NewResolver(c.source.ID, dir, c.source.Zone), c.codes)
	a.overlap = scheduling.Overlap(c.opts.Quirks.Overlap)
	out.Windows = a.windows(h.records)
	if a.unusable.Total()+h.tally.Total()+len(a.doubtful)+len(h.doubtful)+a.nameless+h.nameless > 0 {
		return out, false
	}
	for _, r := range h.records {
		out.Touched = append(out.Touched, r.slot.ID)
	}
	out.Basis, out.Token = s.known.token, newToken()
	out.Nameless, out.Unusable, out.Unmapped = s.known.nameless, s.known.unusable.Clone(), s.known.unmapped.Clone()
	c.recall.delta(s.known, out.Token, newest, since(h.valid, newest, began), true)
	return out, true
}

// stampBehind is how far the clock that stamps changes may be behind ours and the
// source's own: what gives the Date may be another machine.
const stampBehind = 5 * time.Minute

// since is from when on the next question must ask: by the source's own clock, where
// it tells the time, and the newest change that was told, whichever is earlier. That
// nothing changed for long does not make it earlier. Where changes are told without
// a time, by our clock if that is earlier than the source's.
func since(valid, newest, began time.Time) time.Time {
	from := valid
	if valid.IsZero() || newest.IsZero() {
		from = older(began, valid)
	}
	if newest.IsZero() || !newest.Before(from) {
		return from
	}
	return later(newest, from.Add(-stampBehind))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (c *Client) deltaQuestion(since time.Time) question {
	from := since.Add(-deltaMargin - c.opts.Booking.Lag.Std())
	query := url.Values{"_lastUpdated": {"ge" + instant(from)}}
	c.addIncludes(query)
	if count := c.opts.Quirks.PageSize; count > 0 {
		query.Set("_count", strconv.Itoa(count))
	}
	c.opts.Quirks.set(query)
	return question{op: "changes", kind: scheduling.KindSlot, method: http.MethodGet, url: resolve(c.base, "Slot", query), paged: true}
}

// delta notes that the store's windows are of what was known and what changed
// since. By the pages of the answer nothing is known again then, until it is read.
func (r *recall) delta(known *recalled, token string, newest, since time.Time, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	here := r.scopes[known.scope]
	if here == nil || here.Value != known {
		return
	}
	next := *known
	next.token, next.newest, next.since = token, newest, since
	if changed {
		next.questions, next.held = nil, unknownHeld
	}
	here.Value = &next
}

// unknownHeld: the store knows how many slots there are.
const unknownHeld = -1
