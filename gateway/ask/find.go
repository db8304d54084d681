package ask

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"slotgate/scheduling"
)

// asking is one source of one request.
type asking struct {
	source *source
	answer <-chan singleflight.Result // nil: it is not asked
	layer  Layer                      // what is known so far
}

// Page is what one find looks at.
type Page struct {
	view View
	// Until is the first instant that a source was not asked for, though the
	// query goes on: the page ends before it. Zero: there is none.
	Until time.Time
	// Cut are the sources that were asked for a part of the query's days only.
	Cut []scheduling.SourceID
}

// Ask puts the query to every source that it asks and whose slots are not kept,
// and waits for their answers, Options.Deadline at most. It does not fail: who
// did not answer is told by the freshness of the source.
func (a *Asker) Ask(ctx context.Context, q scheduling.Query) *Page {
	page := &Page{}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Deadline)
	defer cancel()
	var all []asking
	for _, id := range a.ids {
		if one, ok := a.begin(page, a.sources[id], q); ok {
			all = append(all, one)
		}
	}
	layers := make([]Layer, 0, len(all))
	for _, one := range all {
		layers = append(layers, a.await(ctx, one))
	}
	page.view = a.deps.Index.With(layers)
	return page
}

// begin asks one source; false: the query does not ask it.
func (a *Asker) begin(page *Page, s *source, q scheduling.Query) (asking, bool) {
	reach, ok := a.deps.Index.Reach(s.ID, q)
	if !ok {
		return asking{}, false
	}
	p := periodOf(q, reach, a.deps.Now(), a.opts.Days)
	switch {
	case s.Paused:
		return asking{source: s, layer: a.empty(s, scheduling.Failed)}, true
	case reach.None, p.days.Len() == 0:
		a.metrics.ask(s.ID, scheduling.Needless)
		return asking{source: s, layer: a.empty(s, scheduling.Needless)}, true
	}
	if p.cut {
		page.Cut = append(page.Cut, s.ID)
	}
	if !p.until.IsZero() && (page.Until.IsZero() || p.until.Before(page.Until)) {
		page.Until = p.until
	}
	return asking{source: s, answer: a.put(s, toFind, a.scopeOf(reach, p.days))}, true
}

// await gives the layer of what came in time.
func (a *Asker) await(ctx context.Context, one asking) Layer {
	if one.answer == nil {
		return one.layer
	}
	got, ok := received(ctx, one.answer)
	if !ok {
		a.metrics.ask(one.source.ID, scheduling.Silent)
		return a.empty(one.source, scheduling.Silent)
	}
	a.metrics.ask(one.source.ID, got.asked)
	return got.layer
}

// received waits for a result until the end of ctx. One that is there counts
// even then.
func received(ctx context.Context, answer <-chan singleflight.Result) (result, bool) {
	select {
	case r := <-answer:
		return r.Val.(result), true //nolint:forcetypeassert // put gives nothing else
	case <-ctx.Done():
	}
	select {
	case r := <-answer:
		return r.Val.(result), true //nolint:forcetypeassert // likewise
	default:
		return result{}, false
	}
}

// Find gives the page. It ends before what was not asked for, and the next one
// begins there.
func (p *Page) Find(q scheduling.Query) (scheduling.Found, error) {
	found, err := p.view.Find(q)
	if err != nil || len(p.Cut) == 0 {
		return found, err
	}
	if q.Count == 0 { // nothing but the total, and nobody knows that
		for i, f := range found.Sources {
			found.Sources[i].Complete = f.Complete && !slices.Contains(p.Cut, f.Source)
		}
		return found, nil
	}
	if p.Until.IsZero() {
		return found, nil
	}
	whole := len(found.Offers)
	for n := range found.Offers {
		if !found.Offers[n].Start().Before(p.Until) {
			whole = n
			break
		}
	}
	if whole < len(found.Offers) || !found.More {
		found.Offers, found.More = found.Offers[:whole], true
		found.Next = scheduling.Cursor{Start: p.Until}
	}
	return found, nil
}
