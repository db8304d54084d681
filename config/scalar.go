package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// scalar is the text of a value, with what is needed to judge its type.
type scalar struct {
	text     string
	isText   bool // YAML says text: quoted, or no number and no boolean
	open     bool // the type may be what the text says: not in quotes, or from the environment
	expanded bool
}

func (d *decoder) scalar(n ast.Node, at place) (scalar, error) {
	var s scalar
	switch x := n.(type) {
	case *ast.StringNode:
		quoted := x.Token.Type == token.DoubleQuoteType || x.Token.Type == token.SingleQuoteType
		s = scalar{text: x.Value, isText: true, open: !quoted}
	case *ast.LiteralNode:
		s = scalar{text: x.Value.Value, isText: true}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return scalar{text: n.GetToken().Value, open: true}, nil
	default:
		return s, d.failAt(at, "needs a single value, found %s", kindOf(n))
	}
	text, expanded, err := d.expand(s.text, at)
	s.text, s.expanded, s.open = text, expanded, s.open || expanded
	return s, err
}

// expand replaces ${NAME} by the environment's value, and $${ by ${.
func (d *decoder) expand(text string, at place) (string, bool, error) {
	var out strings.Builder
	expanded := false
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		if i > 0 && text[i-1] == '$' {
			out.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		out.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed || !isName(name) {
			return "", false, d.failAt(at, "needs ${NAME} with letters, digits and _ in the name; write $${ for a plain ${")
		}
		value, set := d.env(name)
		if !set {
			return "", false, d.failAt(at, "the environment variable %s is not set; set it, or write $${%s} for the plain text", name, name)
		}
		d.hidden.add(value, "${"+name+"}")
		out.WriteString(value)
		text, expanded = rest, true
	}
	out.WriteString(text)
	return out.String(), expanded, nil
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// leaf reads a value of a type that stands in one scalar.
func (d *decoder) leaf(n ast.Node, v reflect.Value, at place) error {
	s, err := d.scalar(n, at)
	if err != nil {
		return err
	}
	switch v.Type() {
	case secretType:
		d.hidden.add(s.text, redacted)
		return d.setText(s, at, func(text string) { v.Set(reflect.ValueOf(NewSecret(text))) })
	case pathType:
		return d.setText(s, at, func(text string) { v.SetString(resolve(d.dir, text)) })
	case durationType, ourDurationType:
		dur, err := ParseDuration(s.text)
		if err != nil {
			return d.failAt(at, "%v", err)
		}
		v.SetInt(int64(dur))
		return nil
	case locationType:
		zone, err := LoadZone(s.text)
		if err != nil {
			return d.failAt(at, "%v", err)
		}
		v.Set(reflect.ValueOf(zone.Location))
		return nil
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err = u.UnmarshalText([]byte(s.text))
		if err != nil {
			return d.failAt(at, "%v", err)
		}
		return nil
	}
	return d.plain(s, v, at)
}

func (d *decoder) setText(s scalar, at place, set func(string)) error {
	if !s.isText {
		return d.failAt(at, "needs text, found a number or true/false; put it in quotes")
	}
	set(s.text)
	return nil
}

// plain reads Go's own kinds.
func (d *decoder) plain(s scalar, v reflect.Value, at place) error {
	switch v.Kind() {
	case reflect.String:
		return d.setText(s, at, v.SetString)
	case reflect.Bool:
		if !s.open || s.text != "true" && s.text != "false" {
			return d.failAt(at, "needs true or false, without quotes")
		}
		v.SetBool(s.text == "true")
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(s.text, 10, v.Type().Bits())
		if err != nil || !s.open {
			return d.failAt(at, "needs a whole number%s, without quotes", bounds("", v.Type().Bits()-1))
		}
		v.SetInt(i)
		return nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(s.text, 10, v.Type().Bits())
		if err != nil || !s.open {
			return d.failAt(at, "needs a whole number%s, without quotes", bounds(" from 0", v.Type().Bits()))
		}
		v.SetUint(u)
		return nil
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(s.text, v.Type().Bits())
		if err != nil || !s.open || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(s.text, "xX_") {
			return d.failAt(at, "needs a number, without quotes")
		}
		v.SetFloat(f)
		return nil
	default:
		return fmt.Errorf("config: %s: a field of type %s cannot be read", at.path, v.Type())
	}
}

// bounds tells the greatest number of a narrow type.
func bounds(from string, bits int) string {
	if bits > 32 {
		return from
	}
	return fmt.Sprintf("%s up to %d", from, uint64(1)<<bits-1)
}
