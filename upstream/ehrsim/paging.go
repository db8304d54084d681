package ehrsim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// The parameters of HAPI's paging links.
const (
	pageToken  = "_getpages"
	pageOffset = "_getpagesoffset"
)

// result is a search that was run: what its pages are cut from.
type result struct {
	typ    string
	rows   []row
	params url.Values
	token  string
}

// pageBox keeps results for token paging; the oldest are forgotten, and their
// tokens then answer 410 as real ones do.
type pageBox struct {
	mu    sync.Mutex
	next  int
	kept  map[string]*result
	order []string
}

const maxResults = 64

func newPageBox() *pageBox { return &pageBox{kept: map[string]*result{}} }

func (b *pageBox) keep(r *result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	r.token = "r" + strconv.Itoa(b.next)
	b.kept[r.token] = r
	b.order = append(b.order, r.token)
	if len(b.order) > maxResults {
		delete(b.kept, b.order[0])
		b.order = b.order[1:]
	}
}

func (b *pageBox) get(token string) *result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept[token]
}

func (b *pageBox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept, b.order = map[string]*result{}, nil
}

// firstPage answers a search, from _offset when the client gives one.
func (s *Server) firstPage(st *store, rq *request, r *result) (object, error) {
	offset, err := whole(rq.params, "_offset", 0)
	if err != nil {
		return nil, err
	}
	count, err := s.count(rq.params)
	if err != nil {
		return nil, err
	}
	if s.opts.Paging == TokenPaging && !s.opts.NoNext && !rq.params.Has("_offset") && len(r.rows) > count {
		s.pages.keep(r)
	}
	return s.page(st, rq, r, offset, count), nil
}

// nextPage answers what a next link of token paging leads to.
func (s *Server) nextPage(rq *request) (object, error) {
	r := s.pages.get(rq.params.Get(pageToken))
	if r == nil {
		return nil, &failure{status: http.StatusGone, code: "not-found", text: "the search has expired"}
	}
	offset, err := whole(rq.params, pageOffset, 0)
	if err != nil {
		return nil, err
	}
	count, err := s.count(rq.params)
	if err != nil {
		return nil, err
	}
	if rq.hits.has(FaultRepeatPage) {
		return s.repeated(rq, r, offset, count), nil
	}
	return s.page(s.data(), rq, r, offset, count), nil
}

// repeated is the page before, with the links of this one.
func (s *Server) repeated(rq *request, r *result, offset, count int) object {
	before, here := s.page(s.data(), rq, r, max(0, offset-count), count), s.page(s.data(), rq, r, offset, count)
	return here.with("entry", before.each("entry"), "")
}

func (s *Server) count(params url.Values) (int, error) {
	n, err := whole(params, "_count", s.opts.PageSize)
	return min(n, s.opts.MaxCount), err
}

// page cuts one page. _count=0 and _summary=count give the total alone.
func (s *Server) page(st *store, rq *request, r *result, offset, count int) object {
	total := len(r.rows)
	links := list{obj("relation", "self", "url", rq.self(without(rq.params, "_format")))}
	if count == 0 || r.params.Get("_summary") == "count" {
		return s.bundle(total, links, nil)
	}
	from, to := min(offset, total), min(offset+count, total)
	more := to < total || s.opts.EmptyLastPage && from < total && total > count
	if more && !s.opts.NoNext {
		next := to
		if rq.hits.has(FaultSkipPage) {
			next += count
		}
		links = append(links, obj("relation", "next", "url", s.nextURL(rq, r, next, count)))
	}
	if s.opts.RepeatIDs && from > 0 && from < total {
		from--
	}
	return s.bundle(total, links, s.entries(st, rq, r.rows[from:to], r.params))
}

// nextURL is absolute at the base (as HAPI's), or relative to the base.
func (s *Server) nextURL(rq *request, r *result, offset, count int) string {
	params := url.Values{pageToken: {r.token}, pageOffset: {strconv.Itoa(offset)}}
	path := ""
	if r.token == "" {
		params = without(r.params)
		params.Set("_offset", strconv.Itoa(offset))
		path = "/" + r.typ
	}
	params.Set("_count", strconv.Itoa(count))
	if wantsXML(rq.http) {
		params.Set("_format", "xml")
	}
	if s.opts.RelativeNext {
		return r.typ + "?" + params.Encode()
	}
	return rq.base + path + "?" + strings.ReplaceAll(params.Encode(), "+", "%20")
}

// bundle is a searchset.
func (s *Server) bundle(total int, links, entries list) object {
	return obj(
		"resourceType", "Bundle",
		"meta", obj("lastUpdated", s.flavour.instant(s.clock.now(), s.zone)),
		"type", "searchset",
		"total", total,
		"link", links,
		"entry", entries,
	)
}
