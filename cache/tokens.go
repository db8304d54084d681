package cache

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// Purposes of the vault.
const (
	sealToken    = "ehr token"
	sealEndpoint = "token endpoint"
)

// saveTokenSource puts a token in place of any other.
//
//	KEYS     1 token
//	ARGV     1 envelope, 2 digest, 3 lifetime in milliseconds
//	returns  1
const saveTokenSource = `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', ARGV[1], 'd', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
`

// refuseTokenSource drops a token that the source refused, once in a while.
//
//	KEYS     1 token, 2 refused
//	ARGV     1... digests of the token by every key of the vault, last: the while in milliseconds
//	returns  1 it is not there any more; 0 it stays: one was dropped not long ago
const refuseTokenSource = `
local known = redis.call('HGET', KEYS[1], 'd')
for i = 1, #ARGV - 1 do
  if known == ARGV[i] then
    if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[#ARGV]) then
      return 0
    end
    redis.call('DEL', KEYS[1])
  end
end
return 1
`

// Tokens is our login at one source, shared by all nodes. The token is sealed:
// whoever reads the store cannot log in with it. What cannot be opened, since
// its key has gone, is as if it were not there. It is safe for concurrent use.
type Tokens struct {
	store  *Store
	vault  *vault.Vault
	keys   sourceKeys
	save   script
	refuse script
}

// Tokens gives the shared login of a source.
func (s *Store) Tokens(v *vault.Vault, source scheduling.SourceID) *Tokens {
	return &Tokens{
		store: s, vault: v, keys: s.keys.source(source),
		save:   script{"save-token", redis.NewScript(saveTokenSource)},
		refuse: script{"refuse-token", redis.NewScript(refuseTokenSource)},
	}
}

// Load gives what was saved with the token and how long it is still kept; nil
// where there is none.
func (t *Tokens) Load(ctx context.Context) (record []byte, left time.Duration, err error) {
	key := t.keys.token()
	pipe := t.store.client.Pipeline()
	envelope, ttl := pipe.HGet(ctx, key, "e"), pipe.PTTL(ctx, key)
	if _, err = pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, t.store.fault(err)
	}
	record, err = t.vault.Unseal(sealToken, envelope.Val(), key)
	if err != nil || ttl.Val() <= 0 {
		return nil, 0, nil // not there, gone meanwhile, or not to be opened
	}
	return record, ttl.Val(), nil
}

// Save puts a token's record in place of any other, for a while. The token
// itself is kept as a keyed digest, to be known again by Refuse.
func (t *Tokens) Save(ctx context.Context, token string, record []byte, keep time.Duration) error {
	key := t.keys.token()
	envelope, err := t.vault.Seal(sealToken, record, key)
	if err != nil {
		return t.store.fault(err)
	}
	digest := t.vault.Digest(sealToken, token)
	return t.store.fault(t.store.run(ctx, t.save, []string{key}, envelope, digest, max(1, keep.Milliseconds())).Err())
}

// Refuse drops the record if it is of this token. It is false, and the record
// stays, when one was dropped less than every ago.
func (t *Tokens) Refuse(ctx context.Context, token string, every time.Duration) (bool, error) {
	var args []any
	for _, digest := range t.vault.Digests(sealToken, token) {
		args = append(args, digest)
	}
	args = append(args, max(1, every.Milliseconds()))
	n, err := t.store.run(ctx, t.refuse, []string{t.keys.token(), t.keys.refused()}, args...).Int()
	return n == 1, t.store.fault(err)
}

const (
	// loginLease is how long others wait for a node that died while it logged in.
	loginLease = 3 * time.Second
	loginRenew = time.Second
)

// Lease gives the right to ask for a token to one node, until it is released:
// for so long at most, and not for long when the node dies. ok is false when
// another has it.
func (t *Tokens) Lease(ctx context.Context, most time.Duration) (release func(context.Context) error, ok bool, err error) {
	l, ok, err := t.store.leaseOf(ctx, t.keys.login(), loginLease)
	if !ok || err != nil {
		return nil, false, err
	}
	keeping, end := context.WithTimeout(context.WithoutCancel(ctx), most)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		keepLease(keeping, l)
	}()
	return func(ctx context.Context) error {
		end()
		<-ended
		return l.Release(ctx)
	}, true, nil
}

// keepLease renews a lease until ctx ends, or it is lost.
func keepLease(ctx context.Context, l scheduling.Lease) {
	tick := time.NewTicker(loginRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if errors.Is(l.Renew(ctx), ErrLeaseLost) {
			return
		}
	}
}

// Pin remembers the origin of the token endpoint of a base, unless one is
// known, and gives the one that is. A source whose base was changed in the
// configuration is another one.
func (t *Tokens) Pin(ctx context.Context, base, origin string) (string, error) {
	key := t.keys.endpoint()
	ours, err := t.vault.Seal(sealEndpoint, []byte(base+" "+origin), key)
	if err != nil {
		return "", t.store.fault(err)
	}
	kept, err := t.store.once(ctx, key, []byte(ours))
	if err != nil {
		return "", t.store.fault(err)
	}
	known, err := t.vault.Unseal(sealEndpoint, string(kept), key)
	of, pinned, _ := strings.Cut(string(known), " ")
	switch {
	case err != nil || of != base:
		return origin, t.store.fault(t.store.client.Set(ctx, key, ours, 0).Err())
	case sealedBy(string(kept)) != sealedBy(ours) && pinned == origin:
		// The key it is sealed with may go from the configuration one day.
		return origin, t.store.fault(t.store.client.Set(ctx, key, ours, 0).Err())
	}
	return pinned, nil
}

// sealedBy is the version of an envelope and the id of its key.
func sealedBy(envelope string) string {
	parts := strings.SplitN(envelope, "|", 3)
	return strings.Join(parts[:min(2, len(parts))], "|")
}
