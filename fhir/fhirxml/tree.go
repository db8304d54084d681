package fhirxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// node is one XML element. A narrative's div is kept as it was written.
type node struct {
	name           string
	value, id, url string
	hasValue       bool
	div            string
	children       []*node
}

// reader builds the tree of a document. lost counts attributes, elements and
// text that FHIR has no place for.
type reader struct {
	data []byte
	dec  *xml.Decoder
	lost int
}

// readTree reads a document, and nothing else than one.
func readTree(data []byte) (root *node, lost int, err error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	r := &reader{data: data, dec: xml.NewDecoder(bytes.NewReader(data))}
	for {
		tok, err := r.dec.Token()
		if err == io.EOF && root != nil {
			return root, r.lost, nil
		}
		if err != nil {
			return nil, 0, syntax(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if root != nil {
				return nil, 0, ErrSyntax
			}
			if tok.Name.Space != fhirSpace {
				return nil, 0, ErrForeign
			}
			if root, err = r.element(tok, 1); err != nil {
				return nil, 0, err
			}
		case xml.ProcInst:
			if tok.Target != "xml" {
				return nil, 0, ErrDTD
			}
		case xml.Directive:
			return nil, 0, ErrDTD
		case xml.CharData:
			if len(bytes.TrimSpace(tok)) > 0 {
				return nil, 0, ErrSyntax
			}
		}
	}
}

// element reads from after a start tag to its end tag.
func (r *reader) element(start xml.StartElement, depth int) (*node, error) {
	if depth > MaxDepth {
		return nil, ErrDeep
	}
	n := &node{name: start.Name.Local}
	if err := r.attributes(n, start.Attr); err != nil {
		return nil, err
	}
	for {
		from := r.dec.InputOffset()
		tok, err := r.dec.Token()
		if err != nil {
			return nil, syntax(err)
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return n, nil
		case xml.StartElement:
			if err := r.child(n, tok, from, depth); err != nil {
				return nil, err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(tok)) > 0 {
				r.lost++
			}
		case xml.Directive, xml.ProcInst:
			return nil, ErrDTD
		}
	}
}

func (r *reader) child(n *node, start xml.StartElement, from int64, depth int) error {
	switch start.Name.Space {
	case fhirSpace:
		c, err := r.element(start, depth+1)
		if err == nil {
			n.children = append(n.children, c)
		}
		return err
	case xhtmlSpace:
		if err := r.skip(start, depth+1); err != nil {
			return err
		}
		div := string(r.data[from:r.dec.InputOffset()])
		if start.Name.Local == "div" && strings.HasPrefix(div, "<div") {
			n.children = append(n.children, &node{name: "div", div: div})
			return nil
		}
	default:
		if err := r.skip(start, depth+1); err != nil {
			return err
		}
	}
	r.lost++
	return nil
}

// skip reads over an element with the same care as over one that is kept.
func (r *reader) skip(start xml.StartElement, depth int) error {
	if len(start.Attr) > maxAttributes {
		return ErrWide
	}
	if depth > MaxDepth {
		return ErrDeep
	}
	for {
		tok, err := r.dec.Token()
		if err != nil {
			return syntax(err)
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := r.skip(tok, depth+1); err != nil {
				return err
			}
		case xml.Directive, xml.ProcInst:
			return ErrDTD
		}
	}
}

func (r *reader) attributes(n *node, attrs []xml.Attr) error {
	if len(attrs) > maxAttributes {
		return ErrWide
	}
	seen := make(map[xml.Name]bool, len(attrs))
	for _, a := range attrs {
		// encoding/xml lets an attribute be given twice; XML does not.
		if seen[a.Name] {
			return ErrSyntax
		}
		seen[a.Name] = true
		switch {
		case a.Name.Space != "":
			// xmlns:xsi, xsi:schemaLocation: not FHIR's
		case a.Name.Local == "value":
			n.value, n.hasValue = a.Value, true
		case a.Name.Local == "id":
			n.id = a.Value
		case a.Name.Local == "url":
			n.url = a.Value
		case a.Name.Local != "xmlns":
			r.lost++
		}
	}
	return nil
}

// syntax hides the decoder's text, which repeats the input.
func syntax(err error) error {
	var se *xml.SyntaxError
	if errors.As(err, &se) {
		return fmt.Errorf("%w in line %d", ErrSyntax, se.Line)
	}
	return ErrSyntax
}
