package fhir

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor walks JSON that is known to be well-formed, with unique names and
// valid UTF-8 (toJSON has seen to that). It checks nothing again, which is what
// makes it fast; it must never be given anything else.
type cursor struct {
	b []byte
	i int
}

// space moves to the next token.
func (c *cursor) space() {
	for c.i < len(c.b) && c.b[c.i] <= ' ' {
		c.i++
	}
}

// next moves behind the comma or the opening of a list or object, and tells
// whether another member or item follows; if not, it has moved behind the end.
func (c *cursor) next() bool {
	c.space()
	switch c.b[c.i] {
	case ',', '{', '[':
		c.i++
		c.space()
	}
	if c.b[c.i] == '}' || c.b[c.i] == ']' {
		c.i++
		return false
	}
	return true
}

// name reads a member's name and moves to its value. The name is as written:
// one with escapes in it is simply none that we know.
func (c *cursor) name() []byte {
	raw := c.quoted()
	c.space()
	c.i++ // the colon
	c.space()
	return raw
}

// quoted moves behind a string and gives what is between its quotes.
func (c *cursor) quoted() []byte {
	start := c.i + 1
	c.i = endOfString(c.b, start) + 1
	return c.b[start : c.i-1]
}

// endOfString finds the closing quote of the string whose content begins at i.
func endOfString(b []byte, i int) int {
	for {
		at := bytes.IndexByte(b[i:], '"')
		if at < 0 {
			return len(b)
		}
		i += at
		slashes := 0
		for i-slashes > 0 && b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
		i++
	}
}

// value moves behind a value and gives it as written.
func (c *cursor) value() []byte {
	start := c.i
	switch c.b[c.i] {
	case '"':
		c.quoted()
	case '{', '[':
		c.nested()
	default:
		for c.i < len(c.b) && !isEnd(c.b[c.i]) {
			c.i++
		}
	}
	return c.b[start:c.i]
}

func isEnd(b byte) bool { return b == ',' || b == '}' || b == ']' || b <= ' ' }

func (c *cursor) nested() {
	for depth := 0; ; {
		switch c.b[c.i] {
		case '"':
			c.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		c.i++
		if depth == 0 {
			return
		}
	}
}

// textOf is the string that a value holds; ok is false for any other value.
func textOf(raw []byte) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	return string(out), err == nil
}

// tooDeep tells whether objects and lists lie deeper than limit. It takes any
// text: what is not well-formed is refused later.
func tooDeep(data []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i+1)
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}
