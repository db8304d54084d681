package config

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// maxNodes bounds what aliases can blow a small file up to.
const maxNodes = 200_000

// decoder holds what is known while one file is read.
type decoder struct {
	file    string
	dir     string // where relative paths start
	last    int    // the number of the file's last line
	env     func(string) (string, bool)
	lines   map[string]int // path of a key or element -> its line
	hidden  hidden
	anchors anchors
	open    map[ast.Node]bool // what carries an anchor and is being read
	nodes   int
	depth   int
}

// place is where a value stands: its path for people, its line for editors.
type place struct {
	path string
	line int
	elem bool // an element of a list, which has no default to fall back on
}

func (d *decoder) fail(line int, format string, args ...any) error {
	return &Error{File: d.file, Line: line, Msg: d.hidden.clean(fmt.Sprintf(format, args...))}
}

func (d *decoder) failAt(at place, format string, args ...any) error {
	msg := d.hidden.clean(fmt.Sprintf(format, args...))
	if at.path != "" {
		msg = at.path + ": " + msg
	}
	return &Error{File: d.file, Line: at.line, Msg: msg}
}

// root reads the document. A file without content is like one without keys: the checks say what is missing.
func (d *decoder) root(n ast.Node, v reflect.Value) error {
	if n == nil {
		return nil
	}
	return d.value(n, v, place{line: line(n)})
}

func line(n ast.Node) int {
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 1
}

// value reads one node into one settable value.
func (d *decoder) value(n ast.Node, v reflect.Value, at place) error {
	d.depth++
	defer func() { d.depth-- }()
	d.nodes++
	if d.depth > maxDepth || d.nodes > maxNodes {
		return d.failAt(at, "aliases make this too large; write the values out")
	}
	named := n
	n, err := d.deref(n, at)
	if err != nil {
		return err
	}
	if named != n {
		if d.open[n] {
			return d.failAt(at, "an alias leads to itself; write the value out")
		}
		d.open[n] = true
		defer delete(d.open, n)
	}
	_, null := n.(*ast.NullNode)
	if null {
		return d.null(v, at)
	}
	if v.Kind() == reflect.Pointer && v.Type() != locationType {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			setDefaults(v.Elem())
		}
		return d.value(n, v.Elem(), at)
	}
	if isLeaf(v.Type()) {
		return d.leaf(n, v, at)
	}
	return d.section(n, v, at)
}

// section reads what is made of other values.
func (d *decoder) section(n ast.Node, v reflect.Value, at place) error {
	switch v.Kind() {
	case reflect.Struct:
		return d.structure(n, v, at)
	case reflect.Slice:
		return d.slice(n, v, at)
	case reflect.Map:
		return d.mapping(n, v, at)
	case reflect.Interface:
		return d.anything(n, v, at)
	default:
		return fmt.Errorf("config: %s: a field of type %s cannot be read", at.path, v.Type())
	}
}

// null reads a key without a value. For a section it means: all defaults; for a pointer to one: none. A pointer to a
// scalar tells false from nothing said: who wrote the key and no value said neither.
func (d *decoder) null(v reflect.Value, at place) error {
	switch {
	case at.elem:
		return d.failAt(at, "has no value; write one or remove the key")
	case v.Kind() == reflect.Struct && !isLeaf(v.Type()):
		return nil
	case v.Kind() == reflect.Pointer && v.Type() != locationType && !isLeaf(v.Type().Elem()), v.Kind() == reflect.Slice, v.Kind() == reflect.Map:
		v.SetZero()
		return nil
	default:
		return d.failAt(at, "has no value; write one or remove the key")
	}
}

func (d *decoder) structure(n ast.Node, v reflect.Value, at place) error {
	entries, err := d.entries(n, at)
	if err != nil {
		return err
	}
	fields, err := fieldsOf(v.Type())
	if err != nil {
		return err
	}
	seen := map[string]string{} // field -> the key that set it: a secret has two
	for _, e := range entries {
		f, isFile := fields.find(e.key)
		if f == nil {
			return d.failAt(place{line: e.line}, "%s", unknownKey(e.key, at.path, fields))
		}
		if other, twice := seen[f.key]; twice {
			return d.failAt(place{line: e.line}, "%s and %s are the same secret; keep one", join(at.path, other), e.key)
		}
		seen[f.key] = e.key
		here := place{path: join(at.path, e.key), line: e.line}
		d.lines[join(at.path, f.key)], d.lines[here.path] = e.line, e.line
		err = d.field(e.node, v.FieldByIndex(f.index), here, isFile)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) field(n ast.Node, v reflect.Value, at place, isFile bool) error {
	if !isFile {
		return d.value(n, v, at)
	}
	var path Path
	err := d.value(n, reflect.ValueOf(&path).Elem(), at)
	if err != nil {
		return err
	}
	s, err := readSecret(string(path))
	if err != nil {
		return d.failAt(at, "%v", err)
	}
	d.hidden.add(s.Reveal(), redacted)
	v.Set(reflect.ValueOf(s))
	return nil
}

func (d *decoder) slice(n ast.Node, v reflect.Value, at place) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return d.failAt(at, "needs a list, found %s; begin each element with a dash", kindOf(n))
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, node := range seq.Values {
		here := place{path: fmt.Sprintf("%s[%d]", at.path, i), line: line(node), elem: true}
		d.lines[here.path] = here.line
		setDefaults(list.Index(i))
		err := d.value(node, list.Index(i), here)
		if err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, at place) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("config: %s: the keys of %s must be strings", at.path, v.Type())
	}
	entries, err := d.entries(n, at)
	if err != nil {
		return err
	}
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		here := place{path: join(at.path, e.key), line: e.line}
		d.lines[here.path] = e.line
		elem := reflect.New(v.Type().Elem()).Elem()
		setDefaults(elem)
		err = d.value(e.node, elem, here)
		if err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), elem)
	}
	v.Set(m)
	return nil
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	ourDurationType = reflect.TypeFor[Duration]()
	locationType    = reflect.TypeFor[*time.Location]()
	secretType      = reflect.TypeFor[Secret]()
	pathType        = reflect.TypeFor[Path]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isLeaf tells the types that are read from one scalar.
func isLeaf(t reflect.Type) bool {
	switch t {
	case durationType, ourDurationType, locationType, secretType, pathType:
		return true
	}
	if reflect.PointerTo(t).Implements(textType) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Interface, reflect.Pointer:
		return false
	default:
		return true
	}
}
