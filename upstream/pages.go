package upstream

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slotgate/fhir"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// question is a search or an operation whose answer comes in pages.
type question struct {
	op     string
	kind   scheduling.Kind // type of the matches
	method string
	url    *url.URL
	body   []byte // of a POST: Parameters
	// paged: _count and _offset mean something here.
	paged bool
	// limit is how many matches were asked for of an operation without pages.
	limit int
	// totals: the answer tells how many there are, in pages or not.
	totals bool

	lane    lane          // "": prefetch
	probe   bool          // it passes an open breaker
	timeout time.Duration // of one page; 0: limits.timeout
}

// walk follows the pages of one answer.
type walk struct {
	client *Client
	q      question
	each   func(*fhir.Page) (cut string)

	links    map[string]bool
	digest   map[uint64]bool
	seed     maphash.Seed
	ids      map[string]bool
	rows     int  // matches read, repeated ones too
	nameless int  // matches that cannot be told apart
	total    *int // as the latest page says
	same     *comparison
	traces   []pageTrace
	full     bool // the latest page held as many matches as were asked for
}

// pages reads an answer to its end and hands every page to each. cut tells why
// the answer is not whole, "" when it is: that is what law 8 stands on.
func (c *Client) pages(ctx context.Context, q question, each func(*fhir.Page) (cut string)) (cut string, err error) {
	q.lane = cmp.Or(q.lane, laneOf(ctx))
	w := &walk{
		client: c, q: q, each: each, same: comparisonOf(ctx),
		links: map[string]bool{}, digest: map[uint64]bool{}, seed: maphash.MakeSeed(), ids: map[string]bool{},
	}
	at := step{call: q.call(c)}
	for n := 0; at.call != nil; n++ {
		if n >= c.opts.Limits.MaxPages {
			c.strayed(nextEndless)
			return fmt.Sprintf("more than %d pages", n), nil
		}
		if w.links[at.call.url.String()] {
			c.strayed(nextCircle)
			return "its pages lead in a circle", nil
		}
		w.links[at.call.url.String()] = true
		page, err := w.page(ctx, at.call)
		switch {
		case err != nil && n > 0 && at.guess && refused(err):
			w.same.spoil() // a page more might be there the next time
			return at.ifRefused, nil
		case err != nil && n > 0 && refusedAs(err, http.StatusNotFound, http.StatusGone):
			return "a later page is gone", nil
		case tooLarge(err):
			return "a page is larger than max_body", nil
		case faultOf(err).costly:
			return "the source finds that too much at once", nil
		case err != nil:
			return "", err
		}
		var stop string
		if at, stop = w.take(page, at); stop != "" {
			return stop, nil
		}
	}
	if cut = w.verdict(); cut == "" {
		w.same.note(q, w.traces)
	}
	return cut, nil
}

// step is a page to read. guess: nobody promised that it exists; ifRefused is
// then what it means when the source does not give it.
type step struct {
	call      *call
	guess     bool
	ifRefused string
}

func refused(err error) bool {
	return scheduling.CodeOf(err) == scheduling.SourceRefused
}

// at is a request for a page of the answer.
func (q question) at(to *url.URL) *call {
	return &call{op: q.op, lane: cmp.Or(q.lane, lanePrefetch), method: http.MethodGet, url: to, fresh: true, probe: q.probe, limit: q.timeout}
}

// call is the first request of the question.
func (q question) call(c *Client) *call {
	out := q.at(q.url)
	out.method = q.method
	if q.method == http.MethodPost {
		out.body, out.kind = q.body, fhir.JSON.ContentType()
	}
	return out
}

// take notes a page and finds the next one; stop ends the walk.
func (w *walk) take(page *fhir.Page, from step) (next step, stop string) {
	if note := saysCut(page); note != "" {
		return next, note
	}
	matches, again := w.note(page)
	if again {
		// Whoever ignores _offset gives the first page for ever.
		if from.guess {
			return next, from.ifRefused
		}
		w.client.strayed(nextRepeats)
		return next, "its pages repeat themselves"
	}
	if stop = w.each(page); stop != "" {
		return next, stop
	}
	if link := page.Next(); link != "" {
		w.leads(link, true)
		return w.follow(link, from)
	}
	if next = w.offset(matches, from); next.call != nil {
		w.leads(next.call.url.String(), false)
	}
	return next, ""
}

