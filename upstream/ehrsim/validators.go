package ehrsim

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Validators is by what answers to searches, $prefetch and $find are known again
// (RFC 9110, 8.8). A GET that says what it has already is answered 304 then, when
// that is still so.
type Validators string

// The validators of answers.
const (
	NoValidators Validators = ""         // an answer has none, and is always given whole
	ETags        Validators = "etag"     // a strong ETag
	WeakETags    Validators = "weak"     // a weak one: W/"..."
	Modified     Validators = "modified" // Last-Modified: when the answer last became another one
)

var validators = []Validators{NoValidators, ETags, WeakETags, Modified}

// Faults of validators.
const (
	FaultOldTag     FaultKind = "old-etag"    // ETag and Last-Modified stay what they were when the answer becomes another one
	FaultUnasked304 FaultKind = "unasked-304" // 304 to whoever asks, also without a condition
	FaultOther304   FaultKind = "other-304"   // a 304 that carries the ETag of something else
)

// tagBox remembers by what each search was told last.
type tagBox struct {
	mu   sync.Mutex
	kept map[string]tagged
}

type tagged struct {
	sum   uint64
	since time.Time
}

func (b *tagBox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = map[string]tagged{}
}

// of is the tag of the answer to a search; old: as it was told last.
func (b *tagBox) of(search string, sum uint64, now time.Time, old bool) tagged {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, known := b.kept[search]
	if known && (old || was.sum == sum) {
		return was
	}
	next := tagged{sum, now.UTC().Truncate(time.Second)}
	if known && !next.since.After(was.since) {
		next.since = was.since.Add(time.Second) // times of HTTP have whole seconds
	}
	b.kept[search] = next
	return next
}

// validated gives the answer to a search its validators, or 304 in its place.
func (s *Server) validated(rq *request, a reply) reply {
	if !slices.Contains(words("search find prefetch"), rq.act) || rq.http.Method != http.MethodGet || a.status != http.StatusOK || a.body == nil {
		return a
	}
	if rq.hits.has(FaultUnasked304) {
		return reply{status: http.StatusNotModified}
	}
	if s.opts.Validators == NoValidators {
		return a
	}
	tag := s.tags.of(rq.target(), saysSum(a.body), s.clock.now(), rq.hits.has(FaultOldTag))
	name, value, asked := "ETag", fmt.Sprintf(`"%016x"`, tag.sum), "If-None-Match"
	switch s.opts.Validators {
	case WeakETags:
		value = "W/" + value
	case Modified:
		name, value, asked = "Last-Modified", tag.since.Format(http.TimeFormat), "If-Modified-Since"
	}
	head := map[string]string{name: value}
	if !known(rq.http.Header.Get(asked), value, tag.since) {
		a.header = head
		return a
	}
	if rq.hits.has(FaultOther304) {
		head = map[string]string{"ETag": `"of-something-else"`}
	}
	return reply{status: http.StatusNotModified, header: head}
}

// known tells whether the client has what the validator stands for.
func known(has, value string, since time.Time) bool {
	if at, err := http.ParseTime(has); err == nil {
		return !since.After(at)
	}
	for _, one := range strings.Split(has, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == strings.TrimPrefix(value, "W/") {
			return true
		}
	}
	return false
}

// saysSum is a hash of what an answer says; when it was given, and the names of
// its pages, are another each time.
func saysSum(body object) uint64 {
	h := fnv.New64a()
	for _, m := range body {
		if m.name != "meta" && m.name != "link" {
			_, _ = h.Write(appendJSON(nil, object{m}))
		}
	}
	return h.Sum64()
}
