package ehrsim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

// jwtHead and jwtClaims are as much of an assertion as SMART speaks of
// (https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html).
type jwtHead struct {
	Alg  string   `json:"alg"`
	Kid  string   `json:"kid"`
	Typ  string   `json:"typ"`
	Crit []string `json:"crit"`
}

type jwtClaims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Expires  float64         `json:"exp"`
	Issued   float64         `json:"iat"`
	Before   float64         `json:"nbf"`
	ID       string          `json:"jti"`
}

const (
	longestAssertion = 5 * time.Minute
	clockLeeway      = time.Minute // of iat and nbf
)

// checkAssertion judges an assertion as strictly as a server may. It reads and
// verifies it by itself, with nothing but the standard library, so that no error
// is shared with whoever made it.
func (d *loginDesk) checkAssertion(ctx context.Context, login Login, text, endpoint string) error {
	parts := strings.Split(text, ".")
	var head jwtHead
	var claims jwtClaims
	if len(parts) != 3 || segment(parts[0], &head) != nil || segment(parts[1], &claims) != nil {
		return noClient("no JWT")
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	switch {
	case err != nil || head.Typ != "JWT" || len(head.Crit) > 0:
		return noClient("no JWT")
	case head.Alg != "RS384" && head.Alg != "ES384":
		return noClient("alg")
	case head.Kid == "":
		return noClient("no kid")
	}
	key, err := clientKey(ctx, login.Keys, head)
	if err != nil {
		return noClient(err.Error())
	}
	digest := sha512.Sum384([]byte(parts[0] + "." + parts[1]))
	if !verified(key, digest[:], signature) {
		return noClient("signature")
	}
	if err := d.checkClaims(login, claims, endpoint); err != nil {
		return err
	}
	return d.once(claims)
}

func segment(text string, into any) error {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func (d *loginDesk) checkClaims(login Login, c jwtClaims, endpoint string) error {
	now := d.now()
	at := func(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)) }
	switch {
	case c.Issuer != login.ClientID:
		return noClient("iss")
	case c.Subject != login.ClientID:
		return noClient("sub")
	case !audienceIs(c.Audience, endpoint):
		return noClient("aud")
	case c.Expires == 0, !at(c.Expires).After(now):
		return noClient("expired")
	case at(c.Expires).After(now.Add(longestAssertion)):
		return noClient("exp too far ahead")
	case at(c.Issued).After(now.Add(clockLeeway)), at(c.Before).After(now.Add(clockLeeway)):
		return noClient("from the future")
	case c.ID == "":
		return noClient("no jti")
	}
	return nil
}

func audienceIs(raw json.RawMessage, endpoint string) bool {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return one == endpoint
	}
	var many []string
	return json.Unmarshal(raw, &many) == nil && slices.Contains(many, endpoint)
}

// once remembers the assertion for as long as it could be sent again.
func (d *loginDesk) once(c jwtClaims) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for id, until := range d.used {
		if now.After(until) {
			delete(d.used, id)
		}
	}
	if _, again := d.used[c.ID]; again {
		return noClient("jti replayed")
	}
	d.used[c.ID] = now.Add(longestAssertion)
	return nil
}

// clientJWK is a key of the client's set. The private members are there to be
// noticed.
type clientJWK struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	Use string `json:"use"`
	N   string `json:"n"`
	E   string `json:"e"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	D   string `json:"d"`
	P   string `json:"p"`
	K   string `json:"k"`
}

// clientKey finds the key that signed. A set given by URL is read anew each
// time, so that a key that was taken back is taken back.
func clientKey(ctx context.Context, keys string, head jwtHead) (crypto.PublicKey, error) {
	text := []byte(keys)
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		var err error
		if text, err = fetchKeys(ctx, keys); err != nil {
			return nil, errors.New("keys cannot be read")
		}
	}
	var set struct {
		Keys []clientJWK `json:"keys"`
	}
	if json.Unmarshal(text, &set) != nil {
		return nil, errors.New("keys cannot be read")
	}
	for _, key := range set.Keys {
		switch {
		case key.D != "" || key.P != "" || key.K != "":
			return nil, errors.New("private key in the key set")
		case key.Kid != head.Kid:
		case key.Alg != "" && key.Alg != head.Alg, key.Use != "" && key.Use != "sig":
			return nil, errors.New("key for something else")
		default:
			return key.public(head.Alg)
		}
	}
	return nil, errors.New("unknown kid")
}

func fetchKeys(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxBody))
}

var errBadKey = errors.New("key cannot be used")

// public makes the key. The algorithm says of what kind it must be.
func (k clientJWK) public(alg string) (crypto.PublicKey, error) {
	number := func(text string) []byte {
		data, _ := base64.RawURLEncoding.Strict().DecodeString(text) // nothing is no key either
		return data
	}
	if alg == "RS384" {
		n, e := new(big.Int).SetBytes(number(k.N)), new(big.Int).SetBytes(number(k.E))
		if k.Kty != "RSA" || n.BitLen() < 2048 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return nil, errBadKey
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	}
	x, y := number(k.X), number(k.Y)
	if k.Kty != "EC" || k.Crv != "P-384" || len(x) != 48 || len(y) != 48 {
		return nil, errBadKey
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errBadKey
	}
	return key, nil
}

func verified(key crypto.PublicKey, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA384, digest, signature) == nil
	case *ecdsa.PublicKey:
		if len(signature) != 96 {
			return false
		}
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:]))
	}
	return false
}
