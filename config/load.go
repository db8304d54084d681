package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml/ast"
)

// Defaulter is a section that has defaults. SetDefaults runs before any key of the section is read.
type Defaulter interface{ SetDefaults() }

// Validator is a section that can judge itself, once it is complete. Use [At] to say which key is wrong.
type Validator interface{ Validate() error }

// maxFile is ten times the config of a gateway with a thousand sources, and far below what would hurt.
const maxFile = 1 << 20

// Load reads the YAML file at path into the struct that into points to. See the package comment for the rules. What is
// wrong with the file comes back as an *[Error].
func Load(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return unreadable(path, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return unreadable(path, err)
	}
	return Parse(path, data, into)
}

func unreadable(path string, err error) error {
	var why *os.PathError
	if errors.As(err, &why) {
		err = why.Err
	}
	return &Error{File: path, Msg: fmt.Sprintf("cannot be read: %v; name a YAML file that exists", err)}
}

// Parse is [Load] for a text that is at hand. The name stands in errors, and relative paths within the text start at its
// folder.
func Parse(name string, data []byte, into any) error {
	_, err := read(name, data, into)
	return err
}

// Unwritten reads a config as [Parse] does and gives the paths of all keys that it does not write, such as
// "sources[].limits.rate"; a key that one element of a list has counts as written for all. An example that shows every
// key has none.
func Unwritten(name string, data []byte, into any) ([]string, error) {
	d, err := read(name, data, into)
	if err != nil {
		return nil, err
	}
	return d.unwritten(reflect.TypeOf(into).Elem())
}

func read(name string, data []byte, into any) (*decoder, error) {
	root := reflect.ValueOf(into)
	if root.Kind() != reflect.Pointer || root.IsNil() || root.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: needs a pointer to a struct, got %T", into)
	}
	d := &decoder{
		file:    name,
		dir:     filepath.Dir(name),
		env:     os.LookupEnv,
		lines:   map[string]int{"": 1},
		hidden:  hidden{},
		anchors: anchors{},
		open:    map[ast.Node]bool{},
	}
	doc, err := d.parse(data)
	if err != nil {
		return nil, err
	}
	setDefaults(root.Elem())
	err = d.root(doc, root.Elem())
	if err != nil {
		return nil, err
	}
	return d, d.validate(root.Elem(), "")
}
