package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// sealElsewhere is a purpose of the vault.
const sealElsewhere = "appointment elsewhere"

// undoSource writes down that a cancel is about to be sent.
//
//	KEYS     1 undoing
//	ARGV     1 lifetime in milliseconds
//	returns  1 written down; 0 one is, or may be, under way
const undoSource = `
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then
  return 1
end
return 0
`

// Elsewhere remembers what ids of appointments lead to that were not made
// through us, each principal's own, sealed. It is safe for concurrent use; its
// errors are *scheduling.Error.
type Elsewhere struct {
	store   *Store
	vault   *vault.Vault
	sealing *promises
	undo    script
}

// Elsewhere makes the memory, sealed by the vault.
func (s *Store) Elsewhere(v *vault.Vault) *Elsewhere {
	return &Elsewhere{
		store: s, vault: v, sealing: &promises{store: s, vault: v}, undo: script{"undo", redis.NewScript(undoSource)},
	}
}

// Remember keeps records by their ids, for ttl from now. undoing tells of which
// of them a cancel is in doubt, and for how long still.
//
// Errors: shedding.
func (m *Elsewhere) Remember(ctx context.Context, principal string, records map[string]scheduling.ElsewhereRecord, ttl time.Duration) (map[string]time.Duration, error) {
	if err := m.sealing.keep(ctx, time.Now().Add(ttl)); err != nil {
		return nil, m.store.fault(err)
	}
	k, pipe := m.store.keys.principal(principal), m.store.client.Pipeline()
	left := map[string]*redis.DurationCmd{}
	for id, r := range records {
		sealed, err := m.seal(r, k.elsewhere(id))
		if err != nil {
			return nil, m.store.fault(err)
		}
		pipe.Set(ctx, k.elsewhere(id), sealed, ttl)
		left[id] = pipe.PTTL(ctx, k.undoing(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, m.store.fault(err)
	}
	undoing := map[string]time.Duration{}
	for id, cmd := range left {
		if cmd.Val() > 0 {
			undoing[id] = cmd.Val()
		}
	}
	return undoing, nil
}

func (m *Elsewhere) seal(r scheduling.ElsewhereRecord, key string) (string, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return m.vault.Seal(sealElsewhere, data, key)
}

// Recall gives one, and for how long a cancel of it is still in doubt.
//
// Errors: unknown-id; shedding; internal for a record that cannot be unsealed.
func (m *Elsewhere) Recall(ctx context.Context, principal, id string) (r scheduling.ElsewhereRecord, undoing time.Duration, err error) {
	k, pipe := m.store.keys.principal(principal), m.store.client.Pipeline()
	got, left := pipe.Get(ctx, k.elsewhere(id)), pipe.PTTL(ctx, k.undoing(id))
	switch _, err := pipe.Exec(ctx); {
	case errors.Is(err, redis.Nil):
		return r, 0, scheduling.Refuse(scheduling.UnknownID, "id", "no appointment of yours has this id")
	case err != nil:
		return r, 0, m.store.fault(err)
	}
	data, err := m.vault.Unseal(sealElsewhere, got.Val(), k.elsewhere(id))
	if err == nil && json.Unmarshal(data, &r) != nil {
		err = errDamaged
	}
	if err != nil {
		return r, 0, m.store.fault(fmt.Errorf("appointment elsewhere: %w", err))
	}
	return r, max(left.Val(), 0), nil
}

// BeginUndo writes down that a cancel is about to be sent: an intent, which is
// waited for as redis.wait_replicas says. ok is false, without an error, where
// one is in doubt: for doubt from when it began, unless EndUndo said its end.
//
// Errors: shedding.
func (m *Elsewhere) BeginUndo(ctx context.Context, principal, id string, doubt time.Duration) (ok bool, err error) {
	key := m.store.keys.principal(principal).undoing(id)
	cmd, err := m.store.runOn(ctx, m.undo, m.store.options.WaitReplicas, []string{key}, max(doubt, time.Second).Milliseconds())
	if err != nil {
		// Nothing will be sent: nothing is in doubt.
		_ = m.EndUndo(context.WithoutCancel(ctx), principal, id)
		return false, m.store.fault(fewReplicas(err))
	}
	n, err := cmd.Int()
	return n == 1, m.store.fault(err)
}

// EndUndo says that it is known how the cancel ended.
//
// Errors: shedding.
func (m *Elsewhere) EndUndo(ctx context.Context, principal, id string) error {
	return m.store.fault(m.store.client.Del(ctx, m.store.keys.principal(principal).undoing(id)).Err())
}
