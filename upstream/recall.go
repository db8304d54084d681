package upstream

import (
	"container/list"
	"crypto/rand"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"time"

	"slotgate/scheduling"
)

// pageTrace is what is remembered of one page: nothing that is in it.
type pageTrace struct {
	at     uint64 // hash of the request
	sum    uint64 // of what it said, see pagePrint
	linked bool   // a next link led on from it
	next   string // where the next page was; "" for the last one
	since  int64  // since when that link is the same one (Unix, s)
	read   int64  // when it was last read, and not only said to be the same
	etag   string
	// modified is its Last-Modified, where that is safe to ask by.
	modified string
}

// recalled is the latest complete answer for one scope.
type recalled struct {
	scope     string
	token     string
	directory uint64    // version of the directory that it was read with
	whole     time.Time // when every page of it was last read
	until     time.Time // it is to be decoded again from then on; zero: never for that
	questions map[uint64][]pageTrace
	since     time.Time // from when on changes are to be asked for (quirks.deletions)
	newest    time.Time // the latest change that was told; zero: none
	files     uint64    // of a publisher: hash of the files that it was made of
	pages     int

	// What is told of the answer once more.
	held     int
	nameless int
	unusable scheduling.Tally
	unmapped scheduling.Tally
}

// recall is a small memory of what the source answered last for each scope. It
// forgets what was not asked for longest.
type recall struct {
	seed maphash.Seed
	most int // pages

	mu     sync.Mutex
	pages  int
	scopes map[string]*list.Element // of *recalled
	order  *list.List               // the latest in front
	word   word
}

// word is what the source's validators are worth.
type word int

const (
	unproved word = iota
	proved        // one changed together with what it stood for
	broken        // one stayed the same when that changed
)

func newRecall(most int) *recall {
	return &recall{seed: maphash.MakeSeed(), most: most, scopes: map[string]*list.Element{}, order: list.New()}
}

// scopeName is the same for the same scope.
func scopeName(scope scheduling.Scope) string {
	return scope.Days.From.String() + "/" + scope.Days.To.String() + "/" + strings.Join(scope.Schedules, ",")
}

func (r *recall) of(scope string) *recalled {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.scopes[scope]
	if at == nil {
		return nil
	}
	r.order.MoveToFront(at)
	known, _ := at.Value.(*recalled)
	return known
}

// keep puts an answer in place of the one before. One that is larger than the
// whole memory is not kept.
func (r *recall) keep(next *recalled) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(r.scopes[next.scope])
	if next.pages > r.most {
		return false
	}
	r.scopes[next.scope] = r.order.PushFront(next)
	for r.pages += max(next.pages, 1); r.pages > r.most && r.order.Len() > 1; {
		r.drop(r.order.Back())
	}
	return true
}

func (r *recall) drop(at *list.Element) {
	if at == nil {
		return
	}
	gone, _ := r.order.Remove(at).(*recalled)
	delete(r.scopes, gone.scope)
	r.pages -= max(gone.pages, 1)
}

// confirmed notes that an answer was given once more; whole: all of it was read.
func (r *recall) confirmed(known *recalled, questions map[uint64][]pageTrace, at time.Time, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := *known
	next.questions = questions
	if whole {
		next.whole = at
	}
	if here := r.scopes[known.scope]; here != nil && here.Value == known {
		here.Value = &next
	}
}

// judge compares what a page was told by with what it is told by now.
func (r *recall) judge(before, now pageTrace) (lied bool) {
	if before.at != now.at || before.sum == now.sum || before.sum == 0 || now.sum == 0 {
		return false
	}
	same := before.etag != "" && before.etag == now.etag || before.etag == "" && before.modified != "" && before.modified == now.modified
	changed := before.etag != "" && now.etag != "" && before.etag != now.etag
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case same && r.word != broken:
		r.word = broken
		return true
	case changed && r.word == unproved:
		r.word = proved
	}
	return false
}

// disbelieve is for a source whose 304 is none.
func (r *recall) disbelieve() (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news = r.word != broken
	r.word = broken
	return news
}

// believes tells whether the source's word is taken, under conditional.use.
func (r *recall) believes(use string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return use == useETag && r.word != broken || use == useAuto && r.word == proved
}

// standing is what the source's word is worth, in a word.
func (r *recall) standing(use string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if use == useHash || use == useNone {
		return "not asked by"
	}
	return [...]string{unproved: "unproved", proved: "proved", broken: "broken"}[r.word]
}

// newToken names an answer as no other worker or process would.
func newToken() string { return rand.Text() }

// key is a hash of a request.
func (r *recall) key(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, part := range parts {
		_, _ = h.WriteString(strconv.Itoa(len(part)))
		_ = h.WriteByte(' ')
		_, _ = h.WriteString(part)
	}
	return h.Sum64()
}
