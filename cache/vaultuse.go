package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
)

// ErrVaultKey: the configuration lacks a key of the vault that is still in use,
// or gives its id to another key.
var ErrVaultKey = errors.New("cache: a key of the vault is missing")

// slack is by how much more than needed a key is said to be in use, so that it
// is said rarely.
const slack = 30 * 24 * time.Hour

// useSource says that a key is in use.
//
//	KEYS     1 vault
//	ARGV     1 id of the key, 2 its fingerprint, 3 until when (ms since 1970)
//	returns  1 said; 0 another key has this id
const useSource = `
local known = redis.call('HGET', KEYS[1], ARGV[1])
local till = tonumber(ARGV[3])
if known then
  local print, old = string.match(known, '^(%x+) (%d+)$')
  if print ~= ARGV[2] then
    return 0
  end
  till = math.max(till, tonumber(old))
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', till))
return 1
`

// CheckVault refuses a vault that lacks a key with which something in the store
// is sealed, or that has another key under its id. To be called at start-up.
//
// Errors: ErrVaultKey, with the id of the key; shedding.
func (s *Store) CheckVault(ctx context.Context, v *vault.Vault) error {
	known, err := s.client.HGetAll(ctx, s.keys.vault()).Result()
	if err != nil {
		return s.fault(err)
	}
	for id, text := range known {
		print, till, _ := strings.Cut(text, " ")
		ms, err := strconv.ParseInt(till, 10, 64)
		over := err == nil && time.UnixMilli(ms).Before(time.Now())
		have := v.Fingerprint(id)
		switch {
		case have == print:
		case have != "":
			return fmt.Errorf("%w: another key was given the id %s; a new key needs a new id", ErrVaultKey, id)
		case !over:
			return fmt.Errorf("%w: %s, with which records are sealed that are kept until %s; put it back below the new one",
				ErrVaultKey, id, time.UnixMilli(ms).UTC().Format(time.DateOnly))
		}
	}
	return nil
}

// promises is what this process said of the sealing key.
type promises struct {
	store *Store
	vault *vault.Vault

	mu    sync.Mutex
	until time.Time
}

// keep says in Redis, before something is sealed, that the key is in use until
// then.
func (p *promises) keep(ctx context.Context, until time.Time) error {
	p.mu.Lock()
	known := !until.After(p.until)
	p.mu.Unlock()
	if known {
		return nil
	}
	until = until.Add(slack)
	id := p.vault.KeyIDs()[0]
	sc := script{"use", redis.NewScript(useSource)}
	n, err := p.store.run(ctx, sc, []string{p.store.keys.vault()}, id, p.vault.Fingerprint(id), until.UnixMilli()).Int()
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: another key was given the id %s", ErrVaultKey, id)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.until) {
		p.until = until
	}
	return nil
}

// forget: Redis lost data, perhaps what was said.
func (p *promises) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Time{}
}
