package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a file. Its text is one line: file:line: what, and what to do.
type Error struct {
	File string
	Line int    // counted from 1; 0 when the file could not be read at all
	Msg  string // one line, without secrets
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// fieldError is what [At] makes.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }
func (e *fieldError) Field() string { return e.field }

// At is an error about one key, for use in Validate: field is the path of the key from the value that is validated, such
// as "horizon" or "sources[2].timezone"; [Load] turns it into the line of that key, or of the nearest section that the
// file has. The rest is as in fmt.Errorf.
//
// A package that must not import this one has the same effect with an error type that has a method Field() string, or
// plainly with an error text that begins with the path and a colon: "horizon: must be at least 1d".
func At(field, format string, args ...any) error {
	return &fieldError{field: field, err: fmt.Errorf(format, args...)}
}

// maxMessage keeps a careless Validate from printing a whole file.
const maxMessage = 600

// userinfo finds the user and password of a URL.
var userinfo = regexp.MustCompile(`://[^/@\s"]*@`)

// hidden are the texts that no error may show, with what is shown in their place.
type hidden map[string]string

func (h hidden) add(value, shown string) {
	// Shorter texts would maim the message and are no secret worth the name.
	if len(value) >= 4 {
		h[value] = shown
	}
}

// clean makes a text fit for an error line: one line, without secrets, not endless.
func (h hidden) clean(text string) string {
	values := make([]string, 0, len(h))
	for v := range h {
		values = append(values, v)
	}
	// The longest first: a secret may contain another.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, v := range values {
		text = strings.ReplaceAll(text, v, h[v])
	}
	text = userinfo.ReplaceAllString(text, "://[redacted]@")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + " ..."
	}
	return text
}

// flatten gives the single errors of an errors.Join, in order.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if _, one := err.(interface{ Field() string }); !one && errors.As(err, &joined) {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}
