package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"slotgate/cache/vault"
	"slotgate/scheduling"
)

// Purposes of the vault.
const (
	sealOrphan        = "orphan"
	digestOrphanPlace = "orphan's patient"
)

// orphanSealed is how long a key of the vault is said to be in use for an orphan.
// Who keeps one for longer saves it again.
const orphanSealed = 60 * 24 * time.Hour

// Orphans are the Patients that we made at sources, or may have made, and that no
// appointment names. It is safe for concurrent use; its errors are
// *scheduling.Error.
type Orphans struct {
	store      *Store
	vault      *vault.Vault
	sealing    *promises
	save, drop script
}

// Orphans makes the memory of orphans, sealed by the vault.
func (s *Store) Orphans(v *vault.Vault) *Orphans {
	return &Orphans{
		store: s, vault: v, sealing: &promises{store: s, vault: v},
		save: script{"orphan_save", redis.NewScript(saveOrphanSource)}, drop: script{"orphan_drop", redis.NewScript(dropOrphanSource)},
	}
}

// saveOrphanSource keeps one in place of that of its version.
//
//	KEYS     1 orphans, 2 orphanplaces
//	ARGV     1 identifier, 2 the version that was read ('0': whichever there is), 3 the record
//	         (sealed), 4 digest of the Patient's id ('' while there is none)
//	returns  1 kept; 0 another version stands
const saveOrphanSource = `
local known = redis.call('HGET', KEYS[1], ARGV[1])
local version = known and tonumber(string.match(known, '^%d+')) or 0
if ARGV[2] ~= '0' and tonumber(ARGV[2]) ~= version then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', version + 1) .. ':' .. ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[4], ARGV[1])
end
return 1
`

// dropOrphanSource forgets one by its identifier, and those of some Patients.
//
//	KEYS     1 orphans, 2 orphanplaces
//	ARGV     1 identifier ('' for none), 2 its version ('0': whichever there is), then digests of
//	         Patients' ids
//	returns  how many there were
const dropOrphanSource = `
local n = 0
local known = ARGV[1] ~= '' and redis.call('HGET', KEYS[1], ARGV[1])
local same = known and (ARGV[2] == '0' or string.match(known, '^%d+') == ARGV[2])
if same then
  n = redis.call('HDEL', KEYS[1], ARGV[1])
end
for i = 3, #ARGV do
  local id = redis.call('HGET', KEYS[2], ARGV[i])
  if ARGV[1] == '' and id then
    n = n + redis.call('HDEL', KEYS[1], id)
  end
  if id and (ARGV[1] == '' or same) then
    redis.call('HDEL', KEYS[2], ARGV[i])
  end
end
return n
`

func (o *Orphans) keys(source scheduling.SourceID) []string {
	k := o.store.keys.source(source)
	return []string{k.orphans(), k.orphanPlaces()}
}

// places are the digests that a Patient is found by, that of the newest key first.
func (o *Orphans) places(source scheduling.SourceID, native string) []string {
	if native == "" {
		return nil
	}
	return o.vault.Digests(digestOrphanPlace, string(source), native)
}

// SaveOrphan keeps one. See gateway/booking.Orphans.
//
// Errors: shedding.
func (o *Orphans) SaveOrphan(ctx context.Context, orphan scheduling.Orphan) error {
	if err := o.sealing.keep(ctx, time.Now().Add(orphanSealed)); err != nil {
		return o.store.fault(err)
	}
	data, err := json.Marshal(orphan)
	if err != nil {
		return o.store.fault(err)
	}
	keys := o.keys(orphan.Source)
	sealed, err := o.vault.Seal(sealOrphan, data, keys[0], orphan.ID)
	if err != nil {
		return o.store.fault(err)
	}
	// First, and on its own: another shard may hold it.
	if err := o.store.client.SAdd(ctx, o.store.keys.orphanSources(), string(orphan.Source)).Err(); err != nil {
		return o.store.fault(err)
	}
	replicas, place := 0, ""
	if orphan.Native == "" {
		replicas = o.store.options.WaitReplicas
	} else {
		place = o.places(orphan.Source, orphan.Native)[0]
	}
	cmd, err := o.store.runOn(ctx, o.save, replicas, keys, orphan.ID, orphan.Version, sealed, place)
	if err == nil {
		err = cmd.Err()
	}
	return o.store.fault(fewReplicas(err))
}

// DropOrphan forgets one of this version; 0: whichever there is.
//
// Errors: shedding.
func (o *Orphans) DropOrphan(ctx context.Context, source scheduling.SourceID, id string, version uint64) error {
	keys := o.keys(source)
	text, err := o.store.client.HGet(ctx, keys[0], id).Result()
	if err != nil {
		if err == redis.Nil {
			err = nil
		}
		return o.store.fault(err)
	}
	args := []any{id, version}
	// What leads to one that cannot be read leads nowhere, and names nobody.
	if known, err := o.open(keys[0], source, id, text); err == nil {
		for _, place := range o.places(source, known.Native) {
			args = append(args, place)
		}
	}
	return o.store.fault(o.store.run(ctx, o.drop, keys, args...).Err())
}

// DropOrphansOf forgets those of these Patients of the source.
//
// Errors: shedding.
func (o *Orphans) DropOrphansOf(ctx context.Context, source scheduling.SourceID, natives []string) error {
	args := []any{"", 0}
	for _, native := range natives {
		for _, place := range o.places(source, native) {
			args = append(args, place)
		}
	}
	return o.store.fault(o.store.run(ctx, o.drop, o.keys(source), args...).Err())
}

// Orphans gives all of a source, the earliest first. One that cannot be unsealed
// is counted, and shown by its identifier alone: somebody must look.
//
// Errors: shedding.
func (o *Orphans) Orphans(ctx context.Context, source scheduling.SourceID) ([]scheduling.Orphan, error) {
	key := o.keys(source)[0]
	all, err := o.store.client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, o.store.fault(err)
	}
	list := make([]scheduling.Orphan, 0, len(all))
	for id, text := range all {
		orphan, err := o.open(key, source, id, text)
		if err != nil {
			o.store.metrics.damaged.WithLabelValues(string(source), "orphan").Inc()
			o.store.log.Error("an orphan cannot be read", "source", source, "orphan", id, "error", err)
			orphan = scheduling.Orphan{ID: id, Source: source, Version: orphan.Version, Blind: true}
		}
		list = append(list, orphan)
	}
	slices.SortFunc(list, func(a, b scheduling.Orphan) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// OrphanSources are the sources that had orphans, in order of id, also such as
// are configured no more.
//
// Errors: shedding.
func (o *Orphans) OrphanSources(ctx context.Context) ([]scheduling.SourceID, error) {
	all, err := o.store.client.SMembers(ctx, o.store.keys.orphanSources()).Result()
	if err != nil {
		return nil, o.store.fault(err)
	}
	list := make([]scheduling.SourceID, 0, len(all))
	for _, id := range all {
		list = append(list, scheduling.SourceID(id))
	}
	slices.Sort(list)
	return list, nil
}

func (o *Orphans) open(key string, source scheduling.SourceID, id, text string) (scheduling.Orphan, error) {
	var orphan scheduling.Orphan
	number, sealed, _ := strings.Cut(text, ":")
	version, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return orphan, errDamaged
	}
	orphan.Version = version
	data, err := o.vault.Unseal(sealOrphan, sealed, key, id)
	if err != nil {
		return orphan, fmt.Errorf("orphan: %w", err)
	}
	if json.Unmarshal(data, &orphan) != nil || orphan.Source != source {
		return scheduling.Orphan{Version: version}, errDamaged
	}
	return orphan, nil
}
