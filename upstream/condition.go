package upstream

import (
	"net/http"
	"strings"
	"time"
)

// condition says with the call what we have already, where the source's word for
// it is enough. A POST knows no such conditions (RFC 9110, 13.1.2).
func (s *comparison) condition(send *call, trace pageTrace) {
	if !s.word || send.method != http.MethodGet || trace.at != s.c.callKey(send) || !s.steady(trace) {
		return
	}
	o := &s.c.opts.Conditional
	switch {
	case trace.etag != "" && s.c.recall.believes(o.Use):
		send.header = http.Header{"If-None-Match": {trace.etag}}
	case trace.etag == "" && trace.modified != "" && o.Modified && o.Use != useHash && s.c.recall.believes(useETag):
		send.header = http.Header{"If-Modified-Since": {trace.modified}}
	default:
		return
	}
	send.conditional = true
}

// steadyFor is how long a next link must have been the same one to count as the
// source's way to name the page, and not as a name of one answer.
const steadyFor = 2 * time.Minute

// steady tells whether the page may be skipped by the source's word alone: the
// link that led on from it is needed then, as it was. Many servers give one that
// leads into a copy of that very answer, which would be read as if it were now.
func (s *comparison) steady(trace pageTrace) bool {
	return !trace.linked || trace.read-trace.since >= int64(steadyFor/time.Second)
}

// unmodified takes the source's word, unless it is about something else.
func (s *comparison) unmodified(header http.Header, trace pageTrace) (*pageTrace, string, error) {
	told := header.Get("ETag")
	if told != "" && trace.etag != "" && strings.TrimPrefix(told, "W/") != strings.TrimPrefix(trace.etag, "W/") {
		if s.c.recall.disbelieve() {
			s.c.liar()
		}
		return nil, "", nil
	}
	s.mu.Lock()
	s.byWord++
	s.valid = older(s.valid, validOf("", header))
	s.mu.Unlock()
	return &trace, trace.next, nil
}

// trace is what is remembered of a page that came.
func (c *Client) trace(send *call, sum uint64, header http.Header) pageTrace {
	out := pageTrace{at: c.callKey(send), sum: sum, read: c.now().Unix()}
	if etag := header.Get("ETag"); len(etag) <= maxETag {
		out.etag = etag
	}
	if c.opts.Conditional.Modified && out.etag == "" {
		out.modified = settled(header)
	}
	return out
}

// maxETag bounds what is kept of a source's ETag, in bytes.
const maxETag = 256

// settled is the Last-Modified of an answer that was given at least a minute
// after: what changes within the same second would not be told by it (RFC 9110,
// 8.8.2.2).
func settled(header http.Header) string {
	text := header.Get("Last-Modified")
	modified, err := http.ParseTime(text)
	if err != nil {
		return ""
	}
	given, err := http.ParseTime(header.Get("Date"))
	if err != nil || given.Sub(modified) < time.Minute {
		return ""
	}
	return text
}

// liar tells, once, that the source's word is not taken any more.
func (c *Client) liar() {
	c.metrics.broken()
	c.log.Warn("the source said that a page had not changed, which had; its ETags are not asked by any more", "source", c.source.ID)
}
