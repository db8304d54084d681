package config

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Secret is a text that is never printed: every way of formatting, logging or marshalling it gives "[redacted]".
//
// A field Token of this type is read from the key `token`, or from the file that the key `token_file` names (relative to
// the folder of the config file), with the space around it cut off; both at once are an error. The decoder does this for
// every Secret; there is nothing to declare. The rights of the file are not looked at: orchestrators mount secrets with
// rights of their own.
type Secret struct {
	// A pointer: fmt calls no method of what lies in an unexported field, and prints what it finds there itself; of a
	// pointer it prints the address.
	value *string
}

const redacted = "[redacted]"

// NewSecret wraps a text; the empty text is no secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal gives the text itself. Call it at the last moment, where the text is sent or compared.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero tells that there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal compares in a time that does not depend on where the texts differ. The empty secret equals nothing.
func (s Secret) Equal(other string) bool {
	return s.value != nil && subtle.ConstantTimeCompare([]byte(*s.value), []byte(other)) == 1
}

// String is "[redacted]", or nothing when there is no secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format keeps every verb of fmt, %x and %#v among them, from seeing the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps log handlers from seeing the text.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps JSON, YAML and text encoders from seeing the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Path names a file or folder. A relative one is relative to the folder of the config file that names it, so that a
// config works from whatever folder the program is started in.
type Path string

// resolve makes a path absolute from dir, as the reader of the config file understands it.
func resolve(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// maxSecret is far above any key or token, and far below what would hurt.
const maxSecret = 64 << 10

// readSecret reads a secret's file. Its errors name what to do and not what the file holds.
func readSecret(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("the secret's file cannot be read: %w; create it or correct the path", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return Secret{}, fmt.Errorf("the secret's file cannot be read: %w; name a plain file", err)
	case len(data) > maxSecret:
		return Secret{}, errors.New("the secret's file is larger than 64 KiB; name the file that holds the secret alone")
	}
	value := strings.TrimSpace(string(data))
	if value == "" {
		return Secret{}, errors.New("the secret's file is empty; write the secret into it")
	}
	return NewSecret(value), nil
}
