package config

import (
	"fmt"
	"reflect"
	"regexp"
)

var index = regexp.MustCompile(`\[\d+\]`)

// unwritten lists the keys of a type that the file, which was read, does not have.
func (d *decoder) unwritten(t reflect.Type) ([]string, error) {
	written := map[string]bool{}
	for path := range d.lines {
		written[index.ReplaceAllString(path, "[]")] = true
	}
	var missing []string
	err := eachKey(t, "", maxDepth, func(path string) bool {
		if !written[path] {
			missing = append(missing, path)
		}
		return written[path]
	})
	return missing, err
}

// eachKey calls visit with the path of every key of a struct type, and of the keys within it where visit says so.
func eachKey(t reflect.Type, path string, depth int, visit func(string) bool) error {
	if depth == 0 {
		return fmt.Errorf("config: %s: the type contains itself", path)
	}
	fs, err := fieldsOf(t)
	if err != nil {
		return err
	}
	for _, f := range fs {
		here, inner := join(path, f.key), f.typ
		deeper := visit(here)
		for !isLeaf(inner) && (inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice) {
			if inner.Kind() == reflect.Slice {
				here += "[]"
			}
			inner = inner.Elem()
		}
		if !deeper || isLeaf(inner) || inner.Kind() != reflect.Struct {
			continue
		}
		err = eachKey(inner, here, depth-1, visit)
		if err != nil {
			return err
		}
	}
	return nil
}
