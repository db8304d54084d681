package fhirxml

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// ToJSON turns a resource in XML into JSON. dropped counts what the table has
// no place for. The JSON is well-formed, but its values are as they came: a
// number that is none is a string.
func (t *Table) ToJSON(data []byte) (out []byte, dropped int, err error) {
	root, lost, err := readTree(data)
	if err != nil {
		return nil, 0, err
	}
	def := t.resourceType(root.name)
	if def == nil {
		return nil, 0, ErrRoot
	}
	w := &jsonWriter{table: t, out: make([]byte, 0, len(data)), dropped: lost}
	w.resource(def, root)
	return w.out, w.dropped, nil
}

type jsonWriter struct {
	table   *Table
	out     []byte
	dropped int
}

// name opens a member: a comma where one is due, the name, a colon.
func (w *jsonWriter) name(name, prefix string) {
	if c := w.out[len(w.out)-1]; c != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(w.out, '"')
	w.out = append(append(w.out, prefix...), name...)
	w.out = append(w.out, '"', ':')
}

func (w *jsonWriter) str(s string) {
	w.out, _ = jsontext.AppendQuote(w.out, s)
}

func (w *jsonWriter) resource(def *typeDef, n *node) {
	w.out = append(w.out, '{')
	w.name("resourceType", "")
	w.str(def.name)
	w.members(def, n)
	w.out = append(w.out, '}')
}

func (w *jsonWriter) object(def *typeDef, n *node) {
	w.out = append(w.out, '{')
	w.attributes(def, n)
	w.members(def, n)
	w.out = append(w.out, '}')
}

// attributes writes what XML has as attributes and JSON as members.
func (w *jsonWriter) attributes(def *typeDef, n *node) {
	for _, a := range []struct{ name, value string }{{"id", n.id}, {"url", n.url}} {
		if a.value == "" {
			continue
		}
		if at, ok := def.byName[a.name]; ok && def.fields[at].kind == attribute {
			w.name(a.name, "")
			w.str(a.value)
			continue
		}
		w.dropped++
	}
}

// members writes the children, those of one name together.
func (w *jsonWriter) members(def *typeDef, n *node) {
	done := make([]bool, len(def.fields))
	for i, child := range n.children {
		at, ok := def.byName[child.name]
		if !ok || def.fields[at].kind == attribute {
			w.dropped++
			continue
		}
		if done[at] {
			continue
		}
		done[at] = true
		same := alike(n.children[i:], child.name)
		f := &def.fields[at]
		if !f.list && len(same) > 1 {
			w.dropped += len(same) - 1
			same = same[:1]
		}
		w.member(f, same)
	}
}

func alike(nodes []*node, name string) []*node {
	out := nodes[:0:0]
	for _, n := range nodes {
		if n.name == name {
			out = append(out, n)
		}
	}
	return out
}

func (w *jsonWriter) member(f *field, same []*node) {
	switch f.kind {
	case complexT:
		w.complexMember(f, same)
	case resource:
		w.resourceMember(f, same)
	case xhtml:
		if same[0].div == "" {
			w.dropped++
			return
		}
		w.name(f.name, "")
		w.str(same[0].div)
	default:
		w.primitives(f, same)
	}
}

func (w *jsonWriter) complexMember(f *field, same []*node) {
	w.name(f.name, "")
	if !f.list {
		w.object(f.of, same[0])
		return
	}
	w.out = append(w.out, '[')
	for i, n := range same {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.object(f.of, n)
	}
	w.out = append(w.out, ']')
}

// resourceMember writes the resources that lie within elements of their own
// (<resource><Slot>...). One of a type that is not known is left out.
func (w *jsonWriter) resourceMember(f *field, same []*node) {
	var known []*node
	for _, n := range same {
		for i, inner := range n.children {
			if w.table.resourceType(inner.name) == nil || (i > 0 && !f.list) {
				w.dropped++
				continue
			}
			known = append(known, inner)
		}
	}
	if len(known) == 0 {
		return
	}
	w.name(f.name, "")
	if !f.list {
		w.resource(w.table.resourceType(known[0].name), known[0])
		return
	}
	w.out = append(w.out, '[')
	for i, n := range known {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.resource(w.table.resourceType(n.name), n)
	}
	w.out = append(w.out, ']')
}

// primitives writes the values, and beside them the ids and extensions, of an
// element or a list of them (https://hl7.org/fhir/json.html#primitive).
func (w *jsonWriter) primitives(f *field, same []*node) {
	values, extras := false, false
	for _, n := range same {
		values = values || n.hasValue
		extras = extras || n.id != "" || len(n.children) > 0
		if n.url != "" {
			w.dropped++
		}
	}
	if values {
		w.each(f, "", same, func(n *node) bool { return n.hasValue }, func(n *node) { w.primitive(f.kind, n.value) })
	}
	if extras {
		element := w.table.types["Extension"]
		has := func(n *node) bool { return n.id != "" || len(n.children) > 0 }
		w.each(f, "_", same, has, func(n *node) { w.extra(element, n) })
	}
}

// each writes one member: a value, or a list with null where a node has none.
func (w *jsonWriter) each(f *field, prefix string, same []*node, has func(*node) bool, write func(*node)) {
	w.name(f.name, prefix)
	if !f.list {
		write(same[0])
		return
	}
	w.out = append(w.out, '[')
	for i, n := range same {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		if has(n) {
			write(n)
		} else {
			w.out = append(w.out, "null"...)
		}
	}
	w.out = append(w.out, ']')
}

// extra writes id and extensions of a primitive. Extension begins with just
// those two elements; its values are not a primitive's.
func (w *jsonWriter) extra(def *typeDef, n *node) {
	bare := &node{name: n.name, id: n.id, children: n.children[:0:0]}
	for _, c := range n.children {
		if c.name == "extension" {
			bare.children = append(bare.children, c)
		} else {
			w.dropped++
		}
	}
	w.object(def, bare)
}

func (w *jsonWriter) primitive(k kind, value string) {
	switch {
	case k == boolean && (value == "true" || value == "false"),
		k == number && isNumber(value):
		w.out = append(w.out, value...)
	default:
		w.str(value)
	}
}

// isNumber tells whether the text is a number as JSON writes them.
func isNumber(s string) bool {
	v := jsontext.Value(bytes.TrimSpace([]byte(s)))
	return len(v) == len(s) && v.Kind() == '0' && v.IsValid()
}
