package config

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is about ten times the depth of any section we have. The parser's own cost grows with the square of the depth.
const maxDepth = 64

// parse turns the text into the tree of its one document; nil stands for a document without content.
func (d *decoder) parse(data []byte) (ast.Node, error) {
	text, err := d.text(data)
	if err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(text)
	err = d.guard(tokens)
	if err != nil {
		return nil, err
	}
	// Duplicate keys are our own check: it tells both lines, and the parser's is slow on wide mappings.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, d.syntax(err)
	}
	for _, doc := range file.Docs {
		if doc.Body != nil {
			return doc.Body, nil
		}
	}
	return nil, nil
}

// text makes the bytes fit for the lexer, which counts the lines of a quoted text with CRLF wrongly.
func (d *decoder) text(data []byte) (string, error) {
	switch {
	case len(data) > maxFile:
		return "", d.fail(1, "the file is larger than 1 MiB; a config is not, check the path")
	case !utf8.Valid(data):
		line := 1 + bytes.Count(data[:validPrefix(data)], []byte("\n"))
		return "", d.fail(line, "a byte here is not UTF-8; save the file as UTF-8")
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	d.last = 1 + strings.Count(text, "\n")
	if i := strings.IndexFunc(text, isControl); i >= 0 {
		return "", d.fail(1+strings.Count(text[:i], "\n"), "a control character is in the text; remove it")
	}
	return text, nil
}

// isControl finds a carriage return on its own too: the lexer would count it as a line, and no editor does.
func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }

func validPrefix(data []byte) int {
	i := 0
	for i < len(data) {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

// guard refuses, before the costly parser sees it, a text that is nested too deep or has several documents. (The parser
// drops a document that follows an empty one.)
func (d *decoder) guard(tokens token.Tokens) error {
	var n nesting
	var content, ended bool
	for _, tk := range tokens {
		switch tk.Type {
		case token.CommentType:
			continue
		case token.DocumentHeaderType:
			if content || ended {
				return d.fail(tk.Position.Line, "a second document begins here; put everything into one")
			}
			content, ended = false, true
			continue
		case token.DocumentEndType:
			continue
		default:
			content = true
		}
		if n.add(tk) > maxDepth {
			return d.fail(tk.Position.Line, "nested too deep; at most %d levels are allowed", maxDepth)
		}
	}
	return nil
}

// nesting counts how deep a token lies: open brackets, and columns at which a key or a dash began and has not ended.
type nesting struct {
	columns  []int
	brackets int
}

func (n *nesting) add(tk *token.Token) int {
	switch tk.Type {
	case token.MappingStartType, token.SequenceStartType:
		n.brackets++
	case token.MappingEndType, token.SequenceEndType:
		n.brackets--
	case token.SequenceEntryType, token.MappingKeyType:
		n.column(tk.Position.Column)
	case token.MappingValueType:
		if tk.Prev != nil {
			n.column(tk.Prev.Position.Column)
		}
	}
	return len(n.columns) + n.brackets
}

func (n *nesting) column(c int) {
	if n.brackets > 0 {
		return
	}
	i := len(n.columns)
	for i > 0 && n.columns[i-1] >= c {
		i--
	}
	n.columns = append(n.columns[:i], c)
}

// syntax words the parser's error. Its own text would quote the file.
func (d *decoder) syntax(err error) error {
	var broken *yaml.SyntaxError
	if !errors.As(err, &broken) || broken.Token == nil || broken.Token.Position == nil {
		return d.fail(1, "this is not YAML; check the indentation, the quotes and the brackets")
	}
	line := min(broken.Token.Position.Line, d.last) // the lexer puts the end of some texts a line too far
	if strings.Contains(broken.Message, "'\t'") {
		return d.fail(line, "a tab stands where YAML wants spaces; indent with spaces")
	}
	return d.fail(line, "broken YAML: %s; check the indentation, the quotes and the brackets", broken.Message)
}
