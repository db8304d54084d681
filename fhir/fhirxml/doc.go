// Package fhirxml turns FHIR's XML into FHIR's JSON and back.
//
// The two say the same, but neither can be read without knowing the types:
// JSON tells lists, numbers and booleans, XML does not; XML tells the order of
// elements, and that is fixed by the definition. So the package works by a
// table per version, made from the specification's own definitions (gen.go):
// for each type its elements in order, with their kind and whether they repeat.
//
// What the table knows is carried, ids and extensions of primitives included
// (`_field` in JSON). What it does not know is left out, and counted.
//
// XML is read without DTDs, entities other than XML's own five, processing
// instructions, or nesting beyond MaxDepth: there is no other safe way to read
// XML of strangers (https://hl7.org/fhir/xml.html#security).
package fhirxml

import "errors"

// MaxDepth is how deep elements of XML may lie within each other.
const MaxDepth = 100

// MaxJSONDepth is the same for JSON, where a list is a level of its own.
const MaxJSONDepth = 2 * MaxDepth

// maxAttributes is how many attributes one element may have; FHIR needs three.
const maxAttributes = 32

// Why a text is not taken.
var (
	ErrSyntax  = errors.New("fhirxml: not well-formed")
	ErrDTD     = errors.New("fhirxml: a DTD or a processing instruction")
	ErrDeep    = errors.New("fhirxml: nested too deep")
	ErrWide    = errors.New("fhirxml: too many attributes")
	ErrRoot    = errors.New("fhirxml: the root is no resource of this version that is known here")
	ErrForeign = errors.New("fhirxml: the root is not in FHIR's namespace")
)

const (
	fhirSpace  = "http://hl7.org/fhir"
	xhtmlSpace = "http://www.w3.org/1999/xhtml"
)
