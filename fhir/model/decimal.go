package model

import (
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Decimal is a FHIR decimal as it was written: FHIR gives meaning to trailing
// zeros, which a float would lose. The empty Decimal is an absent one.
type Decimal string

var errDecimal = errors.New("model: a decimal is a JSON number")

// NewDecimal writes a float in the shortest form that reads back as it.
func NewDecimal(f float64) Decimal {
	return Decimal(strconv.FormatFloat(f, 'f', -1, 64))
}

// Float gives the value; ok is false when it is absent or not a finite number.
func (d Decimal) Float() (f float64, ok bool) {
	f, err := strconv.ParseFloat(string(d), 64)
	return f, err == nil
}

// MarshalJSONTo writes the literal, or null for an absent decimal.
func (d Decimal) MarshalJSONTo(enc *jsontext.Encoder) error {
	if d == "" {
		return enc.WriteToken(jsontext.Null)
	}
	v := jsontext.Value(d)
	if v.Kind() != '0' {
		return errDecimal
	}
	return enc.WriteValue(v)
}

// UnmarshalJSONFrom reads a JSON number, or a string that holds one, which
// some servers send.
func (d *Decimal) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case 'n':
		*d = ""
		return nil
	case '"':
		s, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return err
		}
		v = s
	}
	if jsontext.Value(v).Kind() != '0' || !jsontext.Value(v).IsValid() {
		return errDecimal
	}
	*d = Decimal(v)
	return nil
}
