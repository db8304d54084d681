package model

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Canonical is the address of a definition. R4 writes it as a string, STU3 as
// a Reference; both are read in either version, and package stu3 writes the
// Reference.
type Canonical string

// UnmarshalJSONFrom reads a string or a Reference.
func (c *Canonical) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		var s string
		err := json.UnmarshalDecode(dec, &s)
		*c = Canonical(s)
		return err
	}
	var r Reference
	err := json.UnmarshalDecode(dec, &r)
	*c = Canonical(r.Reference)
	return err
}
