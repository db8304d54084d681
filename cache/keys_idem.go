package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// How long an idempotency key is remembered: from its answer on, and while it
// has none. What is in doubt has none until it is settled, which may take a day.
const (
	answeredFor = 24 * time.Hour
	runningFor  = 72 * time.Hour
)

// Keys remembers what was answered to an Idempotency-Key, per principal.
// Neither the key nor the answer stands in Redis in clear: the one as a digest,
// the other sealed.
type Keys struct {
	store                  *Store
	vault                  *vault.Vault
	sealing                *promises
	begin, finish, abandon script
	renew                  script
}

// What beginKeySource answers.
const (
	keyFresh   = 0
	keyRunning = 1
	keyDone    = 2
	keyOther   = 3
)

// beginKeySource asks for a key and takes it if it is free. A call that is
// repeated since its answer was lost finds its own token.
//
//	KEYS     1 key
//	ARGV     1 digest of the request, 2 offer, 3 token, 4 lease and 5 lifetime in milliseconds
//	returns  what is known (see keyFresh), the offer, the answer
const beginKeySource = clock + `
local now = clock()
local known = redis.call('HMGET', KEYS[1], 'd', 'o', 't', 'u', 'a')
if known[1] and known[1] ~= ARGV[1] then
  return {3, '', ''}
end
if known[5] then
  return {2, known[2] or '', known[5]}
end
if known[1] and known[3] ~= ARGV[3] and tonumber(known[4]) > now then
  return {1, known[2], ''}
end
redis.call('HSET', KEYS[1], 'd', ARGV[1], 'o', ARGV[2], 't', ARGV[3], 'u', string.format('%.0f', now + tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {0, ARGV[2], ''}
`

// finishKeySource keeps an answer. The first one stays.
//
//	KEYS     1 key
//	ARGV     1 digest of the request, 2 answer, 3 lifetime in milliseconds
//	returns  1 kept; 0 there is one, or the key is of another request
const finishKeySource = `
local known = redis.call('HMGET', KEYS[1], 'd', 'a')
if (known[1] and known[1] ~= ARGV[1]) or known[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'd', ARGV[1], 'a', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`

// abandonKeySource forgets a key that has no answer.
//
//	KEYS     1 key
//	ARGV     1 digest of the request
//	returns  1 forgotten; 0 it has an answer, or is of another request
const abandonKeySource = `
local known = redis.call('HMGET', KEYS[1], 'd', 'a')
if known[1] ~= ARGV[1] or known[2] then
  return 0
end
return redis.call('DEL', KEYS[1])
`

// renewKeySource prolongs the lease of a key that has no answer.
//
//	KEYS     1 key
//	ARGV     1 digest of the request, 2 lease in milliseconds
//	returns  1 prolonged; 0 it has an answer, is of another request, or not there
const renewKeySource = clock + `
local known = redis.call('HMGET', KEYS[1], 'd', 'a')
if known[1] ~= ARGV[1] or known[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', clock() + tonumber(ARGV[2])))
return 1
`

// Keys makes the memory of idempotency keys, sealed by the vault.
func (s *Store) Keys(v *vault.Vault) *Keys {
	return &Keys{
		store: s, vault: v, sealing: &promises{store: s, vault: v},
		begin:   script{"key_begin", redis.NewScript(beginKeySource)},
		finish:  script{"key_finish", redis.NewScript(finishKeySource)},
		abandon: script{"key_abandon", redis.NewScript(abandonKeySource)},
		renew:   script{"key_renew", redis.NewScript(renewKeySource)},
	}
}

// keys are the keys in Redis of an idempotency key by each key of the vault, the
// newest first.
func (k *Keys) keys(principal, key string) []string {
	digests := k.vault.Digests(digestKey, principal, key)
	for i, d := range digests {
		digests[i] = k.store.keys.principal(principal).key(d)
	}
	return digests
}

// Begin asks whether the request was seen, and makes it ours if not, for lease:
// then the next Begin with the same digest takes it over.
//
// Errors: shedding; internal for an answer that cannot be unsealed.
func (k *Keys) Begin(
	ctx context.Context, principal, key, digest, offer string, lease time.Duration,
) (scheduling.KeyRecord, error) {
	at, err := k.find(ctx, principal, key)
	if err != nil {
		return scheduling.KeyRecord{}, k.store.fault(err)
	}
	values, err := k.store.run(ctx, k.begin, []string{at}, digest, offer, nonce(),
		max(lease, time.Millisecond).Milliseconds(), runningFor.Milliseconds()).Slice()
	if err != nil {
		return scheduling.KeyRecord{}, k.store.fault(err)
	}
	if len(values) != 3 {
		return scheduling.KeyRecord{}, k.store.fault(errDamaged)
	}
	state, _ := values[0].(int64)
	switch r := (scheduling.KeyRecord{Offer: textAt(values, 1)}); state {
	case keyFresh:
		r.State = scheduling.KeyFresh
		return r, nil
	case keyRunning:
		r.State = scheduling.KeyRunning
		return r, nil
	case keyOther:
		return scheduling.KeyRecord{State: scheduling.KeyOther}, nil
	default:
		r.State = scheduling.KeyDone
		if r.Answer, err = k.vault.Unseal(sealAnswer, textAt(values, 2), at, "a"); err != nil {
			return scheduling.KeyRecord{}, k.store.fault(fmt.Errorf("answer: %w", err))
		}
		return r, nil
	}
}

// find is where the key stands: under the digest by the newest key of the vault,
// unless it was begun before a rotation.
func (k *Keys) find(ctx context.Context, principal, key string) (string, error) {
	places := k.keys(principal, key)
	for _, at := range places[1:] {
		n, err := k.store.client.Exists(ctx, at).Result()
		if err != nil {
			return "", err
		}
		if n > 0 {
			return at, nil
		}
	}
	return places[0], nil
}

// Renew prolongs the lease of a request that still runs.
//
// Errors: shedding.
func (k *Keys) Renew(ctx context.Context, principal, key, digest string, lease time.Duration) error {
	at, err := k.find(ctx, principal, key)
	if err != nil {
		return k.store.fault(err)
	}
	return k.store.fault(k.store.run(ctx, k.renew, []string{at}, digest, max(lease, time.Millisecond).Milliseconds()).Err())
}

// Finish keeps the answer for a day. An answer that was given already stays.
func (k *Keys) Finish(ctx context.Context, principal, key, digest string, answer []byte) error {
	at, err := k.find(ctx, principal, key)
	if err != nil {
		return k.store.fault(err)
	}
	if err := k.sealing.keep(ctx, time.Now().Add(answeredFor)); err != nil {
		return k.store.fault(err)
	}
	sealed, err := k.vault.Seal(sealAnswer, answer, at, "a")
	if err != nil {
		return k.store.fault(err)
	}
	return k.store.fault(k.store.run(ctx, k.finish, []string{at}, digest, sealed, answeredFor.Milliseconds()).Err())
}

// Abandon forgets the request. An answer that was given stays.
func (k *Keys) Abandon(ctx context.Context, principal, key, digest string) error {
	at, err := k.find(ctx, principal, key)
	if err != nil {
		return k.store.fault(err)
	}
	return k.store.fault(k.store.run(ctx, k.abandon, []string{at}, digest).Err())
}
