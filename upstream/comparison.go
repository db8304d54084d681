package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"slotgate/fhir"
	"slotgate/scheduling"
)

// comparison is one fetch of a scope whose answer may be the one that is known
// already. First its pages are asked for and only looked at, as long as each is
// the one that it was. If all are, nothing is decoded. As soon as one is not, the
// answer is read as any other; what came until then is not asked for again, unless
// the source only gave its word for a page: then pages of two times would stand
// side by side, and the whole answer is asked for anew, without conditions.
type comparison struct {
	c      *Client
	scope  string
	known  *recalled // what it may be the same as; nil: it is read
	before *recalled // the answer before, whatever became of it; nil: none
	word   bool      // the source's word (304) is enough

	mu     sync.Mutex
	held   map[string]heldPage // by address
	room   int64
	pages  map[uint64][]pageTrace
	bytes  int64
	byWord int
	byHash int
	valid  time.Time
	files  uint64
	spoilt bool // something of it cannot be known again
	other  bool // it is not the same
	stop   atomic.Bool
}

// heldPage is a page that came and may have to be decoded.
type heldPage struct {
	page   *fhir.Page // decoded already
	format fhir.Format
	body   []byte
	sum    uint64
	header http.Header
}

// comparisonKey is where a context keeps the comparison of its fetch.
type comparisonKey struct{}

func comparing(ctx context.Context, s *comparison) context.Context {
	if s == nil {
		return ctx
	}
	return context.WithValue(ctx, comparisonKey{}, s)
}

func comparisonOf(ctx context.Context) *comparison {
	s, _ := ctx.Value(comparisonKey{}).(*comparison)
	return s
}

// FetchSince is Fetch for a store that can tell of which answer the scope's
// windows are. The answer is Unchanged where it is that one again; Token names it
// in any case, if it can be known again at all.
//
// Errors: those of Fetch.
func (c *Client) FetchSince(ctx context.Context, scope scheduling.Scope, basis scheduling.Basis) (scheduling.Fetched, error) {
	if c.opts.Conditional.Use == useNone {
		return c.Fetch(ctx, scope)
	}
	return c.fetch(ctx, scope, func() *comparison { return c.compare(scope, basis) })
}

// compare begins a comparison. What is known counts only if the store's windows
// are of it, the directory is still the one that it was read with, and it is not
// to be decoded again for its unusable records.
func (c *Client) compare(scope scheduling.Scope, basis scheduling.Basis) *comparison {
	name, now := scopeName(scope), c.now()
	s := &comparison{
		c: c, scope: name, before: c.recall.of(name),
		held: map[string]heldPage{}, room: c.opts.Conditional.Held, pages: map[uint64][]pageTrace{},
	}
	known := s.before
	switch {
	case known == nil, basis.Token == "" || known.token != basis.Token,
		known.directory != c.known.version(),
		!known.until.IsZero() && now.After(known.until):
		return s
	}
	s.known = known
	s.word = !basis.Proof && now.Sub(known.whole) < c.opts.Conditional.Verify.Std()
	return s
}

// printer of the source's pages.
func (c *Client) printer() printer {
	return printer{seed: c.recall.seed, temporary: c.opts.Dialect == Epic}
}

// all asks for the pages of every question, and tells whether all are as they were.
func (s *comparison) all(ctx context.Context, questions []question) (same bool, err error) {
	if s == nil || s.known == nil || len(questions) != len(s.known.questions) {
		return false, nil
	}
	var group errgroup.Group // what is under way is waited for: it is needed then
	group.SetLimit(s.c.opts.Limits.Concurrency)
	for _, q := range questions {
		group.Go(func() error {
			q.lane = laneOf(ctx)
			same, err := s.question(ctx, q)
			if err == nil && !same {
				err = errStop
			}
			if err != nil {
				s.stop.Store(true)
			}
			return err
		})
	}
	err = group.Wait()
	if err == nil {
		return true, nil
	}
	s.other = true
	if s.byWord > 0 {
		clear(s.held)
	}
	s.pages, s.valid = map[uint64][]pageTrace{}, time.Time{}
	if errors.Is(err, errStop) {
		return false, nil
	}
	return false, err
}

// question asks for the pages of one.
func (s *comparison) question(ctx context.Context, q question) (same bool, err error) {
	key := s.c.questionKey(q)
	traces := s.known.questions[key]
	w := &walk{client: s.c, q: q, links: map[string]bool{}}
	at := step{call: q.call(s.c)}
	now := make([]pageTrace, 0, len(traces))
	for i, trace := range traces {
		if s.stop.Load() {
			return false, nil
		}
		got, next, err := s.page(ctx, at.call, trace)
		switch {
		case err != nil && (tooLarge(err) || faultOf(err).costly || i > 0 && refused(err)):
			return false, nil // read as any other, it is judged
		case err != nil:
			return false, err
		case got == nil:
			return false, nil
		}
		now = append(now, *got)
		if i == len(traces)-1 {
			break
		}
		var stop string
		if at, stop = s.onwards(w, at, trace, next); stop != "" || at.call == nil {
			return false, nil
		}
	}
	s.mu.Lock()
	s.pages[key] = now
	s.mu.Unlock()
	return len(traces) > 0, nil
}

// onwards is the step to the next page: by the link that came just now, or, where
// it had none before either, to where the next page was.
func (s *comparison) onwards(w *walk, from step, trace pageTrace, next string) (step, string) {
	if trace.linked {
		return w.follow(next, from)
	}
	to, err := from.call.url.Parse(trace.next)
	if err != nil || !sameOrigin(s.c.base, to) {
		return step{}, "nowhere"
	}
	return step{call: w.q.at(to)}, ""
}

