package cache

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// Epoch names this life of the store: another value means that it was emptied
// since. A store without an epoch is given one.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	epoch, err := s.once(ctx, s.keys.epoch(), []byte(nonce()))
	return string(epoch), s.fault(err)
}

// secretSize is the length of a secret in bytes.
const secretSize = 32

// Secret is 32 random bytes that all gateways share under this name, made when
// first asked for. It changes when the store is emptied.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	fresh := make([]byte, secretSize)
	_, _ = rand.Read(fresh) // never fails
	return s.KeepSecret(ctx, name, fresh)
}

// KeepSecret is Secret for those who have had one: where the store has none any
// more it is given this one, of 32 bytes, so that what was signed with it
// outlives a loss of the store's data.
func (s *Store) KeepSecret(ctx context.Context, name string, ours []byte) ([]byte, error) {
	text := hex.EncodeToString(ours)
	kept, err := s.once(ctx, s.keys.secret(name), []byte(text))
	if err != nil {
		return nil, s.fault(err)
	}
	secret, err := hex.DecodeString(string(kept))
	if err != nil || len(secret) != secretSize {
		return nil, s.fault(fmt.Errorf("secret %q: %w", name, errDamaged))
	}
	return secret, nil
}

// once sets the key unless it is there, and gives what is there then.
func (s *Store) once(ctx context.Context, key string, value []byte) ([]byte, error) {
	pipe := s.client.Pipeline()
	pipe.SetNX(ctx, key, value, 0)
	get := pipe.Get(ctx, key)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	return get.Bytes()
}
