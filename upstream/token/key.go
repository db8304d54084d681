package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	errKey   = errors.New("is no private key in PEM form; write a PKCS#8, EC or RSA key")
	errCurve = errors.New("is a key of a kind that SMART does not take; use RSA of 2048 bits or more, or EC on P-384")
)

// signingKey is our private key with the algorithm that belongs to it. SMART
// servers take RS384 and ES384
// (https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html).
type signingKey struct {
	method jwt.SigningMethod
	key    crypto.Signer
}

func parseKey(text string) (signingKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return signingKey{}, errKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = parseOldKey(block)
	}
	if err != nil {
		return signingKey{}, errKey
	}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() >= 2048 {
			return signingKey{jwt.SigningMethodRS384, key}, nil
		}
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P384() {
			return signingKey{jwt.SigningMethodES384, key}, nil
		}
	}
	return signingKey{}, errCurve
}

func parseOldKey(block *pem.Block) (any, error) {
	if block.Type == "EC PRIVATE KEY" {
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

// assertionLife is under the five minutes that SMART allows, with room for
// clocks that differ.
const assertionLife = 4 * time.Minute

// assertion is the signed statement that we are the client. Each is used once.
func (k signingKey) assertion(clientID, kid, audience string, now time.Time) (string, error) {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	token := jwt.NewWithClaims(k.method, jwt.RegisteredClaims{
		Issuer:    clientID,
		Subject:   clientID,
		Audience:  jwt.ClaimStrings{audience},
		ExpiresAt: jwt.NewNumericDate(now.Add(assertionLife)),
		IssuedAt:  jwt.NewNumericDate(now),
		ID:        hex.EncodeToString(id),
	})
	token.Header["kid"] = kid
	return token.SignedString(k.key)
}
