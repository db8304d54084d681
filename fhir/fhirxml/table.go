package fhirxml

import (
	_ "embed"
	"strings"
	"sync"
)

//go:generate go run gen.go

//go:embed stu3.txt
var stu3Text string

//go:embed r4.txt
var r4Text string

// Table is all that is known of one version's types. It is read-only.
type Table struct {
	types map[string]*typeDef
	// spelled are the names of all elements by their lower case; what is written
	// in two ways has none.
	spelled map[string]string
}

// typeDef is one type: its elements in the order in which XML has them.
type typeDef struct {
	name     string
	resource bool
	fields   []field
	byName   map[string]int
}

// field is one element of a type.
type field struct {
	name string
	kind kind
	list bool
	of   *typeDef // of a complex kind
}

// kind is how an element's value is written.
type kind byte

const (
	text      kind = 's' // a JSON string
	boolean   kind = 'b'
	number    kind = 'n'
	xhtml     kind = 'x' // a narrative's div
	attribute kind = '@' // an XML attribute: Element.id, Extension.url
	resource  kind = 'R' // any resource
	complexT  kind = 'c' // a type with elements
)

// STU3 is the table of FHIR 3.0.1.
func STU3() *Table { return stu3Table() }

// R4 is the table of FHIR 4.0.1.
func R4() *Table { return r4Table() }

// The tables never change, so they are parsed once, when first needed.
var (
	stu3Table = sync.OnceValue(func() *Table { return parse(stu3Text) })
	r4Table   = sync.OnceValue(func() *Table { return parse(r4Text) })
)

// parse reads the generated text: a type's name in the first column (" R"
// after it for a resource), its elements below, indented by one blank.
func parse(source string) *Table {
	t := &Table{types: map[string]*typeDef{}, spelled: map[string]string{"resourcetype": "resourceType"}}
	var current *typeDef
	for line := range strings.Lines(source) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, " ") {
			name, mark, _ := strings.Cut(line, " ")
			current = t.get(name)
			current.resource = mark == "R"
			continue
		}
		name, kind, _ := strings.Cut(line[1:], " ")
		current.byName[name] = len(current.fields)
		current.fields = append(current.fields, t.field(name, kind))
		t.spell(name)
	}
	return t
}

func (t *Table) spell(name string) {
	lower := strings.ToLower(name)
	if known, ok := t.spelled[lower]; ok && known != name {
		name = ""
	}
	t.spelled[lower] = name
}

// Misspelled tells whether the name is that of an element but for upper and lower
// case: some readers take it for the element, others do not.
func (t *Table) Misspelled(name string) bool {
	known := t.spelled[strings.ToLower(name)]
	return known != "" && known != name
}

func (t *Table) get(name string) *typeDef {
	def, ok := t.types[name]
	if !ok {
		def = &typeDef{name: name, byName: map[string]int{}}
		t.types[name] = def
	}
	return def
}

func (t *Table) field(name, text string) field {
	text, list := strings.CutSuffix(text, "*")
	f := field{name: name, list: list, kind: complexT}
	if len(text) == 1 {
		f.kind = kind(text[0])
	} else {
		f.of = t.get(text)
	}
	return f
}

// resourceType is the definition of a resource, or nil.
func (t *Table) resourceType(name string) *typeDef {
	if def := t.types[name]; def != nil && def.resource {
		return def
	}
	return nil
}
