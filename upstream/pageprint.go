package upstream

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
)

// pagePrint is what a page of an answer is known by again.
type pagePrint struct {
	// sum is a hash of all that the page says, but for what is another with each
	// answer: Bundle.id, meta.lastUpdated, meta.versionId, timestamp, links.
	sum uint64
	// next is the link to the next page, as it was written; "" for the last one.
	next string
	// valid is Bundle.meta.lastUpdated as it was written.
	valid string
}

// printer reads pages just far enough to know them again: it looks for the ends
// of texts, objects and lists and for a few names, and decodes nothing. A page
// that is written otherwise, with its members in another order, say, is another
// one to it; that costs a decoding and is never wrong.
type printer struct {
	seed maphash.Seed
	// temporary: ids of what is proposed are other ones each time.
	temporary bool
}

// print is false for what is no JSON object, whole, as a Bundle or within
// Parameters: XML too is known again by nothing.
func (p printer) print(body []byte) (pagePrint, bool) {
	s := &pageScan{b: bytes.TrimPrefix(body, []byte("\ufeff")), temporary: p.temporary}
	s.hash.SetSeed(p.seed)
	s.space()
	s.bundle()
	s.space()
	if s.bad || s.at != len(s.b) {
		return pagePrint{}, false
	}
	_, _ = s.hash.Write(s.b[s.from:])
	if s.next != "" {
		_ = s.hash.WriteByte(1) // where it leads to does not count, that it does counts
	}
	return pagePrint{sum: s.hash.Sum64(), next: s.next, valid: s.valid}, true
}

// pageScan goes through a page once. What stands before from is hashed or left
// out already.
type pageScan struct {
	b         []byte
	at, from  int
	depth     int
	bad       bool
	temporary bool
	hash      maphash.Hash
	next      string
	valid     string
}

// deepest is how deep lists and objects may lie within each other: as deep as
// the decoder goes, and no deeper.
const deepest = 1000

func (s *pageScan) fail() { s.bad, s.at = true, len(s.b) }

// leave takes what stands from start to here out of the hash.
func (s *pageScan) leave(start int) {
	_, _ = s.hash.Write(s.b[s.from:start])
	s.from = s.at
}

func (s *pageScan) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// is takes one character, if it is there.
func (s *pageScan) is(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text takes a text and gives what stands between its quotes.
func (s *pageScan) text() []byte {
	if !s.is('"') {
		s.fail()
		return nil
	}
	start := s.at
	for {
		end := bytes.IndexByte(s.b[s.at:], '"')
		if end < 0 {
			s.fail()
			return nil
		}
		s.at += end + 1
		escapes := 0
		for i := s.at - 2; i >= start && s.b[i] == '\\'; i-- {
			escapes++
		}
		if escapes%2 == 0 {
			return s.b[start : s.at-1]
		}
	}
}

// object takes an object. each is called with the name of every member and takes
// its value; start is where the member begins.
func (s *pageScan) object(each func(name []byte, start int)) {
	if !s.is('{') {
		s.fail()
		return
	}
	s.space()
	if s.is('}') {
		return
	}
	for !s.bad {
		s.space()
		start := s.at
		name := s.text()
		s.space()
		if !s.is(':') {
			s.fail()
			return
		}
		s.space()
		each(name, start)
		s.space()
		if s.is('}') {
			return
		}
		if !s.is(',') {
			s.fail()
		}
	}
}

// array takes a list, or any other value as it is.
func (s *pageScan) array(each func()) {
	if !s.is('[') {
		s.value()
		return
	}
	s.space()
	if s.is(']') {
		return
	}
	for !s.bad {
		s.space()
		each()
		s.space()
		if s.is(']') {
			return
		}
		if !s.is(',') {
			s.fail()
		}
	}
}

// value takes any value: to the end of its text, to the bracket that closes it,
// or to where something else begins.
func (s *pageScan) value() {
	if s.at >= len(s.b) {
		s.fail()
		return
	}
	switch s.b[s.at] {
	case '"':
		s.text()
	case '{', '[':
		s.nested()
	default:
		start := s.at
		for s.at < len(s.b) && isLiteral(s.b[s.at]) {
			s.at++
		}
		if s.at == start {
			s.fail()
		}
	}
}

// isLiteral: of a number, true, false or null.
func isLiteral(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// nested takes an object or a list without a look at what is in it.
func (s *pageScan) nested() {
	for depth := 0; s.at < len(s.b); {
		switch s.b[s.at] {
		case '"':
			s.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
	s.fail()
}

// within takes a value that should be an object.
func (s *pageScan) within(each func(name []byte, start int)) {
	if s.depth++; s.depth > deepest {
		s.fail()
		return
	}
	if s.at < len(s.b) && s.b[s.at] == '{' {
		s.object(each)
	} else {
		s.value()
	}
	s.depth--
}

// bundle takes a Bundle, or the Parameters around it.
func (s *pageScan) bundle() {
	s.object(func(name []byte, start int) {
		switch string(name) {
		case "id", "timestamp", "identifier", "signature":
			s.value()
			s.leave(start)
		case "meta":
			s.meta(true)
		case "link":
			from := s.at
			s.value()
			s.leave(start)
			if !s.bad {
				s.links(s.b[from:s.at])
			}
		case "entry":
			s.array(s.entry)
		case "parameter":
			s.array(s.parameter)
		default:
			s.value()
		}
	})
}

func (s *pageScan) parameter() {
	s.within(func(name []byte, _ int) {
		if s.depth++; string(name) == "resource" && s.depth < deepest && s.at < len(s.b) && s.b[s.at] == '{' {
			s.bundle()
		} else {
			s.value()
		}
		s.depth--
	})
}

// meta leaves out when and how often a record was touched: what counts is what
// it says.
func (s *pageScan) meta(ofBundle bool) {
	s.within(func(name []byte, start int) {
		from := s.at
		s.value()
		switch string(name) {
		case "lastUpdated":
			if ofBundle && !s.bad && s.at-from > 2 {
				s.valid = string(s.b[from+1 : s.at-1])
			}
			s.leave(start)
		case "versionId":
			s.leave(start)
		}
	})
}

func (s *pageScan) entry() {
	s.within(func(name []byte, start int) {
		switch {
		case string(name) == "resource":
			s.resource()
		case string(name) == "fullUrl" && s.temporary:
			s.value()
			s.leave(start)
		default:
			s.value()
		}
	})
}

func (s *pageScan) resource() {
	s.within(func(name []byte, start int) {
		switch {
		case string(name) == "meta":
			s.meta(false)
		case string(name) == "id" && s.temporary:
			s.value()
			s.leave(start)
		default:
			s.value()
		}
	})
}

// links looks for the next page among the links of a Bundle. What it does not
// understand is left to the decoder: see comparison.
func (s *pageScan) links(data []byte) {
	var links []struct {
		Relation string `json:"relation"`
		URL      string `json:"url"`
	}
	if json.Unmarshal(data, &links) != nil {
		s.fail()
		return
	}
	for _, link := range links {
		if link.Relation == "next" && link.URL != "" && s.next == "" {
			s.next = link.URL
		}
	}
}
