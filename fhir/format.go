package fhir

import (
	"mime"
	"strconv"
	"strings"

	"slotgate/scheduling"
)

// Format is how a resource is written: JSON or XML.
type Format uint8

// The formats. JSON is the one used where nobody asks.
const (
	JSON Format = iota
	XML
)

// String is the name of the format, as in _format=json.
func (f Format) String() string {
	if f == XML {
		return "xml"
	}
	return "json"
}

// ContentType is the media type of what Write gives.
func (f Format) ContentType() string {
	if f == XML {
		return "application/fhir+xml; charset=utf-8"
	}
	return "application/fhir+json; charset=utf-8"
}

// FormatOf reads a media type (Content-Type) or a value of _format; a charset
// other than UTF-8 is refused, fhirVersion is for OfRelease, other parameters
// are ignored. It is false for what we do not speak: 415 for a Content-Type.
func FormatOf(text string) (Format, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	// In a query, the + of application/fhir+json arrives as a space.
	text = strings.Replace(text, "fhir ", "fhir+", 1)
	text = strings.Replace(text, "json fhir", "json+fhir", 1)
	text = strings.Replace(text, "xml fhir", "xml+fhir", 1)
	kind, params, err := mime.ParseMediaType(text)
	if err != nil && kind == "" {
		return JSON, false
	}
	if set, given := params["charset"]; given && set != "utf-8" && set != "utf8" && set != "us-ascii" {
		return JSON, false
	}
	return formatOfType(kind)
}

func formatOfType(kind string) (Format, bool) {
	switch kind {
	case "json":
		return JSON, true
	case "xml":
		return XML, true
	case "application/fhir+json", "application/json", "application/json+fhir", "text/json":
		return JSON, true
	case "application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml":
		return XML, true
	}
	return JSON, false
}

// OfRelease tells whether a media type or a value of _format is about this
// release of FHIR: it names none, or this one by its parameter fhirVersion
// (http://hl7.org/fhir/R4/http.html#version-parameter).
func OfRelease(text string, release scheduling.Release) bool {
	_, params, _ := strings.Cut(text, ";")
	for _, p := range strings.Split(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "fhirVersion") {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		major := map[scheduling.Release]string{scheduling.STU3: "3.0", scheduling.R4: "4.0"}[release]
		if value != major && !strings.HasPrefix(value, major+".") {
			return false
		}
	}
	return true
}

// AcceptOf is what of an Accept header is about this release; "" where nothing
// of it is.
func AcceptOf(accept string, release scheduling.Release) string {
	var ours []string
	for _, part := range strings.Split(accept, ",") {
		if OfRelease(part, release) {
			ours = append(ours, part)
		}
	}
	return strings.Join(ours, ",")
}

// maxAccept bounds the ranges of an Accept header that are looked at.
const maxAccept = 32

// Accepted chooses the format of an answer: _format where it is given, else the
// best of the Accept header by its q-values, else fallback. It is false (406)
// when neither can be had.
func Accepted(accept, format string, fallback Format) (Format, bool) {
	if format != "" {
		return FormatOf(format)
	}
	if strings.TrimSpace(accept) == "" {
		return fallback, true
	}
	json, xml := weights(accept, fallback)
	switch {
	case json <= 0 && xml <= 0:
		return fallback, false
	case json == xml:
		return fallback, true
	case json > xml:
		return JSON, true
	}
	return XML, true
}

// weights are the q-values of the two formats. A named type is worth more than
// the same one by a wildcard, which falls to the fallback (RFC 9110, 12.5.1).
func weights(accept string, fallback Format) (json, xml float64) {
	wild := -1.0
	json, xml = -1, -1
	for i, part := range strings.Split(accept, ",") {
		if i == maxAccept {
			break
		}
		kind, q := cutQuality(part)
		// Earlier ones win among equals.
		q -= float64(i) / 1e6
		if f, ok := formatOfType(kind); ok {
			if f == JSON {
				json = max(json, q)
			} else {
				xml = max(xml, q)
			}
			continue
		}
		if kind == "*/*" || kind == "application/*" {
			wild = max(wild, q)
		}
	}
	if fallback == JSON && json == -1 {
		json = wild
	}
	if fallback == XML && xml == -1 {
		xml = wild
	}
	return orWild(json, xml, wild)
}

// orWild gives the wildcard to the other format too when the fallback one was
// refused by name.
func orWild(json, xml, wild float64) (float64, float64) {
	if json <= 0 && xml == -1 {
		xml = wild
	}
	if xml <= 0 && json == -1 {
		json = wild
	}
	return json, xml
}

// cutQuality gives a media range in lower case and its q-value, 1 by default;
// one that cannot be read counts 0.
func cutQuality(part string) (kind string, q float64) {
	kind, params, _ := strings.Cut(part, ";")
	q = 1
	for _, p := range strings.Split(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(v >= 0 && v <= 1) {
			v = 0
		}
		q = v
	}
	return strings.ToLower(strings.TrimSpace(kind)), q
}
