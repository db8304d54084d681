package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// What Unseal may say, with errors.Is.
var (
	// ErrNoKey: it was sealed with a key that is not in the configuration.
	ErrNoKey = errors.New("vault: sealed with a key that is not here")
	// ErrDamaged: it is no envelope, was changed, or belongs to another place.
	ErrDamaged = errors.New("vault: the envelope is damaged, or belongs elsewhere")
)

// version is the first part of every envelope.
const version = "v1"

// Vault seals and opens. It is safe for concurrent use.
type Vault struct {
	ring []*ringKey // the first one seals
}

// ringKey is one key with those that were derived from it.
type ringKey struct {
	id  string
	raw []byte

	mu      sync.Mutex
	sealers map[string]cipher.AEAD // by purpose
	digests map[string][]byte      // by purpose
}

// Open makes a vault of the configured keys.
func Open(o Options) (*Vault, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if !o.Configured() {
		return nil, errors.New("vault: no key is configured")
	}
	v := &Vault{}
	for _, k := range o.Keys {
		raw, err := k.bytes()
		if err != nil {
			return nil, fmt.Errorf("vault: the key %s %w", k.ID, err)
		}
		v.ring = append(v.ring, newRingKey(k.ID, raw))
	}
	return v, nil
}

// Ephemeral makes a vault with a random key that nobody else has and that ends
// with the process: for the demo, whose data end with it too. A key that was
// kept beside what it seals would seal nothing.
func Ephemeral() *Vault {
	raw, name := make([]byte, minKey), make([]byte, 8)
	_, _ = rand.Read(raw) // never fails
	_, _ = rand.Read(name)
	return &Vault{ring: []*ringKey{newRingKey("tmp-"+hex.EncodeToString(name), raw)}}
}

func newRingKey(id string, raw []byte) *ringKey {
	return &ringKey{id: id, raw: raw, sealers: map[string]cipher.AEAD{}, digests: map[string][]byte{}}
}

// KeyIDs names the keys; the first one seals.
func (v *Vault) KeyIDs() []string {
	ids := make([]string, len(v.ring))
	for i, k := range v.ring {
		ids[i] = k.id
	}
	return ids
}

// Fingerprint tells two keys apart that were given one id, without telling
// anything of the key; "" where there is no such key.
func (v *Vault) Fingerprint(id string) string {
	for _, k := range v.ring {
		if k.id == id {
			return k.digest("fingerprint", nil)[:16]
		}
	}
	return ""
}

// Seal makes the envelope of data. The purpose chooses the derived key; place
// says where the envelope is to stand, and must be the same when it is opened.
func (v *Vault) Seal(purpose string, data []byte, place ...string) (string, error) {
	k := v.ring[0]
	sealer, err := k.sealer(purpose)
	if err != nil {
		return "", err
	}
	// The cipher puts the nonce that it drew in front.
	sealed := sealer.Seal(nil, nil, data, associated(k.id, place))
	text := base64.RawURLEncoding
	return version + "|" + k.id + "|" + text.EncodeToString(sealed[:nonceSize]) + "|" + text.EncodeToString(sealed[nonceSize:]), nil
}

// nonceSize is what cipher.NewGCMWithRandomNonce puts in front.
const nonceSize = 12

// Unseal opens an envelope. Errors: ErrNoKey, ErrDamaged.
func (v *Vault) Unseal(purpose, envelope string, place ...string) ([]byte, error) {
	parts := strings.Split(envelope, "|")
	if len(parts) != 4 || parts[0] != version {
		return nil, ErrDamaged
	}
	k := v.key(parts[1])
	if k == nil {
		return nil, ErrNoKey
	}
	strict := base64.RawURLEncoding.Strict()
	drawn, err := strict.DecodeString(parts[2])
	if err != nil || len(drawn) != nonceSize {
		return nil, ErrDamaged
	}
	sealed, err := strict.DecodeString(parts[3])
	if err != nil {
		return nil, ErrDamaged
	}
	sealer, err := k.sealer(purpose)
	if err != nil {
		return nil, err
	}
	data, err := sealer.Open(nil, nil, append(drawn, sealed...), associated(k.id, place))
	if err != nil {
		return nil, ErrDamaged
	}
	return data, nil
}

func (v *Vault) key(id string) *ringKey {
	for _, k := range v.ring {
		if k.id == id {
			return k
		}
	}
	return nil
}

// Digest is the digest of the parts by the newest key, in hexadecimal digits.
func (v *Vault) Digest(purpose string, parts ...string) string {
	return v.ring[0].digest(purpose, parts)
}

// Digests are those by every key, the newest first.
func (v *Vault) Digests(purpose string, parts ...string) []string {
	all := make([]string, len(v.ring))
	for i, k := range v.ring {
		all[i] = k.digest(purpose, parts)
	}
	return all
}

// digest is 128 bits long: nobody finds two alike by trying.
func (k *ringKey) digest(purpose string, parts []string) string {
	k.mu.Lock()
	key := k.digests[purpose]
	if key == nil {
		// Fails for lengths beyond 255 hashes alone.
		key, _ = hkdf.Key(sha256.New, k.raw, nil, "slotgate digest "+purpose, sha256.Size)
		k.digests[purpose] = key
	}
	k.mu.Unlock()
	mac := hmac.New(sha256.New, key)
	mac.Write(lengthened(parts))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (k *ringKey) sealer(purpose string) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.sealers[purpose]; s != nil {
		return s, nil
	}
	key, err := hkdf.Key(sha256.New, k.raw, nil, "slotgate seal "+purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	s, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	k.sealers[purpose] = s
	return s, nil
}

// associated is what is authenticated beside the data.
func associated(id string, place []string) []byte {
	return lengthened(append([]string{version, id}, place...))
}

// lengthened joins texts so that it shows where each one ends.
func lengthened(parts []string) []byte {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
