package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// setDefaults runs SetDefaults on a value that was just made, inner sections first, so that a section may change the
// defaults of those within it.
func setDefaults(v reflect.Value) {
	if v.Kind() == reflect.Struct && !isLeaf(v.Type()) {
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				setDefaults(v.Field(i))
			}
		}
	}
	if d, ok := v.Addr().Interface().(Defaulter); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		d.SetDefaults()
	}
}

// validate runs Validate on every value, inner ones first, and stops at the first that fails: those around it may take
// for granted that it is right.
func (d *decoder) validate(v reflect.Value, path string) error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() || v.Type() == locationType {
			return nil
		}
		return d.validate(v.Elem(), path)
	}
	err := d.validateParts(v, path)
	if err != nil {
		return err
	}
	self, ok := v.Addr().Interface().(Validator)
	if !ok {
		return nil
	}
	err = self.Validate()
	if err != nil {
		return d.firstOf(err, path, v.Type())
	}
	return nil
}

func (d *decoder) validateParts(v reflect.Value, path string) error {
	switch {
	case isLeaf(v.Type()):
		return nil
	case v.Kind() == reflect.Struct:
		return d.validateFields(v, path)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			err := d.validate(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return err
			}
		}
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			elem := reflect.New(v.Type().Elem()).Elem() // what lies in a map has no address
			elem.Set(v.MapIndex(k))
			err := d.validate(elem, join(path, k.String()))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *decoder) validateFields(v reflect.Value, path string) error {
	fs, err := fieldsOf(v.Type())
	if err != nil {
		return err
	}
	for _, f := range fs {
		err = d.validate(v.FieldByIndex(f.index), join(path, f.key))
		if err != nil {
			return err
		}
	}
	return d.validateInlined(v, path)
}

// validateInlined runs the checks of inlined structs themselves; their fields were judged with those around them.
func (d *decoder) validateInlined(v reflect.Value, path string) error {
	t := v.Type()
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		inline := t.Field(i).IsExported() && (option == "inline" || t.Field(i).Anonymous && name == "")
		if !inline {
			continue
		}
		if self, ok := v.Field(i).Addr().Interface().(Validator); ok {
			err := self.Validate()
			if err != nil {
				return d.firstOf(err, path, v.Field(i).Type())
			}
		}
	}
	return nil
}

// firstOf gives the one of the joined errors that stands first in the file.
func (d *decoder) firstOf(err error, path string, t reflect.Type) error {
	var first *Error
	for _, e := range flatten(err) {
		at, text := d.locate(e, path, t)
		var next *Error
		if errors.As(d.failAt(at, "%s", text), &next) && (first == nil || next.Line < first.Line) {
			first = next
		}
	}
	return first
}

// pathPrefix is a key's path at the beginning of an error text.
var pathPrefix = regexp.MustCompile(`^([a-z][a-z0-9_]*(?:\[\d+\])?(?:\.[a-z][a-z0-9_]*(?:\[\d+\])?)*): `)

// locate finds which key an error of Validate is about, and its line.
func (d *decoder) locate(err error, path string, t reflect.Type) (place, string) {
	text := err.Error()
	var f interface{ Field() string }
	for errors.As(err, &f) {
		path = joinField(path, f.Field())
		text = strings.TrimPrefix(err.Error(), f.Field()+": ")
		inner, ok := f.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return d.at(path), text
		}
		err, t = inner.Unwrap(), nil
		text = err.Error()
	}
	if m := pathPrefix.FindStringSubmatch(text); m != nil && t != nil && hasPath(t, m[1]) {
		return d.at(joinField(path, m[1])), text[len(m[0]):]
	}
	return d.at(path), text
}

func joinField(path, field string) string {
	if strings.HasPrefix(field, "[") {
		return path + field
	}
	if field == "" {
		return path
	}
	return join(path, field)
}

// at gives the line of a key, or of the nearest section around it that the file has.
func (d *decoder) at(path string) place {
	for p := path; ; {
		if n, ok := d.lines[p]; ok {
			return place{path: path, line: n}
		}
		i := strings.LastIndexAny(p, ".[")
		if i < 0 {
			i = 0
		}
		p = p[:i]
	}
}

// hasPath tells whether a type has a key at a path.
func hasPath(t reflect.Type, path string) bool {
	for _, part := range strings.Split(path, ".") {
		key, _, indexed := strings.Cut(part, "[")
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return t.Kind() == reflect.Map
		}
		fs, err := fieldsOf(t)
		if err != nil {
			return false
		}
		f, _ := fs.find(key)
		if f == nil {
			return false
		}
		t = f.typ
		if indexed {
			if t.Kind() != reflect.Slice {
				return false
			}
			t = t.Elem()
		}
	}
	return true
}
