package cache

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// sealLead is a purpose of the vault.
const sealLead = "lead"

// The keys of where ids lead at a source whose slots are not kept.
//
//	lead:<id>  STRING  schedule and days of the offer or Slot of ours (sealed), with a lifetime
func (k sourceKeys) lead(id string) string { return k.tag + "lead:" + id }

// Leads remember where ids of ours lead whose slots are not kept: a schedule and
// days, sealed, for a while. What the slot is stands nowhere. It is safe for
// concurrent use; its errors are *scheduling.Error.
type Leads struct {
	store   *Store
	vault   *vault.Vault
	sealing *promises // nil: the key ends with the process
}

// Leads makes the memory, sealed by the vault. ephemeral: nobody else has its
// key, and what it sealed is none to others.
func (s *Store) Leads(v *vault.Vault, ephemeral bool) *Leads {
	l := &Leads{store: s, vault: v}
	if !ephemeral {
		l.sealing = &promises{store: s, vault: v}
	}
	return l
}

// Remember keeps where these ids of a source lead, for ttl from now.
//
// Errors: shedding.
func (l *Leads) Remember(ctx context.Context, source scheduling.SourceID, leads map[string]scheduling.Lead, ttl time.Duration) error {
	if len(leads) == 0 {
		return nil
	}
	if l.sealing != nil {
		if err := l.sealing.keep(ctx, time.Now().Add(ttl)); err != nil {
			return l.store.fault(err)
		}
	}
	k, pipe := l.store.keys.source(source), l.store.client.Pipeline()
	for id, lead := range leads {
		data, err := json.Marshal(lead)
		if err != nil {
			return l.store.fault(err)
		}
		key := k.lead(id)
		sealed, err := l.vault.Seal(sealLead, data, key)
		if err != nil {
			return l.store.fault(err)
		}
		pipe.Set(ctx, key, sealed, ttl)
	}
	_, err := pipe.Exec(ctx)
	return l.store.fault(err)
}

// Recall gives one; known is false where there is none, and where it cannot be
// unsealed: whoever sealed it is gone with the key.
//
// Errors: shedding.
func (l *Leads) Recall(ctx context.Context, source scheduling.SourceID, id string) (lead scheduling.Lead, known bool, err error) {
	key := l.store.keys.source(source).lead(id)
	sealed, err := l.store.client.Get(ctx, key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return lead, false, nil
	case err != nil:
		return lead, false, l.store.fault(err)
	}
	data, err := l.vault.Unseal(sealLead, sealed, key)
	if err == nil {
		err = json.Unmarshal(data, &lead)
	}
	if err != nil {
		l.store.log.WarnContext(ctx, "where an id leads cannot be unsealed: its offer is unknown", "source", source, "error", err)
		return scheduling.Lead{}, false, nil
	}
	return lead, true, nil
}
