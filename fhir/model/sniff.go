package model

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// TypeOf finds the resourceType of a resource in JSON that is known to be
// well-formed; "" when there is none. Servers write it first as a rule, but
// nothing obliges them to.
func TypeOf(object jsontext.Value) string {
	dec := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return ""
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if name.String() != "resourceType" {
			if dec.SkipValue() != nil {
				return ""
			}
			continue
		}
		value, err := dec.ReadToken()
		if err != nil || value.Kind() != '"' {
			return ""
		}
		return value.String()
	}
	return ""
}