// note counts a page's matches and tells whether the same page came before.
func (w *walk) note(page *fhir.Page) (matches int, again bool) {
	if page.Bundle.Total != nil && *page.Bundle.Total >= 0 {
		w.total = page.Bundle.Total
	}
	var hash maphash.Hash
	hash.SetSeed(w.seed)
	for i := range page.Entries {
		e := &page.Entries[i]
		if e.Resource == nil || e.Resource.ResourceType() != string(w.q.kind) || e.Search != nil && e.Search.Mode == "include" {
			continue
		}
		matches++
		id := e.Resource.Common().ID
		if id == "" {
			w.nameless++
		} else {
			w.ids[id] = true
		}
		_, _ = hash.WriteString(id)
		if slot, ok := e.Resource.(*model.Slot); ok {
			_, _ = hash.WriteString(slot.Status + slot.Start + slot.End)
		}
		_ = hash.WriteByte(0)
	}
	w.nameless += page.Broken.Total()
	matches += page.Broken.Total()
	w.rows += matches
	w.full = w.client.opts.Quirks.PageSize > 0 && matches >= w.client.opts.Quirks.PageSize
	if matches == 0 {
		return 0, false
	}
	sum := hash.Sum64()
	again = w.digest[sum] && w.nameless == 0
	w.digest[sum] = true
	return matches, again
}

// got is how many different matches were read.
func (w *walk) got() int { return len(w.ids) + w.nameless }

// follow goes to where a next link leads, if that may be (law 11).
func (w *walk) follow(link string, from step) (next step, stop string) {
	w.client.linksNext.Store(true)
	if len(link) > longestLink {
		w.client.strayed(nextTooLong)
		return next, "its next link is too long"
	}
	to, err := nextURL(w.client.base, from.call.url, link)
	if err != nil {
		w.client.strayed(nextUnreadable)
		return next, "its next link cannot be read"
	}
	if !sameOrigin(w.client.base, to) {
		if !w.client.opts.Quirks.NextOrigin {
			w.client.strayed(nextElsewhere)
			return next, "its next link leads to another origin (see quirks.next_origin)"
		}
		to = rebase(w.client.base, to, w.q.url)
	}
	return step{call: w.q.at(to)}, ""
}

// nextURL reads a next link: absolute, from the root, or relative to the base,
// as real servers write it, or to the page that it stands on ("?page=2").
func nextURL(base, current *url.URL, link string) (*url.URL, error) {
	ref, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		return nil, err //nolint:wrapcheck // only whether there is one counts
	}
	from := *base
	from.Path += "/"
	if ref.Path == "" && ref.Host == "" {
		from = *current
	}
	to := from.ResolveReference(ref)
	to.User, to.Fragment = nil, ""
	return to, nil
}

// rebase asks a link's path and query at our own base: a server behind a
// gateway knows neither its name nor where its base is put.
func rebase(base, link, asked *url.URL) *url.URL {
	to := *base
	to.RawQuery = link.RawQuery
	below := strings.TrimPrefix(asked.Path, base.Path) // "/Slot"
	switch {
	case link.Path == base.Path || strings.HasPrefix(link.Path, base.Path+"/"):
		to.Path = link.Path
	case strings.HasSuffix(link.Path, below):
		to.Path = base.Path + below
	}
	return &to
}

// offset goes on by _offset where no next link came, and something says that
// there is more. Without any total only an empty page proves the end, so one
// more page is asked for, as a guess.
func (w *walk) offset(matches int, from step) step {
	quirks := &w.client.opts.Quirks
	if !w.q.paged || quirks.OffsetPaging == "never" || matches == 0 || w.q.method != http.MethodGet {
		return step{}
	}
	// After a next link the pages are the server's own: an offset into them
	// means nothing.
	if from.call.url != w.q.url && !from.call.url.Query().Has("_offset") {
		return step{}
	}
	known := w.total != nil && quirks.Total != TotalNone
	next := step{guess: true}
	switch {
	case known && w.got() >= *w.total && quirks.OffsetPaging != "always":
		return step{}
	case known && w.got() < *w.total:
		next.ifRefused = fmt.Sprintf("%d of %d came, and no more pages", w.got(), *w.total)
	case w.full:
		next.ifRefused = "a full page came, and no more pages"
	case quirks.OffsetPaging == "always":
	case quirks.Total != TotalExact || w.client.linksNext.Load():
		// Whoever gives next links elsewhere would have given one here.
		return step{}
	}
	to := *w.q.url
	query := to.Query()
	query.Set("_offset", strconv.Itoa(w.rows))
	to.RawQuery = query.Encode()
	next.call = w.q.at(&to)
	return next
}

// verdict is whether what the pages held is all that there is.
func (w *walk) verdict() string {
	if w.client.opts.Quirks.Total == TotalExact && w.total != nil && w.got() < *w.total {
		return fmt.Sprintf("%d of %d came", w.got(), *w.total)
	}
	if w.q.limit > 0 && w.rows >= w.q.limit && len(w.links) < 2 {
		// $find has no pages as a rule: who gives as many as were asked for may
		// have more. Where it has, that many were a page.
		return fmt.Sprintf("%d came, as many as were asked for", w.rows)
	}
	if w.q.totals && w.total == nil && w.full {
		return "a full page came, and no total"
	}
	return ""
}
