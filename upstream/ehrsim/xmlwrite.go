package ehrsim

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"
)

const fhirNamespace = "http://hl7.org/fhir"

// appendXML writes a resource as a FHIR XML document.
func appendXML(dst []byte, resource object) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="UTF-8"?>`...)
	return appendResource(dst, resource, ` xmlns="`+fhirNamespace+`"`)
}

// appendResource writes a resource as the element of its type.
func appendResource(dst []byte, o object, attrs string) []byte {
	name := o.str("resourceType")
	dst = append(dst, "<"+name+attrs+">"...)
	for _, m := range inOrder(o) {
		if m.name != "resourceType" {
			dst = appendMember(dst, o, m, true)
		}
	}
	return append(dst, "</"+name+">"...)
}

// appendMember writes one member: an element, or several when it is a list.
func appendMember(dst []byte, parent object, m member, top bool) []byte {
	if strings.HasPrefix(m.name, "_") || !top && (m.name == "id" || m.name == "url" && parent.isExtension()) {
		return dst // written with the element it belongs to
	}
	items, ok := m.value.(list)
	if !ok {
		items = list{m.value}
	}
	for _, v := range items {
		dst = appendElement(dst, m.name, v, parent.obj("_"+m.name))
	}
	return dst
}

// isExtension: an extension has a url and a value, or extensions of its own;
// there url is an attribute.
func (o object) isExtension() bool {
	for _, m := range o {
		if strings.HasPrefix(m.name, "value") || m.name == "extension" {
			return true
		}
	}
	return false
}

func appendElement(dst []byte, name string, v any, more object) []byte {
	switch v := v.(type) {
	case object:
		return appendComplex(dst, name, v)
	case string:
		if name == "div" {
			return append(dst, v...)
		}
		return appendPrimitive(dst, name, v, more)
	case bool:
		return appendPrimitive(dst, name, strconv.FormatBool(v), more)
	case int:
		return appendPrimitive(dst, name, strconv.Itoa(v), more)
	case number:
		return appendPrimitive(dst, name, string(v), more)
	}
	return dst
}

func appendComplex(dst []byte, name string, o object) []byte {
	if o.get("resourceType") != nil {
		dst = append(dst, "<"+name+">"...)
		dst = appendResource(dst, o, "")
		return append(dst, "</"+name+">"...)
	}
	dst = append(dst, "<"+name...)
	dst = appendAttribute(dst, "id", o.str("id"))
	if o.isExtension() {
		dst = appendAttribute(dst, "url", o.str("url"))
	}
	dst = append(dst, '>')
	for _, m := range o {
		dst = appendMember(dst, o, m, false)
	}
	return append(dst, "</"+name+">"...)
}

func appendPrimitive(dst []byte, name, text string, more object) []byte {
	dst = append(dst, "<"+name...)
	dst = appendAttribute(dst, "id", more.str("id"))
	dst = appendAttribute(dst, "value", text)
	if len(more) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, m := range more {
		dst = appendMember(dst, more, m, false)
	}
	return append(dst, "</"+name+">"...)
}

func appendAttribute(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	var escaped bytes.Buffer
	_ = xml.EscapeText(&escaped, []byte(text)) // a Buffer never fails
	dst = append(dst, " "+name+`="`...)
	return append(append(dst, escaped.Bytes()...), '"')
}
