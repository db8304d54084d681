package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slotgate/scheduling"
)

// Right is one thing that a caller may do.
type Right string

// The rights there are. Open is what everybody has, key or no key: reading what
// the server is.
const (
	Open      Right = "open"
	Find      Right = "find"      // ask for open slots
	Directory Right = "directory" // read practitioners, places, schedules
	Book      Right = "book"      // hold, book, cancel, read and list appointments
)

// Rights are those that a config may name.
func Rights() []Right { return []Right{Find, Directory, Book} }

// open are the rights that those without a key may have: whoever books must be
// told from others.
func open() []Right { return []Right{Find, Directory} }

// Options says who may call. Its keys stand at the top of the config.
type Options struct {
	Callers   []Caller `yaml:"callers"`
	Anonymous []Right  `yaml:"anonymous"` // of those without a key; default: none
}

// Caller is one application with a key.
type Caller struct {
	ID string `yaml:"id"`
	// KeySHA256 is the SHA-256 of the API key, 64 hexadecimal digits.
	KeySHA256 string `yaml:"key_sha256"`
	// Trusted names the sources whose own patient ids this caller may use.
	Trusted []scheduling.SourceID `yaml:"trusted"`
	// Rights are what the caller may do; default: everything.
	Rights []Right `yaml:"rights"`
	// HoldsUnnamed is how many offers the key may hold at once while it names
	// no end user; 0: what the desk allows everyone.
	HoldsUnnamed int `yaml:"holds_unnamed"`
}

// Digest is the KeySHA256 of a key.
func Digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// demoHolds is how much the demo's key may hold, which many may try at once.
const demoHolds = 100

// maxHolds bounds what a config may allow.
const maxHolds = 100_000

// Demo lets the key "demo" do everything, and everyone find and read the
// directory. It is for trying out: everybody knows the key.
func Demo() Options {
	return Options{
		Callers:   []Caller{{ID: "demo", KeySHA256: Digest("demo"), HoldsUnnamed: demoHolds}},
		Anonymous: open(),
	}
}

var (
	callerID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	hexDigest = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// Validate checks the options. Every error begins with the key's path.
func (o Options) Validate() error {
	ids, keys := map[string]bool{}, map[string]bool{}
	var errs []error
	for i, c := range o.Callers {
		at := fmt.Sprintf("callers[%d].", i)
		switch {
		case ids[c.ID]:
			errs = append(errs, fmt.Errorf("%sid: two callers are called %q; give each its own id", at, c.ID))
		case keys[strings.ToLower(c.KeySHA256)]:
			errs = append(errs, fmt.Errorf("%skey_sha256: two callers have this key; give each its own", at))
		}
		ids[c.ID], keys[strings.ToLower(c.KeySHA256)] = true, true
	}
	errs = append(errs, checkRights("anonymous", o.Anonymous, open()))
	return errors.Join(errs...)
}

// Validate checks one caller.
func (c Caller) Validate() error {
	switch {
	case !callerID.MatchString(c.ID):
		return errors.New("id: must be 1-64 letters, digits, dots, hyphens or underscores")
	case !hexDigest.MatchString(c.KeySHA256):
		return errors.New("key_sha256: must be the SHA-256 of the API key, 64 hexadecimal digits: printf %s KEY | sha256sum")
	case c.HoldsUnnamed < 0 || c.HoldsUnnamed > maxHolds:
		return fmt.Errorf("holds_unnamed: must be 0 to %d", maxHolds)
	}
	return checkRights("rights", c.Rights, Rights())
}

func checkRights(key string, rights, allowed []Right) error {
	for i, r := range rights {
		switch {
		case slices.Contains(allowed, r):
		case slices.Contains(Rights(), r):
			return fmt.Errorf("%s[%d]: the right %q needs a key; without one there are %q", key, i, string(r), allowed)
		default:
			return fmt.Errorf("%s[%d]: unknown right %q; there are %q", key, i, string(r), allowed)
		}
	}
	return nil
}
