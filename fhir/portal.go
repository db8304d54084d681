package fhir

import (
	"net/url"
	"strings"

	"slotgate/fhir/model"
	"slotgate/scheduling"
)

// Extensions of SMART Scheduling Links: where a published slot is booked
// (https://github.com/smart-on-fhir/smart-scheduling-links).
const (
	DeepLinkExtension = "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-deep-link"
	PhoneExtension    = "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-phone"
)

// maxLink is the longest address of a page that is passed on, in bytes.
const maxLink = 2000

// portalOf reads where a slot is booked; nil where nothing is told that callers
// may be sent to.
func portalOf(extensions []model.Extension) *scheduling.Portal {
	var p scheduling.Portal
	for i := range extensions {
		switch e := &extensions[i]; e.URL {
		case DeepLinkExtension:
			p.URL = pageAddress(firstOf(e.ValueURL, e.ValueURI, e.ValueString))
		case PhoneExtension:
			p.Phone = name(firstOf(e.ValueString, e.ValueURI, e.ValueURL))
		}
	}
	if p == (scheduling.Portal{}) {
		return nil
	}
	return &p
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// pageAddress is the address if a browser may be sent there, else "": a source's
// text must not become a script in a caller's page.
func pageAddress(text string) string {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	ok := err == nil && len(text) <= maxLink && isPlain(text) && u.Host != "" && u.User == nil && u.Opaque == "" &&
		(u.Scheme == "https" || u.Scheme == "http")
	if !ok {
		return ""
	}
	return u.String()
}

// fromPortal writes it. STU3 has no valueUrl.
func fromPortal(rel scheduling.Release, p *scheduling.Portal) []model.Extension {
	if p == nil {
		return nil
	}
	var out []model.Extension
	if p.URL != "" {
		link := model.Extension{URL: DeepLinkExtension, ValueURL: p.URL}
		if rel == scheduling.STU3 {
			link.ValueURL, link.ValueURI = "", p.URL
		}
		out = append(out, link)
	}
	if p.Phone != "" {
		out = append(out, model.Extension{URL: PhoneExtension, ValueString: p.Phone})
	}
	return out
}

// appendPortal writes the same as text.
func appendPortal(dst []byte, rel scheduling.Release, p *scheduling.Portal) []byte {
	if p == nil {
		return dst
	}
	separator := `,"extension":[`
	if p.URL != "" {
		value := `","valueUrl":`
		if rel == scheduling.STU3 {
			value = `","valueUri":`
		}
		dst = append(append(append(append(dst, separator...), `{"url":"`...), DeepLinkExtension...), value...)
		dst = append(appendString(dst, p.URL), '}')
		separator = ","
	}
	if p.Phone != "" {
		dst = append(append(append(append(dst, separator...), `{"url":"`...), PhoneExtension...), `","valueString":`...)
		dst = append(appendString(dst, p.Phone), '}')
	}
	return append(dst, ']')
}
