package model

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Concepts is a list of concepts that reads a single one as well: where the
// versions differ in number, servers that were moved from one to the other mix
// them up.
type Concepts []CodeableConcept

// UnmarshalJSONFrom reads a list of concepts, or one.
func (c *Concepts) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '[' {
		return json.UnmarshalDecode(dec, (*[]CodeableConcept)(c))
	}
	var one *CodeableConcept
	if err := json.UnmarshalDecode(dec, &one); err != nil || one == nil {
		return err
	}
	*c = Concepts{*one}
	return nil
}
