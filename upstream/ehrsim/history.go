package ehrsim

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one FHIR request that the server has answered, or is answering
// (Status 0).
type Request struct {
	N             int                 `json:"n"`  // counts from 1
	At            time.Time           `json:"at"` // by the simulated clock
	Method        string              `json:"method"`
	Path          string              `json:"path"` // below the base
	Query         string              `json:"query,omitempty"`
	Params        map[string][]string `json:"params,omitempty"` // of query and body together
	Doing         string              `json:"doing,omitempty"`  // as in Fault.On: hold, book, cancel, ...
	Accept        string              `json:"accept,omitempty"`
	UserAgent     string              `json:"userAgent,omitempty"`
	ContentType   string              `json:"contentType,omitempty"`
	BodyKind      string              `json:"bodyKind,omitempty"`   // the resource type, "patch", "form", or "other"
	BodyDigest    string              `json:"bodyDigest,omitempty"` // the first 16 hex digits of its SHA-256: the same body sent twice shows
	Body          string              `json:"body,omitempty"`       // only with Options.KeepBodies
	IfMatch       string              `json:"ifMatch,omitempty"`
	IfNoneExist   string              `json:"ifNoneExist,omitempty"`
	Authorization bool                `json:"authorization,omitempty"` // whether one was sent; never which
	Bearer        string              `json:"bearer,omitempty"`        // the first 16 hex digits of the SHA-256 of the token
	CacheControl  string              `json:"cacheControl,omitempty"`
	Faults        []FaultKind         `json:"faults,omitempty"` // that struck
	Status        int                 `json:"status"`
	Took          Duration            `json:"took"` // real time
}

// Counters sum up all requests since the start or the last reset.
type Counters struct {
	Requests    int            `json:"requests"`
	InFlight    int            `json:"inFlight"`
	MaxInFlight int            `json:"maxInFlight"` // the most at one time
	ByPath      map[string]int `json:"byPath"`      // "GET /Slot": n
	ByStatus    map[int]int    `json:"byStatus"`
	ByFault     map[string]int `json:"byFault"`
}

// maxHistory bounds how many requests are remembered.
const maxHistory = 5000

type history struct {
	mu    sync.Mutex
	past  []*Request
	count Counters
}

func newHistory() *history {
	h := &history{}
	h.clear()
	return h
}

func (h *history) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past = nil
	h.count = Counters{InFlight: h.count.InFlight, ByPath: map[string]int{}, ByStatus: map[int]int{}, ByFault: map[string]int{}}
}

// begin notes a request; the function it gives is called with its status.
func (h *history) begin(r *http.Request, rq *request, at time.Time) func(status int) {
	began := time.Now()
	note := &Request{
		At: at, Method: r.Method, Path: rq.path, Query: r.URL.RawQuery, Accept: r.Header.Get("Accept"),
		UserAgent:     r.Header.Get("User-Agent"),
		Authorization: r.Header.Get("Authorization") != "", Bearer: bearerOf(r), CacheControl: r.Header.Get("Cache-Control"),
		Doing: rq.doing(), ContentType: r.Header.Get("Content-Type"), IfMatch: r.Header.Get("If-Match"), IfNoneExist: r.Header.Get("If-None-Exist"),
	}
	note.describe(rq)
	for kind := range rq.hits {
		note.Faults = append(note.Faults, kind)
	}
	slices.Sort(note.Faults)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count.Requests++
	h.count.InFlight++
	h.count.MaxInFlight = max(h.count.MaxInFlight, h.count.InFlight)
	h.count.ByPath[r.Method+" "+rq.path]++
	for _, kind := range note.Faults {
		h.count.ByFault[string(kind)]++
	}
	note.N = h.count.Requests
	h.past = append(h.past, note)
	if len(h.past) > maxHistory {
		h.past = slices.Delete(h.past, 0, len(h.past)-maxHistory)
	}
	return func(status int) { h.end(note, rq, status, time.Since(began)) }
}

// describe notes the kind of a body and a digest of it.
func (r *Request) describe(rq *request) {
	if len(rq.body) == 0 {
		return
	}
	sum := sha256.Sum256(rq.body)
	r.BodyDigest = hex.EncodeToString(sum[:8])
	if rq.srv.opts.KeepBodies {
		r.Body = string(rq.body)
	}
	r.BodyKind = "other"
	if found := bodyKind.FindSubmatch(rq.body[:min(len(rq.body), 512)]); found != nil {
		r.BodyKind = string(found[1]) + string(found[2])
	}
	switch {
	case strings.Contains(r.ContentType, "patch"), strings.HasPrefix(string(rq.body), "["):
		r.BodyKind = "patch"
	case strings.Contains(r.ContentType, "form-urlencoded"):
		r.BodyKind = "form"
	}
}

// bodyKind finds the resource type that a body begins with: good enough to tell
// requests apart, and cheap.
var bodyKind = regexp.MustCompile(`^\s*(?:<\?[^>]*>\s*)?(?:<([A-Z]\w+)|\{[^{}]*?"resourceType"\s*:\s*"(\w+)")`)

func (h *history) end(note *Request, rq *request, status int, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count.InFlight--
	h.count.ByStatus[status]++
	note.Status, note.Took, note.Params = status, Duration(took), rq.params
}

func (h *history) list(since int) []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []Request{}
	for _, r := range h.past {
		if r.N > since {
			out = append(out, *r)
		}
	}
	return out
}

func (h *history) counters() Counters {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.count
	c.ByPath, c.ByStatus, c.ByFault = maps.Clone(c.ByPath), maps.Clone(c.ByStatus), maps.Clone(c.ByFault)
	return c
}
