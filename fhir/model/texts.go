package model

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Texts is a list of primitives. Where one of them has an extension and no
// value, JSON has null in its place, so that both lists keep in step
// (https://hl7.org/fhir/json.html#primitive); here it is "".
type Texts []string

// Said are the texts that have a value.
func (t Texts) Said() []string {
	if !slices.Contains(t, "") {
		return t
	}
	return slices.DeleteFunc(slices.Clone([]string(t)), func(s string) bool { return s == "" })
}

// MarshalJSONTo writes null for a text without a value.
func (t Texts) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, text := range t {
		token := jsontext.String(text)
		if text == "" {
			token = jsontext.Null
		}
		if err := enc.WriteToken(token); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}
