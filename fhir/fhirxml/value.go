package fhirxml

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// value is one JSON value. str holds a string's text and the literal of a
// number, true or false, which is just what XML writes.
type value struct {
	kind  jsontext.Kind
	str   string
	items []*value
	obj   *object
}

// object is a JSON object whose members are taken out one by one, so that what
// nobody asked for can be counted.
type object struct {
	members []member
}

type member struct {
	name string
	val  *value
	used bool
}

// use gives a member's value and marks it as used; nil when there is none, or
// when it is null.
func (o *object) use(name string) *value {
	for i := range o.members {
		if m := &o.members[i]; m.name == name {
			m.used = true
			if m.val.kind == 'n' {
				return nil
			}
			return m.val
		}
	}
	return nil
}

func (o *object) text(name string) string {
	for i := range o.members {
		if m := &o.members[i]; m.name == name && m.val.kind == '"' {
			return m.val.str
		}
	}
	return ""
}

func (o *object) unused() int {
	n := 0
	for i := range o.members {
		if !o.members[i].used {
			n++
		}
	}
	return n
}

// list gives the items of an array, or the value itself as the only one.
func (v *value) list() []*value {
	switch {
	case v == nil:
		return nil
	case v.kind == '[':
		return v.items
	}
	return []*value{v}
}

func readValue(dec *jsontext.Decoder, depth int) (*value, error) {
	if depth > MaxJSONDepth {
		return nil, ErrDeep
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, errors.Join(ErrSyntax, err)
	}
	v := &value{kind: tok.Kind()}
	switch v.kind {
	case '{':
		v.obj, err = readMembers(dec, depth)
	case '[':
		for dec.PeekKind() != ']' && err == nil {
			var item *value
			if item, err = readValue(dec, depth+1); err == nil {
				v.items = append(v.items, item)
			}
		}
		if err == nil {
			_, err = dec.ReadToken()
		}
	default:
		v.str = tok.String()
	}
	return v, err
}

func readMembers(dec *jsontext.Decoder, depth int) (*object, error) {
	o := &object{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, errors.Join(ErrSyntax, err)
		}
		m := member{name: name.String()}
		if m.val, err = readValue(dec, depth+1); err != nil {
			return nil, err
		}
		o.members = append(o.members, m)
	}
	_, err := dec.ReadToken()
	return o, err
}
