package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"slotgate/scheduling"
)

// The headers that say who calls.
const (
	HeaderAuthorization = "Authorization"
	HeaderSession       = "X-Slotgate-Session"
)

// The bounds of a session, in characters: shorter ones could be guessed.
const (
	MinSession = 16
	MaxSession = 128
)

// maxKey bounds what is hashed for a caller whom nobody knows yet.
const maxKey = 4 << 10

// Credentials is what a request shows. The strings must not be reused by others
// while the principal lives.
type Credentials struct {
	Authorization string
	Session       string
	// SessionShown tells that the request names a session, be it an empty one:
	// that is a mistake, and must not pass for a caller without sessions, who
	// sees what all its users left unnamed.
	SessionShown bool
}

// Authenticator knows the callers. It is safe for concurrent use.
type Authenticator struct {
	callers   []known
	anonymous []Right
}

type known struct {
	digest    [sha256.Size]byte
	principal Principal
}

// New makes an Authenticator of options that are valid.
func New(opts Options) (*Authenticator, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	a := &Authenticator{anonymous: opts.Anonymous}
	for i, c := range opts.Callers {
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("auth: callers[%d].%w", i, err)
		}
		k := known{principal: Principal{Caller: c.ID, trusted: c.Trusted, rights: c.Rights, holdsUnnamed: c.HoldsUnnamed}}
		if len(c.Rights) == 0 {
			k.principal.rights = Rights()
		}
		if _, err := hex.Decode(k.digest[:], []byte(c.KeySHA256)); err != nil {
			return nil, fmt.Errorf("auth: callers[%d].key_sha256: %w", i, err)
		}
		a.callers = append(a.callers, k)
	}
	return a, nil
}

// Authenticate says who calls. Errors: unauthorized for credentials that are
// not known, bad-request for a session that cannot be taken.
func (a *Authenticator) Authenticate(c Credentials) (Principal, error) {
	if c.Authorization == "" {
		return Principal{rights: a.anonymous}, nil
	}
	p, ok := a.caller(c.Authorization)
	if !ok {
		return Principal{}, scheduling.Refuse(scheduling.Unauthorized, HeaderAuthorization,
			"this key is not known here")
	}
	if (c.SessionShown || c.Session != "") && !validSession(c.Session) {
		return Principal{}, scheduling.Refuse(scheduling.BadRequest, HeaderSession,
			"a session must be %d to %d visible ASCII characters", MinSession, MaxSession)
	}
	p.Subject = c.Session
	return p, nil
}

// Check tells whether the principal has the right. Errors: unauthorized when a
// key would help, forbidden when it would not.
func (a *Authenticator) Check(p Principal, right Right) error {
	switch {
	case p.May(right):
		return nil
	case p.Anonymous():
		return scheduling.Refuse(scheduling.Unauthorized, HeaderAuthorization, "this needs an API key")
	default:
		return scheduling.Refuse(scheduling.Forbidden, "", "this key may not do that")
	}
}

// caller compares with every digest, in a time that does not depend on which
// one it is or how much of it fits.
func (a *Authenticator) caller(authorization string) (Principal, bool) {
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxKey {
		return Principal{}, false
	}
	digest := sha256.Sum256([]byte(token))
	found := -1
	for i := range a.callers {
		same := subtle.ConstantTimeCompare(digest[:], a.callers[i].digest[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return Principal{}, false
	}
	return a.callers[found].principal, true
}

func validSession(s string) bool {
	if len(s) < MinSession || len(s) > MaxSession {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