// page asks for one page. got is nil where it is another one than before; then it
// is held, decoded.
func (s *comparison) page(ctx context.Context, send *call, trace pageTrace) (got *pageTrace, next string, err error) {
	s.condition(send, trace)
	asked := send.conditional
	var print pagePrint
	var kept heldPage
	send.read = func(f fhir.Format, body []byte) (err error) {
		var ok bool
		kept = heldPage{}
		if print, ok = s.c.printer().print(body); ok && s.is(print, trace) {
			kept.format, kept.body = f, body
			return nil
		}
		kept.page, err = fhir.ReadBundle(s.c.source.Release, f, body)
		return err //nolint:wrapcheck // judged by the stack
	}
	a, err := s.c.send(ctx, send)
	send.header, send.conditional, send.read = nil, false, nil
	if err != nil {
		return nil, "", err
	}
	s.c.metrics.page(send.op)
	if asked && a.status == http.StatusNotModified {
		return s.unmodified(a.header, trace)
	}
	kept.header, kept.sum = a.header, print.sum
	fresh := s.c.trace(send, print.sum, a.header)
	fresh.linked, fresh.next, fresh.since = trace.linked, trace.next, trace.since
	if trace.linked && print.next != trace.next {
		fresh.next, fresh.since = print.next, s.c.now().Unix()
	}
	if s.c.recall.judge(trace, fresh) {
		s.c.liar()
	}
	s.hold(send, kept)
	if kept.page != nil {
		return nil, "", nil
	}
	s.mu.Lock()
	s.byHash++
	s.bytes += int64(len(a.body))
	s.valid = older(s.valid, validOf(print.valid, a.header))
	s.mu.Unlock()
	return &fresh, print.next, nil
}

// is tells whether a page is the one that it was, and leads on as it did.
func (s *comparison) is(print pagePrint, trace pageTrace) bool {
	return trace.sum != 0 && print.sum == trace.sum && (print.next != "") == trace.linked
}

// hold keeps a page until it is clear whether it must be decoded.
func (s *comparison) hold(send *call, kept heldPage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room -= int64(len(kept.body)); s.room < 0 {
		clear(s.held) // it is asked for again, should it come to that
		return
	}
	s.held[send.url.String()+"\n"+string(send.body)] = kept
}

// take is a page that was held, and is needed now.
func (s *comparison) take(send *call) (heldPage, bool) {
	if s == nil {
		return heldPage{}, false
	}
	name := send.url.String() + "\n" + string(send.body)
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.held[name]
	delete(s.held, name)
	return kept, ok
}

// note remembers an answer to one question that was read to its end.
func (s *comparison) note(q question, pages []pageTrace) {
	if s == nil {
		return
	}
	key := s.c.questionKey(q)
	if s.before != nil {
		for i, before := range s.before.questions[key] {
			if i < len(pages) && s.c.recall.judge(before, pages[i]) {
				s.c.liar()
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[key] = pages
	for _, page := range pages {
		s.spoilt = s.spoilt || page.sum == 0
	}
}

// same tells whether the whole answer is the one that is known.
func (s *comparison) same() bool {
	if s == nil || s.known == nil || s.other {
		return false
	}
	return s.files != 0 && s.files == s.known.files || len(s.pages) > 0 && len(s.pages) == len(s.known.questions)
}

// again is the answer that is known, once more.
func (s *comparison) again(out scheduling.Fetched, h *harvest, began time.Time) scheduling.Fetched {
	known := s.known
	out.Complete, out.Unchanged, out.Token, out.Proved = true, true, known.token, s.byWord == 0
	out.Held, out.Nameless = known.held, known.nameless
	out.Unusable, out.Unmapped = known.unusable.Clone(), known.unmapped.Clone()
	out.AsOf, out.Valid = h.asOf, older(h.valid, s.valid)
	s.c.recall.confirmed(known, s.pages, began, s.byWord == 0)
	s.c.metrics.unchanged(s.byWord, s.byHash, s.bytes)
	return out
}

// remember keeps by what an answer is known again, and gives it a name.
func (s *comparison) remember(out *scheduling.Fetched, version uint64, newest, began time.Time) string {
	if s == nil || !out.Complete || s.spoilt || len(s.pages) == 0 && s.files == 0 {
		return ""
	}
	next := &recalled{
		scope: s.scope, token: newToken(), directory: version, whole: began, questions: s.pages, files: s.files,
		newest: newest, since: since(out.Valid, newest, began), held: out.Slots(), nameless: out.Nameless, unusable: out.Unusable.Clone(), unmapped: out.Unmapped.Clone(),
	}
	if out.Unusable.Total() > 0 {
		next.until = began.Add(absentFor) // what it refers to may be there by then
	}
	for _, pages := range s.pages {
		next.pages += len(pages)
	}
	if !s.c.recall.keep(next) {
		return ""
	}
	return next.token
}

// ofFiles notes what files an answer is made of, and tells whether it was made of
// the same before.
func (s *comparison) ofFiles(sum uint64) bool {
	if s == nil {
		return false
	}
	s.files = sum
	return s.same()
}

// spoil: something of the answer cannot be known again.
func (s *comparison) spoil() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.spoilt = true
	s.mu.Unlock()
}

func (c *Client) questionKey(q question) uint64 {
	return c.recall.key(q.method, q.url.String(), string(q.body))
}

func (c *Client) callKey(send *call) uint64 {
	return c.recall.key(send.method, send.url.String(), string(send.body))
}
