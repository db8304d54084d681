package fhir

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"slotgate/fhir/fhirxml"
	"slotgate/scheduling"
)

// A text that is not good JSON may still be a page of which most entries are:
// what real servers get wrong lies within a string (half a surrogate pair, a
// bare control character, an escape that does not exist) or is a name twice.
// Then the page is walked over a copy in which strings are mended, byte for
// byte, and an entry is read only where its own text is good.

// mend gives the copy, and the text as it came, which lies at the same offsets.
// It is false for what is not JSON outside of its strings either.
func mend(data []byte) (mended, raw []byte, ok bool) {
	raw = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if tooDeep(raw, fhirxml.MaxJSONDepth) {
		return nil, nil, false
	}
	mended = bytes.Clone(raw)
	for i := 0; i < len(mended); i++ {
		if mended[i] == '"' {
			end := endOfString(mended, i+1)
			mendString(mended[i+1 : end])
			i = end
		}
	}
	v := jsontext.Value(mended)
	ok = v.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) && v.Kind() == '{'
	return mended, raw, ok
}

// mendString blanks what may not be in a string.
func mendString(s []byte) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] < ' ':
			s[i] = ' '
		case s[i] != '\\':
		case i+1 < len(s) && bytes.IndexByte([]byte(`"\/bfnrt`), s[i+1]) >= 0:
			i++
		case i+5 < len(s) && s[i+1] == 'u' && isHex(s[i+2:i+6]):
			i += 5
		default:
			s[i] = ' '
		}
	}
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// IsRecord tells whether a text that could not be read is a JSON resource all
// the same: the record is broken then, and not the source that sent it.
func IsRecord(f Format, data []byte) bool {
	if f != JSON {
		return false
	}
	mended, _, ok := mend(data)
	return ok && typeOf(mended) != ""
}

// slotIn is the id of the Slot in an entry that cannot be read, "" where it
// cannot be told.
func slotIn(entry []byte) string {
	cur := &cursor{b: entry}
	for cur.next() {
		name := string(cur.name())
		value := cur.value()
		if name == "resource" && value[0] == '{' && typeOf(value) == "Slot" {
			return idIn(value)
		}
	}
	return ""
}

func idIn(resource []byte) string {
	cur := &cursor{b: resource}
	for cur.next() {
		name := string(cur.name())
		value := cur.value()
		if name != "id" {
			continue
		}
		if id, ok := textOf(value); ok && scheduling.ValidID(id) {
			return id
		}
	}
	return ""
}

// returnedIn finds the Bundle that an operation returned within Parameters, as
// offsets.
func returnedIn(parameters []byte) (from, to int, ok bool) {
	cur := &cursor{b: parameters}
	for cur.next() {
		if string(cur.name()) != "parameter" || cur.b[cur.i] != '[' {
			cur.value()
			continue
		}
		for cur.next() {
			if cur.b[cur.i] != '{' {
				cur.value()
				continue
			}
			if from, to, ok = returnIn(cur); ok {
				return from, to, true
			}
		}
	}
	return 0, 0, false
}

// returnIn looks at one parameter, and moves behind it.
func returnIn(cur *cursor) (from, to int, ok bool) {
	named := false
	for cur.next() {
		name := string(cur.name())
		at := cur.i
		value := cur.value()
		switch {
		case name == "name":
			named = string(value) == `"return"`
		case name == "resource" && value[0] == '{' && typeOf(value) == "Bundle":
			from, to = at, cur.i
		}
	}
	return from, to, named && to > 0
}
