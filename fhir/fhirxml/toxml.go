package fhirxml

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ToXML turns a resource in JSON into XML. dropped counts what the table has
// no place for, and what XML cannot carry.
func (t *Table) ToXML(data []byte) (out []byte, dropped int, err error) {
	root, err := readObject(data)
	if err != nil {
		return nil, 0, err
	}
	w := &xmlWriter{table: t, out: make([]byte, 0, len(data)+len(data)/4)}
	w.raw(`<?xml version="1.0" encoding="UTF-8"?>`)
	def := t.resourceType(root.text("resourceType"))
	if def == nil {
		return nil, 0, ErrRoot
	}
	w.resource(def, root, true)
	return w.out, w.dropped, nil
}

type xmlWriter struct {
	table   *Table
	out     []byte
	dropped int
}

func (w *xmlWriter) raw(parts ...string) {
	for _, p := range parts {
		w.out = append(w.out, p...)
	}
}

func (w *xmlWriter) resource(def *typeDef, o *object, root bool) {
	w.raw("<", def.name)
	if root {
		w.raw(` xmlns="`, fhirSpace, `"`)
	}
	w.raw(">")
	o.use("resourceType")
	w.elements(def, o)
	w.raw("</", def.name, ">")
}

// element writes a complex element with its attributes.
// FHIR has no empty elements: one whose members are all unknown is left out.
func (w *xmlWriter) element(name string, def *typeDef, o *object) {
	start := len(w.out)
	w.raw("<", name)
	named := len(w.out)
	for _, a := range []string{"id", "url"} {
		at, ok := def.byName[a]
		if !ok || def.fields[at].kind != attribute {
			continue
		}
		if m := o.use(a); m != nil && m.kind == '"' {
			w.attribute(a, m.str)
		}
	}
	bare := len(w.out) == named
	w.raw(">")
	opened := len(w.out)
	w.elements(def, o)
	if bare && len(w.out) == opened {
		w.out = w.out[:start]
		return
	}
	w.raw("</", name, ">")
}

// elements writes the members in the order of the definition.
func (w *xmlWriter) elements(def *typeDef, o *object) {
	for i := range def.fields {
		f := &def.fields[i]
		if f.kind == attribute {
			continue
		}
		v := o.use(f.name)
		var extra *value
		if f.kind == text || f.kind == boolean || f.kind == number {
			extra = o.use("_" + f.name)
		}
		if v == nil && extra == nil {
			continue
		}
		w.field(f, v, extra)
	}
	w.dropped += o.unused()
}

func (w *xmlWriter) field(f *field, v, extra *value) {
	values, extras := v.list(), extra.list()
	n := max(len(values), len(extras))
	if !f.list && n > 1 {
		w.dropped += n - 1
		n = 1
	}
	for i := range n {
		w.one(f, at(values, i), at(extras, i))
	}
}

func at(list []*value, i int) *value {
	if i >= len(list) || list[i].kind == 'n' {
		return nil
	}
	return list[i]
}

func (w *xmlWriter) one(f *field, v, extra *value) {
	switch f.kind {
	case complexT:
		if v != nil && v.kind == '{' && !w.hollow(f.of, v.obj) {
			w.element(f.name, f.of, v.obj)
			return
		}
	case resource:
		if v != nil && v.kind == '{' && w.inner(f.name, v.obj) {
			return
		}
	case xhtml:
		if v != nil && v.kind == '"' && wellFormed(v.str) {
			w.raw(strings.TrimSpace(v.str))
			return
		}
	default:
		w.primitive(f, v, extra)
		return
	}
	if v != nil {
		w.dropped++
	}
}

// hollow tells of an entry whose resource the table does not know: without it
// the entry would not be a valid one, so it goes as a whole.
func (w *xmlWriter) hollow(def *typeDef, o *object) bool {
	if def.name != "Bundle.entry" {
		return false
	}
	for i := range o.members {
		if m := &o.members[i]; m.name == "resource" && m.val.kind == '{' {
			return w.table.resourceType(m.val.obj.text("resourceType")) == nil
		}
	}
	return false
}

func (w *xmlWriter) inner(name string, o *object) bool {
	def := w.table.resourceType(o.text("resourceType"))
	if def == nil {
		return false
	}
	w.raw("<", name, ">")
	w.resource(def, o, false)
	w.raw("</", name, ">")
	return true
}

// primitive writes <name id=".." value=".."> and the extensions within.
func (w *xmlWriter) primitive(f *field, v, extra *value) {
	if v != nil && (v.kind == '{' || v.kind == '[') {
		w.dropped++
		v = nil
	}
	if v == nil && (extra == nil || extra.kind != '{' || len(extra.obj.members) == 0) {
		return // FHIR has no empty elements
	}
	w.raw("<", f.name)
	var list []*value
	if extra != nil && extra.kind == '{' {
		if id := extra.obj.use("id"); id != nil && id.kind == '"' {
			w.attribute("id", id.str)
		}
		list = extra.obj.use("extension").list()
		w.dropped += extra.obj.unused()
	}
	if v != nil {
		w.attribute("value", v.str)
	}
	if len(list) == 0 {
		w.raw("/>")
		return
	}
	w.raw(">")
	w.field(&field{name: "extension", kind: complexT, list: true, of: w.table.types["Extension"]}, &value{kind: '[', items: list}, nil)
	w.raw("</", f.name, ">")
}

func (w *xmlWriter) attribute(name, value string) {
	w.raw(" ", name, `="`)
	w.escape(value)
	w.raw(`"`)
}

// escape writes an attribute's value. Characters that XML cannot carry at all
// become U+FFFD and are counted.
func (w *xmlWriter) escape(s string) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '&':
			w.raw("&amp;")
		case r == '<':
			w.raw("&lt;")
		case r == '>':
			w.raw("&gt;")
		case r == '"':
			w.raw("&quot;")
		case r == '\t':
			w.raw("&#9;")
		case r == '\n':
			w.raw("&#10;")
		case r == '\r':
			w.raw("&#13;")
		case r < ' ' || r == 0xFFFE || r == 0xFFFF || (r == utf8.RuneError && size == 1):
			w.raw("\uFFFD")
			w.dropped++
		default:
			w.raw(s[i : i+size])
		}
		i += size
	}
}

// wellFormed tells whether a narrative may be put into XML as it is: one div of
// XHTML and nothing that a reader of XML could be hurt by.
func wellFormed(div string) bool {
	div = strings.TrimSpace(div)
	if !strings.HasPrefix(div, "<div") {
		return false
	}
	wrapped := `<text xmlns="` + fhirSpace + `">` + div + `</text>`
	root, lost, err := readTree([]byte(wrapped))
	return err == nil && lost == 0 && len(root.children) == 1 && root.children[0].div == div
}

// readObject reads JSON into a tree that keeps the order of members.
func readObject(data []byte) (*object, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	v, err := readValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if v.kind != '{' {
		return nil, ErrRoot
	}
	return v.obj, nil
}
