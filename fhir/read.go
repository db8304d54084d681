package fhir

import (
	"bytes"
	"errors"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/fhirxml"
	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// A codec and a table are pure functions in the shape of a value, built once.
var (
	codecSTU3 = sync.OnceValue(func() *codec { return newCodec(scheduling.STU3) })
	codecR4   = sync.OnceValue(func() *codec { return newCodec(scheduling.R4) })
)

func codecOf(rel scheduling.Release) *codec {
	if rel == scheduling.STU3 {
		return codecSTU3()
	}
	return codecR4()
}

func tableOf(rel scheduling.Release) *fhirxml.Table {
	if rel == scheduling.STU3 {
		return fhirxml.STU3()
	}
	return fhirxml.R4()
}

// Read reads one resource. A type that we have no fields for is a *model.Raw
// (from JSON; XML of an unknown type cannot be read).
//
// Errors: scheduling.BadRequest, by the client. Whoever reads what a source
// sent blames the source instead.
func Read(rel scheduling.Release, f Format, data []byte) (model.Resource, error) {
	res, _, err := ReadCounting(rel, f, data)
	return res, err
}

// ReadCounting is Read, and tells how many elements of XML were left out since
// this version does not know them. JSON loses none.
func ReadCounting(rel scheduling.Release, f Format, data []byte) (res model.Resource, dropped int, err error) {
	data, dropped, err = toJSON(rel, f, data)
	if err != nil {
		return nil, 0, err
	}
	res, err = codecOf(rel).decode(data)
	if err != nil {
		return nil, 0, unreadable("the body is not a FHIR resource of this version", err)
	}
	return res, dropped, nil
}

// toJSON gives checked JSON: well-formed, valid UTF-8, no name twice, not too
// deep.
func toJSON(rel scheduling.Release, f Format, data []byte) ([]byte, int, error) {
	dropped := 0
	if f == XML {
		var err error
		data, dropped, err = tableOf(rel).ToJSON(data)
		if err != nil {
			return nil, 0, unreadable(xmlFault(err), err)
		}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if tooDeep(data, fhirxml.MaxJSONDepth) {
		return nil, 0, unreadable("the body is nested too deep", nil)
	}
	if v := jsontext.Value(data); !v.IsValid() || v.Kind() != '{' {
		return nil, 0, unreadable("the body is not a well-formed JSON object", nil)
	}
	return data, dropped, nil
}

func unreadable(message string, cause error) *scheduling.Error {
	return &scheduling.Error{Code: scheduling.BadRequest, Who: scheduling.Client, Message: message, Err: cause}
}

func xmlFault(err error) string {
	switch {
	case errors.Is(err, fhirxml.ErrDTD):
		return "XML with a DTD, entities or processing instructions is not read"
	case errors.Is(err, fhirxml.ErrDeep):
		return "the body is nested too deep"
	case errors.Is(err, fhirxml.ErrWide):
		return "an element has too many attributes"
	case errors.Is(err, fhirxml.ErrRoot):
		return "the root is not a resource that is known here"
	case errors.Is(err, fhirxml.ErrForeign):
		return "the root is not in the namespace http://hl7.org/fhir"
	}
	return "the body is not well-formed XML"
}
