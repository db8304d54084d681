package gateway

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// answerTo finds what was asked for. Where a _max-age asks for fresher offers
// than there are, those of the page are looked at again first.
func (x *exchange) answerTo(a *asked) (scheduling.Found, error) {
	in := x.looksIn(a)
	if a.Query.MaxAge <= 0 || x.s.flights == nil {
		return in.Find(a.Query)
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.s.opts.RevalidateTimeout)
	defer cancel()
	f := &fresher{
		finder: in, flights: x.s.flights, most: x.s.opts.RevalidateWindows,
		oldest: x.started.Add(-a.Query.MaxAge),
		tried:  map[windowAt]bool{}, renewed: map[windowAt]bool{}, whole: map[windowAt]bool{},
	}
	found, next, out, err := f.find(ctx, a.Query)
	a.next, a.left = next, out
	x.s.metrics.revalidated(len(f.tried), len(f.renewed))
	return found, err
}

// toldStale tells what could not be confirmed in time (law 7).
func toldStale(out []staleness, sources []scheduling.Freshness) []model.OutcomeIssue {
	var issues []model.OutcomeIssue
	for _, s := range out {
		name := string(s.source)
		for _, f := range sources {
			if f.Source == s.source {
				name = cmp.Or(f.Name, name)
			}
		}
		issues = append(issues, fhir.Told("warning", "timeout", fmt.Sprintf(
			"%s: %d offers of %d schedule-days could not be confirmed within _max-age in time and are left out",
			name, s.offers, s.windows), "_max-age"))
	}
	return issues
}

// staleness is what of one source could not be confirmed in time.
type staleness struct {
	source  scheduling.SourceID
	offers  int
	windows int
}

// fresher answers a query with a _max-age: what of the page is older is looked
// at again first. What could not be confirmed in time is left out, and told.
type fresher struct {
	finder  finds
	flights *flights
	most    int // windows looked at for one answer

	oldest  time.Time
	tried   map[windowAt]bool
	renewed map[windowAt]bool
	whole   map[windowAt]bool
}

// find gives the page, where the next one begins, and what was left out.
func (f *fresher) find(ctx context.Context, q scheduling.Query) (found scheduling.Found, next scheduling.Cursor, out []staleness, err error) {
	strict, err := f.finder.Find(q)
	if err != nil || q.Count == 0 {
		return strict, next, nil, err
	}
	for _, s := range strict.Sources {
		if f.flights.may(s) {
			q.Renewable = append(q.Renewable, s.Source)
		}
	}
	if len(q.Renewable) == 0 {
		return strict, next, nil, nil
	}
	for {
		if found, err = f.finder.Find(q); err != nil {
			return found, next, nil, err
		}
		stale := f.stale(found.Offers)
		if len(stale) == 0 || ctx.Err() != nil {
			break
		}
		for _, w := range stale {
			f.tried[w] = true
		}
		maps.Copy(f.renewed, f.flights.renew(ctx, stale, f.whole))
	}
	found, next, out = f.sift(found)
	return found, next, out, nil
}

// windowsOf are the windows that an offer's slots lie in.
func windowsOf(o *scheduling.Hit) []windowAt {
	var list []windowAt
	for i := range o.Slots {
		w := windowAt{o.Setting.Source, scheduling.WindowKey{
			Schedule: o.Slots[i].Schedule, Day: scheduling.DayOf(o.Slots[i].Start, o.Setting.Zone),
		}}
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// confirmed tells whether the offer is as fresh as was asked for.
func (f *fresher) confirmed(o *scheduling.Hit) bool {
	if !o.Checked.Before(f.oldest) {
		return true
	}
	return !slices.ContainsFunc(windowsOf(o), func(w windowAt) bool { return !f.renewed[w] })
}

// stale are the windows of the page to look at now, the soonest first.
func (f *fresher) stale(offers []scheduling.Hit) []windowAt {
	var list []windowAt
	for i := range offers {
		o := &offers[i]
		if f.confirmed(o) {
			continue
		}
		for _, w := range windowsOf(o) {
			if f.tried[w] || slices.Contains(list, w) {
				continue
			}
			if len(f.tried)+len(list) >= f.most {
				return list
			}
			list = append(list, w)
			f.whole[w] = o.Setting.Schedule == nil || o.Setting.Schedule.Virtual
		}
	}
	return list
}

// sift leaves out what is not confirmed. A page ends before the first offer
// that there was no turn for: the next page begins with it.
func (f *fresher) sift(found scheduling.Found) (_ scheduling.Found, next scheduling.Cursor, out []staleness) {
	left := map[scheduling.SourceID]map[windowAt]int{}
	offers := make([]scheduling.Hit, 0, len(found.Offers))
	for i := range found.Offers {
		o := &found.Offers[i]
		if f.confirmed(o) {
			offers = append(offers, *o)
		} else {
			windows := windowsOf(o)
			if i > 0 && slices.ContainsFunc(windows, func(w windowAt) bool { return !f.tried[w] }) {
				found.More = true
				break
			}
			if left[o.Setting.Source] == nil {
				left[o.Setting.Source] = map[windowAt]int{}
			}
			left[o.Setting.Source][windows[0]]++
		}
		next = scheduling.Cursor{Start: o.Start(), ID: o.ID}
	}
	found.Offers = offers
	found.Sources = slices.Clone(found.Sources)
	for i := range found.Sources {
		s := staleness{source: found.Sources[i].Source, windows: len(left[found.Sources[i].Source])}
		for _, n := range left[s.source] {
			s.offers += n
		}
		if s.windows > 0 {
			found.Sources[i].Complete = false
			found.Total -= s.offers
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b staleness) int { return cmp.Compare(a.source, b.source) })
	return found, next, out
}
