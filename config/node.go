package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// anchors are the &names seen so far; an alias means the nearest one above it.
type anchors map[string]ast.Node

// deref looks through anchors and aliases.
func (d *decoder) deref(n ast.Node, at place) (ast.Node, error) {
	for range maxDepth {
		switch x := n.(type) {
		case *ast.AnchorNode:
			d.anchors[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			name := x.Value.GetToken().Value
			target, ok := d.anchors[name]
			if !ok {
				return nil, d.failAt(at, "no anchor %q above this line; write &%s at the value that is meant", name, name)
			}
			n = target
		case *ast.TagNode:
			return nil, d.failAt(at, "YAML tags are not used here; remove %q", x.GetToken().Value)
		case nil:
			return nil, d.failAt(at, "has no value; write one or remove the key")
		default:
			return n, nil
		}
	}
	return nil, d.failAt(at, "an alias leads to itself; write the value out")
}

// entry is one key of a mapping.
type entry struct {
	key  string
	line int
	node ast.Node
}

// entries lists the keys of a mapping in their order, those of a merge (<<: *name) last and only where the mapping has
// no key of that name itself.
func (d *decoder) entries(n ast.Node, at place) ([]entry, error) {
	var values []*ast.MappingValueNode
	switch x := n.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		return nil, d.failAt(at, "needs keys with values, found %s", kindOf(n))
	}
	var own, merged []entry
	seen := map[string]int{}
	for _, v := range values {
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			more, err := d.merge(v, at)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		e := entry{key: v.Key.GetToken().Value, line: line(v.Key), node: v.Value}
		if first, twice := seen[e.key]; twice {
			return nil, d.fail(e.line, "key %s is written twice, first in line %d; keep one", quote(e.key), first)
		}
		seen[e.key] = e.line
		own = append(own, e)
	}
	for _, e := range merged {
		if _, known := seen[e.key]; !known {
			seen[e.key] = e.line
			own = append(own, e)
		}
	}
	return own, nil
}

func (d *decoder) merge(v *ast.MappingValueNode, at place) ([]entry, error) {
	d.depth++
	defer func() { d.depth-- }()
	d.nodes++
	at.line = line(v.Key)
	if d.depth > maxDepth || d.nodes > maxNodes {
		return nil, d.failAt(at, "merges make this too large; write the values out")
	}
	n, err := d.deref(v.Value, at)
	if err != nil {
		return nil, err
	}
	if d.open[n] {
		return nil, d.failAt(at, "a merge leads to itself; write the values out")
	}
	return d.entries(n, at)
}

// anything reads a value whose shape the program leaves open: texts, numbers, booleans, lists and maps of them.
func (d *decoder) anything(n ast.Node, v reflect.Value, at place) error {
	if v.NumMethod() > 0 {
		return fmt.Errorf("config: %s: a field of type %s cannot be read", at.path, v.Type())
	}
	var target reflect.Value
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		target = reflect.New(reflect.TypeFor[map[string]any]()).Elem()
	case *ast.SequenceNode:
		target = reflect.New(reflect.TypeFor[[]any]()).Elem()
	case *ast.IntegerNode:
		target = reflect.New(reflect.TypeFor[int64]()).Elem()
	case *ast.FloatNode:
		target = reflect.New(reflect.TypeFor[float64]()).Elem()
	case *ast.BoolNode:
		target = reflect.New(reflect.TypeFor[bool]()).Elem()
	default:
		target = reflect.New(reflect.TypeFor[string]()).Elem()
	}
	err := d.value(n, target, at)
	if err != nil {
		return err
	}
	v.Set(target)
	return nil
}

// kindOf names what the user wrote, for error texts. It never tells the value: that may be a secret at a wrong place.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "nothing"
	default:
		return "text"
	}
}

// quote shows a key or name in an error text, shortened.
func quote(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
