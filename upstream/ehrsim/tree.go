package ehrsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A resource is a tree of ordered objects. Order matters because FHIR's XML
// fixes it; nothing else of FHIR's types is known here.
type (
	object []member
	member struct {
		name  string
		value any // string, bool, number, object or list
	}
	list   []any
	number string // a JSON number as it was written: 1.50 stays 1.50
)

// obj builds an object from name, value, name, value...; members whose value
// is nil or empty are left out, as FHIR allows no empty ones.
func obj(pairs ...any) object {
	out := make(object, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if !isEmpty(pairs[i+1]) {
			out = append(out, member{name, pairs[i+1]})
		}
	}
	return out
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case object:
		return len(v) == 0
	case list:
		return len(v) == 0
	}
	return false
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// str is a member that is a string; else "".
func (o object) str(name string) string {
	s, _ := o.get(name).(string)
	return s
}

// obj is a member that is an object; else nil.
func (o object) obj(name string) object {
	v, _ := o.get(name).(object)
	return v
}

// each gives a member's values: those of a list, or the one value.
func (o object) each(name string) list {
	switch v := o.get(name).(type) {
	case nil:
		return nil
	case list:
		return v
	default:
		return list{v}
	}
}

// with gives a copy in which a member has another value; a new member stands
// behind the one named after, or at the end.
func (o object) with(name string, value any, after string) object {
	out := make(object, 0, len(o)+1)
	done := false
	for _, m := range o {
		if m.name == name {
			m.value, done = value, true
		}
		out = append(out, m)
	}
	if done {
		return out
	}
	at := len(out)
	for i, m := range out {
		if m.name == after {
			at = i + 1
		}
	}
	out = append(out, member{})
	copy(out[at+1:], out[at:])
	out[at] = member{name, value}
	return out
}

// without gives a copy that lacks some members.
func (o object) without(names ...string) object {
	out := make(object, 0, len(o))
	for _, m := range o {
		if !slices.Contains(names, m.name) {
			out = append(out, m)
		}
	}
	return out
}

// find walks a dotted path through objects and lists and gives every value at
// its end.
func (o object) find(path string) list {
	here := list{o}
	for _, name := range strings.Split(path, ".") {
		var next list
		for _, v := range here {
			if child, ok := v.(object); ok {
				next = append(next, child.each(name)...)
			}
		}
		here = next
	}
	return here
}

// appendJSON writes a value as JSON.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case number:
		return append(dst, v...)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case object:
		dst = append(dst, '{')
		for i, m := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.name), ':')
			dst = appendJSON(dst, m.value)
		}
		return append(dst, '}')
	case list:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, item)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

func appendString(dst []byte, s string) []byte {
	// The error only says that bad UTF-8 was replaced, which is what we want.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// maxDepth bounds how deep a document may nest; FHIR's own stay below 20.
const maxDepth = 64

var errTooDeep = errors.New("nested too deeply")

// readJSON reads one JSON object with its order.
func readJSON(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := readValue(dec, 0)
	if err != nil {
		return nil, fmt.Errorf("not readable as JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not readable as JSON: text after the end")
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return o, nil
}

func readValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case json.Delim:
		if tok == '{' {
			return readObject(dec, depth)
		}
		return readList(dec, depth)
	case json.Number:
		return number(tok), nil
	case string, bool:
		return tok, nil
	}
	return nil, nil
}

func readObject(dec *json.Decoder, depth int) (any, error) {
	out := object{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := readValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		s, _ := name.(string)
		out = append(out, member{s, value})
	}
	_, err := dec.Token()
	return out, err
}

func readList(dec *json.Decoder, depth int) (any, error) {
	out := list{}
	for dec.More() {
		value, err := readValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	_, err := dec.Token()
	return out, err
}
