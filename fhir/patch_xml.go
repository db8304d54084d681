package fhir

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"slotgate/fhir/fhirxml"
)

// xmlNode is one element of an XML patch.
type xmlNode struct {
	name     string
	attrs    map[string]string
	text     []byte
	children []*xmlNode
}

// maxPatchAttrs is how many attributes one element may have.
const maxPatchAttrs = 32

// readXMLPatch reads an XML patch (RFC 5261). No namespace is insisted on:
// clients write diff in several and in none.
func readXMLPatch(data []byte) ([]patchOp, error) {
	root, err := readDiff(data)
	if err != nil {
		return nil, unreadable("the XML patch is not well-formed", err)
	}
	if root.name != "diff" {
		return nil, unreadable("an XML patch is an element called diff", nil)
	}
	if len(root.children) > maxOps {
		return nil, unreadable("the patch has too many operations", nil)
	}
	var ops []patchOp
	for _, child := range root.children {
		list, err := child.ops()
		if err != nil {
			return nil, err
		}
		ops = append(ops, list...)
	}
	return ops, nil
}

func (n *xmlNode) ops() ([]patchOp, error) {
	sel := n.attrs["sel"]
	if sel == "" || len(sel) > maxText {
		return nil, unreadable("an operation of the XML patch needs sel", nil)
	}
	path, attribute := xPath(sel)
	switch n.name {
	case "replace":
		return n.replace(path, attribute)
	case "add":
		return n.add(path)
	case "remove":
		return []patchOp{{kind: opOther, path: path}}, nil
	}
	return nil, unreadable("the XML patch has an operation that is none of RFC 5261", nil)
}

// replace gives a new value to the attribute, or puts another element of the
// same name in its place.
func (n *xmlNode) replace(path []step, attribute bool) ([]patchOp, error) {
	op := patchOp{kind: opReplace, path: path, value: strings.TrimSpace(string(n.text))}
	if attribute {
		if len(n.children) > 0 {
			return nil, unreadable("an attribute is replaced by text", nil)
		}
		return []patchOp{op}, nil
	}
	if len(n.children) != 1 {
		return nil, unreadable("an element is replaced by one element", nil)
	}
	if len(path) == 0 || n.children[0].name != path[len(path)-1].name {
		op.kind = opOther
	}
	op.value = n.children[0].tree()
	return []patchOp{op}, nil
}

// add puts elements into the one that is selected, or beside it.
func (n *xmlNode) add(path []step) ([]patchOp, error) {
	if n.attrs["type"] != "" {
		return []patchOp{{kind: opOther, path: path}}, nil
	}
	if pos := n.attrs["pos"]; pos == "before" || pos == "after" {
		path = path[:max(0, len(path)-1)]
	}
	if len(n.children) == 0 || len(n.children) > maxOps {
		return nil, unreadable("add needs elements", nil)
	}
	var ops []patchOp
	for _, child := range n.children {
		at := append(path[:len(path):len(path)], step{name: child.name, index: anyIndex})
		ops = append(ops, patchOp{kind: opAdd, path: at, value: child.tree()})
	}
	return ops, nil
}

// tree is the element as JSON would have it, but for lists of one.
func (n *xmlNode) tree() any {
	if value, ok := n.attrs["value"]; ok && len(n.children) == 0 {
		return value
	}
	tree := map[string]any{}
	if url := n.attrs["url"]; url != "" {
		tree["url"] = url
	}
	for _, child := range n.children {
		if before, again := tree[child.name]; again {
			tree[child.name] = append(asList(before), child.tree())
			continue
		}
		tree[child.name] = child.tree()
	}
	return tree
}

// readDiff reads one document with the care that package fhirxml takes: no DTD,
// no entities, no instructions, no depth.
func readDiff(data []byte) (*xmlNode, error) {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	var root *xmlNode
	var open []*xmlNode
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, fhirxml.ErrSyntax // the decoder's own text repeats the input
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			n, err := newNode(tok)
			switch {
			case err != nil:
				return nil, err
			case len(open) >= fhirxml.MaxDepth:
				return nil, fhirxml.ErrDeep
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, fhirxml.ErrSyntax
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				n.text = append(n.text, tok...)
			} else if len(bytes.TrimSpace(tok)) > 0 {
				return nil, fhirxml.ErrSyntax
			}
		case xml.Directive:
			return nil, fhirxml.ErrDTD
		case xml.ProcInst:
			if tok.Target != "xml" {
				return nil, fhirxml.ErrDTD
			}
		}
	}
}

func newNode(start xml.StartElement) (*xmlNode, error) {
	if len(start.Attr) > maxPatchAttrs {
		return nil, fhirxml.ErrWide
	}
	n := &xmlNode{name: start.Name.Local, attrs: map[string]string{}}
	for _, a := range start.Attr {
		if a.Name.Space != "" {
			continue
		}
		if _, twice := n.attrs[a.Name.Local]; twice {
			return nil, fhirxml.ErrSyntax
		}
		n.attrs[a.Name.Local] = a.Value
	}
	return n, nil
}
