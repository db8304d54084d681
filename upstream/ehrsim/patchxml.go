package ehrsim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// xmlPatch reads RFC 5261 over FHIR XML: <replace sel="f:Appointment/f:status/@value">.
func xmlPatch(body []byte, typ string, version FHIR) ([]patchStep, error) {
	r := &xmlReader{data: body, dec: xml.NewDecoder(bytes.NewReader(body)), version: version}
	var out []patchStep
	depth := 0
	for {
		tok, err := r.dec.Token()
		if errors.Is(err, io.EOF) && depth == 0 && out != nil {
			return out, nil
		}
		if err != nil {
			return nil, bad("the patch cannot be read")
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, bad("a document type is not allowed")
		case xml.EndElement:
			depth--
		case xml.StartElement:
			if depth == 0 && tok.Name.Local == "diff" {
				depth++
				continue
			}
			if depth == 0 {
				return nil, badPatch("no diff")
			}
			st, err := r.xmlStep(tok, typ)
			if err != nil {
				return nil, err
			}
			out = append(out, st)
		}
	}
}

// xmlStep reads one <add>, <replace> or <remove> with what stands in it.
func (r *xmlReader) xmlStep(start xml.StartElement, typ string) (patchStep, error) {
	st := patchStep{op: start.Name.Local}
	attrs := map[string]string{}
	for _, a := range start.Attr {
		attrs[a.Name.Local] = a.Value
	}
	path, onValue, err := xmlPath(attrs["sel"], typ)
	if err != nil {
		return st, err
	}
	st.path = path
	text, inside, err := r.content(typ, strings.Join(path, "."))
	switch {
	case err != nil:
		return st, bad("the patch cannot be read")
	case st.op == "remove":
		return st, nil
	case st.op != "add" && st.op != "replace":
		return st, badPatch(st.op)
	case onValue || attrs["type"] == "@value":
		st.op, st.value = "replace", typed(path[len(path)-1], strings.TrimSpace(text))
		return st, nil
	case len(inside) != 1:
		return st, badPatch("one element must stand in it")
	}
	st.value = inside[0].value
	if l, ok := st.value.(list); ok {
		st.value = l[0]
	}
	if st.op == "add" {
		st.path = append(st.path, inside[0].name)
	}
	return st, nil
}

// content reads what stands in a step: text, or elements as members.
func (r *xmlReader) content(typ, path string) (string, object, error) {
	var text strings.Builder
	inside := object{}
	for {
		tok, err := r.dec.Token()
		if err != nil {
			return "", nil, err
		}
		switch tok := tok.(type) {
		case xml.CharData:
			text.Write(tok)
		case xml.EndElement:
			return text.String(), inside, nil
		case xml.StartElement:
			if inside, err = r.member(inside, tok, typ, path, 1); err != nil {
				return "", nil, err
			}
		}
	}
}

// xmlPath turns a selector into a path, with or without prefixes and a leading
// slash. Its indexes count from 1.
func xmlPath(sel, typ string) (path []string, onValue bool, err error) {
	sel, onValue = strings.CutSuffix(strings.TrimPrefix(sel, "/"), "/@value")
	for i, name := range strings.Split(sel, "/") {
		if _, local, ok := strings.Cut(name, ":"); ok {
			name = local
		}
		name, index, indexed := strings.Cut(name, "[")
		if i == 0 {
			if name != typ {
				return nil, false, badPatch("another resource")
			}
			continue
		}
		path = append(path, name)
		if indexed {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil {
				return nil, false, badPatch("selector")
			}
			path = append(path, strconv.Itoa(n-1))
		}
	}
	if onValue && len(path) == 0 {
		return nil, false, badPatch("selector")
	}
	return path, onValue, nil
}
