package ehrsim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// xmlReader turns FHIR XML of one version into a tree, by element names and
// the tables of shapes.go alone.
type xmlReader struct {
	data    []byte
	dec     *xml.Decoder
	version FHIR
}

// readXML reads one resource.
func readXML(data []byte, version FHIR) (object, error) {
	r := &xmlReader{data: data, dec: xml.NewDecoder(bytes.NewReader(data)), version: version}
	o, err := r.document()
	if err != nil {
		return nil, fmt.Errorf("not readable as FHIR XML: %w", err)
	}
	return o, nil
}

func (r *xmlReader) document() (object, error) {
	for {
		tok, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no element in it")
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errors.New("a document type is not allowed")
		case xml.StartElement:
			return r.resource(tok, 0)
		}
	}
}

// resource reads the element of a resource type.
func (r *xmlReader) resource(start xml.StartElement, depth int) (object, error) {
	if start.Name.Space != fhirNamespace {
		return nil, fmt.Errorf("element %s is not of the FHIR namespace", start.Name.Local)
	}
	o := object{{"resourceType", start.Name.Local}}
	return r.children(o, start.Name.Local, "", depth)
}

// children reads all elements up to the end of the open one into o.
func (r *xmlReader) children(o object, resourceType, path string, depth int) (object, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	for {
		tok, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return o, nil
		case xml.StartElement:
			if isResourceName(tok.Name.Local) {
				// entry.resource and contained wrap the resource in an element.
				inner, err := r.resource(tok, depth+1)
				if err != nil {
					return nil, err
				}
				o = append(o, inner...)
				continue
			}
			if o, err = r.member(o, tok, resourceType, path, depth); err != nil {
				return nil, err
			}
		}
	}
}

func isResourceName(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return unicode.IsUpper(first)
}

func (r *xmlReader) member(o object, start xml.StartElement, resourceType, path string, depth int) (object, error) {
	name := start.Name.Local
	if name == "div" {
		text, err := r.narrative()
		return append(o, member{name, text}), err
	}
	if path != "" {
		path += "."
	}
	path += name
	var text string
	content := object{}
	for _, a := range start.Attr {
		switch {
		case a.Name.Space != "" || a.Name.Local == "xmlns":
		case a.Name.Local == "value":
			text = a.Value
		default: // id, and the url of an extension
			content = append(content, member{a.Name.Local, a.Value})
		}
	}
	content, err := r.children(content, resourceType, path, depth+1)
	if err != nil {
		return nil, err
	}
	return r.join(o, name, text, content, repeats(r.version, resourceType, path)), nil
}

// join puts an element that was read into its parent.
func (r *xmlReader) join(o object, name, text string, content object, repeated bool) object {
	var value any = content
	if text != "" {
		value = typed(name, text)
		if len(content) > 0 && !repeated {
			o = append(o, member{"_" + name, content})
		}
	} else if len(content) == 0 {
		return o
	}
	if !repeated {
		return append(o, member{name, value})
	}
	for i := range o {
		if before, ok := o[i].value.(list); ok && o[i].name == name {
			o[i].value = append(before, value)
			return o
		}
	}
	return append(o, member{name, list{value}})
}

// narrative takes the XHTML of a text as it stands, behind its opening tag.
func (r *xmlReader) narrative() (string, error) {
	end := r.dec.InputOffset()
	begin := bytes.LastIndex(r.data[:end], []byte("<"))
	if err := r.dec.Skip(); err != nil {
		return "", err
	}
	return strings.TrimSpace(string(r.data[begin:r.dec.InputOffset()])), nil
}
