package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// field is one key that a struct takes.
type field struct {
	key   string
	index []int
	typ   reflect.Type
}

type fields []field

// find gives the field that a key sets; file tells that the key is the `_file` form of a secret.
func (fs fields) find(key string) (f *field, file bool) {
	for i := range fs {
		if fs[i].key == key {
			return &fs[i], false
		}
	}
	for i := range fs {
		if fs[i].typ == secretType && fs[i].key+"_file" == key {
			return &fs[i], true
		}
	}
	return nil, false
}

// keys lists every key that the struct takes.
func (fs fields) keys() []string {
	var all []string
	for _, f := range fs {
		all = append(all, f.key)
		if f.typ == secretType {
			all = append(all, f.key+"_file")
		}
	}
	return all
}

// fieldsOf lists the keys of a struct type, with those of inlined structs in their place.
func fieldsOf(t reflect.Type) (fields, error) {
	var all fields
	for i := range t.NumField() {
		sf := t.Field(i)
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "-" || !sf.IsExported() {
			continue
		}
		inline := option == "inline" || sf.Anonymous && name == ""
		switch {
		case inline && sf.Type.Kind() != reflect.Struct:
			return nil, fmt.Errorf("config: %s.%s: only a struct can be inlined", t, sf.Name)
		case inline:
			inner, err := fieldsOf(sf.Type)
			if err != nil {
				return nil, err
			}
			for _, f := range inner {
				f.index = append([]int{i}, f.index...)
				all = append(all, f)
			}
		case name != "":
			all = append(all, field{key: name, index: []int{i}, typ: sf.Type})
		default:
			all = append(all, field{key: snake(sf.Name), index: []int{i}, typ: sf.Type})
		}
	}
	return all, all.unique(t)
}

func (fs fields) unique(t reflect.Type) error {
	keys := fs.keys()
	slices.Sort(keys)
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			return fmt.Errorf("config: two fields of %s have the key %q", t, keys[i])
		}
	}
	return nil
}

// snake turns PublicURL into public_url and FHIRVersion into fhir_version.
func snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		lowerNext := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || lowerNext) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// unknownKey words the error for a key that no field has, with the nearest one that exists.
func unknownKey(key, path string, fs fields) string {
	where := ""
	if path != "" {
		where = " in " + path
	}
	known := fs.keys()
	best, distance := "", 3
	for _, k := range known {
		if n := editDistance(strings.ToLower(key), k); n < distance && n < len(k) {
			best, distance = k, n
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown key %s%s; did you mean %q?", quote(key), where, best)
	}
	slices.Sort(known)
	return fmt.Sprintf("unknown key %s%s; the keys here are: %s", quote(key), where, strings.Join(known, ", "))
}

// editDistance counts the letters to change, add or remove to get from a to b (Levenshtein).
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
