package token

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// jwk is a public key as others read it (RFC 7517, RFC 7518 section 6).
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
	N     string `json:"n,omitempty"`
	E     string `json:"e,omitempty"`
	Curve string `json:"crv,omitempty"`
	X     string `json:"x,omitempty"`
	Y     string `json:"y,omitempty"`
}

// public is the public half, named kid, or by its thumbprint.
func (k signingKey) public(kid string) jwk {
	text := base64.RawURLEncoding.EncodeToString
	out := jwk{Use: "sig", Alg: k.method.Alg(), ID: kid}
	switch key := k.key.Public().(type) {
	case *rsa.PublicKey:
		out.Type, out.N, out.E = "RSA", text(key.N.Bytes()), text(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		if point, err := key.Bytes(); err == nil { // 4, then both coordinates; fails for no key that we take
			half := len(point) / 2
			out.Type, out.Curve, out.X, out.Y = "EC", "P-384", text(point[1:1+half]), text(point[1+half:])
		}
	}
	if kid == "" {
		out.ID = out.thumbprint()
	}
	return out
}

// thumbprint names a key by itself (RFC 7638): its required members, in order.
func (j jwk) thumbprint() string {
	members := fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, j.E, j.N)
	if j.Type == "EC" {
		members = fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, j.Curve, j.X, j.Y)
	}
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// PublicKeys is the key set of all these logins: the document that the EHRs
// read our keys from. It is nil where none of them signs. It fails where two
// keys have one name.
func PublicKeys(all ...Options) ([]byte, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	known := map[string]jwk{}
	for _, o := range all {
		keys, err := o.publicKeys()
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			was, again := known[key.ID]
			switch {
			case !again:
				known[key.ID] = key
				set.Keys = append(set.Keys, key)
			case was != key:
				return nil, fmt.Errorf("kid: two keys have the name %q; give each its own, or none", key.ID)
			}
		}
	}
	if set.Keys == nil {
		return nil, nil
	}
	return json.Marshal(set)
}

// publicKeys are those of one login: the one that signs, and the next one.
func (o *Options) publicKeys() ([]jwk, error) {
	if o.Kind != SmartBackend {
		return nil, nil
	}
	key, err := parseKey(o.Key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	keys := []jwk{key.public(o.KeyID)}
	if o.NextKey.IsZero() {
		return keys, nil
	}
	if key, err = parseKey(o.NextKey.Reveal()); err != nil {
		return nil, fmt.Errorf("next_key: %w", err)
	}
	return append(keys, key.public(o.NextKeyID)), nil
}
