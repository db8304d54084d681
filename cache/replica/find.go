package replica

import (
	"time"

	"slotgate/scheduling"
)

// Find answers a query from what is known now. Every source that it asks tells
// its freshness, those that know nothing too; how many slots it has open now is
// told by Sources alone.
//
// Errors: scheduling.BadRequest for a negative count and for a source that is
// not configured.
func (r *Replica) Find(q scheduling.Query) (scheduling.Found, error) {
	began := time.Now()
	found, err := r.find(&q)
	r.metrics.found(time.Since(began), err)
	return found, err
}

func (r *Replica) find(q *scheduling.Query) (scheduling.Found, error) {
	if q.Count < 0 {
		return scheduling.Found{}, scheduling.Refuse(scheduling.BadRequest, "_count", "a count is not negative")
	}
	sources := r.table.Load()
	entries, err := sources.asked(q.Sources)
	if err != nil {
		return scheduling.Found{}, err
	}
	sources.joined(q)
	now := r.opts.Now().UTC()
	f := finder{query: q, now: now, periods: periods{query: q, now: now}}
	if q.Count > 0 {
		f.heads.want = q.Count + 1
	}
	for _, e := range entries {
		f.source(e.state.Load())
	}
	if len(entries) == 0 {
		f.from, f.to = q.Span(time.UTC, now)
	}
	f.found.From, f.found.To = f.from.UTC(), f.to.UTC()
	if !f.to.IsZero() && f.to.Before(f.from) {
		f.found.To = f.found.From // a period wholly past, or behind the horizon
	}
	f.found.Offers, f.found.More = f.heads.page(q.Count)
	return f.found, nil
}

// finder gathers the answer to one query.
type finder struct {
	query    *scheduling.Query
	now      time.Time
	found    scheduling.Found
	heads    soonest
	from, to time.Time
	zones    int // that were widened over
	periods  periods
	cursor   cursor // of the run at hand
}

// source adds one source.
func (f *finder) source(st *state) {
	f.widen(st)
	c, possible := newCriteria(st, &f.periods)
	if possible {
		c.candidates(func(n int) { f.schedule(c, n) })
	}
	fresh := st.freshness(f.now)
	fresh.Complete = st.complete(f.query, f.now) && !c.tooOld && !st.missing(f.query, f.now)
	f.found.Sources = append(f.found.Sources, fresh)
}

// widen stretches the searched period over the zones of the source.
func (f *finder) widen(st *state) {
	zones := st.dir.zones
	if len(zones) == 0 {
		zones = []*time.Location{time.UTC}
	}
	for _, zone := range zones {
		from, to := f.periods.of(st, zone)
		if f.zones == 0 || from.Before(f.from) {
			f.from = from
		}
		switch {
		case f.zones == 0:
			f.to = to
		case to.IsZero() || f.to.IsZero():
			f.to = time.Time{}
		case to.After(f.to):
			f.to = to
		}
		f.zones++
	}
}

// schedule counts what matches of one schedule, and puts its first forward.
func (f *finder) schedule(c *criteria, n int) {
	p, b := c.st.layout.places[n], c.st.books.at(n)
	if b.count == 0 || !c.fits(p) {
		return
	}
	all, some := c.share(b, p)
	if !some {
		return
	}
	sift := !all || c.st.doubles.shadows[int32(n)] > 0 || c.limited && !b.fresh(c.oldest, c.st.cover)
	for i := range b.runs {
		f.cursor = cursor{c: c, number: int32(n), place: p, book: b, run: &b.runs[i], sift: sift}
		f.run(&f.cursor)
	}
}

// run counts what matches of a run, and puts its first forward.
func (f *finder) run(cur *cursor) {
	s := cur.c.span(cur.place.zone, cur.run.rule)
	if s.from >= s.to {
		return
	}
	cur.at, cur.end = cur.run.within(s)
	f.found.Total += cur.total()
	if f.heads.want == 0 || f.heads.outrun(max(s.from, cur.run.soonest(cur.at))) {
		return
	}
	cur.pass(f.query.After)
	if cur.settle() {
		f.heads.offer(cur)
	}
}

// pass moves behind the query's cursor.
func (cur *cursor) pass(after scheduling.Cursor) {
	if after.IsZero() {
		return
	}
	start, id := seconds(after.Start), after.ID
	if after.Start.Nanosecond() > 0 {
		id = "" // between two seconds: all of the later one come after
	}
	if at := cur.run.seek(start, id); cur.at.before(at) {
		cur.at = at
	}
}

func (p position) before(other position) bool {
	return p.window < other.window || p.window == other.window && p.slot < other.slot
}

// total counts what matches between the cursor's position and its end.
func (cur *cursor) total() int {
	if !cur.sift {
		return cur.run.before(cur.end) - cur.run.before(cur.at)
	}
	total := 0
	for n := cur.at.window; n <= cur.end.window && int(n) < len(cur.run.windows); n++ {
		w := cur.run.windows[n]
		from, to := 0, len(w.slots)
		if n == cur.at.window {
			from = int(cur.at.slot)
		}
		if n == cur.end.window {
			to = int(cur.end.slot)
		}
		total += cur.sifted(w, from, to)
	}
	return total
}

// sifted counts the slots of a part of a window that match, and notes if the
// window is hidden though some would.
func (cur *cursor) sifted(w *window, from, to int) int {
	n := 0
	for i := from; i < to; i++ {
		if cur.takes(w, i) {
			n++
		}
	}
	if n > 0 && !cur.c.shows(cur.book, w) {
		cur.c.tooOld = true
		return 0
	}
	return n
}
