package vault

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"slotgate/config"
)

// Options are the section `vault:` of the configuration.
type Options struct {
	// Keys are those in use, the newest first: it seals, all of them open. A key
	// may go once nothing is sealed with it any more; the store refuses to start
	// before.
	Keys []Key `yaml:"keys"`
}

// Key is one key of the vault.
type Key struct {
	// ID names the key in what it sealed: letters, digits, '.', '_' and '-', 32
	// at most. It is never given to another key.
	ID string `yaml:"id"`
	// Key is at least 32 random bytes in base64 or hex, best in a file (key_file):
	//
	//	openssl rand -base64 32
	Key config.Secret `yaml:"key"`
}

// minKey is the least length of a key in bytes.
const minKey = 32

// Configured tells whether there is a key. Without one nothing that outlives
// the process can be sealed: see Ephemeral.
func (o *Options) Configured() bool { return len(o.Keys) > 0 }

// Validate tells everything that is wrong. No key at all is not wrong here:
// whoever needs one says so.
func (o *Options) Validate() error {
	var errs []error
	bad := func(text string) { errs = append(errs, config.At("keys", "%s", text)) }
	seen := map[string]bool{}
	for _, k := range o.Keys {
		switch {
		case !validID(k.ID):
			bad("each needs an id of at most 32 letters, digits, '.', '_' or '-'")
			continue
		case seen[k.ID]:
			bad("two have the id " + k.ID + "; a new key needs a new id")
		}
		seen[k.ID] = true
		if _, err := k.bytes(); err != nil {
			bad("the key " + k.ID + " " + err.Error())
		}
	}
	return errors.Join(errs...)
}

func validID(id string) bool {
	if id == "" || len(id) > 32 {
		return false
	}
	return !strings.ContainsFunc(id, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._-", c))
	})
}

// bytes reads the key. Its errors never show what was written.
func (k Key) bytes() ([]byte, error) {
	text := strings.TrimSpace(k.Key.Reveal())
	if text == "" {
		return nil, errors.New("is missing; write key_file, with a file made by `openssl rand -base64 32`")
	}
	// Hexadecimal digits are base64 too: they are tried first.
	if raw, err := hex.DecodeString(text); err == nil {
		return long(raw)
	}
	plain := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "=")
	raw, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil {
		return nil, errors.New("is neither base64 nor hex; make one with `openssl rand -base64 32`")
	}
	return long(raw)
}

func long(raw []byte) ([]byte, error) {
	if len(raw) < minKey {
		return nil, errors.New("is too short; make one of 32 bytes with `openssl rand -base64 32`")
	}
	return raw, nil
}
