package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"slotgate/scheduling"
)

// Principal is who is behind a request: a caller, and one of its end users.
type Principal struct {
	Caller  string // the caller's id; "" for an anonymous one
	Subject string // the end user as the caller names it; "" if it names none
	trusted []scheduling.SourceID
	rights  []Right
	// holdsUnnamed is the caller's own limit while it names no end user.
	holdsUnnamed int
}

// Anonymous tells that no key was shown.
func (p Principal) Anonymous() bool { return p.Caller == "" }

// May tells whether the principal has the right.
func (p Principal) May(right Right) bool {
	return right == Open || slices.Contains(p.rights, right)
}

// Trusts tells whether the caller may use the patient ids of this source.
func (p Principal) Trusts(source scheduling.SourceID) bool {
	return slices.Contains(p.trusted, source)
}

// Trusted are the sources whose patient ids the caller may use.
func (p Principal) Trusted() []scheduling.SourceID { return slices.Clone(p.trusted) }

// Holds is how many offers the principal may hold at once: named for an end
// user, unnamed for a key that names none, unless its caller has its own limit.
func (p Principal) Holds(named, unnamed int) int {
	switch {
	case p.Subject != "":
		return named
	case p.holdsUnnamed > 0:
		return p.holdsUnnamed
	default:
		return unnamed
	}
}

// Digest names the principal where others may look: 64 characters of [0-9a-f]
// that depend on caller and subject, and that nobody without the key can make
// or guess. It is the same for ever and on every node, while the key is.
func (p Principal) Digest(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("slotgate principal v1"))
	var size [8]byte
	for _, part := range []string{p.Caller, p.Subject} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// key is where the principal lies in a context.
type key struct{}

// With gives a context that carries the principal.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// From is the principal of the context: an anonymous one without rights where
// nobody was authenticated.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(key{}).(Principal)
	return p
}
